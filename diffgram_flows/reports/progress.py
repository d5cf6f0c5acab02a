"""How far the work has come: a progress artifact in Prefect, a bar in a terminal that asks for one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from rich.progress import BarColumn, MofNCompleteColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from diffgram_flows.models import Progress
from diffgram_flows.reports.artifacts import in_run

_SECONDS_BETWEEN_UPDATES = 2.0
_terminal: RichProgress | None = None


@contextmanager
def shown_in_terminal() -> Iterator[None]:
    """Show a bar for everything that is watched inside the block."""
    global _terminal
    columns = (TextColumn("{task.description:<22}"), BarColumn(), _Count(), TimeElapsedColumn())
    with RichProgress(*columns, TextColumn("[dim]{task.fields[note]}")) as _terminal:
        try:
            yield
        finally:
            _terminal = None


@contextmanager
def watched(title: str, key: str) -> Iterator[Progress]:
    """Watch a piece of work.

    Args:
        title: What a person reads.
        key: Key of the artifact: lower-case letters, digits and dashes.

    Yields:
        A function that the work tells how far it has come. A total of 0 is not known (yet): the bar shows the count
        alone, and the artifact stays at 0 % until the work is done.
    """
    artifact = _Artifact(title, key) if in_run() else None
    bar = _Bar(_terminal, title) if _terminal else None

    def progress(done: int, total: int, note: str = "") -> None:
        if artifact:
            artifact.update(done / total if total else 0.0)
        if bar:
            bar.update(done, total, note)

    yield progress
    if artifact:
        artifact.update(1.0, finished=True)
    if bar:
        bar.finish()


class _Count(MofNCompleteColumn):
    """How much is done, and of how much where that is known."""

    def render(self, task: Task) -> Text:
        known = task.fields["total_known"]
        return super().render(task) if known else Text(f"{int(task.completed)}", style="progress.download")


class _Bar:
    """A bar in the terminal."""

    def __init__(self, shown: RichProgress, title: str) -> None:
        self._shown = shown
        self._task = shown.add_task(title, total=None, note="", total_known=False)
        self._done = self._total = 0

    def update(self, done: int, total: int, note: str) -> None:
        self._done, self._total = done, total or self._total
        total_known = self._total > 0
        self._shown.update(self._task, completed=done, total=self._total or None, note=note, total_known=total_known)

    def finish(self) -> None:
        """Stop the movement and the clock of a bar whose total was never known."""
        if not self._total:
            self._shown.update(self._task, total=self._done)


class _Artifact:
    """A progress artifact that is not updated more often than a person looks."""

    def __init__(self, title: str, key: str) -> None:
        created = create_progress_artifact(progress=0.0, key=key, description=title)
        self._id = created if isinstance(created, UUID) else None
        self._updated = 0.0

    def update(self, share: float, *, finished: bool = False) -> None:
        now = time.monotonic()
        if self._id is None or (not finished and now - self._updated < _SECONDS_BETWEEN_UPDATES):
            return
        self._updated = now
        update_progress_artifact(self._id, progress=round(100 * min(1.0, share), 1))
