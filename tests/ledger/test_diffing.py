from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers.postgres import PostgresServer

from diffgram_flows.errors import LedgerError
from diffgram_flows.ledger import Change, Ledger, Recorded, open_ledger
from diffgram_flows.ledger.diffing import after_prefix
from diffgram_flows.ledger.states import TRANSITIONS
from diffgram_flows.models import StoredObject

BUCKET = "s3://photos"


def stored(key: str, version: str = "1") -> StoredObject:
    return StoredObject(BUCKET, key, 10, version)


def named(item: StoredObject) -> str:
    return f"{item.key}-{item.version}"


def listing(**versions: str) -> list[StoredObject]:
    return [stored(key, version) for key, version in sorted(versions.items())]


def sync(ledger: Ledger, found: Iterable[StoredObject], prefix: str = "") -> Recorded:
    return ledger.objects.record(ledger.objects.diff(BUCKET, prefix, found), named)


def kinds(changes: Iterable[Change]) -> list[tuple[str, str]]:
    return [(change.kind, change.object.key) for change in changes]


def states(ledger: Ledger) -> dict[str, str]:
    return {f"{row.object.key}@{row.object.version}": row.state for row in ledger.objects.rows()}


def import_new(ledger: Ledger) -> None:
    for row in ledger.objects.rows("new"):
        ledger.objects.imported(row.id, file_id=1000 + row.id, input_id=row.id)


def test_a_listing_is_merged_with_the_ledger(ledger: Ledger) -> None:
    ledger.objects.add(listing(b="1", c="1", d="1", f="1"), named)
    diff = ledger.objects.diff(BUCKET, "", listing(a="1", c="1", d="2", e="1"))
    assert kinds(diff) == [("new", "a"), ("deleted", "b"), ("changed", "d"), ("new", "e"), ("deleted", "f")]
    assert diff.counts == {"listed": 4, "known": 1, "new": 2, "changed": 1, "deleted": 2}


def test_only_the_same_bucket_prefix_range_and_target_are_compared(ledger: Ledger) -> None:
    ledger.objects.add([*listing(a1="1", a2="1", a3="1", b1="1"), StoredObject("s3://other", "a2", 1, "1")], named)
    ledger.for_target("another").objects.add(listing(a25="1"), named)
    assert kinds(ledger.objects.diff(BUCKET, "a", listing(a1="1", a2="1"))) == [("deleted", "a3")]
    assert kinds(ledger.objects.diff(BUCKET, "a", listing(a2="1"), after="a1", until="a2")) == []
    assert kinds(ledger.objects.diff(BUCKET, "", [], after="a1", until="a3")) == [("deleted", "a2"), ("deleted", "a3")]


def test_keys_are_in_the_order_of_their_bytes(ledger: Ledger) -> None:
    keys = ["B", "_", "a", "a b", "a/b", "ab", "z", "ä", "\ue000", "😀", "\U0010ffff"]
    assert keys == sorted(keys, key=str.encode)
    ledger.objects.add([stored(key) for key in keys[1::2]], named)
    diff = ledger.objects.diff(BUCKET, "", [stored(key) for key in keys])
    assert kinds(diff) == [("new", key) for key in keys[::2]]
    assert (diff.known, diff.deleted) == (5, 0)


@pytest.mark.parametrize("prefix", ["", "a", "a/", "ü", "a\ud7ff", "a\U0010ffff", "\U0010ffff"])
def test_the_end_of_a_prefix_is_after_all_that_begin_with_it(prefix: str) -> None:
    end = after_prefix(prefix)
    following = [prefix, f"{prefix}\U0010ffff\U0010ffff", f"{prefix}z"]
    assert all(end is None or key < end for key in following)
    assert end is None or not end.startswith(prefix)
    assert end is None or end.encode()


def test_a_listing_out_of_order_is_refused(ledger: Ledger) -> None:
    for wrong in (["b", "a"], ["a", "a"]):
        with pytest.raises(LedgerError, match="not in the order of its keys' bytes"):
            list(ledger.objects.diff(BUCKET, "", [stored(key) for key in wrong]))


