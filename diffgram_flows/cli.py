"""The same use cases from a terminal.

Exit codes: 0 done; 1 it failed, and the message says why; 2 the command line or a setting is wrong; 3 a server or a
bucket could not be reached, so try again later; 4 it is done, but some objects could not be dealt with and are listed;
5 the plan is outdated: the ledger has moved since it was made, so make a new one; 130 stopped by Ctrl+C.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from pydantic import ValidationError

from diffgram_flows import __version__, parameters
from diffgram_flows.cli_messages import refused_values, wrong_command_line
from diffgram_flows.cli_output import DONE, STOPPED, console, errors, explain, explain_unexpected, show, show_failures
from diffgram_flows.errors import ConfigurationError, DiffgramFlowsError

app = App(
    name="diffgram-flows",
    version=__version__,
    help="Turn a self-hosted Diffgram into an import - train - update cycle.",
    help_epilogue=__doc__.split("\n\n", 1)[1],
    error_formatter=wrong_command_line,
    suppress_keyboard_interrupt=False,  # main says how it goes on
)
app.command(  # imported when it is asked for
    "diffgram_flows.cli_sandbox:app",
    name="sandbox",
    help="A stand-in for Diffgram on this machine, with a web page to look into it.",
)
app.command(
    "diffgram_flows.cli_snapshot:app",
    name="snapshot",
    help="Which snapshots there are, what is in them, and what became different.",
)
app.command(
    "diffgram_flows.cli_brain:app",
    name="brain",
    help="Look at trained brains, and decide which one is in use.",
)
for _name, _help in {
    "plan": "Show what an import of a bucket would do, and keep it as a plan. Changes nothing.",
    "apply": "Carry out a plan, unless the ledger has moved since it was made.",
    "trace": "Tell the whole life of one object.",
    "preflight": "Try, before anything is imported, whether an import from a bucket can work.",
}.items():
    app.command(f"diffgram_flows.cli_importing:{_name}", name=_name, help=_help)
app.command(
    "diffgram_flows.cli_annotations:import_annotations",
    name="import-annotations",
    help="Bring annotations of COCO, YOLO or Pascal VOC onto their images.",
)
_PREFECT = {
    # A terminal has bars; the log is in the UI: Prefect prints less of it, and keeps all.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": os.environ.get("PREFECT_LOGGING_LEVEL", "WARNING"),
    # A command has a server of its own when there is no other. It tells nobody; its first start can take over 20 s.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
}
Flat = Parameter(name="*")
Target = Annotated[parameters.Target, Flat]
Storage = Annotated[parameters.StorageOptions, Flat]


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; the console script's entry."""
    for name, value in _PREFECT.items():
        os.environ.setdefault(name, value)
    try:
        result = app(tokens, result_action="return_value", exit_on_error=False, print_error=True)
    except ValidationError as error:
        return explain(ConfigurationError(refused_values(error), cure="See --help."))
    except DiffgramFlowsError as error:
        return explain(error)
    except KeyboardInterrupt:
        errors.print("Stopped. The next run goes on from here.")
        return STOPPED
    except Exception as error:
        return explain_unexpected(error)
    return result if isinstance(result, int) else DONE


@app.command(name="import")
def import_(
    bucket: str,
    *,
    target: Target = parameters.Target(),
    storage: Storage = parameters.StorageOptions(),
    importing: Annotated[parameters.ImportOptions, Flat] = parameters.ImportOptions(),
    annotation: Annotated[parameters.AnnotationOptions, Flat] = parameters.AnnotationOptions(),
    brain: str = "detector",
) -> int:
    """Bring new objects of a bucket into Diffgram, exactly once, and give them to people.

    Running it again imports what came since, and nothing twice: diffgram-flows import s3://photos/2026 --dataset photos

    Parameters
    ----------
    bucket
        s3://bucket/prefix, gs://bucket/prefix or file:///folder.
    brain
        The brain whose champion makes the pre-labels.
    """
    form = parameters.ImportParameters(
        target=target, bucket=bucket_of(bucket, storage), importing=importing, annotation=annotation, brain=brain
    )
    return show_import(run("import_files", form))


