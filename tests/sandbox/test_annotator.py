"""The annotator against a real sandbox, and the truth that it works from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from diffgram_flows.errors import AuthenticationError, ConfigurationError, ServerUnreachable
from diffgram_flows.sandbox import Annotator, CocoTruth, SandboxProcess, TrueBox

Json = dict[str, Any]
GOOD = TrueBox("car", 10, 20, 110, 120)
SHIFTED = TrueBox("car", 140, 120, 240, 220)
PERSON = TrueBox("person", 200, 20, 300, 80)
DOCUMENT: Json = {
    "images": [{"id": 7, "file_name": "set/cat.jpg", "width": 320, "height": 240}],
    "categories": [{"id": 3, "name": "car"}],
    "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [10.4, 20.4, 100.2, 99.9]}],
}


def annotator(sandbox: SandboxProcess, truth: Callable[[str], list[TrueBox] | None], **more: Any) -> Annotator:
    return Annotator(sandbox.url, sandbox.email, sandbox.password, truth, **more)


def places(instances: list[Json]) -> list[tuple[str, int, int, int, int]]:
    corners = ("x_min", "y_min", "x_max", "y_max")
    return sorted((each["label_file"]["label"]["name"], *(each[key] for key in corners)) for each in instances)


def test_prelabels_are_kept_corrected_deleted_and_completed(
    sandbox: SandboxProcess,
    imported: Callable[..., Json],
    stored: Callable[[int], list[Json]],
    job_of: Callable[..., int],
    tasks_of: Callable[[int], list[Json]],
    box: Callable[..., Json],
    dataset: int,
) -> None:
    marks = {"machine_made": True, "model_ref": "m", "model_run_ref": "r", "score": 0.9}
    sent = [box(12, 22, **marks), box(120, 110, **marks), box(5, 130, **marks)]
    file_id = imported("/img/x.jpg", original_filename="x-0123456789.jpg", instance_list=sent)["file_id"]
    before = stored(file_id)
    job_id = job_of(dataset, 1)

    tally = annotator(sandbox, lambda name: [GOOD, SHIFTED, PERSON]).annotate(job_id)

    assert (tally.images, tally.prelabels, tally.skipped) == (1, 3, 0)
    assert (tally.kept, tally.corrected, tally.deleted, tally.drawn) == (1, 1, 1, 1)
    after = stored(file_id)
    assert places(after) == [
        ("car", 12, 22, 112, 122),
        ("car", 140, 120, 240, 220),
        ("person", 200, 20, 300, 80),
    ]
    kept = next(each for each in after if each["x_min"] == 12)
    assert (kept["id"], kept["machine_made"]) == (before[0]["id"], True)
    assert {each["member_created_id"] for each in after if each is not kept} == {1}
    assert not any(each["machine_made"] for each in after if each is not kept)
    assert [task["status"] for task in tasks_of(job_id)] == ["complete"]
    assert annotator(sandbox, lambda name: [GOOD]).annotate(job_id).images == 0


def test_a_wrong_label_is_corrected(
    sandbox: SandboxProcess,
    imported: Callable[..., Json],
    stored: Callable[[int], list[Json]],
    job_of: Callable[..., int],
    box: Callable[..., Json],
    labels: Json,
    dataset: int,
) -> None:
    wrong = box(machine_made=True, label_file_id=labels["person"])
    file_id = imported("/img/w.jpg", instance_list=[wrong])["file_id"]
    tally = annotator(sandbox, lambda name: [GOOD]).annotate(job_of(dataset, 1))
    assert (tally.corrected, tally.drawn) == (1, 0)
    assert places(stored(file_id)) == [("car", 10, 20, 110, 120)]


def test_an_empty_image_is_completed_and_an_unknown_one_is_not(
    sandbox: SandboxProcess,
    imported: Callable[..., Json],
    job_of: Callable[..., int],
    tasks_of: Callable[[int], list[Json]],
    dataset: int,
) -> None:
    imported("/img/empty.jpg")
    imported("/img/unknown.jpg")
    job_id = job_of(dataset, 2)
    tally = annotator(sandbox, {"empty.jpg": list[TrueBox]()}.get).annotate(job_id)
    assert (tally.images, tally.skipped) == (1, 1)
    assert [task["status"] for task in tasks_of(job_id)] == ["complete", "available"]


def test_a_limit_leaves_the_rest_for_later(
    sandbox: SandboxProcess, imported: Callable[..., Json], job_of: Callable[..., int], dataset: int
) -> None:
    for number in range(3):
        imported(f"/img/{number}.jpg")
    job_id = job_of(dataset, 3)
    worker = annotator(sandbox, lambda name: [GOOD])
    assert [worker.annotate(job_id, 2).images, worker.annotate(job_id, 2).images] == [2, 1]


def test_mistakes_depend_on_seed_and_name_only(
    sandbox: SandboxProcess,
    imported: Callable[..., Json],
    stored: Callable[[int], list[Json]],
    job_of: Callable[..., int],
    dataset: int,
) -> None:
    truth = [TrueBox("car", 10 * n, 5 * n, 10 * n + 60, 5 * n + 70) for n in range(12)]
    file_id = imported("/img/careless.jpg")["file_id"]
    seen: dict[int, object] = {}
    for seed in (1, 1, 2):
        tally = annotator(sandbox, lambda name: truth, error_rate=0.5, seed=seed).annotate(job_of(dataset, 1))
        drawn = places(stored(file_id))
        assert len(drawn) < len(truth)
        assert drawn != [box for box in places_of(truth) if box in drawn]
        assert seen.setdefault(seed, drawn) == drawn
        assert tally.images == 1
        wiped(sandbox, file_id, stored)
    assert seen[1] != seen[2]


def places_of(truth: list[TrueBox]) -> list[tuple[str, int, int, int, int]]:
    return sorted((each.label, each.x_min, each.y_min, each.x_max, each.y_max) for each in truth)


def wiped(sandbox: SandboxProcess, file_id: int, stored: Callable[[int], list[Json]]) -> None:
    """Wipe the file clean."""
    url = f"{sandbox.url}/api/project/{sandbox.project}/file/{file_id}/annotation/update"
    gone = [{**each, "soft_delete": True} for each in stored(file_id)]
    auth = (sandbox.client_id, sandbox.client_secret)
    assert requests.post(url, json={"instance_list": gone}, auth=auth, timeout=30).status_code == 200


def test_a_label_that_the_schema_lacks_is_named(
    sandbox: SandboxProcess, imported: Callable[..., Json], job_of: Callable[..., int], dataset: int
) -> None:
    imported("/img/1.jpg")
    job_id = job_of(dataset, 1)
    with pytest.raises(ConfigurationError, match="'zebra'"):
        annotator(sandbox, lambda name: [TrueBox("zebra", 0, 0, 9, 9)]).annotate(job_id)


def test_a_wrong_password_and_a_dead_server(sandbox: SandboxProcess) -> None:
    wrong = Annotator(sandbox.url, sandbox.email, "hunter2", lambda name: [])
    with pytest.raises(AuthenticationError) as caught:
        wrong.annotate(1)
    assert "hunter2" not in f"{caught.value!r} {wrong!r}"
    with pytest.raises(ServerUnreachable):
        Annotator("http://127.0.0.1:1", "a@b.example", "x", lambda name: []).annotate(1)


@pytest.mark.parametrize(
    "name", ["cat.jpg", "cat-0123456789.jpg", "a/b/cat-abcdef0123.jpg"], ids=["plain", "imported", "with folders"]
)
def test_truth_is_found_under_the_imported_name(name: str) -> None:
    assert CocoTruth(DOCUMENT)(name) == [TrueBox("car", 10, 20, 111, 120)]


@pytest.mark.parametrize("name", ["dog.jpg", "cat-012345678.jpg", "cat.png"])
def test_truth_does_not_know_other_names(name: str) -> None:
    assert CocoTruth(DOCUMENT)(name) is None


@pytest.mark.parametrize(
    ("bbox", "found", "dropped"),
    [
        ([-10, -20, 50, 60], [TrueBox("car", 0, 0, 40, 40)], 0),
        ([300, 200, 100, 100], [TrueBox("car", 300, 200, 320, 240)], 0),
        ([400, 10, 20, 20], [], 1),
        ([10, 10, 0, 20], [], 1),
        ([10, 10, float("nan"), 20], [], 1),
    ],
    ids=["left top", "right bottom", "outside", "empty", "nan"],
)
def test_truth_is_clipped(bbox: list[float], found: list[TrueBox], dropped: int) -> None:
    truth = CocoTruth({**DOCUMENT, "annotations": [{"image_id": 7, "category_id": 3, "bbox": bbox}]})
    assert (truth("cat.jpg"), truth.dropped) == (found, dropped)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "is not COCO"),
        ('{"images": [], "annotations": []}', "'categories'"),
        (json.dumps({**DOCUMENT, "images": []}), "is not COCO"),
        (json.dumps({**DOCUMENT, "annotations": [{"image_id": 7, "category_id": 3, "bbox": [1, 2]}]}), "is not COCO"),
    ],
    ids=["no json", "list", "no categories", "unknown image", "short box"],
)
def test_broken_truth_names_the_file(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "truth.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        CocoTruth.load(path)
    assert str(path) in caught.value.what
    assert caught.value.cure


def test_missing_truth_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing\.json"):
        CocoTruth.load(tmp_path / "nothing.json")
