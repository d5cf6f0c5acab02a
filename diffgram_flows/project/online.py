"""A brain that a brain service shows the images to: ``project.get_model(name, local=False)``."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from diffgram_flows.brains import Brain as LoadedBrain
from diffgram_flows.brains import Tiling
from diffgram_flows.brains.tiling import TileOption
from diffgram_flows.diffgram import without_secrets
from diffgram_flows.errors import (
    AuthenticationError,
    BrainError,
    BrainNotFound,
    ConfigurationError,
    DiffgramFlowsError,
    ImageRejected,
    InvalidRequest,
    NoChampion,
    RateLimited,
    ServerError,
    ServerUnreachable,
    UnexpectedReply,
)
from diffgram_flows.models import Annotation, BrainRef, LabelMap
from diffgram_flows.project.brain import Brain
from diffgram_flows.project.context import Context
from diffgram_flows.project.inference import Inference, Instance
from diffgram_flows.project.pictures import ImageLike, decoded_image, name_of, picture_source
from diffgram_flows.project.training_status import TrainingStatus

SERVICE_URL = "DIFFGRAM_BRAIN_SERVICE_URL"
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and of silence
_KINDS: Mapping[int, type[DiffgramFlowsError]] = {
    400: ConfigurationError,
    401: AuthenticationError,
    403: AuthenticationError,
    404: BrainNotFound,
    413: ImageRejected,
    422: ImageRejected,
    429: RateLimited,
}
_NAMED: Mapping[str, type[DiffgramFlowsError]] = {"NoChampion": NoChampion, "FileNotFound": InvalidRequest}


class Service:
    """A brain service over HTTP.

    Args:
        url: Its address.
        client_id, client_secret: A credential that it lets in.

    Raises:
        ConfigurationError: The address is missing or malformed.
    """

    def __init__(self, url: str, client_id: str, client_secret: str) -> None:
        self.url = url.strip().rstrip("/")
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise ConfigurationError(
                f"The address {without_secrets(self.url)!r} of the brain service is no URL." if url else
                "Nothing says where the brain service is.",
                cure=f"Give service_url, or set {SERVICE_URL}; `diffgram-flows brain serve` starts one.",
            )  # fmt: skip
        self._session = requests.Session()
        self._session.trust_env = False  # a .netrc is not asked for a credential
        self._session.auth = (client_id, client_secret)

    def call(self, method: str, path: str, **request: Any) -> Any:
        """The JSON that the service answers.

        Raises:
            DiffgramFlowsError: It refuses, in its own words; or does not answer.
        """
        try:
            reply = self._session.request(method, self.url + path, timeout=_TIMEOUT, allow_redirects=False, **request)
            found = reply.json()
        except requests.JSONDecodeError as error:
            raise UnexpectedReply(f"{self.url} does not answer like a brain service.", cure="Check its URL.") from error
        except requests.RequestException as error:
            raise ServerUnreachable(
                f"The brain service {self.url} does not answer ({type(error).__name__}).",
                cure="Start it with `diffgram-flows brain serve`, or check its URL.",
            ) from error
        if reply.ok:
            return found
        problem = found.get("error") if isinstance(found, dict) else None
        if not isinstance(problem, dict):
            raise UnexpectedReply(f"{self.url} answers {reply.status_code}.", cure="Check the URL of the service.")
        raise _kind(reply.status_code, str(problem.get("kind")))(
            str(problem.get("what")), cure=str(problem.get("cure", ""))
        )


class OnlineBrain(Brain):
    """A brain of a brain service. Images are sent there; nothing is loaded on this machine.

    Args:
        context: The project.
        service: Who looks.
        name: Which brain; ``None`` takes the only one.
        version: Which version; ``None`` takes the champion of the moment of each call.
    """

    def __init__(self, context: Context, service: Service, name: str | None, version: int | None) -> None:
        self._service = service
        super().__init__(context, name or self._only_one())
        self._wanted = self.name if version is None else str(BrainRef(self.name, version))

    def __repr__(self) -> str:
        return f"OnlineBrain({self._wanted!r}, {self._service.url!r})"

    @property
    def version(self) -> int:
        """The version in use at the service, or the one that was asked for."""
        return BrainRef.parse(self._wanted if "@" in self._wanted else str(self._details()["serving"])).version

    @property
    def labels(self) -> LabelMap:
        """What the version in use knows."""
        return LabelMap(tuple((int(file_id), name) for file_id, name in self._details()["labels"].items()))

    def check_status(self) -> TrainingStatus:
        """How far the newest training is that the service knows; asks it."""
        found = self._service.call("GET", f"{self._path(self.name)}/status")
        known = ("state", "percent", "brain", "promoted", "map50", "reason")
        return TrainingStatus(**{field: found[field] for field in known})

    def predict_from_url(
        self, url: str, *, score_threshold: float | None = None, tile: TileOption | Tiling = "never"
    ) -> Inference:
        """What it sees in the image behind a URL, which the service downloads.

        Raises:
            ImageRejected: The URL gives no image that can be used, or leads to where the service does not go.
        """
        return self._ask(score_threshold, tile, json={"url": url})

    def predict_from_file(
        self, file_id: int, *, score_threshold: float | None = None, tile: TileOption | Tiling = "never"
    ) -> Inference:
        """What it sees in a file of Diffgram, which the service downloads.

        Raises:
            InvalidRequest: There is no such file.
            ImageRejected: It is no image that can be used.
        """
        return self._ask(score_threshold, tile, json={"file_id": file_id})

    def run(
        self, image: ImageLike, *, score_threshold: float | None = None, tile: TileOption | Tiling = "never"
    ) -> Inference:
        """What it sees in an image, which is sent to the service.

        Args:
            image: As for a brain on this machine.
            score_threshold: As there.
            tile: Must be ``never``: the service looks at whole images.

        Raises:
            ImageRejected: It is no image that can be used.
            ConfigurationError: Tiles are asked for.
        """
        headers, content = {"Content-Type": "application/octet-stream"}, _content(image)
        found = self._ask(score_threshold, tile, data=content, headers=headers)
        self._shown = content
        return found

    def loaded(self) -> LoadedBrain:
        """There is none on this machine.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(
            f"The brain {self._wanted} looks at images elsewhere.", cure="Take it with project.get_model(name)."
        )

    def _ask(self, score_threshold: float | None, tile: TileOption | Tiling, **request: Any) -> Inference:
        if tile != "never":
            raise ConfigurationError(
                "The brain service looks at whole images, not at tiles.", cure="Take a brain on this machine for that."
            )
        params = {} if score_threshold is None else {"score_threshold": score_threshold}
        found = self._service.call("POST", f"{self._path(self._wanted)}/predict", params=params, **request)
        (image,) = found["images"]
        instances = sorted(map(_instance, image["instances"]), key=lambda instance: -instance.score)
        self._last = Inference(found["brain"], found["method"], image["width"], image["height"], tuple(instances))
        self._shown = None  # what the service has downloaded is not known here
        return self._last

    def _details(self) -> dict[str, Any]:
        found: dict[str, Any] = self._service.call("GET", self._path(self.name))
        return found

    def _only_one(self) -> str:
        names = [str(one["name"]) for one in self._service.call("GET", "/v1/brains")]
        if len(names) != 1:
            there = ", ".join(names) or "none"
            raise BrainNotFound(
                f"The brain service has {len(names)} brains: {there}.", cure="Name the one that is meant."
            )
        return names[0]

    @staticmethod
    def _path(brain: str) -> str:
        return f"/v1/brains/{quote(brain, safe='@')}"


def _instance(found: Mapping[str, Any]) -> Instance:
    points = tuple((int(x), int(y)) for x, y in found["points"])
    attributes = tuple(sorted((int(group), str(chosen)) for group, chosen in found["attributes"].items()))
    annotation = Annotation(found["type"], found["label_file_id"], points, attributes, found["score"])
    return Instance(found["label"], found["score"], annotation)


def _content(source: ImageLike) -> bytes:
    """The bytes of an image file; what is decoded already is compressed without loss."""
    if isinstance(source, bytes):
        return source
    if isinstance(source, (str, Path)):
        path = picture_source(source)
        try:
            return path if isinstance(path, bytes) else path.read_bytes()
        except OSError as error:
            raise ImageRejected(
                f"The image {name_of(source)} cannot be read ({error.strerror}).", cure="Check the path."
            ) from error
    content = io.BytesIO()
    decoded_image(source).convert("RGB").save(content, "PNG", compress_level=1)
    return content.getvalue()


def _kind(status: int, kind: str) -> type[DiffgramFlowsError]:
    if kind in _NAMED:
        return _NAMED[kind]
    return _KINDS.get(status, ServerError if status >= 500 else BrainError)
