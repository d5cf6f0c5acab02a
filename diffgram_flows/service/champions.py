"""Which brains are loaded: the champions, and the next one as soon as it can be used."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from PIL import Image

from diffgram_flows.brains import Brain, Registry
from diffgram_flows.errors import BrainNotFound, DiffgramFlowsError
from diffgram_flows.models import BrainRef, Picture
from diffgram_flows.service.batching import Batcher
from diffgram_flows.service.metrics import Metrics
from diffgram_flows.service.refusals import RETRY, Refusal
from diffgram_flows.service.settings import ServiceSettings

_KEPT_VERSIONS = 2  # that are not champions, but were asked for
_AGAIN_AFTER = 30.0  # seconds until a champion that could not be loaded is tried again
_NAMES_EVERY = 30.0  # seconds between two looks at which brains there are
_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class State:
    """How it is with one brain.

    Attributes:
        champion: Who should be in use.
        serving: Who is in use.
        problem: Why they are not the same, empty if they are.
    """

    champion: BrainRef | None = None
    serving: BrainRef | None = None
    problem: str = ""


class Champions:
    """The loaded brains of a registry.

    Args:
        registry: Looked at every few seconds.
        settings: Which brains, and how often.
        metrics: Told of every change.
    """

    def __init__(self, registry: Registry, settings: ServiceSettings, metrics: Metrics) -> None:
        self._registry = registry
        self._settings = settings
        self._metrics = metrics
        self._loader = ThreadPoolExecutor(1, "load")
        self._threads = ThreadPoolExecutor(2, "look")
        self._serving: dict[str, Batcher] = {}
        self._states: dict[str, State] = {}
        self._refused: dict[str, tuple[BrainRef, float]] = {}
        self._others: OrderedDict[BrainRef, Batcher] = OrderedDict()
        self._names: tuple[str, ...] = settings.brains
        self._names_at = -_NAMES_EVERY
        self._expected: set[str] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._loading = asyncio.Lock()
        self.looked = False

    def states(self) -> Mapping[str, State]:
        """How it is with each brain, by name."""
        return dict(sorted(self._states.items()))

    async def watch(self) -> None:
        """Look for new champions until it is cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(self._settings.poll)

    async def refresh(self) -> None:
        """Look who is the champion, and load who is new; those in use go on answering meanwhile."""
        try:
            await self._find_names()
        except Exception as error:  # a bucket that is away for a while
            _log.warning("The registry cannot be listed: %s", _shown(error))
        for name in self._names:
            try:
                ref = await self._in_loader(self._registry.champion_ref, name)
            except Exception as error:
                self._note(name, self._states.get(name, State()).champion, _shown(error))
                continue
            await self._follow(name, ref)
        self.looked = True

    def check_served(self, name: str) -> None:
        """Refuse a brain that the service would not serve if there was one.

        Raises:
            Refusal: The service was told which brains it serves, and this is none of them.
        """
        if self._settings.brains and name not in self._settings.brains:
            raise Refusal(
                404,
                "BrainNotFound",
                f"This service does not serve the brain {name!r}, so it does not train it.",
                f"It serves {', '.join(sorted(self._settings.brains))}; start it with --brain {name} as well, or "
                "without --brain.",
            )

    def expect(self, name: str) -> None:
        """Look for a brain that is being trained as often as for the others, until it has a champion."""
        self._expected.add(name)

    async def batcher(self, name: str, version: int | None = None) -> Batcher:
        """The queue in front of a brain's champion, or of one version.

        Raises:
            Refusal: There is no such brain or version, or it cannot be loaded.
        """
        if name not in self._names:
            there = ", ".join(sorted(self._names)) or "none"
            raise Refusal(404, "BrainNotFound", f"There is no brain {name!r} here.", f"There is {there}.")
        serving = self._serving.get(name)
        if version is not None:
            ref = BrainRef(name, version)
            return serving if serving and serving.brain.record.ref == ref else await self._other(ref)
        if serving is None:
            problem = self._states.get(name, State()).problem or f"The brain {name!r} is being loaded."
            raise Refusal(503, "NoChampion", problem, "Try again when /readyz says that it is ready.", RETRY)
        return serving

    def only_name(self) -> str:
        """The name of the only brain.

        Raises:
            Refusal: There are several, or none.
        """
        if len(self._names) == 1:
            return self._names[0]
        there = ", ".join(sorted(self._names)) or "none"
        raise Refusal(400, "BrainNotFound", "The request does not say which brain is asked.", f"There is {there}.")

    def knows(self, name: str) -> bool:
        return name in self._names

    async def close(self) -> None:
        """Answer what is waiting, then end the threads."""
        batchers = [*self._serving.values(), *self._others.values()]
        await asyncio.gather(*(batcher.closed() for batcher in batchers), *self._ending)
        self._loader.shutdown(wait=False, cancel_futures=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _find_names(self) -> None:
        self._expected.difference_update(self._names)
        for name in sorted(self._expected):
            if await self._in_loader(self._registry.champion_ref, name):
                self._names = (*self._names, name)
        if self._settings.brains or time.monotonic() - self._names_at < _NAMES_EVERY:
            return
        self._names = tuple(await self._in_loader(self._registry.names))
        self._names_at = time.monotonic() if self._names else -_NAMES_EVERY

    async def _follow(self, name: str, ref: BrainRef | None) -> None:
        serving = self._serving.get(name)
        if ref is None:
            self._note(name, None, await self._in_loader(without_champion, self._registry, name))
            return
        if serving and serving.brain.record.ref == ref:
            self._note(name, ref, "")
            return
        refused, until = self._refused.get(name, (None, 0.0))
        if refused == ref and time.monotonic() < until:
            return
        try:
            brain = await self._load(ref)
        except Exception as error:
            self._refused[name] = (ref, time.monotonic() + _AGAIN_AFTER)
            self._note(name, ref, f"The champion {ref} cannot be loaded: {_shown(error)}")
            _log.error("The champion %s cannot be loaded: %s", ref, _shown(error))
            return
        self._serving[name] = Batcher(brain, self._threads, self._settings, self._metrics)
        self._metrics.swaps.labels(name).inc()
        self._metrics.version.labels(name).set(ref.version)
        self._note(name, ref, "")
        _log.info("%s is in use.", ref)
        if serving:
            self._end(serving)

    async def _load(self, ref: BrainRef) -> Brain:
        return await self._in_loader(_loaded, self._registry, ref, self._settings.batch_size)

    async def _other(self, ref: BrainRef) -> Batcher:
        """A version that is not in use, loaded for who asks for it by number."""
        async with self._loading:
            if ref not in self._others:
                try:
                    brain = await self._load(ref)
                except BrainNotFound as error:
                    raise Refusal(404, "BrainNotFound", error.what, error.cure) from error
                except DiffgramFlowsError as error:
                    raise Refusal.of(error) from error
                self._others[ref] = Batcher(brain, self._threads, self._settings, self._metrics)
            self._others.move_to_end(ref)
            while len(self._others) > _KEPT_VERSIONS:
                self._end(self._others.popitem(last=False)[1])
            return self._others[ref]

    def _end(self, batcher: Batcher) -> None:
        """Let it answer what was asked; who looks for a brain now finds another one."""
        task = asyncio.create_task(batcher.closed())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _note(self, name: str, champion: BrainRef | None, problem: str) -> None:
        serving = self._serving.get(name)
        self._states[name] = State(champion, serving.brain.record.ref if serving else None, problem)
        self._metrics.problems.labels(name).set(bool(problem))

    async def _in_loader(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._loader, function, *arguments)


def without_champion(registry: Registry, name: str) -> str:
    """Why a brain of the registry has no champion.

    Raises:
        ConfigurationError: No brain can have such a name.
        StorageUnavailable, AccessDenied, BucketNotFound: The store cannot be read.
    """
    if registry.numbers(name):
        return f"No version of the brain {name!r} was promoted yet."
    there = ", ".join(registry.names()) or "none"
    return f"The brain {name!r} has no version yet; the registry has {there}."


def _loaded(registry: Registry, ref: BrainRef, batch_size: int) -> Brain:
    """The brain, its files verified, after a first look at nothing in particular, which costs the most."""
    brain = Brain.load(registry.get(ref))
    blank = io.BytesIO()
    Image.new("RGB", (64, 64)).save(blank, "PNG")
    for count in {1, batch_size}:
        for seen in brain.predict([Picture("blank", blank.getvalue())] * count, batch_size=count):
            if seen.error:
                raise DiffgramFlowsError(f"{ref} cannot look at an image: {seen.error}")
    return brain


def _shown(error: Exception) -> str:
    return str(error) if isinstance(error, DiffgramFlowsError) else f"{type(error).__name__}: {error}"