@app.command
def export(
    bucket: str = "",
    *,
    target: Target = parameters.Target(),
    storage: Storage = parameters.StorageOptions(),
    exporting: Annotated[parameters.ExportOptions, Flat] = parameters.ExportOptions(),
    format_: Annotated[str, Parameter(name="--format")] = "",
    out: Path | None = None,
    snapshot: str = "",
    images: Literal["copy", "link", "none"] | None = None,
    shards: int = 4,
    masks: bool = False,
) -> int:
    """Turn what people finished into an immutable snapshot; with --format, write one in the format of another tool.

    Parameters
    ----------
    bucket
        Where the images are fetched from; without it they come from Diffgram.
    format_
        coco, jsonl, label-studio, tfrecord, voc, yolo or yolo-seg.
    out
        A new folder for it.
    snapshot
        The id of the snapshot that is written, or its beginning; by default the newest.
    images
        Copy or hard-link them beside the annotations, or not; by default as the format wants it.
    shards
        Files of a split, for tfrecord.
    masks
        Masks of all objects, for tfrecord.
    """
    if format_:
        from diffgram_flows.cli_annotations import write_snapshot
        from diffgram_flows.datasets.formats import WriteOptions

        return write_snapshot(target, format_, out, snapshot, WriteOptions(images, shards, masks))
    form = parameters.ExportParameters(
        target=target, bucket=bucket_of(bucket, storage) if bucket else None, exporting=exporting
    )
    report = run("export_annotations", form)
    splits = {name: f"{counts.images} images" for name, counts in report.splits.items()}
    from diffgram_flows.reports import quality_path

    quality = quality_path(target.workdir.expanduser().resolve(), report.snapshot_id)
    facts = {"id": report.snapshot_id, "images": report.images, "boxes": report.boxes, **splits}
    alone = {"without a group": f"{report.ungrouped} images"} if report.ungrouped else {}
    show("Snapshot", {**facts, **alone, "quality": quality})
    manifest = target.workdir / "snapshots" / report.snapshot_id / "manifest.json"
    return show_failures(report.failures, kept_in=str(manifest))


@app.command
def train(
    *,
    target: Target = parameters.Target(),
    training: Annotated[parameters.TrainOptions, Flat] = parameters.TrainOptions(),
) -> int:
    """Train a brain on the newest snapshot, judge it against the champion, promote it if it is better."""
    from diffgram_flows.tasks.workspace import open_places

    verdict = run("train_brain", parameters.TrainParameters(target=target, training=training))
    made = open_places(target)[0].manifest(verdict.candidate)
    taken = made.history[-1].step if made.history else made.options.steps  # patience may have ended it early
    begun = {"training": f"{taken} steps from {made.parent or 'scratch'}"}
    scores = {name: f"{value:.3f}" for name, value in verdict.candidate_evaluation.scores.items()}
    against = {f"against {verdict.champion}": str(verdict.interval)} if verdict.interval else {}
    report = {"report": verdict.report.page} if verdict.report else {}
    words = " ".join([*verdict.reasons, *verdict.remarks])
    outcome = "promoted" if verdict.promoted else "not promoted"
    show(str(verdict.candidate), {**begun, **scores, **against, **report, outcome: words})
    return DONE


@app.command
def predict(
    bucket: str = "",
    *,
    target: Target = parameters.Target(),
    storage: Storage = parameters.StorageOptions(),
    predicting: Annotated[parameters.PredictOptions, Flat] = parameters.PredictOptions(),
    brain: str = "detector",
    out: Path | None = None,
) -> int:
    """Let the champion look at the files that people still have to annotate, or at any images in a bucket or folder.

    Without a Diffgram, and going on where it was: diffgram-flows predict s3://photos/2026 --out results

    Parameters
    ----------
    bucket
        Where the images are fetched from; without it they come from Diffgram.
    brain
        Name of the brain, with --out also one version of it: cars@3.
    out
        Look at the images below the bucket's prefix (told by their suffix), at most --max-files in one run; the same
        command goes on. Ask no Diffgram, and write what was seen into this folder: docs/predictions.md.
    """
    where = bucket_of(bucket, storage) if bucket else None
    if out is not None:
        from diffgram_flows.cli_predicting import predict_bucket

        return predict_bucket(where, target, predicting, brain, out)
    form = parameters.PredictParameters(target=target, bucket=where, predicting=predicting, brain=brain)
    chunks = run("predict_batch", form)
    show("Predicted", {"images": sum(c.images for c in chunks), "boxes": sum(c.boxes for c in chunks)})
    return show_failures([failure for chunk in chunks for failure in chunk.failures])


