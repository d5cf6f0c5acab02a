"""Bring new objects of a bucket into Diffgram, exactly once, and give them to people."""

from __future__ import annotations

from prefect import flow

from diffgram_flows.parameters import ImportParameters
from diffgram_flows.tasks import importing


@flow(name="import files")
def import_files(parameters: ImportParameters) -> importing.ImportSummary | importing.ImportPlan:
    """List a bucket, import what is new, follow every file to its end, and open tasks for what was imported.

    Any number of these may run at the same time on one ledger: one lists, all import, each object once.

    Args:
        parameters: Which bucket, which dataset, and how; or, with ``dry_run``, what to make a plan of.
    """
    importing.check_access(parameters.target, parameters.bucket)
    if parameters.dry_run:
        return importing.plan_bucket(parameters)
    taken = importing.scan_bucket(parameters)
    with importing.worker_of(parameters) as worker:
        for number in importing.chunks_to_do(worker, parameters):
            importing.import_chunk(worker, parameters, number)
    importing.open_tasks(parameters)
    return importing.summarise(parameters, taken)
