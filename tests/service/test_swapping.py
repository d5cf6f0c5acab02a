"""A promotion while many ask."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import requests
from project.conftest import adopt
from servers.brain_service import serving, wait_for
from service.conftest import registry_of

from diffgram_flows.brains import BrainRecord
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.service import ServiceSettings

CLIENTS, SECONDS_AFTER = 12, 0.7


def test_a_swap_under_load_loses_no_request(
    learned: BrainRecord,
    open_settings: Callable[..., ServiceSettings],
    sandbox: SandboxProcess,
    picture: bytes,
    tmp_path: Path,
) -> None:
    registry = registry_of(learned, tmp_path / "brains")
    seen: Counter[str] = Counter()
    wrong: list[str] = []
    late: list[str] = []
    over, promoted = threading.Event(), threading.Event()
    with serving(registry, open_settings()) as url:

        def ask() -> None:
            with requests.Session() as session:
                session.auth = (sandbox.client_id, sandbox.client_secret)
                while not over.is_set():
                    after = promoted.is_set()
                    reply = session.post(f"{url}/v1/brains/detector/predict", data=picture, timeout=30)
                    if reply.status_code != 200 or not reply.json()["images"][0]["instances"]:
                        wrong.append(reply.text)
                    else:
                        seen[reply.json()["brain"]] += 1
                        if after and reply.json()["brain"] == "detector@1":
                            late.append(reply.text)

        threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        registry.promote(adopt(registry, learned, "detector").ref)
        wait_for(url, serving="detector@2")
        promoted.set()
        time.sleep(SECONDS_AFTER)
        promoted.clear()
        registry.rollback("detector")
        wait_for(url, serving="detector@1")
        over.set()
        for thread in threads:
            thread.join(30)
        text = requests.get(f"{url}/metrics", timeout=10).text
    assert wrong == []
    assert seen["detector@1"] > CLIENTS
    assert seen["detector@2"] > CLIENTS
    assert len(late) <= CLIENTS  # those that asked just before the way back began
    assert 'brain_swaps_total{brain="detector"} 3.0' in text
    assert "brain_requests_waiting 0.0" in text
