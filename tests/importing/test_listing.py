from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from diffgram_flows.diffgram import ImportRow
from diffgram_flows.importing.listing import Listing
from diffgram_flows.ledger import ObjectRow
from diffgram_flows.models import StoredObject

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def imported(number: int, status: str = "success", **values: object) -> ImportRow:
    fields = {"id": number, "status": status, "original_filename": "a.jpg", "directory_id": 2, "created_time": NOW}
    return ImportRow(**{**fields, **values})


def row(input_id: int | None = None) -> ObjectRow:
    return ObjectRow(1, StoredObject("s3://b", "a.jpg", 1, "1"), "a.jpg", "sent", None, input_id, 1, "", 0.0)


@pytest.mark.parametrize(
    ("rows", "input_id", "expected"),
    [
        pytest.param([imported(5)], None, 5, id="the only one"),
        pytest.param([imported(6, "failed"), imported(5)], None, 5, id="success wins over a refused duplicate"),
        pytest.param([imported(6, "init"), imported(5, "failed")], None, 6, id="else the newest"),
        pytest.param([imported(5, "failed")], 5, None, id="an import it was requeued for is dead"),
        pytest.param([imported(5, mode="copy_file")], None, None, id="copies are not ours"),
        pytest.param([imported(5, mode="update")], None, None, id="updates are no imports"),
        pytest.param([imported(5, directory_id=3)], None, None, id="another dataset"),
        pytest.param([imported(5, archived=True)], None, None, id="archived"),
        pytest.param([imported(5, original_filename="b.jpg")], None, None, id="another name"),
    ],
)
def test_the_import_of_an_object(rows: list[ImportRow], input_id: int | None, expected: int | None) -> None:
    found = Listing(rows, 2).find(row(input_id))
    assert (found.id if found else None) == expected


def test_a_short_list_is_complete() -> None:
    assert Listing([imported(1)], 2).reaches((NOW - timedelta(days=300)).timestamp())


def test_a_full_list_reaches_back_to_its_oldest_row() -> None:
    listing = Listing([imported(number, created_time=NOW) for number in range(1000)], 2)
    assert listing.reaches((NOW + timedelta(minutes=10)).timestamp())
    assert not listing.reaches((NOW - timedelta(minutes=10)).timestamp())
