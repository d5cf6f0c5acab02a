"""A training that a Prefect deployment does: the script only knows the id of its flow run."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from diffgram_flows.disk import write_file
from diffgram_flows.errors import BrainError, BrainNotFound, ConfigurationError
from diffgram_flows.models import BrainRef
from diffgram_flows.parameters import Target
from diffgram_flows.project.training_status import FOLDER, TrainingStatus
from diffgram_flows.tasks.places import Places


class DeployedRun:
    """The newest flow run that trains a brain for a project.

    A small file beside those of other trainings remembers it, so another process finds it, too.

    Args:
        places: Where the project looks for the brain.
        name: The brain.
        flow_run: Id of the flow run.
        last_version: The brain's newest version when the training was ordered, 0 before the first.
    """

    def __init__(self, places: Places, name: str, flow_run: str, last_version: int) -> None:
        self._places = places
        self._name = name
        self._flow_run = flow_run
        self._last_version = last_version
        self._end: TrainingStatus | None = None

    @classmethod
    def start(cls, places: Places, name: str, deployment: str, training: dict[str, object]) -> DeployedRun:
        """Start one; returns at once.

        Raises:
            ConfigurationError: There is no such deployment, or it takes other parameters.
            ServerUnreachable: The Prefect server does not answer.
            StorageUnavailable, AccessDenied, BucketNotFound: The store cannot be read.
        """
        from diffgram_flows.tasks.ordering import order_training

        last = max(places.registry.numbers(name), default=0)
        flow_run = order_training(deployment, training)
        file = file_of(places.workdir, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, json.dumps({"flow_run": flow_run, "last_version": last}).encode())
        return cls(places, name, flow_run, last)

    @classmethod
    def find(cls, places: Places, name: str) -> DeployedRun | None:
        """The newest one of a brain, ``None`` if there was none."""
        file = file_of(places.workdir, name)
        try:
            found = json.loads(file.read_bytes())
            return cls(places, name, str(found["flow_run"]), int(found["last_version"]))
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError) as error:
            raise BrainError(
                f"The file {file} of a training cannot be read ({error}).",
                cure="Remove it and start the training again.",
            ) from error

    def status(self) -> TrainingStatus:
        """How far it is, asked of the Prefect server until it is over.

        Raises:
            BrainError: The flow run is gone.
            ServerUnreachable: The Prefect server does not answer.
            StorageUnavailable, AccessDenied, BucketNotFound: The store cannot be read.
        """
        if self._end is None:
            status = self._asked()
            if not status.done:
                return status
            self._end = status
        return self._end

    def stop(self) -> None:
        """Does nothing: it belongs to its worker; cancel the flow run in Prefect."""

    def _asked(self) -> TrainingStatus:
        from diffgram_flows.tasks.ordering import look_at_training

        found = look_at_training(self._flow_run)
        if found.state == "failed":
            error = BrainError(
                f"The training of {self._name!r} failed: {found.reason}", cure=f"Look at the flow run {self._flow_run}."
            )
            return TrainingStatus("training").failed(error)
        if found.state == "done":
            return self._ready()
        return TrainingStatus(found.state, found.percent, reason=str(self._elsewhere or ""))

    def _ready(self) -> TrainingStatus:
        ref = None if self._elsewhere else self._version()
        if ref is None:
            error = self._elsewhere or self._missing()
            return replace(TrainingStatus("ready", 100).failed(error), state="ready")
        registry = self._places.registry
        test = registry.manifest(ref).metrics.get("test")
        promoted = registry.champion_ref(self._name) == ref
        return TrainingStatus("ready", 100, str(ref), promoted, test.scores.get("mAP50") if test else None)

    def _version(self) -> BrainRef | None:
        """The version that the flow run has made, or that a crash before it had left to be judged.

        Numbers up to the last known one say nothing in a work folder: another machine's may count for itself.
        """
        from diffgram_flows.tasks.ordering import judged_by

        numbers = self._places.registry.numbers(self._name)
        new = [number for number in numbers if number > self._last_version]
        judged = judged_by(self._flow_run)
        if judged is None:  # the artifact that tells it is gone
            return BrainRef(self._name, new[-1]) if new else None
        known = numbers if self._places.store_uri else new
        return judged if judged.name == self._name and judged.version in known else None

    @cached_property
    def _elsewhere(self) -> BrainNotFound | None:
        """Why the brain will not be found; ``None`` if it will, or if only its end can tell."""
        from diffgram_flows.tasks.ordering import target_of

        target, ours = target_of(self._flow_run), self._places
        if not (target.store_uri or ours.store_uri) or _registry_of(target) == ours.registry.folder.uri:
            return None
        if target.store_uri:
            cure = f"Open the project with store_uri={target.store_uri!r}; project.train.get({self._name!r}) finds it."
        else:
            cure = (
                f"Set store_uri of the deployment's target to {ours.store_uri!r} and train again, or open the project "
                f"on that work folder, without a store_uri."
            )
        return BrainNotFound(
            f"The deployment keeps the brain {self._name!r} in {_named(target.store_uri, target.workdir)}, and this "
            f"project looks in {_named(ours.store_uri, ours.workdir)}.",
            cure=cure,
        )

    def _missing(self) -> BrainNotFound:
        place = _named(self._places.store_uri, self._places.workdir)
        if self._places.store_uri:
            return BrainNotFound(
                f"The training of {self._name!r} is done, but its version is not in {place} any more.",
                cure="Look at what has removed it, or train again.",
            )
        return BrainNotFound(
            f"The training of {self._name!r} is done, but its version is not in the registry of this work folder "
            f"({self._places.workdir}): the worker has another one.",
            cure="Give the deployment's target and the project the same store_uri, a place that both reach.",
        )


def file_of(workdir: Path, name: str) -> Path:
    """The file that remembers the flow run."""
    return workdir / FOLDER / f"{name}.flow-run.json"


def _registry_of(target: Target) -> str:
    """Where a target's brains lie; empty for a store that this version does not know."""
    try:
        return Places(target.workdir, target.store_uri).registry.folder.uri
    except ConfigurationError:
        return ""


def _named(store_uri: str, workdir: Path) -> str:
    return f"the store {store_uri}" if store_uri else f"the work folder {workdir} (it has no store_uri)"