@pytest.mark.parametrize(("prefix", "after", "key"), [("a", None, "b"), ("b", None, "a"), ("", "b", "b")])
def test_a_listing_of_something_else_is_refused(ledger: Ledger, prefix: str, after: str | None, key: str) -> None:
    ledger.objects.add([stored(key)], named)
    with pytest.raises(LedgerError, match="not in the part"):
        list(ledger.objects.diff(BUCKET, prefix, [stored(key)], after=after))
    with pytest.raises(LedgerError, match="not in the part"):
        list(ledger.objects.diff("s3://other", "", [stored(key)]))


@pytest.mark.parametrize("prefix", ["a\0", "\udcff"])
def test_a_prefix_that_no_key_can_have_is_refused(ledger: Ledger, prefix: str) -> None:
    with pytest.raises(LedgerError, match="is not text"):
        ledger.objects.diff(BUCKET, prefix, [])
    assert ledger.objects.trace(f"{BUCKET}/{prefix}") == []


def test_a_listing_that_breaks_off_deletes_nothing_behind_that_point(ledger: Ledger) -> None:
    def broken() -> Iterator[StoredObject]:
        yield stored("b")
        raise ConnectionError

    ledger.objects.add(listing(a="1", b="1", c="1"), named)
    diff, seen = iter(ledger.objects.diff(BUCKET, "", broken())), []
    with pytest.raises(ConnectionError):
        seen += [next(diff), next(diff)]
    assert kinds(seen) == []
    first = next(iter(ledger.objects.diff(BUCKET, "", broken())))
    assert kinds([first]) == [("deleted", "a")]


def test_the_life_of_a_changing_object(ledger: Ledger) -> None:
    assert sync(ledger, listing(a="1", b="1")) == Recorded(new=2)
    import_new(ledger)
    assert sync(ledger, listing(a="2", b="1")) == Recorded(changed=1)
    assert states(ledger) == {"a@1": "superseded", "a@2": "new", "b@1": "imported"}
    old, _, new = ledger.objects.rows()
    assert (old.successor, old.file_id) == (new.id, 1000 + old.id)
    import_new(ledger)
    assert kinds(ledger.objects.diff(BUCKET, "", listing(a="2", b="1"))) == []

    assert sync(ledger, listing(b="1")) == Recorded(deleted=1)
    assert states(ledger) == {"a@1": "superseded", "a@2": "gone", "b@1": "imported"}
    assert kinds(ledger.objects.diff(BUCKET, "", listing(b="1"))) == []


def test_an_object_that_comes_back_is_imported_again_only_if_its_file_is_gone(ledger: Ledger) -> None:
    sync(ledger, listing(a="1", b="1", c="1"))
    import_new(ledger)
    sync(ledger, [])
    _, b, c = ledger.objects.rows("gone")
    ledger.objects.archiving([b.id, c.id])
    ledger.objects.archived([b.id])
    assert sync(ledger, listing(a="1", b="1", c="1")) == Recorded(returned=2, left=1)
    assert states(ledger) == {"a@1": "imported", "b@1": "new", "c@1": "archiving"}
    (back,) = ledger.objects.rows("new")
    assert (back.file_id, back.attempts, back.input_id) == (None, 0, b.id)  # its dead import is remembered
    ledger.objects.archived([c.id])
    assert sync(ledger, listing(a="1", b="1", c="1")) == Recorded(returned=1)
    assert states(ledger)["c@1"] == "new"


def test_an_old_version_may_come_back(ledger: Ledger) -> None:
    for version in ("1", "2", "1"):
        sync(ledger, listing(a=version))
        import_new(ledger)
    assert states(ledger) == {"a@1": "imported", "a@2": "superseded"}
    assert kinds(ledger.objects.diff(BUCKET, "", listing(a="1"))) == []


