"""From a request to an answer: how many at once, how large, how long, and whether anybody still waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

from starlette.requests import Request

from diffgram_flows.brains import BrainRecord
from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import DiffgramFlowsError, ImageRejected, InvalidRequest
from diffgram_flows.images import image_size
from diffgram_flows.models import BrainRef, Picture, Prediction
from diffgram_flows.service.champions import Champions
from diffgram_flows.service.fetching import Fetcher
from diffgram_flows.service.metrics import Metrics
from diffgram_flows.service.permissions import Caller
from diffgram_flows.service.refusals import Refusal, busy, too_slow
from diffgram_flows.service.settings import ServiceSettings

_FETCHES = 16  # at the same time
T = TypeVar("T")


class Gone(Exception):
    """Whoever asked has hung up."""


class Asked(NamedTuple):
    """Which brain is asked, and how.

    Attributes:
        brain: ``cars`` or ``cars@3``; empty where there is only one.
        threshold: The score threshold, ``None`` for the brain's own one.
    """

    brain: str
    threshold: float | None = None


class Answered(NamedTuple):
    """What a brain saw in some images.

    Attributes:
        record: Which version looked.
        predictions: One for each image; those that cannot be looked at have an error.
    """

    record: BrainRecord
    predictions: tuple[Prediction, ...]


class Desk:
    """Where requests are dealt with.

    Args:
        champions: Who looks.
        settings: The limits.
        metrics: Told how many are waiting.
    """

    def __init__(self, champions: Champions, settings: ServiceSettings, metrics: Metrics) -> None:
        self._champions = champions
        self._settings = settings
        self._waiting = metrics.waiting
        self._count = 0
        self._fetcher = Fetcher(settings)
        self._fetches = asyncio.Semaphore(_FETCHES)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place in the queue, for as long as a request may take.

        Raises:
            Refusal: There is none, or the time is over.
        """
        if self._count >= self._settings.queue_size:
            raise busy(f"{self._count} requests are waiting already.")
        self._count += 1
        self._waiting.set(self._count)
        seconds = self._settings.request_timeout
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise too_slow("The request", seconds) from error
        finally:
            self._count -= 1
            self._waiting.set(self._count)

    async def look(self, request: Request, asked: Asked, pictures: Sequence[Picture]) -> Answered:
        """Show images to a brain.

        Raises:
            Refusal: There is no such brain, or it cannot look now.
            Gone: The caller has hung up.
        """
        name, version = self._named(asked.brain)
        batcher = await self._champions.batcher(name, version)
        sizes = [self._size(picture) for picture in pictures]
        looking = [
            batcher.ask(picture, size[0] * size[1], asked.threshold)
            for picture, size in zip(pictures, sizes, strict=True)
            if not isinstance(size, str)
        ]
        seen = iter(await _unless_gone(request, asyncio.gather(*looking)) if looking else ())
        predictions = tuple(
            Prediction(picture.key, 0, 0, error=size) if isinstance(size, str) else next(seen)
            for picture, size in zip(pictures, sizes, strict=True)
        )
        return Answered(batcher.brain.record, predictions)

    async def look_at_one(self, request: Request, asked: Asked, picture: Picture) -> tuple[BrainRecord, Prediction]:
        """The same for one image.

        Raises:
            Refusal: As :meth:`look`, or the image cannot be looked at.
        """
        record, (prediction,) = await self.look(request, asked, [picture])
        if prediction.error:
            raise Refusal(422, "ImageRejected", prediction.error)
        return record, prediction

    async def of_url(self, url: str) -> Picture:
        """The image behind a URL.

        Raises:
            Refusal: It is not to be had.
        """
        return await self._fetched(url, "from the URL", of_diffgram=False)

    async def of_file(self, caller: Caller, file_id: int) -> Picture:
        """The image of a file of Diffgram, asked for with the caller's own credential.

        Raises:
            Refusal: There is no such file, or it is not to be had.
        """
        settings = self._settings
        if not (settings.diffgram_url and settings.project and caller.client_id):
            raise Refusal(
                400,
                "ConfigurationError",
                "The service knows no Diffgram to get the file from.",
                "Start it with the URL, project and credential of one, or send the image itself.",
            )
        try:
            url = await asyncio.to_thread(_signed_url, settings, caller, file_id)
        except InvalidRequest as error:  # a Diffgram that does not find it answers with a trace of its own
            raise Refusal(
                404,
                "FileNotFound",
                f"The project {settings.project} has no file {file_id}.",
                "Check the id, and that the file was not removed.",
            ) from error
        except DiffgramFlowsError as error:
            raise Refusal.of(error) from error
        return await self._fetched(url, f"of file {file_id}", of_diffgram=True)

    async def _fetched(self, url: str, name: str, *, of_diffgram: bool) -> Picture:
        async with self._fetches:
            try:
                return Picture(name, await self._fetcher.fetch(url, of_diffgram=of_diffgram))
            except ImageRejected as error:
                raise Refusal(422, "ImageRejected", error.what, error.cure) from error

    def _named(self, brain: str) -> tuple[str, int | None]:
        """Name and version."""
        if not brain:
            return self._champions.only_name(), None
        if "@" not in brain or self._champions.knows(brain):
            return brain, None
        try:
            ref = BrainRef.parse(brain)
        except ValueError as error:
            raise Refusal(404, "BrainNotFound", f"{error}.", "Write a name, or a version like cars@3.") from error
        return ref.name, ref.version

    def _size(self, picture: Picture) -> tuple[int, int] | str:
        """Width and height from the header alone, or why the image is not looked at."""
        try:
            return image_size(picture.source, name=picture.key, max_pixels=self._settings.max_pixels)
        except ImageRejected as error:
            return str(error)


def _signed_url(settings: ServiceSettings, caller: Caller, file_id: int) -> str:
    keys = (settings.diffgram_url, settings.project, caller.client_id, caller.client_secret)
    with DiffgramClient(*keys, timeout=10, retries=1) as client:
        return client.signed_url(file_id)


async def _unless_gone(request: Request, answer: Awaitable[T]) -> T:
    """The answer, or as soon as the caller hangs up: nothing.

    Raises:
        Gone: There is nobody to answer.
    """
    looking, leaving = asyncio.ensure_future(answer), asyncio.create_task(_left(request))
    try:
        await asyncio.wait((looking, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not looking.done():
            raise Gone
        return looking.result()
    finally:
        looking.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
