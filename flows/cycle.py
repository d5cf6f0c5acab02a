"""Do whatever is due, then end: the next schedule, event or click goes on from there."""

from __future__ import annotations

from prefect import flow

from diffgram_flows.errors import Busy
from diffgram_flows.parameters import (
    CycleParameters,
    ExportParameters,
    ImportParameters,
    PredictParameters,
    TrainParameters,
    UpdateParameters,
)
from diffgram_flows.tasks import cycling, exporting, importing
from diffgram_flows.tasks.workspace import open_workspace
from flows.export_annotations import export_annotations
from flows.import_files import import_files
from flows.predict_batch import predict_batch
from flows.train_brain import train_brain
from flows.update_annotations import update_annotations


@flow(name="cycle")
def cycle(parameters: CycleParameters) -> cycling.CycleSummary:
    """Import what is new, export what was finished, train on what grew, pre-label what the champion has not seen.

    Nothing waits for people: what is not due is left to a later run, and a second run at the same time does nothing.

    Args:
        parameters: Which bucket, which dataset, and when a step is due.
    """
    importing.check_access(parameters.target, parameters.bucket)
    try:
        with open_workspace(parameters.target).ledger.locks.hold("cycle"):
            return _turn(parameters)
    except Busy as busy:
        return cycling.CycleSummary(did=(), waiting_for=(str(busy),))


def _turn(p: CycleParameters) -> cycling.CycleSummary:
    did, brain = ["import"], p.training.brain
    import_files(
        ImportParameters(target=p.target, bucket=p.bucket, importing=p.importing, annotation=p.annotation, brain=brain)
    )
    work = exporting.refresh_work(p.target, p.annotation.job_id)
    if cycling.export_is_due(work, p.exporting):
        export_annotations(ExportParameters(target=p.target, bucket=p.bucket, exporting=p.exporting))
        did.append("export")
    if cycling.training_is_due(p):
        train_brain(TrainParameters(target=p.target, bucket=p.bucket, training=p.training))
        did.append("train")
    if cycling.prediction_is_due(p):
        predict_batch(PredictParameters(target=p.target, bucket=p.bucket, predicting=p.predicting, brain=brain))
        did.append("predict")
    if cycling.update_is_due(p):
        update_annotations(UpdateParameters(target=p.target, brain=brain))
        did.append("update")
    return cycling.summarise(p, did)