def test_what_is_on_its_way_is_not_taken_away(ledger: Ledger) -> None:
    sync(ledger, listing(a="1", b="1", c="1"))
    claim = ledger.claims.claim_chunk(10)
    assert claim is not None
    a, b, c = claim.rows
    ledger.objects.sent([a.id], claim=claim.id)
    assert sync(ledger, listing(a="2", b="2")) == Recorded(changed=2, left=1)
    assert states(ledger) == {"a@1": "sent", "b@1": "sending", "c@1": "sending", "a@2": "new", "b@2": "new"}
    ledger.objects.imported(a.id, file_id=1, input_id=1, claim=claim.id)
    ledger.objects.release([b.id, c.id], claim=claim.id)
    assert states(ledger) == {"a@1": "superseded", "b@1": "superseded", "c@1": "new", "a@2": "new", "b@2": "new"}
    assert sync(ledger, listing(a="2", b="2")) == Recorded(deleted=1)


def test_to_record_twice_does_nothing_the_second_time(ledger: Ledger) -> None:
    ledger.objects.add(listing(a="1", b="1"), named)
    changes = list(ledger.objects.diff(BUCKET, "", listing(b="2", c="1")))
    assert ledger.objects.record(changes, named) == Recorded(new=1, changed=1, deleted=1)
    position = ledger.position()
    assert ledger.objects.record(changes, named) == Recorded(left=3)
    assert ledger.position() == position


def test_pages_and_batches_have_no_seams(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffgram_flows.ledger.diffing._PAGE", 3)
    monkeypatch.setattr("diffgram_flows.ledger.recording._BATCH", 2)
    for version in ("1", "2", "3", "4"):
        sync(ledger, [stored(f"{number:02}", version) for number in range(10)])
    diff = ledger.objects.diff(BUCKET, "", [stored(f"{number:02}", "4") for number in range(10)])
    assert (list(diff), diff.known) == ([], 10)
    assert Counter(states(ledger).values()) == {"superseded": 30, "new": 10}


KEYS = st.sampled_from(["a", "a/b", "b", "ü"])
STEPS = st.lists(
    st.one_of(
        st.dictionaries(KEYS, st.sampled_from("123")),
        st.sampled_from(["claim", "sent", "imported", "failed", "release", "archive", "archived"]),
    ),
    max_size=14,
)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[list[Ledger]]:
    folder: Path = tmp_path_factory.mktemp("both")
    opened = [open_ledger(str(folder / "ledger.db"), "t"), open_ledger(postgres.new_place(), "t")]
    yield opened
    for ledger in opened:
        ledger.close()


def step(ledger: Ledger, what: str) -> None:
    rows, objects = ledger.objects.rows, ledger.objects
    if what == "claim":
        ledger.claims.claim_chunk(2)
    elif what == "sent":
        objects.sent([row.id for row in rows("sending")])
    elif what == "release":
        objects.release([row.id for row in rows("sending", "sent")])
    elif what == "archive":
        objects.archiving([row.id for row in rows("superseded", "gone")])
    elif what == "archived":
        objects.archived([row.id for row in rows("archiving")])
    for row in rows("sent") if what in {"imported", "failed"} else ():
        if what == "imported":
            objects.imported(row.id, file_id=row.id, input_id=row.id)
        else:
            objects.failed(row.id, "no")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_the_two_databases_agree_and_states_follow_the_table(
    both: list[Ledger], steps: list[dict[str, str] | str]
) -> None:
    targets = [ledger.for_target(f"{id(steps)} {steps}") for ledger in both]
    for what in steps:
        if isinstance(what, str):
            for ledger in targets:
                step(ledger, what)
        else:
            first, second = (sync(ledger, listing(**what)) for ledger in targets)
            assert first == second
        assert states(targets[0]) == states(targets[1])
        assert targets[0].position() == targets[1].position()
    for ledger in targets:
        for uri in {row.object.uri for row in ledger.objects.rows()}:
            traces = ledger.objects.trace(uri)
            assert sum(trace.row.successor is None for trace in traces) == 1
            for trace in traces:
                assert trace.events[-1].what == trace.row.state
                for before, after in zip(trace.events, trace.events[1:], strict=False):
                    assert after.what in TRANSITIONS[before.what]
