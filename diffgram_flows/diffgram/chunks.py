"""A file in pieces, and how far its upload has come."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from diffgram_flows.diffgram.packet import MAX_NAME
from diffgram_flows.errors import DiffgramError, InvalidRequest

#: Bytes. S3 takes no smaller part but the last; the server fails on the last piece, with an empty message.
MIN_CHUNK = 5 * 2**20
_MAX_CHUNK = 240 * 2**20  # below the 250 MiB that the service takes in one request
_FORESEEABLE = re.compile(r"[A-Za-z0-9 ._()-]+")  # the recordings tell what becomes of these letters
_STATE = "upload_state"
_EMPTY = hashlib.sha256().hexdigest()


@dataclass(frozen=True, slots=True)
class UploadState:
    """How far an upload has come. Can be stored as JSON and given to a second call.

    Attributes:
        uuid: The upload id under which the server collects the pieces.
        name: The name under which the server keeps the file.
        size, chunk_size: Bytes of the file, and of a piece.
        sent: How many pieces the server has certainly received; they are sent in order.
        uncertain: Whether the piece after those may have arrived, too.
        digest: SHA-256 of the bytes that were received: a file that changed meanwhile is noticed.
    """

    uuid: str
    name: str
    size: int
    chunk_size: int
    sent: int = 0
    uncertain: bool = False
    digest: str = _EMPTY

    @property
    def count(self) -> int:
        """Pieces in all."""
        return -(-self.size // self.chunk_size)

    @property
    def finished(self) -> bool:
        return self.sent >= self.count

    @property
    def at_last_chunk(self) -> bool:
        return self.sent == self.count - 1

    @property
    def bytes_sent(self) -> int:
        return min(self.size, self.sent * self.chunk_size)

    def form(self) -> dict[str, str]:
        """The fields that say which piece comes next; the server needs all of them."""
        return {
            "dzuuid": self.uuid,
            "dzchunkindex": str(self.sent),
            "dztotalfilesize": str(self.size),
            "dzchunksize": str(self.chunk_size),
            "dztotalchunkcount": str(self.count),
            "dzchunkbyteoffset": str(self.sent * self.chunk_size),
        }

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> UploadState:
        """Read what :meth:`to_json` wrote.

        Raises:
            InvalidRequest: It is something else.
        """
        try:
            state = cls(**json.loads(text))
            good = all(
                isinstance(value, int) and value >= 0 for value in (state.size, state.chunk_size - 1, state.sent)
            )
        except (TypeError, ValueError):
            good = False
        if good and isinstance(state.uncertain, bool):
            return state
        raise InvalidRequest("This is not the state of an upload.", cure="Give the text of UploadState.to_json.")

    @classmethod
    def of(cls, error: BaseException) -> UploadState | None:
        """The state that an error of ``upload_in_chunks`` carries, ``None`` for other errors."""
        text = error.fields.get(_STATE) if isinstance(error, DiffgramError) else None
        return cls.from_json(text) if text else None

    def attach_to(self, error: DiffgramError) -> None:
        """Let the error tell where it happened; see :meth:`of`."""
        error.fields[_STATE] = self.to_json()


class ChunkedFile:
    """An open file that is read piece by piece, in order."""

    def __init__(self, file: BinaryIO, name: str, size: int, chunk_size: int, about: str) -> None:
        self._file, self._name, self._size, self._chunk_size, self._about = file, name, size, chunk_size, about
        self._hash = hashlib.sha256()

    def started(self) -> UploadState:
        """The state of a new upload, from the first byte on."""
        self._file.seek(0)
        self._hash = hashlib.sha256()
        return UploadState(str(uuid.uuid4()), self._name, self._size, self._chunk_size)

    def continued(self, state: UploadState | None) -> UploadState:
        """``state`` if the upload can go on from there, else the state of a new upload."""
        if state is None or state.uncertain:
            return self.started()
        if (state.name, state.size, state.chunk_size) != (self._name, self._size, self._chunk_size):
            return self.started()
        self._file.seek(0)
        self._hash = hashlib.sha256()
        for _ in range(state.sent):
            self._hash.update(self._file.read(self._chunk_size))
        return state if self._hash.hexdigest() == state.digest else self.started()

    def read(self, state: UploadState) -> bytes:
        """The piece that comes next.

        Raises:
            InvalidRequest: The file became shorter since it was opened.
        """
        content = self._file.read(self._chunk_size)
        if len(content) != min(self._chunk_size, self._size - state.bytes_sent):
            raise InvalidRequest(f"The file for {self._about} changed while it was sent.", cure="Send it again.")
        self._hash.update(content)
        return content

    def received(self, state: UploadState) -> UploadState:
        """The state after the server has the piece that was read last."""
        return replace(state, sent=state.sent + 1, uncertain=False, digest=self._hash.hexdigest())


@contextmanager
def open_chunks(path: Path | str, name: str, chunk_size: int, about: str) -> Iterator[ChunkedFile]:
    """Open a file to be sent in pieces.

    Raises:
        InvalidRequest: It cannot be read, is empty, or the pieces are too small or too large for the server.
    """
    reason = ""
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed below; the error must not have ours as its context
        size = Path(path).stat().st_size
    except OSError as error:
        reason = error.strerror or type(error).__name__
    if reason:
        raise InvalidRequest(f"The file for {about} cannot be read: {reason}.", cure="Give a file that can be read.")
    with file:
        if size == 0:
            raise InvalidRequest(f"The file for {about} is empty.", cure="Give a file with content.")
        if not MIN_CHUNK <= chunk_size <= _MAX_CHUNK:
            raise InvalidRequest(
                f"Pieces of {chunk_size} bytes for {about} do not suit the server.",
                cure=f"Give a chunk_size from {MIN_CHUNK} to {_MAX_CHUNK} bytes.",
            )
        yield ChunkedFile(file, name, size, chunk_size, about)


def safe_name(name: str) -> str:
    """The name under which the server keeps a file that is uploaded in pieces.

    Recorded: ``sp ace (1).png`` becomes ``sp_ace_1.png``. Names with other letters are refused instead of guessed.

    Raises:
        InvalidRequest: What the server makes of this name is not known, or it has no extension.
    """
    made = re.sub(r"[()]", "", "_".join(name.split()))
    good = _FORESEEABLE.fullmatch(name) and made == made.strip("._") and len(name) <= MAX_NAME
    if not good or not PurePosixPath(made).suffix:
        raise InvalidRequest(
            f"The name {name[: MAX_NAME + 1]!r} does not suit an upload in pieces.",
            cure="Use ASCII letters, digits, '-', '_' and '.', an extension such as .jpg, and at most "
            f"{MAX_NAME} characters. upload() and packets keep any name.",
        )
    return made
