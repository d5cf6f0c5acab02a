"""Looking before an import, and after it, from a terminal and as flows."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.sorting import FlowRunSort

from diffgram_flows.cli import main
from diffgram_flows.cli_output import DONE, FAILED, MISUSED, OUTDATED
from diffgram_flows.parameters import ImportParameters
from diffgram_flows.tasks.importing import ImportPlan, ImportSummary
from flows.import_files import import_files


def place(site: Any) -> list[str]:
    return ["--workdir", str(site.target.workdir), "--dataset", site.dataset, "--packets-per-second", "0"]


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_plan_is_shown_then_carried_out_once(site: Any, capsys: Any, tmp_path: Path) -> None:
    (site.bucket / "table.csv").write_text("a,b")
    out = tmp_path / "plan.json"
    assert main(["plan", f"file://{site.bucket}", *place(site), "--json", str(out)]) == DONE
    shown = words(capsys.readouterr().out)
    plan = json.loads(out.read_text())
    assert (plan["new"], plan["blocked"], len(plan["changes"])) == (12, {"unsupported type": 1}, 12)
    assert f"diffgram-flows apply {plan['id']}" in shown
    assert "blocked: unsupported type │ 1" in shown
    assert site.file_names() == []
    assert main(["apply", plan["id"], *place(site)]) == DONE
    assert "imported │ 12" in words(capsys.readouterr().out)
    assert len(site.file_names()) == 12
    assert main(["apply", plan["id"], *place(site)]) == OUTDATED
    assert "Make a new plan" in words(capsys.readouterr().err)


def test_a_plan_is_outdated_when_the_ledger_has_moved(site: Any, capsys: Any, tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    main(["plan", f"file://{site.bucket}", *place(site), "--json", str(out)])
    assert main(["import", f"file://{site.bucket}", *place(site)]) == DONE
    assert main(["apply", json.loads(out.read_text())["id"], *place(site)]) == OUTDATED
    assert "the ledger has changed since it was made" in words(capsys.readouterr().err)


def test_a_plan_carries_the_settings_that_it_was_made_with(site: Any, tmp_path: Path) -> None:
    import_files(site.import_parameters())
    path = site.bucket / "photo-00000.jpg"
    path.write_bytes(path.read_bytes() + b"\0")
    (site.bucket / "photo-00001.jpg").unlink()
    out = tmp_path / "plan.json"
    policy = ["--changed", "ignore", "--deleted", "archive"]
    main(["plan", f"file://{site.bucket}", *place(site), *policy, "--json", str(out)])
    assert main(["apply", json.loads(out.read_text())["id"], *place(site)]) == DONE
    assert len(site.file_names()) == 11
    assert site.workspace.ledger.objects.counts() == {"imported": 11, "archived": 1}


def test_a_dry_run_of_the_flow_changes_nothing(site: Any) -> None:
    parameters: ImportParameters = site.import_parameters()
    plan = import_files(parameters.model_copy(update={"dry_run": True}))
    assert isinstance(plan, ImportPlan)
    assert (plan.new, plan.packets, site.file_names()) == (12, 12, [])
    assert site.workspace.ledger.objects.counts() == {}
    summary = import_files(parameters.model_copy(update={"plan_id": plan.id}))
    assert isinstance(summary, ImportSummary)
    assert (summary.listed, summary.new, summary.imported) == (12, 12, 12)


def chunk_runs() -> list[str]:
    """Names of the task runs of the newest flow run that import; they are recorded a moment after they end."""
    with get_client(sync_client=True) as client:
        (newest,) = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[newest.id]))
        runs = client.read_task_runs(flow_run_filter=wanted, limit=200)
    return sorted(run.name for run in runs if run.name.startswith("import chunk"))


def test_a_chunk_is_one_task_run(site: Any) -> None:
    parameters: ImportParameters = site.import_parameters()
    options = parameters.importing.model_copy(update={"chunk_size": 4})
    import_files(parameters.model_copy(update={"importing": options}))
    assert len(site.file_names()) == 12
    end = time.monotonic() + 20
    while "import chunk 4" not in (names := chunk_runs()):
        assert time.monotonic() < end, names
        time.sleep(0.2)
    assert 4 <= len(names) <= 6, "three that send, and few that follow"


def test_the_whole_life_of_an_object_is_told(site: Any, capsys: Any, tmp_path: Path) -> None:
    import_files(site.import_parameters())
    uri, out = f"file://{site.bucket}/photo-00003.jpg", tmp_path / "trace.json"
    assert main(["trace", uri, *place(site), "--json", str(out)]) == DONE
    shown = words(capsys.readouterr().out)
    (version,) = json.loads(out.read_text())
    assert [event["what"] for event in version["events"]] == ["new", "sending", "sent", "imported"]
    assert "state │ imported" in shown
    assert f"task {version['tasks'][0]['task_id']}" in shown
    assert main(["trace", f"file://{site.bucket}/nobody.jpg", *place(site)]) == MISUSED
    assert "does not know" in words(capsys.readouterr().err)


@pytest.mark.parametrize(("name", "code"), [pytest.param("bucket", DONE), pytest.param("nowhere", FAILED)])
def test_preflight_says_whether_an_import_can_work(site: Any, name: str, code: int, capsys: Any) -> None:
    assert main(["preflight", f"file://{site.folder}/{name}"]) == code
    told = capsys.readouterr()
    assert "usable on the first page" in words(told.out)
    assert bool(code) == ("error" in words(told.err))
