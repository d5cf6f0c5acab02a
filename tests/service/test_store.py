"""A service whose registry lies in an object store, and trainings that a Prefect deployment does for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prefect.states import Completed, Running
from project.conftest import Deploy, adopt, deploy, prefect_api, reach, s3_server, s3_store
from servers.brain_service import serving, wait_for
from service.conftest import Client

from diffgram_flows.brains import BrainRecord
from diffgram_flows.parameters import Target
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.service import ServiceSettings
from diffgram_flows.tasks.workspace import open_places

__all__ = ["deploy", "prefect_api", "s3_server", "s3_store"]


def test_a_training_elsewhere_becomes_ready_and_is_served(
    learned: BrainRecord,
    open_settings: Callable[..., ServiceSettings],
    sandbox: SandboxProcess,
    s3_store: str,
    deploy: Deploy,
    picture: bytes,
    tmp_path: Path,
) -> None:
    elsewhere, _ = open_places(Target(workdir=tmp_path / "worker", store_uri=s3_store))
    elsewhere.promote(adopt(elsewhere, learned, "detector").ref)
    registry, _ = open_places(Target(workdir=tmp_path / "mine", store_uri=s3_store))
    settings = open_settings(
        workdir=tmp_path / "mine",
        store_uri=s3_store,
        deployment=deploy(Target(workdir=tmp_path / "worker", store_uri=s3_store)),
    )
    with serving(registry, settings) as url:
        client = Client(url, (sandbox.client_id, sandbox.client_secret))
        assert client.predict(picture).json()["brain"] == "detector@1"
        reply = client.post("/v1/brains/detector/train", json={"options": {"steps": 5}})
        assert (reply.status_code, reply.json()["state"], reply.json()["reason"]) == (202, "queued", "")
        reach(settings.workdir, Running())
        assert client.get("/v1/brains/detector/status").json()["state"] == "training"
        elsewhere.promote(adopt(elsewhere, learned, "detector").ref)
        reach(settings.workdir, Completed(), judged="detector@2")
        told = client.get("/v1/brains/detector/status").json()
        assert (told["state"], told["brain"], told["promoted"]) == ("ready", "detector@2", True)
        wait_for(url, serving="detector@2")
        assert client.predict(picture).json()["brain"] == "detector@2"
