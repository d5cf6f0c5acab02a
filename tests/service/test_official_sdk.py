"""The brain folder of the official SDK 0.15.0 against the service: its own code, its own requests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from servers.brain_service import serving
from service.conftest import Client

from diffgram_flows import Project
from diffgram_flows.brains import Brain, BrainRecord, Registry
from diffgram_flows.models import Picture
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.service import ServiceSettings

# Makes the SDK's objects without __init__: that imports scipy.misc and cv2, and asks Diffgram for this and that.
DRIVER = r"""
import json, sys
import requests
from diffgram.core.core import Project
from diffgram.brain.brain import Brain

host, project, client_id, secret, path, file_id, model_path, url = sys.argv[1:]
client = Project.__new__(Project)
client.session = requests.Session()
client.host = host
client.auth(project, client_id, secret)
client.name_to_file_id = {"red": 70, "blue": 40}

def brain(name):
    made = Brain.__new__(Brain)
    made.client, made.name, made.local = client, name, False
    made.use_temp_storage, made.local_model_storage_path = False, model_path
    return made

def told(ask):
    try:
        seen = ask()
        return {
            "id": seen.id, "status": seen.status,
            "instances": [[one.location, one.score, one.label] for one in seen.instance_list],
        }
    except Exception as error:
        return {"error": str(error)}

one = brain("detector")
one.check_status()
one.get_checkpoint_and_label_map()
print(json.dumps({
    "status": one.status,
    "id": one.id,
    "names": one.model_id_to_name,
    "local": told(lambda: one.predict_from_local(path)),
    "file": told(lambda: one.predict_from_file(int(file_id))),
    "url": told(lambda: one.predict_from_url(url)),
    "private": told(lambda: one.predict_from_url("http://127.0.0.1/x.png")),
    "nobody": told(lambda: brain("nobody").predict_from_local(path)),
    "text": told(lambda: one.predict_from_local(__file__ if "__file__" in globals() else "/etc/hostname")),
}))
"""


@pytest.fixture(scope="module")
def official(
    registry: Registry,
    settings: ServiceSettings,
    sandbox: SandboxProcess,
    picture: bytes,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[dict[str, Any], Path]]:
    """What the SDK made of the service's answers, and the graph that it has downloaded."""
    folder = tmp_path_factory.mktemp("official")
    path, model = folder / "known.png", folder / "model.pb"
    path.write_bytes(picture)
    keys = (sandbox.url, sandbox.project, sandbox.client_id, sandbox.client_secret)
    with Project(*keys, workdir=folder / "work", packets_per_second=0) as project:
        file = project.file.from_local(path)
        signed = project.client.signed_url(file.id)
    with serving(registry, replace(settings, allow_private=True)) as url:
        arguments = [url, *keys[1:], str(path), str(file.id), str(model), signed]
        command = [sys.executable, "-I", "-c", DRIVER, *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, ran.stderr
        yield json.loads(ran.stdout.splitlines()[-1]), model


def test_the_sdk_predicts(official: tuple[dict[str, Any], Path], learned: BrainRecord, picture: bytes) -> None:
    told, _ = official
    (seen,) = Brain.load(learned).predict([Picture("x", picture)])
    wanted = [
        [[box.y_min / 96, box.x_min / 96, box.y_max / 96, box.x_max / 96], box.score, box.label_file_id]
        for box in seen.boxes
    ]
    assert wanted
    for way in ("local", "file", "url"):
        assert told[way]["status"] == "complete"
        for found, expected in zip(told[way]["instances"], wanted, strict=True):
            assert found[0] == pytest.approx(expected[0])
            assert found[1:] == pytest.approx(expected[1:], rel=1e-3)
    assert told["local"]["id"] != told["file"]["id"]
    assert (told["status"], told["id"]) == ("ready", 1)
    assert "cannot be fetched" in told["private"]["error"]
    assert "There is detector" in told["nobody"]["error"]
    assert "is not an image" in told["text"]["error"]


def test_the_sdk_gets_a_graph_that_sees_the_same(
    official: tuple[dict[str, Any], Path], learned: BrainRecord, picture: bytes
) -> None:
    import tensorflow as tf

    told, model = official
    assert told["names"] == {"1": {"name": "red"}, "2": {"name": "blue"}}
    definition = tf.compat.v1.GraphDef()
    definition.ParseFromString(model.read_bytes())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        outputs = [
            f"{name}:0" for name in ("detection_boxes", "detection_scores", "detection_classes", "num_detections")
        ]
        with tf.compat.v1.Session(graph=graph) as session:  # as the SDK's own half does it
            found = session.run(outputs, {"encoded_image_string_tensor:0": np.array([picture, picture])})
    boxes, scores, classes, counts = found
    (seen,) = Brain.load(learned).predict([Picture("x", picture)], score_threshold=0.01)
    best = seen.boxes[0]
    assert scores[0][0] == pytest.approx(best.score, rel=1e-3)
    assert np.rint(boxes[1][0] * 96).astype(int).clip(0, 96).tolist() == [
        best.y_min,
        best.x_min,
        best.y_max,
        best.x_max,
    ]
    assert learned.manifest.label_map.labels[int(classes[0][0]) - 1][0] == best.label_file_id
    assert counts.shape == (2,)


def test_links_to_graphs_are_not_forged(client: Client, sandbox: SandboxProcess) -> None:
    info = client.post(f"/api/walrus/project/{sandbox.project}/brain/local_info", json={"ai_name": "detector"})
    url = info.json()["ai"]["url_model"]
    assert requests.get(url, timeout=10).status_code == 200
    for forged in (
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url.replace("expires=", "expires=9"),
        url.replace("detector", "other"),
        url.partition("?")[0],
    ):
        assert requests.get(forged, timeout=10).status_code == 403
