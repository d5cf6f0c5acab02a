"""Trainings by a Prefect deployment, from a script that does not wait for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal, NamedTuple
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterId,
    TaskRunFilter,
    TaskRunFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import ArtifactSort
from prefect.exceptions import ObjectNotFound

from diffgram_flows.errors import BrainError, ConfigurationError, ServerUnreachable
from diffgram_flows.models import BrainRef
from diffgram_flows.parameters import Target

_OVER = (StateType.FAILED, StateType.CRASHED, StateType.CANCELLED, StateType.CANCELLING)


class Ordered(NamedTuple):
    """How far a flow run is that trains.

    Attributes:
        state: ``queued``, ``training``, ``evaluating``, ``done`` or ``failed``.
        percent: Of the training.
        reason: Why it failed.
    """

    state: Literal["queued", "training", "evaluating", "done", "failed"]
    percent: int = 0
    reason: str = ""


def order_training(deployment: str, training: Mapping[str, Any]) -> str:
    """Start a run of a deployment of the flow "train brain"; returns at once.

    Args:
        deployment: Such as ``train brain/on-demand``.
        training: Fields of the form's part ``training``; the rest is as the deployment has it.

    Returns:
        The id of the flow run.

    Raises:
        ConfigurationError: There is no such deployment, or it takes other parameters.
        ServerUnreachable: The Prefect server does not answer.
    """
    with _client() as client:
        try:
            found = client.read_deployment_by_name(deployment)
        except (ObjectNotFound, ValueError) as error:
            raise ConfigurationError(
                f"There is no Prefect deployment {deployment!r}.",
                cure="Write flow and deployment, like 'train brain/on-demand'; `prefect deployment ls` shows them.",
            ) from error
        form = dict(found.parameters.get("parameters") or {})
        form["training"] = {**(form.get("training") or {}), **training}
        run = client.create_flow_run_from_deployment(found.id, parameters={**found.parameters, "parameters": form})
    return str(run.id)


def look_at_training(flow_run: str) -> Ordered:
    """How far a flow run is.

    Raises:
        BrainError: It is gone.
        ServerUnreachable: The Prefect server does not answer.
    """
    with _client() as client:
        try:
            run = client.read_flow_run(UUID(flow_run))
        except ObjectNotFound as error:
            raise BrainError(f"The flow run {flow_run} is gone.", cure="Start the training again.") from error
        kind = run.state.type if run.state else StateType.SCHEDULED
        if kind == StateType.COMPLETED:
            return Ordered("done", 100)
        if kind in _OVER:
            return Ordered("failed", 0, _reason(run))
        if kind != StateType.RUNNING:
            return Ordered("queued")
        return _running(client, run)


def target_of(flow_run: str) -> Target:
    """Where a flow run keeps brains: work folder and ``store_uri`` of its target; the rest is as by default.

    Raises:
        ServerUnreachable: The Prefect server does not answer.
    """
    with _client() as client:
        form = client.read_flow_run(UUID(flow_run)).parameters.get("parameters") or {}
    given = form.get("target") or {}
    return Target(**{name: given[name] for name in ("workdir", "store_uri") if given.get(name)})


def judged_by(flow_run: str) -> BrainRef | None:
    """The version that a flow run has judged: the first row of its table "evaluation". ``None`` without the table.

    Raises:
        ServerUnreachable: The Prefect server does not answer.
    """
    with _client() as client:
        table = _newest(client, UUID(flow_run), "evaluation")
    with suppress(LookupError, TypeError, ValueError):
        return BrainRef.parse(json.loads(str(table))[0]["brain"])
    return None


def _running(client: SyncPrefectClient, run: FlowRun) -> Ordered:
    this = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
    judging = TaskRunFilter(name=TaskRunFilterName(like_="judge"))
    if client.read_task_runs(flow_run_filter=this, task_run_filter=judging, limit=1):
        return Ordered("evaluating")
    percent = _newest(client, run.id, "training")
    return Ordered("training", 0 if percent is None else int(float(str(percent))))


def _newest(client: SyncPrefectClient, flow_run: UUID, key: str) -> object:
    """The content of the newest artifact of a flow run under a key, ``None`` without any."""
    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run]), key=ArtifactFilterKey(any_=[key]))
    found = client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.UPDATED_DESC, limit=1)
    return found[0].data if found else None


def _reason(run: FlowRun) -> str:
    state = run.state
    if state is not None and state.type in (StateType.CANCELLED, StateType.CANCELLING):
        return f"The flow run {run.name} was cancelled."
    return (state.message if state else "") or f"The flow run {run.name} failed; its log says why."


class _client:  # noqa: N801
    """Prefect's client; a server that is away becomes one of our errors."""

    def __enter__(self) -> SyncPrefectClient:
        self._context = get_client(sync_client=True)
        try:
            return self._context.__enter__()
        except (OSError, RuntimeError) as error:
            raise _away(error) from error

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._context.__exit__(kind, error, trace)
        if error is not None and type(error).__module__.partition(".")[0] in ("httpx", "httpcore"):
            raise _away(error) from error


def _away(error: BaseException) -> ServerUnreachable:
    return ServerUnreachable(
        f"The Prefect server does not answer ({type(error).__name__}).",
        cure="Start it with `prefect server start`, and set PREFECT_API_URL.",
    )
