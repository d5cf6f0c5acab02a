"""A copy of what the registry knows in MLflow, for those who look at their trainings there.

One run a version, found again by its tag: parameters, metrics, tags and the manifest as an artifact. MLflow is never
asked for anything: what it lacks, or that it does not answer, is a warning and stops no training. So that it holds up
none either, a request is repeated once and waits for 10 seconds, unless the environment says otherwise.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diffgram_flows.brains.records import Manifest
from diffgram_flows.models import BrainRef

log = logging.getLogger(__name__)

TRACKING_URI = "MLFLOW_TRACKING_URI"
"""Name in the environment, as MLflow itself reads it; without it nothing is mirrored."""

_BRAIN = "diffgram_flows.brain"
# MLflow's own are 7 repetitions of 120 seconds, or of what a server asks for: more than four minutes where nothing
# listens. It reads them at each request.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}
_PASSWORD = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_LONGEST = 500  # characters of a reason
_one_at_a_time = threading.Lock()


def mirror(ref: BrainRef, manifest: Manifest, *, champion: bool = False, tracking_uri: str = "") -> bool:
    """Write a version into MLflow, or that it has become the champion; writing it again changes nothing.

    Args:
        ref: Which version; the brain's name becomes the experiment.
        manifest: What is known about it.
        champion: Whether it was promoted.
        tracking_uri: Of the tracking store, by default ``MLFLOW_TRACKING_URI``; empty mirrors nothing.

    Returns:
        Whether it was written.
    """
    uri = tracking_uri or os.environ.get(TRACKING_URI, "")
    if not uri:
        return False
    try:
        with _little_patience():
            _write(uri, ref, manifest, champion=champion)
    except ImportError:
        log.warning("%s is not in MLflow: the package is missing. pip install 'diffgram-flows[mlflow]'", ref)
        return False
    except Exception as error:  # whatever MLflow raises, the brain is in the registry
        log.warning("%s is not in MLflow: %s. Check %s and its server.", ref, _reason(error), TRACKING_URI)
        return False
    return True


@contextmanager
def _little_patience() -> Iterator[None]:
    """MLflow's limits of a request as they are here, where the user has set none; undone afterwards."""
    with _one_at_a_time:
        mine = {name: value for name, value in _PATIENCE.items() if name not in os.environ}
        os.environ.update(mine)
        try:
            yield
        finally:
            for name in mine:
                os.environ.pop(name, None)


def _reason(error: Exception) -> str:
    """The error's kind and its first line, without the password of an address."""
    line = next(iter(str(error).strip().splitlines()), "")
    told = f"{type(error).__name__}: {line}" if line else type(error).__name__
    return _PASSWORD.sub("***", told)[:_LONGEST].rstrip(".: ")


def _write(uri: str, ref: BrainRef, manifest: Manifest, *, champion: bool) -> None:
    client: Any = importlib.import_module("mlflow.tracking").MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(ref.name)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(ref.name)
    found = client.search_runs([experiment_id], f"tags.`{_BRAIN}` = '{ref}'", max_results=1)
    if found:
        run_id = found[0].info.run_id
    else:
        started = int(manifest.created.timestamp() * 1000)
        run_id = client.create_run(experiment_id, started, {_BRAIN: str(ref)}, run_name=str(ref)).info.run_id
        for name, value in manifest.options.to_json().items():
            client.log_param(run_id, name, value)
        for name, score in _metrics(manifest):
            client.log_metric(run_id, name, score)
        client.log_dict(run_id, manifest.to_json(), "manifest.json")
        client.set_terminated(run_id)
    for name, text in _tags(manifest).items():
        client.set_tag(run_id, name, text)
    if champion:
        client.set_tag(run_id, "diffgram_flows.promoted", "true")


def _metrics(manifest: Manifest) -> Iterator[tuple[str, float]]:
    for split, found in manifest.metrics.items():
        for name, score in found.scores.items():
            yield f"{split}_{name}", score
    yield "score_threshold", manifest.score_threshold


def _tags(manifest: Manifest) -> dict[str, Any]:
    known = {
        "method": manifest.method,
        "snapshot": manifest.snapshot_id,
        "label_map": manifest.label_map.digest,
        "parent": manifest.parent or "",
        **{f"version.{name}": version for name, version in manifest.versions.items()},
    }
    return {f"diffgram_flows.{name}": text for name, text in known.items()}
