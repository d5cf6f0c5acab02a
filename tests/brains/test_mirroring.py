"""The copy in MLflow: there when it is wanted, and in nobody's way when it fails."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from diffgram_flows.brains import DetectionEvaluation, Manifest, TrainingOptions
from diffgram_flows.brains.mirroring import TRACKING_URI, mirror
from diffgram_flows.models import BrainRef, LabelMap

REF = BrainRef("digits", 3)


@pytest.fixture
def manifest() -> Manifest:
    found = DetectionEvaluation.from_json(
        {"map": 0.25, "map50": 0.5, "per_class": {}, "precision_recall": [], "images": 3, "boxes": 4}
    )
    made = datetime(2026, 1, 2, tzinfo=UTC)
    labels, options = LabelMap(((70, "red"),)), TrainingOptions(steps=5)
    files, versions = {"a.bin": "0" * 64}, {"keras": "3"}
    return Manifest(
        "object_detection", made, "snapshot", labels, options, "digits@2", {"val": found}, 0.4, (), (), files, versions
    )


def test_nothing_is_mirrored_unless_it_is_asked_for(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TRACKING_URI, raising=False)
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    assert not mirror(REF, manifest)


def test_a_missing_package_is_a_warning(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(TRACKING_URI, "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with caplog.at_level(logging.WARNING):
        assert not mirror(REF, manifest)
    assert "pip install 'diffgram-flows[mlflow]'" in caplog.text


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return importlib.import_module("mlflow.tracking")


@pytest.mark.filterwarnings("ignore")
def test_a_version_is_one_run_with_all_that_is_known(manifest: Manifest, mlflow: Any, tmp_path: Path) -> None:
    uri = (tmp_path / "mlruns").as_uri()
    assert mirror(REF, manifest, tracking_uri=uri)
    assert mirror(REF, manifest, tracking_uri=uri, champion=True)
    client = mlflow.MlflowClient(tracking_uri=uri)
    (run,) = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    assert run.data.params["steps"] == "5"
    assert run.data.metrics["val_mAP50"] == 0.5
    tags = {name: text for name, text in run.data.tags.items() if name.startswith("diffgram_flows.")}
    assert tags["diffgram_flows.brain"] == "digits@3"
    assert tags["diffgram_flows.snapshot"] == "snapshot"
    assert tags["diffgram_flows.promoted"] == "true"
    kept = client.download_artifacts(run.info.run_id, "manifest.json", str(tmp_path))
    assert json.loads(Path(kept).read_text())["files"] == {"a.bin": "0" * 64}


@pytest.mark.filterwarnings("ignore")
def test_a_server_that_does_not_answer_is_a_warning_within_seconds(
    manifest: Manifest, mlflow: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    before, start = dict(os.environ), time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert not mirror(REF, manifest, tracking_uri="http://bob:secret@127.0.0.1:9")
    assert time.monotonic() - start < 8
    assert dict(os.environ) == before
    (told,) = (record.getMessage() for record in caplog.records if record.name.endswith("mirroring"))
    assert told.startswith("digits@3 is not in MLflow: MlflowException: API request to http://***@127.0.0.1:9/")
    assert "Connection refused" in told
    assert "secret" not in told


def test_limits_that_the_user_has_set_are_kept(
    manifest: Manifest, mlflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, str]] = []

    def connect(**_: object) -> None:
        seen.append({name: text for name, text in os.environ.items() if name.startswith("MLFLOW_HTTP_REQUEST")})
        raise OSError

    monkeypatch.setattr(mlflow, "MlflowClient", connect)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    assert not mirror(REF, manifest, tracking_uri="http://127.0.0.1:9")
    assert seen == [{"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}]
