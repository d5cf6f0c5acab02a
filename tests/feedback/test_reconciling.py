"""A push that was interrupted is continued, and no box is ever drawn twice."""

from __future__ import annotations

import time
from typing import Any

import pytest
from servers.bench import Bench, Prelabels, client_of

from diffgram_flows.diffgram import DiffgramClient, ImportRow, Packet
from diffgram_flows.feedback import FileToLabel, follow_pushes, push, reconcile_pushes
from diffgram_flows.importing import import_new
from diffgram_flows.models import Box, BrainRef

BRAIN = BrainRef("digits", 1)


class Mortal(DiffgramClient):
    """Ends the process, as far as a test can, before or after a packet leaves."""

    before = False

    def send_packet(self, packet: Packet) -> None:
        if not self.before:
            super().send_packet(packet)
        raise SystemExit


class Forgetful(DiffgramClient):
    """The list of imports no longer reaches back."""

    def imports(self, **filters: Any) -> list[ImportRow]:
        return []


def files(bench: Bench, box: Box) -> list[FileToLabel]:
    return [FileToLabel(row.file_id or 0, row.file_name, (box,)) for row in bench.ledger.objects.rows("imported")]


def finish(bench: Bench, wanted: list[FileToLabel]) -> None:
    push(bench.client, bench.ledger, wanted, brain=BRAIN, directory_id=bench.directory_id)
    follow_pushes(bench.client, bench.ledger, brain=BRAIN, timeout=20, poll=0.05)


@pytest.mark.parametrize("before", [pytest.param(True, id="before"), pytest.param(False, id="after")])
def test_a_crash_around_the_packet(bench: Bench, *, before: bool) -> None:
    bench.import_all(3)
    wanted = files(bench, Box(bench.label(), 3, 4, 30, 40, 0.75))
    with client_of(bench.sandbox, kind=Mortal) as client:
        assert isinstance(client, Mortal)
        client.before = before
        with pytest.raises(SystemExit):
            push(client, bench.ledger, wanted, brain=BRAIN, directory_id=bench.directory_id)
    assert {row.state for row in bench.ledger.pushes.rows()} == {"intended"}
    report = reconcile_pushes(bench.client, bench.ledger, grace=0.0)
    assert report.released == (3 if before else 0)
    finish(bench, wanted)
    assert {row.state for row in bench.ledger.pushes.rows()} == {"confirmed"}
    assert [len(bench.boxes(file.file_id)) for file in wanted] == [1, 1, 1]


def test_too_early_to_tell_is_left_for_later(bench: Bench) -> None:
    bench.import_all(1)
    wanted = files(bench, Box(bench.label(), 3, 4, 30, 40, 0.75))
    with client_of(bench.sandbox, kind=Mortal) as client:
        assert isinstance(client, Mortal)
        client.before = True
        with pytest.raises(SystemExit):
            push(client, bench.ledger, wanted, brain=BRAIN, directory_id=bench.directory_id)
    assert reconcile_pushes(bench.client, bench.ledger).waiting == 1
    finish(bench, wanted)
    assert bench.boxes(wanted[0].file_id) == []


def test_where_the_list_does_not_reach_the_file_itself_tells(bench: Bench) -> None:
    bench.import_all(1)
    wanted = files(bench, Box(bench.label(), 3, 4, 30, 40, 0.75))
    with client_of(bench.sandbox, kind=Mortal) as client, pytest.raises(SystemExit):
        push(client, bench.ledger, wanted, brain=BRAIN, directory_id=bench.directory_id)
    while not bench.boxes(wanted[0].file_id):
        time.sleep(0.05)
    with client_of(bench.sandbox, kind=Forgetful) as client:
        assert reconcile_pushes(client, bench.ledger, grace=0.0).confirmed == 1
    finish(bench, wanted)
    assert len(bench.boxes(wanted[0].file_id)) == 1


def test_a_prelabel_of_an_adopted_file_is_confirmed(bench: Bench) -> None:
    box = Box(bench.label(), 3, 4, 30, 40, 0.75)
    bench.import_all(1, prelabel=Prelabels((box,)))
    fresh = bench.ledger.for_target("fresh")
    import_new(
        bench.client,
        bench.store,
        "",
        fresh,
        directory_id=bench.directory_id,
        prelabel=Prelabels((box,)),
        poll=0.05,
        timeout=20,
    )
    reconcile_pushes(bench.client, fresh, grace=0.0)
    assert [push.state for push in fresh.pushes.rows()] == ["confirmed"]


def test_nothing_open_asks_nothing(bench: Bench) -> None:
    with client_of(bench.sandbox, url="http://127.0.0.1:9") as nowhere:
        assert reconcile_pushes(nowhere, bench.ledger).released == 0
        assert follow_pushes(nowhere, bench.ledger, brain=BRAIN, timeout=1).confirmed == 0
