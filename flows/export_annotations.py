"""Turn finished annotations into a snapshot."""

from __future__ import annotations

from prefect import flow

from diffgram_flows.datasets import SnapshotReport
from diffgram_flows.parameters import ExportParameters
from diffgram_flows.tasks import exporting


@flow(name="export annotations")
def export_annotations(parameters: ExportParameters) -> SnapshotReport:
    """Export what people finished, completely or not at all, as an immutable snapshot.

    Args:
        parameters: Which dataset, and how it is split.
    """
    exporting.refresh_work(parameters.target)
    return exporting.export_snapshot(parameters)
