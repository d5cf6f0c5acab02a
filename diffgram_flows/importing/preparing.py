"""Objects before they leave: looked at, and given the boxes that travel along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from diffgram_flows.errors import AccessDenied, ObjectNotFound
from diffgram_flows.importing.inspecting import inspect
from diffgram_flows.importing.prelabelling import Prelabeller, prelabels
from diffgram_flows.ledger import Ledger, ObjectRow
from diffgram_flows.models import Seen
from diffgram_flows.storage import ObjectStore


@dataclass(frozen=True, slots=True)
class Prepared:
    """Objects of a chunk.

    Attributes:
        fit: To be sent.
        refused: Not images, or not images that anybody could decode, each with the reason.
        foreign: Of another bucket.
        boxes: By file name, of the brain ``brain``.
    """

    fit: Sequence[ObjectRow]
    refused: Sequence[tuple[ObjectRow, str]] = ()
    foreign: Sequence[ObjectRow] = ()
    boxes: Mapping[str, tuple[Seen, ...]] = field(default_factory=dict)
    brain: str = ""


class Preparer:
    """Prepares chunks, with threads of its own for the reading.

    Args:
        store: The bucket; objects of other buckets are left alone.
        ledger: Where the intent to push boxes is written before anybody sees them.
        prelabel: Asked for boxes that travel along.
        inspect_headers: Whether to read the first bytes of every image.
        threads: Objects that are read at the same time.
    """

    def __init__(
        self, store: ObjectStore, ledger: Ledger, *, prelabel: Prelabeller | None, inspect_headers: bool, threads: int
    ) -> None:
        self._store, self._ledger, self._prelabel = store, ledger, prelabel
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="inspecting") if inspect_headers else None

    def prepare(self, rows: Sequence[ObjectRow]) -> Prepared:
        """Look at a chunk.

        Raises:
            StorageError: The bucket cannot be read. A few objects that may not be read are refused; if it is all of
                them, or if what could be read cannot be read any more, the credential is wrong and not the objects.
            DiffgramFlowsError: What the brain raises.
        """
        own = [row for row in rows if row.object.bucket == self._store.bucket]
        reasons = self._inspected(own)
        fit = [row for row, reason in zip(own, reasons, strict=True) if not reason]
        refused = [(row, reason) for row, reason in zip(own, reasons, strict=True) if reason]
        brain = self._prelabel.brain if self._prelabel else ""
        boxes = prelabels(self._ledger, self._prelabel, fit) if self._prelabel and fit else {}
        return Prepared(fit, refused, [row for row in rows if row.object.bucket != self._store.bucket], boxes, brain)

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def _inspected(self, rows: Sequence[ObjectRow]) -> list[str]:
        """Why each row must not be sent; empty for those that may."""
        if self._pool is None:
            return [""] * len(rows)
        denials: list[AccessDenied] = []

        def look(row: ObjectRow) -> str:
            try:
                return inspect(self._store, row)
            except AccessDenied as error:
                denials.append(error)
                return str(error)

        reasons = list(self._pool.map(look, rows))
        if denials and len(denials) == len(rows):
            raise denials[0]
        fine = next((row for row, reason in zip(rows, reasons, strict=True) if not reason), None)
        if denials and fine is not None:
            with suppress(ObjectNotFound):
                self._store.read(fine.object, length=1)  # raises if the credential has expired in the middle
        return reasons
