"""Tasks that let the champion look at the files that people still have to annotate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prefect import task

from diffgram_flows.brains import BrainRecord, read_predictions, write_predictions
from diffgram_flows.datasets import ImageSource
from diffgram_flows.errors import NoChampion
from diffgram_flows.models import Failure, Prediction
from diffgram_flows.parameters import Bucket, PredictParameters
from diffgram_flows.reports import failures, picture, sheet, watched
from diffgram_flows.tasks.prelabelling import check_labels, predict
from diffgram_flows.tasks.retrying import RETRYING
from diffgram_flows.tasks.workspace import Workspace, open_bucket_if_any, open_workspace

_SHOWN = 12


@dataclass(frozen=True)
class PredictSummary:
    """What the champion looked at in this run."""

    brain: str
    images: int
    boxes: int
    failures: tuple[Failure, ...]


def require_champion(workspace: Workspace, name: str) -> BrainRecord:
    """The champion.

    Raises:
        NoChampion: Nothing was promoted yet.
    """
    record = workspace.champion(name)
    if record is None:
        raise NoChampion(
            f"The brain {name!r} has no champion yet.",
            cure="Train one first: finish some tasks in Diffgram, export them and run the training.",
        )
    return record


def told_files(workspace: Workspace, record: BrainRecord) -> set[str]:
    """Names of the files whose boxes of this brain version went to the server, or whose fate is not known."""
    pushes = workspace.ledger.pushes.rows(brain=str(record.ref))
    return {push.file_name for push in pushes if push.state != "released"}


def unseen_files(workspace: Workspace, record: BrainRecord) -> dict[int, str]:
    """Files (id to name) with an open task that this brain version has neither looked at nor sent boxes for."""
    work, objects = workspace.ledger.work, workspace.ledger.objects.by_file_id()
    open_files = work.tasked_files() - work.finished_files()
    done = told_files(workspace, record) | {seen.key for seen in read_predictions(workspace.predictions(record.ref))}
    names = {file_id: objects[file_id].file_name for file_id in sorted(open_files) if file_id in objects}
    return {file_id: name for file_id, name in names.items() if name not in done}


@task(name="find what to predict", **RETRYING)
def predict_chunks(parameters: PredictParameters) -> list[tuple[int, int]]:
    """Ranges of file ids that the champion has not seen."""
    workspace = open_workspace(parameters.target)
    record = require_champion(workspace, parameters.brain)
    check_labels(record, workspace.label_names())
    ids = list(unseen_files(workspace, record))[: parameters.predicting.max_files]
    size = parameters.predicting.chunk_size
    return [(ids[i], ids[min(i + size, len(ids)) - 1]) for i in range(0, len(ids), size)]


@task(name="predict a chunk", task_run_name="predict {chunk}", **RETRYING)
def predict_chunk(parameters: PredictParameters, chunk: tuple[int, int]) -> PredictSummary:
    """Predict the unseen files of one range of ids and keep what was seen."""
    workspace = open_workspace(parameters.target)
    record = require_champion(workspace, parameters.brain)
    first, last = chunk
    unseen = unseen_files(workspace, record)
    wanted = {file_id: name for file_id, name in unseen.items() if first <= file_id <= last}
    paths, missing = _images(workspace, parameters.bucket, wanted)
    with watched("Predicting", "predicting") as progress:
        seen = []
        options = parameters.predicting
        for prediction in predict(record, paths, options.score_threshold, options.tile):
            seen.append(prediction)
            progress(len(seen), len(paths), prediction.key)
    results = workspace.predictions(record.ref) / f"{first:012}-{last:012}"
    digest, form = record.manifest.label_map.digest, options.results
    write_predictions(results, seen, brain=str(record.ref), label_map_digest=digest, form=form)
    _show(workspace, record, paths, seen)
    lost = (*missing, *(Failure(found.key, found.error) for found in seen if found.error))
    failures("prediction-failures", lost)
    return PredictSummary(str(record.ref), len(seen), sum(len(found.boxes) for found in seen), lost)


def _images(
    workspace: Workspace, bucket: Bucket | None, wanted: Mapping[int, str]
) -> tuple[dict[str, Path], tuple[Failure, ...]]:
    """Image files by file name: from the bucket if one is given, else from Diffgram."""
    with open_bucket_if_any(bucket) as store:
        source = ImageSource(workspace.images, workspace.client, workspace.ledger.objects.by_file_id(), store)
        images, missing = source.fetch_many(wanted)
    return {wanted[file_id]: image.path for file_id, image in images.items()}, missing


def _show(workspace: Workspace, record: BrainRecord, paths: dict[str, Path], seen: list[Prediction]) -> None:
    shown = [(paths[found.key], found.boxes) for found in seen if not found.error][:_SHOWN]
    if shown:
        out = workspace.workdir / "reports" / f"{record.ref}-predictions.jpg"
        drawn = sheet(shown, record.manifest.label_map, out)
        picture("predictions", drawn, f"What {record.ref} sees in images that nobody annotated yet")
