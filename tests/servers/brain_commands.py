"""What the ``brain`` commands say and do about a site that went twice through the cycle."""

from __future__ import annotations

import json
from typing import Any

from diffgram_flows.cli import main
from diffgram_flows.cli_output import DONE, FAILED, MISUSED
from diffgram_flows.models import BrainRef
from diffgram_flows.tasks.updating import unsent_predictions

FIRST, SECOND = BrainRef("detector", 1), BrainRef("detector", 2)


def check_brain_commands(site: Any, capsys: Any) -> None:
    """List, show, promote, roll back, compare, and the lineage from both ends."""
    options = ["--workdir", str(site.target.workdir), "--dataset", site.target.dataset, "--packets-per-second", "0"]

    def told(*tokens: str) -> Any:
        capsys.readouterr()
        assert main(["brain", *tokens, *options, "--json"]) == DONE
        return json.loads(capsys.readouterr().out)

    workspace = site.workspace
    registry, ledger = workspace.registry, workspace.ledger
    judged = registry.champion_ref("detector")
    assert [row["brain"] for row in told("list") if row["champion"]] == [str(judged)]
    shown = told("show", "detector@2")
    snapshots = [row.snapshot_id for row in ledger.history.snapshots()]
    assert shown["snapshot_id"] == snapshots[1]
    assert set(shown["files"]) == set(registry.manifest(SECOND).files)
    assert shown["versions"]["diffgram-flows"]

    assert main(["brain", "promote", "detector@2", *options]) == DONE
    assert ledger.promotions.champion("detector") == 2
    assert main(["brain", "rollback", "detector", *options]) == DONE
    assert registry.champion_ref("detector") == FIRST
    assert ledger.promotions.champion("detector") == 1
    record = workspace.champion("detector")
    assert {file.file_name for file in unsent_predictions(workspace, record)} >= {
        row.file_name for row in ledger.pushes.rows("superseded", brain=str(FIRST))
    }

    stored = told("compare", "detector@1", "detector@2")
    assert {"detector@1", "detector@2"} < set(stored["rows"][0])
    assert "different snapshots" in stored["notes"][0]
    anew = told("compare", "detector@1", "detector@2", "--snapshot", snapshots[1])
    assert "test images" in anew["title"]
    assert "confidence" in anew["notes"][0]

    brain = told("lineage", "detector@1")
    assert [one["snapshot"] for one in brain["snapshots"]] == snapshots[:1]
    assert len(brain["objects"]) == 10
    assert brain["brains"][0]["champion"]
    assert brain["brains"][0]["pushes"]
    assert [one["brain"] for one in told("lineage", snapshots[1])["brains"]] == ["detector@2"]
    found = told("lineage", brain["objects"][0])
    assert [one["brain"] for one in found["brains"]] == ["detector@1", "detector@2"]
    assert [one["snapshot"] for one in found["snapshots"]] == snapshots
    assert main(["brain", "lineage", "detector@2", *options]) == DONE  # as people read it

    assert main(["brain", "promote", "detector@9", *options]) == FAILED
    assert main(["brain", "promote", "detector", *options]) == MISUSED
    assert main(["brain", "lineage", "file:///nowhere.jpg", *options]) == MISUSED
