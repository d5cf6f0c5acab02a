"""A training that a Prefect deployment does: the script only knows the id of its flow run."""

from __future__ import annotations

import json
from pathlib import Path

from diffgram_flows.brains import Registry
from diffgram_flows.disk import write_file
from diffgram_flows.errors import BrainError
from diffgram_flows.models import BrainRef
from diffgram_flows.project.training_status import FOLDER, TrainingStatus


class DeployedRun:
    """The newest flow run that trains a brain for a work folder.

    A small file beside those of other trainings remembers it, so another process finds it, too.
    """

    def __init__(self, workdir: Path, name: str, flow_run: str, last_version: int) -> None:
        self._workdir = workdir
        self._name = name
        self._flow_run = flow_run
        self._last_version = last_version
        self._end: TrainingStatus | None = None

    @classmethod
    def start(cls, workdir: Path, name: str, deployment: str, training: dict[str, object]) -> DeployedRun:
        """Start one; returns at once.

        Raises:
            ConfigurationError: There is no such deployment, or it takes other parameters.
            ServerUnreachable: The Prefect server does not answer.
        """
        from diffgram_flows.tasks.ordering import order_training

        last = max(Registry(workdir / "brains").numbers(name), default=0)
        flow_run = order_training(deployment, training)
        file = file_of(workdir, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, json.dumps({"flow_run": flow_run, "last_version": last}).encode())
        return cls(workdir, name, flow_run, last)

    @classmethod
    def find(cls, workdir: Path, name: str) -> DeployedRun | None:
        """The newest one of a brain, ``None`` if there was none."""
        try:
            found = json.loads(file_of(workdir, name).read_bytes())
            return cls(workdir, name, str(found["flow_run"]), int(found["last_version"]))
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError) as error:
            raise BrainError(
                f"The file {file_of(workdir, name)} of a training cannot be read ({error}).",
                cure="Remove it and start the training again.",
            ) from error

    def status(self) -> TrainingStatus:
        """How far it is, asked of the Prefect server until it is over.

        Raises:
            BrainError: The flow run is gone.
            ServerUnreachable: The Prefect server does not answer.
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
        return TrainingStatus(found.state, found.percent)

    def _ready(self) -> TrainingStatus:
        registry = Registry(self._workdir / "brains")
        new = [number for number in registry.numbers(self._name) if number > self._last_version]
        if not new:  # its registry is another one
            return TrainingStatus("ready", 100, reason="Its version is not in the registry of this work folder.")
        ref = BrainRef(self._name, new[-1])
        test = registry.manifest(ref).metrics.get("test")
        promoted = registry.champion_ref(self._name) == ref
        return TrainingStatus("ready", 100, str(ref), promoted, test.scores.get("mAP50") if test else None)


def file_of(workdir: Path, name: str) -> Path:
    """The file that remembers the flow run."""
    return workdir / FOLDER / f"{name}.flow-run.json"