@app.command
def update(*, target: Target = parameters.Target(), brain: str = "detector") -> int:
    """Send the predictions to Diffgram as pre-labels, once for each file and brain version.

    Parameters
    ----------
    brain
        Name of the brain.
    """
    summary = run("update_annotations", parameters.UpdateParameters(target=target, brain=brain))
    show(summary.brain, {name: getattr(summary, name) for name in ("confirmed", "empty", "skipped", "waiting")})
    return show_failures(summary.failures)


@app.command
def cycle(
    bucket: str,
    *,
    target: Target = parameters.Target(),
    storage: Storage = parameters.StorageOptions(),
    importing: Annotated[parameters.ImportOptions, Flat] = parameters.ImportOptions(),
    annotation: Annotated[parameters.AnnotationOptions, Flat] = parameters.AnnotationOptions(),
    exporting: Annotated[parameters.ExportOptions, Parameter(name="export")] = parameters.ExportOptions(),
    training: Annotated[parameters.TrainOptions, Flat] = parameters.TrainOptions(),
    predicting: Annotated[parameters.PredictOptions, Parameter(name="predict")] = parameters.PredictOptions(),
) -> int:
    """Do whatever is due, then end and say what is being waited for.

    Parameters
    ----------
    bucket
        s3://bucket/prefix, gs://bucket/prefix or file:///folder.
    """
    form = parameters.CycleParameters(
        target=target,
        bucket=bucket_of(bucket, storage),
        importing=importing,
        annotation=annotation,
        exporting=exporting,
        training=training,
        predicting=predicting,
    )
    summary = run("cycle", form)
    waiting = "\n".join(summary.waiting_for)
    show("Cycle", {"did": ", ".join(summary.did), "waits for": waiting, "champion": summary.champion or "none yet"})
    return DONE


@app.command
def status(*, target: Target = parameters.Target(), brain: str = "detector") -> int:
    """Show what was imported, what people finished, and which brain is in use. Changes nothing.

    Parameters
    ----------
    brain
        Name of the brain.
    """
    from diffgram_flows.tasks.exporting import work_state
    from diffgram_flows.tasks.workspace import open_workspace

    workspace = open_workspace(target)
    work, champion = work_state(workspace.ledger), workspace.champion(brain)
    show("Objects", workspace.ledger.objects.counts())
    show("Files", {"finished": work.finished, "open": work.open, "in the newest snapshot": work.exported})
    show("Brain", {"champion": str(champion.ref) if champion else "none yet"})
    return show_failures(workspace.ledger.objects.failures())


@app.command
def demo(
    *,
    workdir: Path = Path("demo-run"),
    images: Path | None = None,
    truth: Path | None = None,
    rounds: int = 2,
    image_size: int = 160,
    ui: bool = False,
) -> int:
    """Run the whole cycle on this machine, with a Diffgram, a bucket and an annotator of its own.

    Killed at any moment, the same command goes on from there.

    Parameters
    ----------
    workdir
        Everything lies in this folder; the report is report/index.html in it.
    images
        Folder with your own images instead of the demo's digits.
    truth
        COCO file with the boxes that the annotator draws in them.
    rounds
        How often people annotate and a brain is trained.
    image_size
        Side of the network's input in pixels, a multiple of 32.
    ui
        Keep the Prefect UI up at the end, and print its address.
    """
    from diffgram_flows.demo import DemoOptions, run_demo

    return run_demo(DemoOptions(workdir, images, truth, rounds, image_size, ui), console)


def show_import(summary: Any) -> int:
    """What an import did."""
    facts = {name: getattr(summary, name) for name in ("listed", "new", "imported", "waiting")}
    archived = {"archived": summary.archived} if summary.archived else {}
    show("Import", {**facts, **archived})
    return show_failures(summary.failures)


def bucket_of(uri: str, storage: parameters.StorageOptions) -> parameters.Bucket:
    """The form of a bucket."""
    return parameters.Bucket(uri=uri, **storage.model_dump())


def run(name: str, form: Any) -> Any:
    """Run a flow in this process, with bars."""
    from diffgram_flows.reports import own_errors_told_once, shown_in_terminal, start_own_prefect

    flow: Callable[[Any], Any] = getattr(importlib.import_module(f"flows.{name}"), name)
    with own_errors_told_once(), shown_in_terminal():
        start_own_prefect()
        return flow(form)


if __name__ == "__main__":
    sys.exit(main())
