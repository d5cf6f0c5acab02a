"""One file of the project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffgram_flows.diffgram import FileAnnotations
from diffgram_flows.disk import write_file
from diffgram_flows.project.context import Context
from diffgram_flows.project.fetching import fetch_file

if TYPE_CHECKING:
    from diffgram_flows.project.queued import QueuedImport


@dataclass(frozen=True, slots=True)
class File:
    """One file: a handle with its id, which asks the server when something is asked of it.

    Attributes:
        id: Diffgram's id.
        name: Its name.
        directory_id: The dataset in which it was found, if that is known.
    """

    _context: Context = field(repr=False, compare=False)
    id: int
    name: str = ""
    directory_id: int | None = None

    def signed_url(self) -> str:
        """A fresh URL of its image; a secret.

        Raises:
            InvalidRequest: There is no such file.
        """
        return self._context.client.signed_url(self.id)

    def annotations(self) -> FileAnnotations:
        """What is drawn on it, by people and machines.

        Raises:
            InvalidRequest: There is no such file.
        """
        return self._context.client.annotations(self.id)

    def update(self, instances: Sequence[Mapping[str, Any]]) -> QueuedImport:
        """Add instances; see ``project.file.update``."""
        from diffgram_flows.project.sending import append

        return append(self._context, self, instances)

    def read(self) -> bytes:
        """The bytes of its image.

        Raises:
            InvalidRequest: There is no such file.
            ImageRejected: It is larger than 200 MiB.
            DiffgramError: The server's store did not give it.
        """
        return fetch_file(self._context.client, self.id)

    def download(self, path: Path | str) -> Path:
        """Write its image to a file on this machine; one of that name is replaced. Errors as of :meth:`read`."""
        place = Path(path).expanduser()
        write_file(place, self.read())
        return place
