"""A training that goes on in a process of its own while the script or notebook does other things.

TensorFlow's memory and threads stay out of the notebook, and the training can be stopped. The process ends with the one
that started it; but that one, at its own end, waits for it, as Python does for threads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

from diffgram_flows.errors import BrainError, Busy
from diffgram_flows.project.training_status import FOLDER, StatusFile, TrainingStatus
from diffgram_flows.project.training_steps import Order

_LAST_MOMENTS = 20.0  # seconds that TensorFlow may take to end its process


class TrainingRun:
    """The newest training of a brain, wherever it was started."""

    def __init__(self, file: StatusFile, process: subprocess.Popen[bytes] | None = None) -> None:
        self._file = file
        self._process = process

    @classmethod
    def find(cls, workdir: Path, name: str) -> TrainingRun | None:
        """The newest training of a brain on this work folder, ``None`` if there was none."""
        file = StatusFile(workdir / FOLDER, name)
        return cls(file) if file.read() is not None else None

    @classmethod
    def start(cls, order: Order) -> TrainingRun:
        """Start one.

        Raises:
            Busy: A brain of this name is being trained on this work folder.
        """
        file = StatusFile(Path(order.workdir) / FOLDER, order.name)
        lock = _take(file)
        if lock is None:
            raise Busy(
                f"The brain {order.name!r} is being trained on {order.workdir} already.",
                cure="Wait for that training (project.train.get), or choose another name.",
            )
        try:
            file.write(TrainingStatus("queued"))
            return cls(file, _spawn(order, file.log, lock))
        finally:
            os.close(lock)  # the process has its own; the lock lives as long as that does

    def status(self) -> TrainingStatus:
        status = self._file.read()
        if status is None:
            raise BrainError(
                f"The status of the training of {self._file.name!r} is gone.", cure="Start the training again."
            )
        return status

    def stop(self) -> None:
        """End it and wait for its end. Does nothing if it is over, or was started elsewhere."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()


def _take(file: StatusFile) -> int | None:
    """The lock; a process that has said its last word needs a moment to go."""
    ends_at = time.monotonic() + _LAST_MOMENTS
    while (lock := file.take()) is None and time.monotonic() < ends_at:
        status = file.read()
        if status is not None and not status.done:
            return None
        time.sleep(0.05)
    return lock


def _spawn(order: Order, log: Path, lock: int) -> subprocess.Popen[bytes]:
    """The process, its order given; a thread that is no daemon waits for it."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "diffgram_flows.project.trainer"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=(lock,),
            start_new_session=True,  # an interrupted cell of a notebook must not interrupt the training
        )
    if process.stdin is not None:
        process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
        process.stdin.flush()
    threading.Thread(target=_see_off, args=(process,), name=f"training of {order.name}").start()
    return process


def _see_off(process: subprocess.Popen[bytes]) -> None:
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
