"""Which failed tasks Prefect runs again."""

from __future__ import annotations

from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from diffgram_flows.errors import BudgetExhausted, DiffgramFlowsError


def worth_retrying(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether the same call can succeed within minutes: an unreachable server may, a refused input will not."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, DiffgramFlowsError) and error.retryable and not isinstance(error, BudgetExhausted)


RETRYING: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [5, 20, 60],
    "retry_jitter_factor": 0.3,
    "retry_condition_fn": worth_retrying,
    "cache_policy": NO_CACHE,
}
"""Options of every task: all of them may run twice, since the ledger knows what was done."""
