"""What was learned from what: the label map, snapshots, and the brains that were trained on them."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from diffgram_flows.errors import LabelMapChanged
from diffgram_flows.ledger.book import Book
from diffgram_flows.ledger.schema import labels, snapshots, trainings
from diffgram_flows.models import LabelMap


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """One snapshot: where it lies and what it holds.

    Attributes:
        finished: How many files people had finished when it was made, those included that could not be used.
    """

    snapshot_id: str
    folder: str
    export_id: int
    images: int
    boxes: int
    label_map_digest: str
    finished: int = 0
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One trained brain version and what the judgement said; ``promoted`` is ``None`` until it was judged."""

    brain: str
    snapshot_id: str
    promoted: bool | None = None
    map: float | None = None
    map50: float | None = None
    verdict: str = ""
    created_at: float = 0.0


class History(Book):
    """Label map, snapshots and trainings of one target."""

    def label_map(self) -> LabelMap:
        with self._reading() as connection:
            return self._label_map(connection)

    def extend_label_map(self, label_map: LabelMap) -> LabelMap:
        """Append the labels of ``label_map`` that the ledger lacks; a label's new name is taken over, its index is not.

        Of two who append at the same time one is refused.

        Raises:
            LabelMapChanged: ``label_map`` gives a known class index another label.
        """
        rows = [
            {"target": self._target, "position": position, "label_file_id": label_file_id, "name": name}
            for position, (label_file_id, name) in enumerate(label_map.labels)
        ]
        insert = self._insert(labels)
        with self._writing() as connection:
            _check_extends(self._label_map(connection), label_map)
            if rows:
                # Only a database with several writers gets to a row that another one has just written.
                connection.execute(insert.on_conflict_do_nothing(), rows)
                renamed = insert.on_conflict_do_update(labels.primary_key, set_={"name": insert.excluded["name"]})
                _check_extends(self._label_map(connection), label_map)
                connection.execute(renamed, rows)
        return label_map

    def add_snapshot(self, row: SnapshotRow) -> None:
        """Record a snapshot as the newest one; the same content again has the same row."""
        values = {**asdict(row), "target": self._target, "created_at": time.time()}
        self._upsert(snapshots, [values], update=("finished", "export_id", "created_at"))

    def snapshots(self) -> list[SnapshotRow]:
        """Snapshots, oldest first."""
        query = sa.select(snapshots).where(snapshots.c.target == self._target).order_by(snapshots.c.created_at)
        with self._reading() as connection:
            return [
                SnapshotRow(**{k: v for k, v in row._mapping.items() if k != "target"})
                for row in connection.execute(query)
            ]

    def _label_map(self, connection: Connection) -> LabelMap:
        query = sa.select(labels).where(labels.c.target == self._target).order_by(labels.c.position)
        return LabelMap(tuple((row.label_file_id, row.name) for row in connection.execute(query)))

    def save_training(self, row: TrainingRow) -> None:
        """Record a trained version, or what the judgement of it said."""
        values = {**asdict(row), "target": self._target, "created_at": row.created_at or time.time()}
        self._upsert(trainings, [values], update=("promoted", "map", "map50", "verdict"))

    def trainings(self) -> list[TrainingRow]:
        """Trained versions, oldest first."""
        query = sa.select(trainings).where(trainings.c.target == self._target).order_by(trainings.c.created_at)
        with self._reading() as connection:
            return [
                TrainingRow(**{k: v for k, v in row._mapping.items() if k != "target"})
                for row in connection.execute(query)
            ]

    def trainings_anywhere(self, name: str) -> list[tuple[str, TrainingRow]]:
        """Trainings of a brain (its name, without a version) for all targets of this database, newest first."""
        query = sa.select(trainings).where(trainings.c.brain.startswith(f"{name}@", autoescape=True))
        with self._reading() as connection:
            return [
                (row.target, TrainingRow(**{k: v for k, v in row._mapping.items() if k != "target"}))
                for row in connection.execute(query.order_by(trainings.c.created_at.desc()))
                if row.brain.startswith(f"{name}@")  # SQLite's LIKE knows no case
            ]


def _check_extends(known: LabelMap, label_map: LabelMap) -> None:
    if not known.is_prefix_of(label_map):
        raise LabelMapChanged(
            f"Class indices would change their meaning: {known.labels} became {label_map.labels}.",
            cure="Start it again: it goes on from the labels that the ledger has now.",
        )
