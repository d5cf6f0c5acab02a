"""``project.input``: imports as the server sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from diffgram_flows.diffgram import ImportRow
from diffgram_flows.models import Progress, no_progress
from diffgram_flows.project.context import Context, DirectoryLike
from diffgram_flows.project.queued import ImportsReport, QueuedImport, follow


class Inputs:
    """Imports."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(self, *, limit: int = 1000, status: str = "All") -> Sequence[ImportRow]:
        """The newest imports, newest first; the server tells at most 1,000 and has no pages.

        Args:
            limit: At most 1000.
            status: ``All``, ``Success``, ``Failed``, ``Processing`` or ``Init``.
        """
        return self._context.client.imports(limit=limit, status=status)

    def get(self, input_id: int) -> ImportRow:
        """One import.

        Raises:
            InvalidRequest: There is no such import.
        """
        return self._context.client.import_row(input_id)

    def retry(self, ids: Sequence[int]) -> None:
        """Have imports done again, also those that hang; their files get new ids. One call of 300 a day."""
        self._context.client.retry_imports(ids)

    def archive(self, ids: Sequence[int]) -> None:
        """Drop imports and their files from their datasets; the names are free again. One call of 300 a day."""
        self._context.client.archive_imports(ids)

    def wait(
        self,
        imports: Iterable[QueuedImport | str],
        *,
        directory: DirectoryLike | None = None,
        timeout: float = 600.0,
        progress: Progress = no_progress,
    ) -> ImportsReport:
        """Follow imports until all are done or the time is over; one that fails stops no other.

        Args:
            imports: What ``project.file.from_url`` gave, or the names of files.
            directory: The dataset of the names; by default the default one.
            timeout: Seconds.
            progress: Told how many are done.

        Raises:
            DiffgramError: The server does not answer.
        """
        queued = [
            QueuedImport(self._context, one, self._context.directory_id(directory)) if isinstance(one, str) else one
            for one in imports
        ]
        return follow(queued, timeout=timeout, progress=progress)
