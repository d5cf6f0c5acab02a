"""What we told the server a machine has seen: the only record of it, since exports do not say who drew a box.

States: ``intended`` (committed before the call) -> ``sent`` (queued by the server) -> ``confirmed`` | ``failed``;
``skipped`` where a person had been at work, ``empty`` where the brain saw nothing, ``released`` where it never arrived
and is to be sent again, ``superseded`` where a newer brain's boxes took the place.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from diffgram_flows.ledger.book import Book, clean
from diffgram_flows.ledger.schema import objects, pushes
from diffgram_flows.models import Annotation, Box, Seen

GROUND_TRUTH = "ground-truth"
"""How the brain of a push begins that carries no prediction, but annotations that are known to be right."""
_STREAMED = 1000  # rows


@dataclass(frozen=True, slots=True)
class PushRow:
    """The boxes of one brain version for one file; there is at most one such row.

    Attributes:
        brain: ``name@version``; :data:`GROUND_TRUTH` begins the name where the boxes are no prediction.
        file_id: Empty while the boxes travel in the packet that imports the file.
        input_id: The import that carried an earlier push of the same boxes, which were superseded and are sent again;
            0 if it is not known which one it was, ``None`` at a first push.
    """

    file_name: str
    brain: str
    state: str
    seen: tuple[Seen, ...] = ()
    file_id: int | None = None
    reason: str = ""
    updated_at: float = 0.0
    input_id: int | None = None

    @property
    def is_truth(self) -> bool:
        """Whether these boxes were imported as right, and not predicted."""
        return self.brain.startswith(GROUND_TRUTH)


class Pushes(Book):
    """Pushes of one target."""

    def intend(self, rows: Iterable[PushRow]) -> None:
        """Write intents; a file that already has a row of that brain keeps it."""
        self._upsert(pushes, [self._values(row) for row in rows])

    def settle(self, row: PushRow, state: str, *, reason: str = "", file_id: int | None = None) -> None:
        """Record what became of an intent."""
        settled = replace(row, state=state, reason=reason, file_id=file_id or row.file_id)
        update = ("state", "reason", "file_id", "input_id", "updated_at")
        self._upsert(pushes, [self._values(settled)], update=update)

    def save(self, rows: Iterable[PushRow]) -> None:
        """Write what became of many intents in one transaction: state, reason, file, and the boxes that are left."""
        update = ("state", "reason", "file_id", "boxes", "updated_at")
        self._upsert(pushes, [self._values(row) for row in rows], update=update)

    def rows(self, *states: str, brain: str | None = None) -> list[PushRow]:
        """Pushes in these states (all if none is given), of one brain version or of all, in order of file name."""
        query = sa.select(pushes).where(pushes.c.target == self._target).order_by(pushes.c.file_name, pushes.c.brain)
        if states:
            query = query.where(pushes.c.state.in_(states))
        if brain is not None:
            query = query.where(pushes.c.brain == brain)
        with self._reading() as connection:
            return [push_row(row) for row in connection.execute(query)]

    def replaced(self, brain: str) -> list[PushRow]:
        """Where another brain's boxes stand in place of what this version saw; to be put right after a roll-back.

        Its own boxes were superseded, or it had seen nothing there.
        """
        other = pushes.alias()
        others = sa.exists().where(
            other.c.target == pushes.c.target,
            other.c.file_name == pushes.c.file_name,
            other.c.brain != brain,
            other.c.state.in_(("sent", "confirmed")),
            sa.not_(other.c.brain.startswith(GROUND_TRUTH, autoescape=True)),
        )
        wanted = sa.or_(pushes.c.state == "superseded", sa.and_(pushes.c.state == "empty", others))
        query = sa.select(pushes).where(pushes.c.target == self._target, pushes.c.brain == brain, wanted)
        with self._reading() as connection:
            return [push_row(row) for row in connection.execute(query.order_by(pushes.c.file_name))]

    def of_files(self, file_names: Sequence[str]) -> dict[str, list[PushRow]]:
        """Every push of these files, whatever its brain and state, by file name."""
        query = sa.select(pushes).where(pushes.c.target == self._target, pushes.c.file_name.in_(file_names))
        found: dict[str, list[PushRow]] = {}
        with self._reading() as connection:
            for row in connection.execute(query.order_by(pushes.c.brain)):
                found.setdefault(row.file_name, []).append(push_row(row))
        return found

    def places(self) -> Iterator[tuple[PushRow, int | None]]:
        """Every push that had boxes or the truth in it, with the file that the object of its name is today.

        Read as a stream. The two file ids differ where the object was imported again, and either may be missing.
        """
        today = objects.c.file_id.label("today")
        query = (
            sa.select(pushes, today)
            .join_from(
                pushes,
                objects,
                sa.and_(objects.c.target == pushes.c.target, objects.c.file_name == pushes.c.file_name),
                isouter=True,
            )
            .where(pushes.c.target == self._target)
            .where(sa.or_(pushes.c.boxes != "[]", pushes.c.brain.startswith(GROUND_TRUTH, autoescape=True)))
        )
        with self._reading() as connection:
            for row in connection.execution_options(yield_per=_STREAMED).execute(query):
                yield push_row(row), row.today

    def brains(self) -> set[str]:
        """Every brain of which something was pushed, or was about to be."""
        query = sa.select(pushes.c.brain).where(pushes.c.target == self._target).distinct()
        with self._reading() as connection:
            return set(connection.execute(query).scalars())

    def ground_truth_files(self) -> set[int]:
        """Ids of the files whose annotations were imported as the truth, and are there."""
        query = sa.select(pushes.c.file_id).where(
            pushes.c.target == self._target,
            pushes.c.brain.startswith(GROUND_TRUTH, autoescape=True),
            pushes.c.state.in_(("confirmed", "empty")),
            pushes.c.file_id.is_not(None),
        )
        with self._reading() as connection:
            return set(connection.execute(query).scalars())

    def _values(self, row: PushRow) -> dict[str, Any]:
        return {
            "target": self._target,
            "file_name": row.file_name,
            "brain": row.brain,
            "state": row.state,
            "boxes": json.dumps([_plain(seen) for seen in row.seen]),
            "file_id": row.file_id,
            "reason": clean(row.reason),
            "updated_at": time.time(),
            "input_id": row.input_id,
        }


def push_row(row: Row[Any]) -> PushRow:
    """The value of a whole row of the table."""
    return PushRow(
        row.file_name, row.brain, row.state, _seen(row.boxes), row.file_id, row.reason, row.updated_at, row.input_id
    )


def _plain(seen: Seen) -> object:
    """Boxes as lists, as there are many of them."""
    return astuple(seen) if isinstance(seen, Box) else seen._asdict()


def _seen(text: str) -> tuple[Seen, ...]:
    return tuple(Box(*value) if isinstance(value, list) else _annotation(value) for value in json.loads(text))


def _annotation(value: dict[str, Any]) -> Annotation:
    points = tuple((x, y) for x, y in value.pop("points"))
    attributes = tuple((group, chosen) for group, chosen in value.pop("attributes"))
    return Annotation(**value, points=points, attributes=attributes)
