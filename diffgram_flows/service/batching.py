"""Requests that come at the same time go through the network together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from diffgram_flows.brains import Brain
from diffgram_flows.models import Picture, Prediction
from diffgram_flows.service.metrics import Metrics
from diffgram_flows.service.settings import ServiceSettings


@dataclass(slots=True)
class _Job:
    picture: Picture
    pixels: int
    threshold: float
    answer: asyncio.Future[Prediction] = field(repr=False)


class Batcher:
    """The queue in front of one loaded brain.

    While a batch is being looked at, the next one fills up; only where nothing is going on, a few milliseconds are
    waited for company. Who has gone away in the meantime is left out.

    Args:
        brain: What looks.
        threads: Where it looks.
        settings: Size of a batch, and how long to wait for it.
        metrics: Told how large the batches were.
    """

    def __init__(self, brain: Brain, threads: Executor, settings: ServiceSettings, metrics: Metrics) -> None:
        self.brain = brain
        self._threads = threads
        self._settings = settings
        self._sizes = metrics.batches.labels(brain.record.ref.name)
        self._jobs: deque[_Job] = deque()
        self._more = asyncio.Event()
        self._closing = False
        self._task = asyncio.create_task(self._run())

    async def ask(self, picture: Picture, pixels: int, threshold: float | None) -> Prediction:
        """What the brain sees in a picture whose header was looked at.

        Args:
            picture: With its bytes.
            pixels: Width x height.
            threshold: As for :meth:`~diffgram_flows.brains.Brain.predict`.
        """
        answer: asyncio.Future[Prediction] = asyncio.get_running_loop().create_future()
        self._jobs.append(_Job(picture, pixels, self.brain.threshold(threshold), answer))
        self._more.set()
        if self._task.done():  # it was replaced between the choice and the question
            self._task = asyncio.create_task(self._run())
        return await answer

    def close(self) -> None:
        """Take no more after what is waiting."""
        self._closing = True
        self._more.set()

    async def closed(self) -> None:
        """Wait for the last answer."""
        self.close()
        await self._task

    async def _run(self) -> None:
        while True:
            if not self._jobs:
                if self._closing:
                    return
                self._more.clear()
                await self._more.wait()
                await asyncio.sleep(self._settings.batch_wait)
            if batch := self._take():
                for threshold in dict.fromkeys(job.threshold for job in batch):
                    await self._answer([job for job in batch if job.threshold == threshold], threshold)

    def _take(self) -> list[_Job]:
        """The next jobs that somebody waits for; few large images are as much as many small ones."""
        batch: list[_Job] = []
        pixels = 0
        while self._jobs and len(batch) < self._settings.batch_size:
            pixels += self._jobs[0].pixels
            if batch and pixels > self._settings.max_pixels:
                break
            job = self._jobs.popleft()
            if not job.answer.done():
                batch.append(job)
        return batch

    async def _answer(self, batch: Sequence[_Job], threshold: float) -> None:
        self._sizes.observe(len(batch))
        pictures = [job.picture for job in batch]
        try:
            loop = asyncio.get_running_loop()
            seen = await loop.run_in_executor(self._threads, _look, self.brain, pictures, threshold)
        except Exception as error:  # of the network: whoever asked is told, and the next batch is another one
            for job in batch:
                if not job.answer.done():
                    job.answer.set_exception(error)
            return
        for job, prediction in zip(batch, seen, strict=True):
            if not job.answer.done():
                job.answer.set_result(prediction)


def _look(brain: Brain, pictures: Sequence[Picture], threshold: float) -> list[Prediction]:
    return list(brain.predict(pictures, score_threshold=threshold, batch_size=len(pictures)))
