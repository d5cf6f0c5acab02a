"""Preparations for the recordings of jobs, tasks, exports, predictions and webhooks."""

from __future__ import annotations

from contract.preparing import before
from contract.stage import Stage


@before("07/job_launch_twice")
def job_1_launched(stage: Stage) -> None:
    stage.execute("UPDATE job SET launched = created, status = 'active' WHERE id = 1")
