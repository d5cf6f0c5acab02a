"""The ways from the bucket to the server."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from servers.bench import Bench, Prelabels, client_of

from diffgram_flows.diffgram import DiffgramClient, ImportRow, Packet
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.importing import ImportReport, import_new
from diffgram_flows.importing.routes import ConnectionRoute, route_of
from diffgram_flows.ledger import ObjectRow, open_ledger
from diffgram_flows.models import Box, StoredObject


def upload(bench: Bench, **options: Any) -> ImportReport:
    return import_new(
        bench.client,
        bench.store,
        "",
        options.pop("ledger", bench.ledger),
        directory_id=bench.directory_id,
        route="upload",
        poll=0.05,
        timeout=20,
        **options,
    )


def test_bytes_are_uploaded_where_the_server_does_not_reach_the_bucket(bench: Bench) -> None:
    bench.draw(5)
    (bench.folder / "größe 1 (a).JPG").write_bytes((bench.folder / "image-000.jpg").read_bytes())
    report = upload(bench)
    assert (report.imported, report.waiting) == (6, 0)
    rows = bench.ledger.objects.rows("imported")
    assert bench.names() == sorted(row.file_name for row in rows)
    assert {row.file_id for row in rows} == set(bench.client.file_ids(bench.directory_id))
    assert upload(bench).imported == 0


def test_an_upload_of_what_is_there_adopts_it(bench: Bench, tmp_path: Any) -> None:
    bench.draw(3)
    upload(bench)
    fresh = open_ledger(str(tmp_path / "fresh.db"), bench.ledger.target)
    report = upload(bench, ledger=fresh)
    assert (report.imported, report.failed) == (3, 0)
    assert len(bench.names()) == 3
    assert {row.file_id for row in fresh.objects.rows()} == set(bench.client.file_ids(bench.directory_id))
    fresh.close()


def test_boxes_travel_with_an_upload_and_the_good_ones_arrive(bench: Bench) -> None:
    good, bad = Box(bench.label(), 1, 2, 30, 40, 0.5), Box(999_999, 1, 2, 30, 40, 0.5)
    bench.draw(2)
    assert upload(bench, prelabel=Prelabels((bad, good))).imported == 2
    for row in bench.ledger.objects.rows("imported"):
        assert bench.boxes(row.file_id or 0) == [good]
    assert {push.state for push in bench.ledger.pushes.rows()} == {"confirmed"}


class LosesReplies(DiffgramClient):
    """Its first upload arrives, and nobody is told."""

    lost = 1

    def upload(self, *arguments: Any, **options: Any) -> ImportRow:
        row = super().upload(*arguments, **options)
        if self.lost:
            self.lost = 0
            raise SystemExit
        return row


def test_an_upload_whose_reply_was_lost_in_a_crash_is_not_repeated(bench: Bench) -> None:
    bench.draw(3)
    with client_of(bench.sandbox, kind=LosesReplies) as client, pytest.raises(SystemExit):
        import_new(client, bench.store, "", bench.ledger, directory_id=bench.directory_id, route="upload", threads=1)
    upload(bench)
    assert bench.states() == {"imported": 3}
    assert bench.packets() == dict.fromkeys(bench.names(), 1)


class Mute(DiffgramClient):
    """Keeps the packets."""

    sent: list[Packet]

    def send_packet(self, packet: Packet) -> None:
        self.sent.append(packet)


def test_a_connection_is_sent_as_the_official_sdk_does(bench: Bench) -> None:
    stored = StoredObject("s3://photos", "2026/a b.jpg", 5, "v1")
    row = ObjectRow(1, stored, "a b-123.jpg", "sending", None, None, 0, "", 0.0)
    with client_of(bench.sandbox, kind=Mute) as client:
        assert isinstance(client, Mute)
        client.sent = []
        route = ConnectionRoute(client, "s3://photos", bench.directory_id, 7)
        assert route.send(row, None, ()).kind == "sent"
    (packet,) = client.sent
    assert packet.body() | {"media": None} == {
        "directory_id": bench.directory_id,
        "type": "from_blob_path",
        "raw_data_blob_path": "2026/a b.jpg",
        "bucket_name": "photos",
        "connection_id": 7,
        "original_filename": "a b-123.jpg",
        "media": None,
    }


@pytest.mark.parametrize(
    ("route", "connection_id", "match"),
    [
        pytest.param("connection", None, "needs the id of a storage connection", id="no connection"),
        pytest.param("connection", 7, "not known how a storage connection", id="a folder"),
        pytest.param("pigeon", None, "no route 'pigeon'", id="no such route"),
    ],
)
def test_a_route_that_cannot_work_is_refused_before_anything_is_sent(
    bench: Bench, route: Any, connection_id: int | None, match: str
) -> None:
    with pytest.raises(ConfigurationError, match=match):
        route_of(
            route,
            bench.client,
            bench.store,
            bench.directory_id,
            lease_for=timedelta(hours=1),
            connection_id=connection_id,
        )
