"""``project.directory``: datasets, which the API calls directories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from diffgram_flows.diffgram import Directory as DirectoryRow
from diffgram_flows.project.context import Context, Ref, id_of
from diffgram_flows.project.exports import Export
from diffgram_flows.project.file import File


@dataclass(frozen=True, slots=True)
class Directory:
    """One dataset."""

    _context: Context = field(repr=False, compare=False)
    id: int
    name: str

    def files(self, search: str | None = None) -> Iterator[File]:
        """Its files, newest first, read page by page (1,000 a call) while they are consumed.

        Args:
            search: Only files with this in their name.
        """
        for row in self._context.client.files(self.id, search=search):
            yield File(self._context, row.id, row.name, self.id)

    def file_ids(self) -> Iterator[int]:
        """The ids of its files, newest first, 25,000 a call."""
        return self._context.client.file_ids(self.id)

    def add(self, files: Iterable[Ref]) -> None:
        """Show files of other datasets here, too; they stay one file with one set of annotations.

        Raises:
            InvalidRequest: The server left some out; they are named.
        """
        self._context.client.mirror_files([id_of(file) for file in files], self.id)

    def remove(self, files: Iterable[Ref]) -> None:
        """Take files out of it; their names are free in it again."""
        self._context.client.remove_files([id_of(file) for file in files], self.id)

    def generate_export(self, *, only_complete: bool = False) -> Export:
        """Start an export of it; ``wait`` for it before reading.

        Args:
            only_complete: Only files whose tasks are complete.
        """
        row = self._context.client.start_export(directory_id=self.id, only_complete=only_complete)
        return Export(self._context, row.id)


class Directories:
    """Datasets."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def new(self, name: str) -> Directory:
        """The dataset of exactly this name, made if it is missing.

        Raises:
            InvalidRequest: The server accepts no dataset of this name.
        """
        return self._handle(self._context.client.ensure_directory(name))

    def list(self, search: str | None = None) -> Sequence[Directory]:
        """The datasets, newest first; with ``search`` only those that have it in their name."""
        return [self._handle(row) for row in self._context.client.directories(search)]

    def get(self, name: str) -> Directory:
        """The dataset of exactly this name, looked up once.

        Raises:
            ConfigurationError: There is none.
        """
        return self._handle(self._context.directory(name))

    def default(self) -> Directory:
        """The dataset that is meant where none is named, looked up once."""
        return self._handle(self._context.default_directory())

    def _handle(self, row: DirectoryRow) -> Directory:
        return Directory(self._context, row.id, row.name)
