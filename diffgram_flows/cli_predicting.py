"""Predicting what is in a bucket or a folder from a terminal, without a Diffgram."""

from __future__ import annotations

from pathlib import Path

from diffgram_flows import parameters
from diffgram_flows.brains import Brain, predict_objects
from diffgram_flows.cli_output import keep_failures, show
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import BrainRef
from diffgram_flows.reports import shown_in_terminal, watched
from diffgram_flows.tasks.workspace import open_bucket, open_places

FAILURES = "failures.json"


def predict_bucket(
    bucket: parameters.Bucket | None,
    target: parameters.Target,
    predicting: parameters.PredictOptions,
    name: str,
    out: Path,
) -> int:
    """Let one brain look at a bucket or folder, and show what came of it; the exit code."""
    if bucket is None:
        raise ConfigurationError(
            "--out was given without a bucket.", cure="Name one: s3://bucket/prefix, file:///folder."
        )
    registry, _ = open_places(target)
    record = registry.get(_version(name)) if "@" in name else registry.champion(name)
    if record is None:
        raise ConfigurationError(
            f"The brain {name!r} has no champion in {target.store_uri or target.workdir}.",
            cure="Name another brain, or a version of it: cars@3.",
        )
    with open_bucket(bucket) as (store, prefix), shown_in_terminal(), watched("Predicting", "predicting") as progress:
        done = predict_objects(
            [Brain.load(record)],
            store,
            prefix,
            out,
            chunk_size=predicting.chunk_size,
            form=predicting.results,
            score_threshold=predicting.score_threshold,
            tile=predicting.tile,
            max_files=predicting.max_files,
            progress=progress,
        )
    facts = {"brain": record.ref, "images": done.images, "boxes": done.boxes, "known": done.known}
    skipped = {f"left out: {reason}": number for reason, number in done.skipped.most_common()}
    more = {"waiting": "more are waiting; the same command goes on"} if done.more else {}
    show("Predicted", {**facts, "failed": len(done.failures), **skipped, **more})
    return keep_failures(done.failures, out / FAILURES)


def _version(name: str) -> BrainRef:
    try:
        return BrainRef.parse(name)
    except ValueError as error:
        raise ConfigurationError(f"{error}.", cure="Name a version like cars@3.") from error
