"""Trainings that somebody orders over HTTP: a process of this machine, or a Prefect deployment, does them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from diffgram_flows.errors import BrainNotFound, DiffgramFlowsError
from diffgram_flows.project import Project, TrainingStatus
from diffgram_flows.project.brain import Brain
from diffgram_flows.service.champions import Champions
from diffgram_flows.service.doorman import Doorman
from diffgram_flows.service.permissions import Caller
from diffgram_flows.service.refusals import Refusal
from diffgram_flows.service.settings import ServiceSettings


class Trainings:
    """Starts trainings with the caller's credential, and tells how far they are.

    Those of this machine end with the service; started again, they go on from where they were.

    Args:
        settings: Who trains, and where brains are kept.
        doorman: Asked whether a caller may order one.
        champions: Told of brains that will come, and asked whether they would be served.
    """

    def __init__(self, settings: ServiceSettings, doorman: Doorman, champions: Champions) -> None:
        self._settings = settings
        self._doorman = doorman
        self._champions = champions
        self._started: dict[str, Brain] = {}
        self._starting = threading.Lock()

    async def start(
        self, caller: Caller, name: str, *, directory_id: int | None, options: Mapping[str, Any]
    ) -> TrainingStatus:
        """Start one; returns at once.

        Raises:
            Refusal: 403 for a credential that may only look, 404 for a brain that the service does not serve, 429 while
                as many others are being trained as may be; a setting is wrong, it is being trained already, or there is
                nothing to train it with.
        """
        settings = self._settings
        if not (settings.diffgram_url and settings.project and caller.client_id):
            raise Refusal(400, "ConfigurationError", "The service knows no Diffgram to learn from.", _DIFFGRAM)
        await self._doorman.let_train(caller)
        self._champions.check_served(name)
        try:
            status = await asyncio.to_thread(self._start, caller, name, directory_id, options)
        except DiffgramFlowsError as error:
            raise Refusal.of(error) from error
        except TypeError as error:  # an option that is a setting of the work, like a job
            raise Refusal(400, "ConfigurationError", "An option of the training is of the wrong type.") from error
        self._champions.expect(name)
        return status

    async def status(self, name: str) -> TrainingStatus | None:
        """How far the newest training of a brain is, ``None`` if there was none."""
        try:
            return await asyncio.to_thread(self._status, name)
        except BrainNotFound:
            return None
        except DiffgramFlowsError as error:
            raise Refusal.of(error) from error

    def close(self) -> None:
        """End the processes that were started here."""
        for brain in self._started.values():
            brain.stop()

    def _start(self, caller: Caller, name: str, directory_id: int | None, options: Mapping[str, Any]) -> TrainingStatus:
        with self._starting, self._project(caller) as project:
            self._refuse_too_many(name)
            brain = project.train.start(name, directory=directory_id, deployment=self._settings.deployment, **options)
            if name in self._started:
                self._started[name].stop()
            self._started[name] = brain
            return brain.check_status()

    def _refuse_too_many(self, name: str) -> None:
        """Refuse one more training of this machine; a second one of the same brain is refused in its own words."""
        others = {other: brain.check_status() for other, brain in self._started.items() if other != name}
        running = [f"{other} ({status})" for other, status in others.items() if not status.done]
        limit = self._settings.trainings
        if not self._settings.deployment and len(running) >= limit:
            raise Refusal(
                429,
                "Busy",
                f"The service trains {limit} brain{'s' * (limit > 1)} at a time, and is training {', '.join(running)}.",
                "Order it again when that one is ready or has failed, or start the service with more --trainings.",
                {"Retry-After": "60"},
            )

    def _status(self, name: str) -> TrainingStatus:
        with self._project(Caller("nobody", "nobody")) as project:  # asks no Diffgram
            return project.train.get(name).check_status()

    def _project(self, caller: Caller) -> Project:
        settings = self._settings
        return Project(
            settings.diffgram_url or "http://localhost",
            settings.project or "none",
            caller.client_id,
            caller.client_secret,
            workdir=settings.workdir,
            store_uri=settings.store_uri,
        )


_DIFFGRAM = "Start it with the URL and project of one, and come with a credential of that project."
