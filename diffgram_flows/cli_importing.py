"""Looking before an import, and after it: ``plan``, ``apply``, ``preflight`` and ``trace``."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from diffgram_flows import parameters
from diffgram_flows.cli import Flat, Storage, Target, bucket_of, run, show_import
from diffgram_flows.cli_output import DONE, FAILED, console, errors, show
from diffgram_flows.errors import ConfigurationError

Importing = Annotated[parameters.ImportOptions, Flat]
Annotating = Annotated[parameters.AnnotationOptions, Flat]
JsonFile = Annotated[Path | None, Parameter(name="--json")]
__all__ = ["Storage", "Target", "apply", "plan", "preflight", "trace"]


def plan(
    bucket: str,
    *,
    target: Target = parameters.Target(),
    storage: Storage = parameters.StorageOptions(),
    importing: Importing = parameters.ImportOptions(),
    annotation: Annotating = parameters.AnnotationOptions(),
    brain: str = "detector",
    json_file: JsonFile = None,
) -> int:
    """Show what an import of a bucket would do, and keep it as a plan. Changes nothing.

    Parameters
    ----------
    bucket
        s3://bucket/prefix, gs://bucket/prefix or file:///folder.
    brain
        The brain whose champion makes the pre-labels.
    json_file
        Write the plan there with all its changes.
    """
    form = parameters.ImportParameters(
        target=target,
        bucket=bucket_of(bucket, storage),
        importing=importing,
        annotation=annotation,
        brain=brain,
        dry_run=True,
    )
    made = run("import_files", form)
    show("Plan", dict(made.rows()))
    if made.duplicates:
        from diffgram_flows.importing.planning import DUPLICATES_NOTE

        errors.print(DUPLICATES_NOTE, highlight=False)
    if json_file is not None:
        _write_plan(target, made, json_file)
    console.print(f"Carry it out with: diffgram-flows apply {made.id}", highlight=False, soft_wrap=True)
    return DONE


def apply(plan_id: str, *, target: Target = parameters.Target()) -> int:
    """Carry out a plan: what was shown, with the settings that it was made with.

    It is refused (exit code 5) if the ledger has moved since the plan was made, and if it was carried out before.

    Parameters
    ----------
    plan_id
        What "diffgram-flows plan" has printed.
    """
    from diffgram_flows.tasks.workspace import open_workspace

    kept = open_workspace(target).ledger.plans.find(plan_id)
    form = parameters.ImportParameters.model_validate(
        {**kept.parameters, "target": target, "dry_run": False, "plan_id": plan_id}
    )
    return show_import(run("import_files", form))


def preflight(bucket: str, *, storage: Storage = parameters.StorageOptions(), lease_hours: float = 6.0) -> int:
    """Try, before anything is imported, whether an import from a bucket can work: list, sign, and fetch one byte.

    Parameters
    ----------
    bucket
        s3://bucket/prefix, gs://bucket/prefix or file:///folder.
    lease_hours
        How long the import's URLs shall live.
    """
    from diffgram_flows.tasks.workspace import open_bucket

    with open_bucket(bucket_of(bucket, storage)) as (store, prefix):
        report = store.preflight(prefix, ttl=timedelta(hours=lease_hours))
    skipped = {f"left out: {reason}": number for reason, number in report.skipped.items()}
    facts = {"region": report.region or "none", "usable on the first page": report.listed, **skipped}
    show(f"{report.bucket}/{report.prefix}", {**facts, "fetched": report.sample or "nothing", "URLs": report.max_ttl})
    for finding in report.findings:
        errors.print(f"[bold]{finding.level}[/]: {escape(f'{finding.what} {finding.cure}')}", highlight=False)
    return DONE if report.ok else FAILED


def trace(uri: str, *, target: Target = parameters.Target(), json_file: JsonFile = None) -> int:
    """Tell the whole life of one object: its versions, their states, file, predictions and tasks.

    Parameters
    ----------
    uri
        s3://bucket/key, gs://bucket/key or file:///folder/file.
    json_file
        Write it there for machines.
    """
    from diffgram_flows.tasks.workspace import open_workspace

    versions = open_workspace(target).ledger.objects.trace(uri)
    if not versions:
        raise ConfigurationError(
            f"The ledger does not know {uri}.", cure="Check the URI and the dataset, or import the bucket first."
        )
    for version in versions:
        row = version.row
        facts: dict[str, Any] = {"state": row.state, "file": f"{row.file_name} ({row.file_id or 'no id yet'})"}
        facts |= {"note": row.reason} if row.reason else {}
        facts |= {_moment(event.at): " ".join((event.what, event.detail)).strip() for event in version.events}
        facts |= {f"boxes of {push.brain}": f"{len(push.seen)}, {push.state} {push.reason}" for push in version.pushes}
        jobs = {job.job_id: job.name for job in version.jobs}
        facts |= {f"task {task.task_id}": f"{task.status} in {jobs.get(task.job_id)}" for task in version.tasks}
        show(f"{uri} as of version {row.object.version}", facts)
    if json_file is not None:
        described = [asdict(version) for version in versions]
        json_file.write_text(json.dumps(described, indent=2, default=str, ensure_ascii=False) + "\n")
    return DONE


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")


def _write_plan(target: parameters.Target, made: Any, path: Path) -> None:
    from diffgram_flows.importing import write_plan
    from diffgram_flows.tasks.workspace import open_workspace

    problem = ""
    try:
        write_plan(open_workspace(target).ledger, made, path)
    except OSError as error:
        problem = error.strerror or type(error).__name__
    if problem:
        raise ConfigurationError(f"The plan cannot be written to {path}: {problem}.", cure="Give another file.")
