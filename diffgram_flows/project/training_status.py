"""How far a training is: one small file that every process on this work folder can read.

Beside it lies a lock that the training process holds for as long as it lives. A file that says "training" while nobody
holds the lock belongs to a process that was ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from diffgram_flows import errors
from diffgram_flows.disk import write_file
from diffgram_flows.errors import BrainError, DiffgramFlowsError

FOLDER = "trainings"  # of the work folder
State = Literal["queued", "exporting", "training", "evaluating", "ready", "failed"]
_AT_LEAST_BETWEEN = 0.3  # seconds between two writes of the same state


@dataclass(frozen=True, slots=True)
class TrainingStatus:
    """How far a brain is.

    Attributes:
        state: ``queued``, ``exporting``, ``training``, ``evaluating``, ``ready`` or ``failed``.
        percent: Of this state, 0 to 100.
        brain: The version, such as ``cars@3``, once it exists.
        promoted: Whether it is the champion since its evaluation; ``None`` before.
        map50: Its mAP at IoU 0.5 on the test images, once it was evaluated.
        reason: What the evaluation found, or why it failed.
    """

    state: State
    percent: int = 0
    brain: str = ""
    promoted: bool | None = None
    map50: float | None = None
    reason: str = ""
    error: dict[str, str] | None = None

    @property
    def done(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ("ready", "failed")

    def __str__(self) -> str:
        percent = f" {self.percent} %" if self.state in ("exporting", "training") else ""
        return f"{self.state}{percent}" + (f": {self.reason}" if self.reason else "")

    def failed(self, error: DiffgramFlowsError) -> TrainingStatus:
        """The end of a training that an error has stopped."""
        told = {"kind": type(error).__name__, "what": error.what, "cure": error.cure}
        return replace(self, state="failed", reason=str(error), error=told)

    def as_error(self) -> DiffgramFlowsError:
        """The error that has stopped the training, of the kind that it was."""
        told = self.error or {}
        kind = getattr(errors, told.get("kind", ""), BrainError)
        rebuilt: DiffgramFlowsError = kind(told.get("what", self.reason), cure=told.get("cure", ""))
        return rebuilt


class StatusFile:
    """The file with the status of the newest training of a brain, and its lock.

    Args:
        folder: The folder of all trainings of a work folder.
        name: The brain.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._path = folder / f"{name}.json"
        self._lock = folder / f"{name}.lock"
        self._written = (TrainingStatus("queued"), 0.0)

    def take(self) -> int | None:
        """Lock it for a training process; the descriptor to be passed on to that, ``None`` if somebody trains."""
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def read(self) -> TrainingStatus | None:
        """The status, ``None`` before the first training. A training whose process is gone has failed."""
        before = self._read()
        if before is None or before.done:
            return before
        descriptor = self.take()
        if descriptor is None:
            return before
        os.close(descriptor)
        after = self._read()  # it may have come to its end in between
        if after is None or after.done:
            return after
        return after.failed(
            BrainError(
                f"The training of {self.name!r} ended while it was {after.state}: its process is gone.",
                cure=f"Start it again; if it ends again, read {self.log}.",
            )
        )

    def write(self, status: TrainingStatus) -> None:
        """Replace the status; small steps in quick succession are left out."""
        last, at = self._written
        if status.state == last.state and not status.done and time.monotonic() - at < _AT_LEAST_BETWEEN:
            return
        write_file(self._path, json.dumps(asdict(status)).encode())
        self._written = (status, time.monotonic())

    def _read(self) -> TrainingStatus | None:
        try:
            found: dict[str, Any] = json.loads(self._path.read_bytes())
            return TrainingStatus(**found)
        except FileNotFoundError:
            return None
        except (TypeError, ValueError) as error:
            raise BrainError(
                f"The status {self._path} of a training cannot be read ({error}).",
                cure="Remove the file and start the training again.",
            ) from error
