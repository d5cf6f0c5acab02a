"""The training loop, for any network and any loss."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.records import Epoch
from diffgram_flows.brains.tensorflow.objective import Data, Judge, Judged, Objective
from diffgram_flows.brains.tensorflow.schedule import learning_rate
from diffgram_flows.brains.tensorflow.state import Arrays, TrainingState
from diffgram_flows.brains.tensorflow.state_file import read_checkpoint, write_checkpoint
from diffgram_flows.errors import BrainError
from diffgram_flows.models import Progress, no_progress

STATE_FILE = "state.npz"
_REPORTS = 20
_SECONDS_BETWEEN_CHECKPOINTS = 120.0
_BEST = "best/"


def fit(
    network: Any,
    objective: Objective,
    data: Data,
    options: TrainingOptions,
    *,
    judge: Judge | None = None,
    checkpoints: Path | None = None,
    progress: Progress = no_progress,
    frozen: Sequence[Any] = (),
) -> tuple[Epoch, ...]:
    """Train a network in place and leave the moving average of its weights in it.

    Whatever ends the process, a later call with the same arguments goes on where it was, and ends with the same
    weights as if nothing had happened (bit for bit with ``options.deterministic``).

    Args:
        network: A Keras model, built in the scope of the strategy that it is to be trained with.
        objective: What is minimised.
        data: What is learned from.
        options: Length, rates, averaging, patience.
        judge: Looks at the averaged network after each interval.
        checkpoints: A folder of this training alone, for its state; nothing is kept where there is none.
        progress: Told where the training begins, and after every interval, a twentieth of the training.
        frozen: Layers that do not learn in the first ``options.frozen`` of the steps.

    Returns:
        The means of every interval.

    Raises:
        BrainError: The weights have become too large to be numbers.
    """
    loop = _Loop(network, objective, options, judge, checkpoints, progress)
    loop.resume()
    with _termination_raises():
        try:
            loop.run(data, frozen)
        except BaseException:  # also a cancelled flow and Ctrl-C; the state is that after a whole step
            loop.save()
            raise
    loop.finish()
    return tuple(loop.history)


class _Loop:
    def __init__(
        self,
        network: Any,
        objective: Objective,
        options: TrainingOptions,
        judge: Judge | None,
        checkpoints: Path | None,
        progress: Progress,
    ) -> None:
        self._interval = math.ceil(options.steps / _REPORTS)
        self._state = TrainingState(network, objective, options, self._interval)
        self._parts = objective.parts
        self._options, self._judge, self._progress = options, judge, progress
        self._path = checkpoints / STATE_FILE if checkpoints else None
        self.history: list[Epoch] = []
        self._best: Arrays = {}
        self._spent, self._started = 0.0, time.monotonic()
        self._saved = self._started

    @property
    def _done(self) -> int:
        return self._state.step

    def run(self, data: Data, frozen: Sequence[Any]) -> None:
        steps, thaw = self._options.steps, round(self._options.steps * self._options.frozen) if frozen else 0
        self._progress(self._done, steps, _note(self.history[-1]) if self.history else "")
        batches = iter(data.batches(self._done))
        for first, last, layers in ((0, thaw, frozen), (thaw, steps, ())):
            if not first <= self._done < last:
                continue
            with _held_still(layers):
                self._run_until(last, batches)
        self._close_interval()

    def resume(self) -> None:
        """Take up what an earlier process left."""
        found = read_checkpoint(self._path) if self._path else None
        if found is None or not self._state.restore(found.arrays):
            return
        self.history = [Epoch.from_json(epoch) for epoch in found.record["history"]]
        self._spent = found.record["seconds"]
        self._best = {name: array for name, array in found.arrays.items() if name.startswith(_BEST)}

    def save(self) -> None:
        if self._path is None:
            return
        record = {"history": [asdict(epoch) for epoch in self.history], "seconds": self._seconds()}
        write_checkpoint(self._path, self._state.arrays() | self._best, record)
        self._saved = time.monotonic()

    def finish(self) -> None:
        """Leave in the network what becomes the brain."""
        weights = self._state.averaged.get_weights()
        if self._best:
            weights = [self._best[f"{_BEST}{number}"] for number in range(len(weights))]
        self._state.network.set_weights(weights)

    def _run_until(self, last: int, batches: Iterator[Sequence[Any]]) -> None:
        step = self._state.compiled()
        while (done := self._done) < last:
            if self._close_interval():
                return
            step(next(batches), learning_rate(done, self._options))
            if time.monotonic() - self._saved > _SECONDS_BETWEEN_CHECKPOINTS:
                self.save()

    def _close_interval(self) -> bool:
        """Write down an interval that is over; whether the training is to stop.

        What is due is seen from the state, so it does not matter where an interruption came.
        """
        done = self._done
        over = math.ceil(done / self._interval) if done == self._options.steps else done // self._interval
        if len(self.history) < over:
            self._check_weights()
            loss, *parts = self._state.means()
            judged = self._judge(self._state.averaged) if self._judge else None
            epoch = Epoch(
                step=done,
                loss=loss,
                parts=dict(zip(self._parts, parts, strict=True)),
                validation_loss=judged.loss if judged else None,
                scores=dict(judged.scores) if judged else {},
                seconds=self._seconds(),
            )
            if self._options.patience and judged and _best([*self.history, epoch]) == len(self.history):
                weights = self._state.averaged.get_weights()
                self._best = {f"{_BEST}{number}": weight for number, weight in enumerate(weights)}
            self.history.append(epoch)
            self.save()
            self._progress(done, self._options.steps, _note(epoch))
        return self._is_stale()

    def _check_weights(self) -> None:
        if not self._state.is_finite():
            raise BrainError(
                f"The training diverged: after {self._done} of {self._options.steps} steps, at a learning rate of up "
                f"to {self._options.learning_rate:g}, its weights are no numbers any more.",
                cure="Choose a lower learning rate.",
            )

    def _is_stale(self) -> bool:
        """Whether it has not become better for as long as we are patient."""
        patience, history = self._options.patience, self.history
        judged = bool(history) and history[-1].validation_loss is not None
        return bool(patience) and judged and len(history) - 1 - _best(history) >= patience

    def _seconds(self) -> float:
        return self._spent + time.monotonic() - self._started


def _best(history: Sequence[Epoch]) -> int:
    """Index of the first of the best intervals."""
    values = [_value(Judged(epoch.validation_loss or 0.0, epoch.scores)) for epoch in history]
    return values.index(max(values))


def _value(judged: Judged) -> tuple[float, float]:
    """Higher is better: the first score, then the loss."""
    return next(iter(judged.scores.values()), 0.0), -judged.loss


def _note(epoch: Epoch) -> str:
    scores = "".join(f", {name} {value:.2f}" for name, value in epoch.scores.items())
    return f"loss {epoch.loss:.3f}{scores}"


@contextmanager
def _held_still(layers: Sequence[Any]) -> Iterator[None]:
    """Layers that do not learn inside the block, also not the statistics of their normalisations."""
    for layer in layers:
        layer.trainable = False
    try:
        yield
    finally:
        for layer in layers:
            layer.trainable = True


@contextmanager
def _termination_raises() -> Iterator[None]:
    """Have SIGTERM raise inside the block where it would just end the process; a handler of the host's stays."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)
