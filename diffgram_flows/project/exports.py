"""``project.export``: what is annotated, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from diffgram_flows.diffgram import ExportRow
from diffgram_flows.project.context import Context, DirectoryLike, Ref, id_of


@dataclass(frozen=True, slots=True)
class Export:
    """One export."""

    _context: Context = field(repr=False, compare=False)
    id: int

    def status(self) -> ExportRow:
        """How far it is.

        Raises:
            InvalidRequest: There is no such export.
        """
        return self._context.client.export_status(self.id)

    def wait(self, timeout: float = 600.0) -> Export:
        """Wait until it can be read, and give it back.

        Raises:
            ServerUnreachable: The time is over; it goes on all the same.
            InvalidRequest: There is no such export, or it failed.
        """
        self._context.client.wait_for_export(self.id, timeout, poll=0.5)
        return self

    def link(self) -> str:
        """A signed URL of its JSON, good for 5 minutes; a secret.

        Raises:
            InvalidRequest: It does not exist, or is not ready.
        """
        return self._context.client.export_link(self.id)

    def open(self) -> AbstractContextManager[BinaryIO]:
        """Its JSON as a binary file that streams from the store; how large exports are read.

        Raises:
            InvalidRequest: It does not exist, or is not ready.
        """
        return self._context.client.fetch_export(self.id)

    def data(self) -> dict[str, Any]:
        """Its JSON in memory: numeric keys are files, the others describe them. Signed URLs in it are secrets.

        Raises:
            InvalidRequest: It does not exist, or is not ready.
        """
        return self._context.client.export_data(self.id)

    def archive(self) -> None:
        """Put it aside; it leaves the list."""
        self._context.client.archive_exports([self.id])


class Exports:
    """Exports."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def new(
        self, directory: DirectoryLike | None = None, *, job: Ref | None = None, only_complete: bool = False
    ) -> Export:
        """Start an export of a dataset (by default the default one) or of a job; ``wait`` for it before reading."""
        job_id = None if job is None else id_of(job)
        directory_id = None if job_id is not None and directory is None else self._context.directory_id(directory)
        client = self._context.client
        return Export(
            self._context,
            client.start_export(directory_id=directory_id, job_id=job_id, only_complete=only_complete).id,
        )

    def list(self) -> Sequence[ExportRow]:
        """All exports of the project, newest first."""
        return self._context.client.exports()

    def get_by_id(self, export_id: int) -> Export:
        """One export.

        Raises:
            InvalidRequest: There is no such export.
        """
        return Export(self._context, self._context.client.export_status(export_id).id)
