from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from diffgram_flows.datasets.formats import ForeignAnnotations, ForeignImage
from diffgram_flows.datasets.known_annotations import label_ids, plan_known, used_labels
from diffgram_flows.datasets.matching import match
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.ledger import ObjectRow
from diffgram_flows.models import Annotation, Box, StoredObject

KEYS = ("2026/train/a.jpg", "2026/val/a.jpg", "2026/b.jpg", "c.jpg")
ROWS = [
    ObjectRow(n, StoredObject("s3://photos", key, 1, "v"), f"{key[-5]}-{n:010x}.jpg", "imported", n, None, 1, "", 0.0)
    for n, key in enumerate(KEYS, 1)
]


LABELS = {1: "a", 2: "b", 3: "c"}


def image(name: str, *annotations: Annotation, uri: str = "") -> ForeignImage:
    return ForeignImage(0, name, 64, 48, annotations, uri=uri)


@pytest.mark.parametrize(
    ("found", "key"),
    [
        pytest.param(image("b.jpg"), "2026/b.jpg", id="name"),
        pytest.param(image("val/a.jpg"), "2026/val/a.jpg", id="end of the path"),
        pytest.param(image("C:\\pictures\\val\\a.jpg"), "2026/val/a.jpg", id="of Windows"),
        pytest.param(image("images/c.jpg"), "c.jpg", id="a longer path than the key"),
        pytest.param(image("a-0000000002.jpg"), "2026/val/a.jpg", id="name in Diffgram"),
        pytest.param(image("a.jpg", uri="s3://photos/2026/train/a.jpg"), "2026/train/a.jpg", id="uri"),
        pytest.param(image("a.jpg"), "It could be 2 objects, s3://photos/2026/train/a.jpg and", id="ambiguous"),
        pytest.param(image("B.jpg"), "No object of the ledger", id="unknown"),
        pytest.param(image(""), "No object of the ledger", id="no name"),
    ],
)
def test_images_are_found_by_their_ends(found: ForeignImage, key: str) -> None:
    matches = match([found], iter(ROWS))
    said = [row.object.key for _, row in matches.pairs] + [failure.reason for failure in matches.unmatched]
    assert len(said) == 1
    assert said[0].startswith(key)


def test_two_images_are_not_one_object() -> None:
    matches = match([image("x/b.jpg"), image("y/b.jpg"), image("c.jpg")], ROWS)
    assert [row.object.key for _, row in matches.pairs] == ["c.jpg"]
    assert {failure.reason for failure in matches.unmatched} == {"Another image could be s3://photos/2026/b.jpg, too."}


def test_labels_are_found_by_name_and_of_twins_the_elder_counts() -> None:
    annotations = Annotation("box", 1, ((0, 0), (9, 9))), Annotation("polygon", 2, ((0, 0), (9, 0), (9, 9)))
    found = ForeignAnnotations((image("c.jpg", *annotations),), {1: "car", 2: "car (id 9)", 3: "never used"})
    schema = [(9, "car"), (4, "car"), (5, "person")]
    assert used_labels(found) == ("car", "car (id 9)")
    assert label_ids(found, schema) == {1: 4, 2: 9}
    with pytest.raises(ConfigurationError, match=r"2 labels .* not in the label schema: 'car', 'car \(id 9\)'"):
        label_ids(found, [(5, "person")])


def test_what_is_sent_and_what_cannot_be_is_counted() -> None:
    outline = (0, 0), (9, 0), (9, 9)
    line, point = Annotation("line", 2, outline[:2]), Annotation("point", 1, ((1, 1),))
    polygon, box = Annotation("polygon", 1, outline, ((1, "heavily"),)), Annotation("box", 1, ((0, 0), (9, 9)))
    drawn = box, line, point, polygon, Annotation("tag", 3)
    found = ForeignAnnotations((image("c.jpg", *drawn), image("d.jpg", *drawn)), LABELS, 3, {"a crowd": 2})
    assert used_labels(found) == ("a", "b", "c")
    plan = plan_known(found, {1: 7, 2: 8, 3: 9}, ROWS)
    (known,) = plan.known
    assert (known.row.object.key, known.size) == ("c.jpg", (64, 48))
    assert known.seen == (
        Box(7, 0, 0, 9, 9),
        Annotation("line", 8, outline[:2]),
        Annotation("point", 7, ((1, 1),)),
        Annotation("polygon", 7, outline),
        Annotation("tag", 9),
    )
    assert plan.sent == {"box": 1, "line": 1, "point": 1, "polygon": 1, "tag": 1}
    assert plan.left_out == {"a crowd": 2, "attributes": 1}
    assert ([failure.name for failure in plan.unmatched], plan.clipped) == (["d.jpg"], 3)


def test_files_beside_tell_the_folder_that_a_format_does_not_name() -> None:
    train, val = (replace(image("a.jpg"), path=Path("yolo/images") / split / "a.jpg") for split in ("train", "val"))
    matches = match([train, val], ROWS)
    assert [row.object.key for _, row in matches.pairs] == ["2026/train/a.jpg", "2026/val/a.jpg"]
    safe = replace(image("a-0000000002.jpg"), path=Path("coco/images/train/a.jpg"))  # under another name
    assert [row.object.key for _, row in match([safe], ROWS).pairs] == ["2026/val/a.jpg"]
