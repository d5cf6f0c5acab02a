"""The end of every story with faults: each object is in the dataset exactly once, and the ledger says the same."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass

from servers.bench import Bench

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import DiffgramFlowsError, LedgerUnavailable
from diffgram_flows.importing import ImportReport, file_name, import_new
from diffgram_flows.ledger import Ledger, ObjectRow

SETTLED = frozenset({"imported", "failed", "refused"})


@dataclass(frozen=True)
class Placement:
    """A file in the dataset, as the sandbox's database has it."""

    file_id: int
    name: str
    content: bytes


@dataclass(frozen=True)
class Figures:
    """What was found at the end.

    Attributes:
        objects: In the bucket.
        imported: Rows of the ledger in this state.
        given_up: Rows that are failed or refused.
        duplicates: Files in the dataset beyond the first of their name.
        losses: Objects that are neither in the dataset nor given up.
        packets: Imports of the dataset that the server took on in all.
    """

    objects: int
    imported: int
    given_up: int
    duplicates: int
    losses: int
    packets: int


def assert_settled(bench: Bench, *, given_up: Collection[str] = ()) -> Figures:
    """Compare bucket, ledger and sandbox, the latter through its API and in its database.

    Args:
        bench: Whose folder holds the bucket's objects, under their keys.
        given_up: The keys that must have failed or been refused; all others must be there.
    """
    wanted = {str(path.relative_to(bench.folder)): path.read_bytes() for path in bench.folder.rglob("*.*")}
    rows = bench.ledger.objects.rows()
    placements = _placements(bench)
    figures = _count(wanted, rows, placements, packets_of(bench))
    assert (figures.duplicates, figures.losses) == (0, 0), figures
    _assert_ledger(wanted, rows, given_up)
    listed = {(file.id, file.name) for file in bench.client.files(bench.directory_id)}
    assert listed == {(placement.file_id, placement.name) for placement in placements}
    assert set(bench.client.file_ids(bench.directory_id)) == {placement.file_id for placement in placements}
    by_name = {placement.name: placement for placement in placements}
    for row in rows:
        placement = by_name.pop(row.file_name, None)
        if row.state != "imported":
            assert placement is None, f"{row} has a file"
            continue
        assert placement is not None, f"{row} has no file"
        assert placement.file_id == row.file_id, row
        assert placement.content == wanted[row.object.key], f"{row} has the bytes of another object"
    assert by_name == {}, "files that the ledger does not know"
    return figures


def import_once(
    bench: Bench, *, client: DiffgramClient | None = None, ledger: Ledger | None = None, **options: object
) -> ImportReport:
    """One run of the import.

    Args:
        bench: What is imported.
        client: Through whom, if not through the bench's own client.
        ledger: Another connection to the same ledger.
        options: For ``import_new``.
    """
    chosen: dict[str, object] = {"poll": 0.05, "timeout": 30.0, "stuck_after": 3.0, "max_attempts": 50, **options}
    return import_new(
        client or bench.client,
        bench.store,
        "",
        ledger or bench.ledger,
        directory_id=bench.directory_id,
        **chosen,  # type: ignore[arg-type]
    )


def settle(bench: Bench, *, within: float = 300.0, pause: float = 0.1, **options: object) -> list[DiffgramFlowsError]:
    """Import again and again, as a schedule does, until nothing is left open. The errors that ended runs.

    Args:
        bench: What is imported.
        within: Seconds that it may take.
        pause: Seconds after a run that did not settle everything.
        options: As in :func:`import_once`.
    """
    errors: list[DiffgramFlowsError] = []
    ends_at = time.monotonic() + within
    while time.monotonic() < ends_at:
        try:
            import_once(bench, **options)  # type: ignore[arg-type]
        except DiffgramFlowsError as error:
            errors.append(error)
        if is_settled(bench):
            return errors
        time.sleep(pause)
    raise AssertionError(f"{bench.ledger.objects.counts()} after {within} s: {errors[-3:]}")


def is_settled(bench: Bench) -> bool:
    """Whether every object of the bucket has a row, and none is in between."""
    try:
        counts = bench.ledger.objects.counts()
    except LedgerUnavailable:
        return False
    objects = sum(path.is_file() for path in bench.folder.rglob("*.*"))
    return counts.keys() <= SETTLED and sum(counts.values()) == objects


def _count(wanted: Mapping[str, bytes], rows: list[ObjectRow], placements: list[Placement], packets: int) -> Figures:
    names = Counter(placement.name for placement in placements)
    states = Counter(row.state for row in rows)
    safe = {row.object.key for row in rows if row.state in {"failed", "refused"} or names[row.file_name]}
    return Figures(
        objects=len(wanted),
        imported=states["imported"],
        given_up=states["failed"] + states["refused"],
        duplicates=len(placements) - len(names),
        losses=len(wanted.keys() - safe),
        packets=packets,
    )


def _assert_ledger(wanted: Mapping[str, bytes], rows: list[ObjectRow], given_up: Collection[str]) -> None:
    assert Counter(row.object.key for row in rows) == dict.fromkeys(wanted, 1), "one row for each object"
    between = [row for row in rows if row.state not in SETTLED or row.claim_id is not None]
    assert between == [], "rows in between"
    assert {row.object.key for row in rows if row.state != "imported"} == set(given_up), [
        row for row in rows if row.state != "imported"
    ]
    assert all(row.file_name == file_name(row.object) for row in rows)


def packets_of(bench: Bench) -> int:
    """How many imports into the dataset the server has taken on; its own list ends at 1,000."""
    with _database(bench) as connection:
        query = "SELECT count(*) FROM input WHERE directory_id = ? AND mode IS NULL"
        return int(connection.execute(query, (bench.directory_id,)).fetchone()[0])


def _placements(bench: Bench) -> list[Placement]:
    media = bench.sandbox.data / "media"
    with _database(bench) as connection:
        placed = connection.execute(
            "SELECT file.id, file.original_filename, image.blob FROM placement JOIN file ON file.id = file_id "
            "JOIN image ON image.id = image_id WHERE directory_id = ?",
            (bench.directory_id,),
        ).fetchall()
    return [Placement(file_id, name, (media / blob).read_bytes()) for file_id, name, blob in placed]


def _database(bench: Bench) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"file:{bench.sandbox.data / 'sandbox.sqlite'}?mode=ro", uri=True))
