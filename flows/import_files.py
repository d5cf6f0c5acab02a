"""Bring new objects of a bucket into Diffgram, exactly once, and give them to people."""

from __future__ import annotations

from prefect import flow

from diffgram_flows.parameters import ImportParameters
from diffgram_flows.tasks import importing
from diffgram_flows.tasks.workspace import open_workspace


@flow(name="import files")
def import_files(parameters: ImportParameters) -> importing.ImportSummary:
    """List a bucket, import what is new, follow every file to its end, and open tasks for what was imported.

    Args:
        parameters: Which bucket, which dataset, and how.
    """
    importing.check_access(parameters.target, parameters.bucket)
    with open_workspace(parameters.target).ledger.locks.hold("import"):
        scanned = importing.scan_bucket(parameters)
        for chunk in importing.chunks_to_do(parameters):
            importing.import_chunk(parameters, chunk)
        importing.open_tasks(parameters)
        return importing.summarise(parameters, scanned)
