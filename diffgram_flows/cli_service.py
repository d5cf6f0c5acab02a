"""``diffgram-flows brain serve``: brains that are asked over HTTP."""

from __future__ import annotations

import os
from typing import Annotated

from cyclopts import Parameter

from diffgram_flows import parameters
from diffgram_flows.cli import DONE, Target, console

_VARIABLE = "DIFFGRAM_BRAIN_SERVICE_TOKEN"


def serve(
    *,
    target: Target = parameters.Target(),
    host: str = "127.0.0.1",
    port: int = 8086,
    brain: Annotated[list[str], Parameter(negative="")] = [],  # noqa: B006
    allow_private: Annotated[bool, Parameter(negative="")] = False,
    deployment: str = "",
    public_url: str = "",
    max_upload_mb: int = 20,
    queue: int = 128,
    timeout: float = 30.0,
) -> int:
    """Answer over HTTP what the champions see in images, until Ctrl+C.

    Who comes with a credential of the Diffgram project is let in, and who has the token of the environment's
    DIFFGRAM_BRAIN_SERVICE_TOKEN. Trainings take a credential with the level Editor or admin. A promotion or a
    roll-back is noticed within seconds; no request is lost by it.

    Parameters
    ----------
    host
        Address to listen on; 0.0.0.0 for all of this machine. Put a proxy with TLS in front of it then.
    port
        0 for any free one.
    brain
        Which brain is served; may be given several times. All of the registry without it.
    allow_private
        Fetch images from addresses of the own network, too, and from any port.
    deployment
        The Prefect deployment that trains, such as 'train brain/on-demand'; without it a process of this machine does.
    public_url
        How others reach the service, for the links that it gives; by default what they call it by.
    max_upload_mb
        Megabytes (2**20 bytes) of a request and of an image that is fetched.
    queue
        Requests at the same time; who comes beyond is asked to come again in a second.
    timeout
        Seconds that a request may take, its upload included.
    """
    from diffgram_flows.service import ServiceSettings
    from diffgram_flows.service import serve as serve_registry
    from diffgram_flows.tasks.workspace import open_places

    registry, _ = open_places(target)
    settings = ServiceSettings(
        workdir=target.workdir.expanduser().resolve(),
        diffgram_url=target.diffgram_url or os.environ.get("DIFFGRAM_URL", ""),
        project=target.project or os.environ.get("DIFFGRAM_PROJECT", ""),
        client_id=os.environ.get("DIFFGRAM_CLIENT_ID", ""),
        client_secret=os.environ.get("DIFFGRAM_CLIENT_SECRET", ""),
        token=os.environ.get(_VARIABLE, ""),
        brains=tuple(brain),
        allow_private=allow_private,
        max_upload=max_upload_mb * 2**20,
        queue_size=queue,
        request_timeout=timeout,
        deployment=deployment,
        store_uri=target.store_uri,
        public_url=public_url,
    )
    try:
        serve_registry(registry, settings, host, port, lambda url: _welcome(url, settings.project))
    except KeyboardInterrupt:  # the way to stop it; everything is closed by now
        console.print("\nStopped.")
    return DONE


def _welcome(url: str, project: str) -> None:
    console.print(
        f"The brain service is ready: {url}\n\n"
        f"  {url}/docs     what it offers\n  {url}/readyz   which brains are loaded\n"
        f"  {url}/metrics  for Prometheus\n\n"
        f"It lets in who has a credential of {f'the project {project}' if project else 'its own'}. Ctrl+C stops it.",
        highlight=False,
        soft_wrap=True,
    )
    console.file.flush()  # to a pipe as well, at once
