"""How the service behaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from diffgram_flows.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """How the service behaves.

    Attributes:
        workdir: Where trainings leave their state.
        diffgram_url, project: The Diffgram whose credentials are good, and whose files are looked at; empty without.
        client_id, client_secret: A credential that is good without asking Diffgram, and is the service's own one: for
            files that somebody with the token asks for.
        token: A token that is good without asking Diffgram.
        brains: Which ones are served; all of the registry if there is none.
        allow_private: Whether images are fetched from addresses of the own network and from any port.
        max_upload: Bytes of a request, and of an image that is fetched.
        max_pixels: Width x height of an image, and of those that go through the network together.
        batch_size: Images that go through the network together.
        batch_wait: Seconds in which a batch fills up where nothing else is going on.
        queue_size: Requests at the same time; who comes beyond is sent away for a second.
        request_timeout: Seconds of a request, the upload included.
        fetch_timeout: Seconds to fetch an image.
        idle_timeout: Seconds after which a connection on which no request comes is closed.
        poll: Seconds between two looks at who is the champion.
        key_seconds: For how long Diffgram's word about a credential is believed.
        deployment: The Prefect deployment that trains; empty trains in a process of this machine.
        trainings: Trainings at the same time that are done here, and not by a deployment.
        store_uri: Where the registry is, if not in the work folder; what is trained is kept there.
        public_url: How others reach the service; empty takes what they call it by.
    """

    workdir: Path
    diffgram_url: str = ""
    project: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    brains: tuple[str, ...] = ()
    allow_private: bool = False
    max_upload: int = 20 * 2**20
    max_pixels: int = 50_000_000
    batch_size: int = 8
    batch_wait: float = 0.003
    queue_size: int = 128
    request_timeout: float = 30.0
    fetch_timeout: float = 15.0
    idle_timeout: float = 30.0
    poll: float = 2.0
    key_seconds: float = 300.0
    deployment: str = ""
    trainings: int = 1
    store_uri: str = ""
    public_url: str = ""

    def __post_init__(self) -> None:
        if not (self.diffgram_url and self.project) and not self.token and not (self.client_id and self.client_secret):
            raise ConfigurationError(
                "Nothing says who may use the service.",
                cure="Give a Diffgram and a project whose credentials are good, or a credential, or a token.",
            )
        counts = (self.max_upload, self.max_pixels, self.batch_size, self.queue_size, self.trainings)
        seconds = (self.request_timeout, self.fetch_timeout, self.idle_timeout, self.poll, self.key_seconds)
        if min(counts) < 1 or min(seconds) <= 0 or self.batch_wait < 0:
            raise ConfigurationError("A limit of the service is zero or less.", cure="Give positive limits.")
