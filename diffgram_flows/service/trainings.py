"""Trainings that somebody orders over HTTP: a process of this machine, or a Prefect deployment, does them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from diffgram_flows.errors import BrainNotFound, DiffgramFlowsError
from diffgram_flows.project import Project, TrainingStatus
from diffgram_flows.project.brain import Brain
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
    """

    def __init__(self, settings: ServiceSettings, doorman: Doorman) -> None:
        self._settings = settings
        self._doorman = doorman
        self._started: dict[str, Brain] = {}
        self._starting = threading.Lock()

    async def start(
        self, caller: Caller, name: str, *, directory_id: int | None, options: Mapping[str, Any]
    ) -> TrainingStatus:
        """Start one; returns at once.

        Raises:
            Refusal: 403 for a credential that may only look; a setting is wrong, it is being trained already, or there
                is nothing to train it with.
        """
        settings = self._settings
        if not (settings.diffgram_url and settings.project and caller.client_id):
            raise Refusal(400, "ConfigurationError", "The service knows no Diffgram to learn from.", _DIFFGRAM)
        await self._doorman.let_train(caller)
        try:
            return await asyncio.to_thread(self._start, caller, name, directory_id, options)
        except DiffgramFlowsError as error:
            raise Refusal.of(error) from error
        except TypeError as error:  # an option that is a setting of the work, like a job
            raise Refusal(400, "ConfigurationError", "An option of the training is of the wrong type.") from error

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
            brain = project.train.start(name, directory=directory_id, deployment=self._settings.deployment, **options)
            if name in self._started:
                self._started[name].stop()
            self._started[name] = brain
            return brain.check_status()

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
