"""Exports in full, and how they come into being."""

from __future__ import annotations

import json
import time

from contract.exported import clockless
from contract.preparing import prepare
from contract.recorded import FOLDER, exchange
from contract.stage import Stage
from contract.values import deviations


def test_an_export_is_the_recorded_one_file_by_file(stage: Stage) -> None:
    recorded = exchange("08/job_wait_data")
    stage.reset()
    prepare(recorded, stage)
    wanted = json.loads((FOLDER / "sample_export.json").read_text())
    assert deviations(clockless(stage.ask(recorded).document), clockless(wanted), makes=True) == []


def test_an_export_passes_the_recorded_states(stage: Stage) -> None:
    recorded = exchange("08/job_async")
    stage.reset()
    prepare(recorded, stage)
    stage.execute("CREATE TABLE history AS SELECT * FROM export WHERE 0")
    stage.execute(
        "CREATE TRIGGER on_change AFTER UPDATE ON export BEGIN "
        "INSERT INTO history SELECT * FROM export WHERE id = new.id; END"
    )
    reply = stage.ask(recorded).document["export"]
    for _ in range(500):
        passed = stage.execute("SELECT * FROM history WHERE id = ?", reply["id"])
        if passed and passed[-1]["status"] == "complete":
            break
        time.sleep(0.01)
    fields = ("status", "percent_complete", "file_list_length")
    states = [reply, *(dict(row) for row in passed)]
    timeline = exchange("08/timeline_of_an_async_export").extra["timeline"]
    assert [[row[name] for name in fields] for row in states] == [[row[name] for name in fields] for row in timeline]
