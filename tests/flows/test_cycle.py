from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from servers.brain_commands import check_brain_commands

from diffgram_flows.errors import IncompleteExport, LabelMapChanged, NoChampion, NotEnoughData
from diffgram_flows.feedback import acceptance
from diffgram_flows.models import BrainRef
from diffgram_flows.parameters import ExportParameters, PredictParameters, TrainOptions, TrainParameters
from diffgram_flows.reports import quality_path
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.tasks.prelabelling import check_labels
from diffgram_flows.tasks.workspace import Workspace
from flows.cycle import cycle
from flows.export_annotations import export_annotations
from flows.predict_batch import predict_batch
from flows.train_brain import train_brain


def test_the_cycle_goes_round(site: Any, capsys: Any) -> None:
    form = site.cycle_parameters(min_new_files=9)
    turn = cycle(form)
    assert turn.did == ("import",)
    assert any("12 files have an open task" in reason for reason in turn.waiting_for)

    assert site.annotate(limit=10) == 10
    turn = cycle(form)
    assert turn.did[:3] == ("import", "export", "train")
    assert turn.champion == "detector@1"
    assert "update" in turn.did  # two files are open, and the new champion has looked at them

    site.arrive(12, 16)
    turn = cycle(form)
    assert turn.did == ("import",)
    pushes = site.workspace.ledger.pushes.rows(brain="detector@1")
    assert len(pushes) == 2 + 4
    assert {push.state for push in pushes} <= {"confirmed", "empty"}

    assert site.annotate() == 6
    turn = cycle(form)
    assert turn.did[:3] == ("import", "export", "train")
    ledger = site.workspace.ledger
    assert len(ledger.history.snapshots()) == 2
    assert [row.promoted is not None for row in ledger.history.trainings()] == [True, True]
    assert len(site.file_names()) == 16
    check_that_people_started_from(site.workspace, "detector@1")

    idle = cycle(form)
    assert idle.did == ("import",)
    assert any("new objects" in reason for reason in idle.waiting_for)

    check_brain_commands(site, capsys)


def check_that_people_started_from(workspace: Workspace, brain: str) -> None:
    """Every pre-label of a brain was kept, corrected or deleted; its labels must stay in the schema."""
    name, _, version = brain.partition("@")
    ref = BrainRef(name, int(version))
    treated = acceptance(workspace.client, workspace.ledger, brain=ref)
    assert treated.prelabels == treated.kept + treated.corrected + treated.deleted
    with pytest.raises(LabelMapChanged, match=r"knows labels that the schema no longer has: \['0'"):
        check_labels(workspace.registry.get(ref), {})


def test_what_people_drew_is_what_a_snapshot_holds(site: Any) -> None:
    cycle(site.cycle_parameters(min_new_files=100))
    site.annotate(limit=6)
    report = export_annotations(ExportParameters(target=site.target))  # no bucket: images come from Diffgram
    assert (report.images, report.failures) == (6, ())
    assert "Drift" in quality_path(site.target.workdir, report.snapshot_id).read_text()
    again = export_annotations(ExportParameters(target=site.target))
    assert (again.snapshot_id, again.new) == (report.snapshot_id, False)


def test_a_cycle_that_runs_already_is_not_run_twice(site: Any) -> None:
    with site.workspace.ledger.locks.hold("cycle"):
        turn = cycle(site.cycle_parameters(min_new_files=1))
    assert turn.did == ()
    assert "lock is held" in turn.waiting_for[0]


def test_no_champion_yet(site: Any) -> None:
    cycle(site.cycle_parameters(min_new_files=100))
    with pytest.raises(NoChampion, match="no champion yet"):
        predict_batch(PredictParameters(target=site.target))


def test_nothing_to_train_on(site: Any) -> None:
    with pytest.raises(NotEnoughData, match="no snapshot"):
        train_brain(TrainParameters(target=site.target))


def test_one_image_is_not_enough(site: Any) -> None:
    for path in sorted(site.bucket.iterdir())[1:]:
        path.unlink()
    cycle(site.cycle_parameters(min_new_files=100))
    assert site.annotate() == 1
    export_annotations(ExportParameters(target=site.target))
    with pytest.raises(NotEnoughData) as caught:
        train_brain(TrainParameters(target=site.target, training=TrainOptions(**site.train)))
    assert caught.value.cure


def test_a_crash_between_training_and_judging_costs_no_training(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cycle(site.cycle_parameters(min_new_files=100))
    site.annotate()
    export_annotations(ExportParameters(target=site.target))
    form = TrainParameters(target=site.target, training=TrainOptions(**site.train))

    def crash(*_: object) -> None:
        raise RuntimeError("the machine is gone")

    with monkeypatch.context() as patched:
        patched.setattr("diffgram_flows.tasks.training.judge_brain", crash)
        with pytest.raises(RuntimeError, match="gone"):
            train_brain(form)
    assert train_brain(form).candidate.version == 1


def test_an_export_that_lacks_a_file_becomes_no_snapshot(
    make_site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SandboxProcess(tmp_path / "lossy", rate_limits=False, task_delay=0.05, export_fault="missing_file") as lossy:
        monkeypatch.setenv("DIFFGRAM_URL", lossy.url)
        monkeypatch.setenv("DIFFGRAM_CLIENT_ID", lossy.client_id)
        monkeypatch.setenv("DIFFGRAM_CLIENT_SECRET", lossy.client_secret)
        site = make_site(lossy)
        site.arrive(0, 4)
        site.prepare_labels()
        form = site.cycle_parameters(min_new_files=4)
        cycle(form)
        assert site.annotate() == 4
        with pytest.raises(IncompleteExport, match="lacks 1 of 4 finished files"):
            cycle(form)
        assert site.workspace.ledger.history.snapshots() == []
        assert list((site.folder / "work").glob("snapshots/*")) == []
