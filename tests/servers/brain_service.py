"""A brain service on a real socket, in a thread of this process."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import requests

from diffgram_flows.brains import Registry
from diffgram_flows.service import ServiceSettings
from diffgram_flows.service.server import Server, listening


@contextlib.contextmanager
def serving(registry: Registry, settings: ServiceSettings, *, ready: bool = True) -> Iterator[str]:
    """Its URL; it ends with the block.

    Args:
        registry: The brains.
        settings: How it behaves.
        ready: Whether to wait for the brains to be loaded, or only for the first look at the registry.
    """
    with listening("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = Server(registry, settings, lambda: None)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            wait_for(url, ready=ready)
            yield url
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def wait_for(url: str, *, ready: bool = True, serving: str = "", problem: str = "") -> None:
    """Wait until ``/readyz`` says so: everything loaded, one version in use, or a problem told."""
    ends_at = time.monotonic() + 60
    while True:
        with contextlib.suppress(requests.ConnectionError):
            reply = requests.get(f"{url}/readyz", timeout=10)
            brains = reply.json()["brains"]
            good = reply.status_code == 200 if ready else bool(brains)
            good = good and (not serving or any(brain["serving"] == serving for brain in brains))
            if good and (not problem or any(problem in brain["problem"] for brain in brains)):
                return
        assert time.monotonic() < ends_at, f"{url} is not as wanted: {reply.text}"
        time.sleep(0.03)
