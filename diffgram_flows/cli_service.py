"""``diffgram-flows brain serve``: brains that are asked over HTTP."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from diffgram_flows import parameters
from diffgram_flows.cli import Target
from diffgram_flows.cli_output import DONE, console
from diffgram_flows.errors import BrainTampered, StorageError

if TYPE_CHECKING:
    from diffgram_flows.brains import Registry
    from diffgram_flows.service import ServiceSettings

_VARIABLE = "DIFFGRAM_BRAIN_SERVICE_TOKEN"


def serve(
    *,
    target: Target = parameters.Target(),
    host: str = "127.0.0.1",
    port: int = 8086,
    brain: Annotated[list[str], Parameter(negative="")] = [],  # noqa: B006
    allow_private: Annotated[bool, Parameter(negative="")] = False,
    deployment: str = "",
    trainings: int = 1,
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
        Which brain is served; may be given several times, and no other one is trained here. All of the registry
        without it.
    allow_private
        Fetch images from addresses of the own network, too, and from any port.
    deployment
        The Prefect deployment that trains, such as 'train brain/on-demand'; without it a process of this machine does.
    trainings
        Trainings of this machine at the same time; who orders one more is asked to come again.
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
        **_diffgram(target),
        token=os.environ.get(_VARIABLE, ""),
        brains=tuple(brain),
        allow_private=allow_private,
        max_upload=max_upload_mb * 2**20,
        queue_size=queue,
        request_timeout=timeout,
        deployment=deployment,
        trainings=trainings,
        store_uri=target.store_uri,
        public_url=public_url,
    )
    missing = _missing(registry, settings.brains)
    try:
        serve_registry(registry, settings, host, port, lambda url: _welcome(url, settings, missing))
    except KeyboardInterrupt:  # the way to stop it; everything is closed by now
        console.print("\nStopped.")
    return DONE


def _diffgram(target: parameters.Target) -> dict[str, Any]:
    """Which Diffgram, and the credential for it, as far as they are given: a service with a token needs none.

    Raises:
        ConfigurationError: There is no block of that name.
    """
    if target.credentials_block:
        from diffgram_flows.blocks import find_credentials

        found = find_credentials(target)
        return {
            "diffgram_url": found.diffgram_url,
            "project": found.project,
            "client_id": found.client_id,
            "client_secret": found.client_secret.get_secret_value(),
        }
    return {
        "diffgram_url": target.diffgram_url or os.environ.get("DIFFGRAM_URL", ""),
        "project": target.project or os.environ.get("DIFFGRAM_PROJECT", ""),
        "client_id": os.environ.get("DIFFGRAM_CLIENT_ID", ""),
        "client_secret": os.environ.get("DIFFGRAM_CLIENT_SECRET", ""),
    }


def _missing(registry: Registry, names: tuple[str, ...]) -> list[str]:
    """What cannot be answered yet: the brains that were asked for, or all of the registry.

    Raises:
        ConfigurationError: No brain can have such a name.
    """
    from diffgram_flows.service.champions import without_champion

    try:
        wanted = names or registry.names()
        told = [without_champion(registry, name) for name in wanted if registry.champion_ref(name) is None]
    except (BrainTampered, StorageError) as error:  # of which /readyz tells more, and when it is over
        return [f"The registry cannot be read: {error}"]
    return told if wanted else ["The registry has no brain yet."]


def _welcome(url: str, settings: ServiceSettings, missing: list[str]) -> None:
    keys = []
    if settings.diffgram_url and settings.project:
        keys.append(f"a credential of the project {settings.project}")
    elif settings.client_id and settings.client_secret:
        keys.append("the credential in DIFFGRAM_CLIENT_ID and DIFFGRAM_CLIENT_SECRET")
    if settings.token:
        keys.append(f"the token in {_VARIABLE}")
    state = "listens, but is not ready" if missing else "is ready"
    console.print(
        f"The brain service {state}: {url}\n\n"
        f"  {url}/docs     what it offers\n  {url}/readyz   which brains are loaded\n"
        f"  {url}/metrics  for Prometheus\n\n"
        f"It lets in who has {' or '.join(keys)}. Ctrl+C stops it.",
        highlight=False,
        soft_wrap=True,
    )
    for problem in missing:
        console.print(f"Warning: {problem}", highlight=False, soft_wrap=True, markup=False)
    console.file.flush()  # to a pipe as well, at once
