"""No recording is forgotten: each is replayed, is held to by a named test, or is left out for a reason."""

from __future__ import annotations

from pathlib import Path

from contract.left_out import SANDBOX
from contract.preparing import prepared
from contract.recorded import exchanges
from contract.test_sandbox_replies import CALLS

ROOT = Path(__file__).parents[2]
#: Recordings that are no single call: the tests that hold the sandbox to them.
ELSEWHERE = {
    "04/timeline_of_real_imports": "tests/contract/test_import_outcomes.py::test_an_import_passes_the_recorded_states",
    "08/timeline_of_an_async_export": "tests/contract/test_exports.py::test_an_export_passes_the_recorded_states",
    "12/received_webhook_requests": (
        "tests/contract/test_webhooks.py::test_a_completed_task_is_told_twice_once_without_its_job"
    ),
    "15/processing": "tests/sandbox/test_imports.py::test_twenty_twins_at_once_give_one_file",
    "15/rate_limits": "tests/contract/test_limits.py::test_one_call_more_than_the_limit_is_too_much",
    "15/cpu_gate": "tests/sandbox/test_faults.py::test_workers_pause_as_on_a_busy_host",
    "15/worker_death": "tests/sandbox/test_process.py::test_a_crash_loses_nothing_that_was_acknowledged",
}
RECORDED = {each.id for each in exchanges()}
REPLAYED = {call.id.partition("#")[0] for call in CALLS}


def test_all_recordings_are_there() -> None:
    assert len(RECORDED) == len(exchanges()) == 475


def test_every_recording_is_in_one_place() -> None:
    places = [*REPLAYED, *ELSEWHERE, *SANDBOX]
    assert sorted(places) == sorted(set(places))
    assert sorted(RECORDED - set(places)) == []


def test_what_is_named_exists() -> None:
    assert sorted((set(ELSEWHERE) | set(SANDBOX) | {each.partition("#")[0] for each in prepared()}) - RECORDED) == []
    for place in ELSEWHERE.values():
        path, _, name = place.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(), place


def test_nine_of_ten_recordings_are_held_to() -> None:
    assert len(REPLAYED | set(ELSEWHERE)) >= 0.9 * len(RECORDED)


def test_what_is_left_out_is_little_and_has_a_reason() -> None:
    assert len(SANDBOX) <= 0.1 * len(RECORDED)
    assert [each for each, reason in SANDBOX.items() if len(reason) < 20] == []
