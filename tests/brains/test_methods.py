"""Brains that say what an image shows as a whole, and brains that paint its pixels."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from brains.conftest import COLOURS, LABELS, SIDE, MakeSamples, MakeSnapshot
from PIL import Image, ImageDraw

from diffgram_flows.brains import Brain, Registry, TrainingOptions, judge, pictures_of, train_brain
from diffgram_flows.brains.tags import TAG, UNKNOWN, TagClass, tag_classes, tag_truth, tags_of
from diffgram_flows.errors import BrainTampered, ConfigurationError, NotEnoughData
from diffgram_flows.masks import mask_of
from diffgram_flows.models import Annotation, LabelMap, Point, Sample, Snapshot, Split

LEARN = TrainingOptions(
    image_size=64, width=12, head=24, batch_size=8, steps=50, learning_rate=6e-3, augmentation=0.1, averaging=0.9
)
SIZE_GROUP = 3


def shape_of(random: np.random.Generator) -> list[Point]:
    """A triangle or a rectangle."""
    x, y = (int(place) for place in random.integers(6, 30, 2))
    width, height = (int(side) for side in random.integers(36, 56, 2))
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    return corners if random.random() < 0.5 else corners[1:]


def pictures(folder: Path, count: int, split: Split, seed: int, *, kind: str) -> tuple[Sample, ...]:
    """One polygon each, red or blue; said of the image as a tag, or drawn."""
    samples = []
    for number in range(count):
        random = np.random.default_rng([seed, number])
        image = Image.fromarray(random.integers(90, 130, (SIDE, SIDE, 3), dtype=np.uint8))
        label, outline = (70, 40)[number % 2], shape_of(random)
        ImageDraw.Draw(image).polygon(outline, COLOURS[label])
        path = folder / f"{split}-{number}.png"
        image.save(path)
        corners = "corners of " + str(len(outline))
        tag = Annotation("tag", label, (), ((SIZE_GROUP, corners),))
        drawn = tag if kind == "tag" else Annotation("polygon", label, tuple(outline))
        file_id = {"train": 100, "val": 200, "test": 300}[split] + number
        samples.append(Sample(file_id, path.name, "", "0" * 64, path, SIDE, SIDE, split, (drawn,)))
    return tuple(samples)


def material(folder: Path, make_snapshot: MakeSnapshot, kind: str) -> Snapshot:
    parts: list[Sample] = []
    for split, count, seed in (("train", 24, 0), ("val", 6, 1), ("test", 8, 2)):
        parts += pictures(folder, count, split, seed, kind=kind)  # type: ignore[arg-type]
    return make_snapshot(parts)


def test_a_classifier_learns_tags_and_starts_from_another_one(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    snapshot = material(tmp_path, make_snapshot, "tag")
    registry = Registry(tmp_path / "brains")
    first = train_brain(snapshot, name="tags", registry=registry, options=LEARN, method="classification")
    test = first.manifest.metrics["test"]
    assert test.metric == "macro F1"
    assert [test.per_class[name].value for name in ("red", "blue")] == [1.0, 1.0]
    choices = {name for name in test.per_class if name not in ("red", "blue")}
    assert choices == {
        f"{LABELS.name_of()[tag.label_file_id]} / {SIZE_GROUP}: {value}"
        for sample in snapshot.split("test")
        for tag in sample.annotations
        for _, value in tag.attributes
    }
    assert test.value > 0.8  # the number of corners is harder than the colour
    assert 0 < first.manifest.score_threshold < 1
    samples = snapshot.split("test")
    for sample, seen in zip(samples, Brain.load(first).predict(pictures_of(samples)), strict=True):
        (tag,) = seen.annotations
        assert (tag.type, tag.label_file_id, tag.points) == ("tag", sample.annotations[0].label_file_id, ())
        assert tag.score is not None
        assert tag.score > 0.5

    green = LabelMap((*LABELS.labels, (55, "green")))
    third = replace(snapshot.split("train")[0], file_id=1, annotations=(Annotation("tag", 55),))
    grown = make_snapshot([*snapshot.samples, third], green)
    short = replace(LEARN, steps=2, learning_rate=1e-6, averaging=0.0)
    second = train_brain(
        grown, name="tags", registry=registry, options=short, method="classification", start_from=first.ref
    )
    kept = second.manifest.metrics["test"].per_class
    assert kept.keys() == test.per_class.keys()
    assert [kept[name].value for name in ("red", "blue")] == [1.0, 1.0]  # the first one's weights were kept


def test_a_brain_whose_classes_were_changed_is_refused(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    options = replace(LEARN, steps=1, width=8, head=8)
    snapshot = material(tmp_path, make_snapshot, "tag")
    record = train_brain(
        snapshot, name="tags", registry=Registry(tmp_path / "b"), options=options, method="classification"
    )
    (record.folder / "classes.json").write_text('[[40, 0, ""], [70, 0, ""]]')
    with pytest.raises(BrainTampered, match=r"classes\.json"):
        Brain.load(record)


def test_a_segmenter_paints_what_people_drew(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    snapshot = material(tmp_path, make_snapshot, "polygon")
    registry = Registry(tmp_path / "brains")
    options = replace(LEARN, steps=90)
    record = train_brain(snapshot, name="areas", registry=registry, options=options, method="semantic_segmentation")
    test = record.manifest.metrics["test"]
    assert test.metric == "mean IoU"
    assert test.value > 0.8
    samples = snapshot.split("test")
    for sample, seen in zip(samples, Brain.load(record).predict(pictures_of(samples)), strict=True):
        best, truth = seen.annotations[0], sample.annotations[0]
        assert (best.type, best.label_file_id) == ("polygon", truth.label_file_id)
        mine, theirs = (mask_of(found.points, SIDE, SIDE) for found in (best, truth))
        assert (mine & theirs).sum() / (mine | theirs).sum() > 0.6  # cells of six pixels
        assert all(0 <= x <= SIDE and 0 <= y <= SIDE for x, y in best.points)


@pytest.mark.parametrize(("method", "said"), [("classification", "a tag"), ("semantic_segmentation", "a polygon")])
def test_nothing_of_the_kind_to_learn(
    method: str, said: str, make_samples: MakeSamples, make_snapshot: MakeSnapshot, registry: Registry
) -> None:
    snapshot = make_snapshot(make_samples(3))  # boxes only
    with pytest.raises(NotEnoughData, match=f"none of them with {said}"):
        train_brain(snapshot, name="other", registry=registry, options=LEARN, method=method)


def test_a_name_belongs_to_what_it_finds(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    snapshot = material(tmp_path, make_snapshot, "polygon")
    registry, quick = Registry(tmp_path / "brains"), replace(LEARN, steps=1)
    boxes = train_brain(snapshot, name="cars", registry=registry, options=quick)
    registry.promote(boxes.ref)
    with pytest.raises(ConfigurationError, match="cars finds boxes: its champion cars@1") as caught:
        train_brain(snapshot, name="cars", registry=registry, options=quick, method="semantic_segmentation")
    assert "another name" in caught.value.cure
    areas = train_brain(snapshot, name="areas", registry=registry, options=quick, method="semantic_segmentation")
    with registry.draft("cars") as draft:
        shutil.copytree(areas.folder, draft, dirs_exist_ok=True)
        stray = registry.add("cars", draft, replace(areas.manifest, files={}))
    with pytest.raises(ConfigurationError, match="finds areas"):
        judge(stray, registry, snapshot.split("test"))
    with pytest.raises(ConfigurationError, match="areas@1 learned semantic_segmentation"):
        train_brain(snapshot, name="cars", registry=registry, options=quick, start_from=areas.ref)


RED, BLUE = TagClass(70), TagClass(40)
RED_BIG, RED_SMALL = TagClass(70, 3, "big"), TagClass(70, 3, "small")


def sample_of(*annotations: Annotation) -> Sample:
    return Sample(1, "a.png", "", "", Path("a.png"), SIDE, SIDE, "train", annotations)


def test_classes_are_only_ever_appended() -> None:
    big = sample_of(Annotation("tag", 70, (), ((3, "big"),)))
    assert tag_classes([big], LABELS) == (RED, RED_BIG)
    both = [big, sample_of(Annotation("tag", 40)), sample_of(Annotation("tag", 70, (), ((3, "small"),)))]
    assert tag_classes(both, LABELS, (RED, RED_BIG)) == (RED, RED_BIG, RED_SMALL, BLUE)
    boxes = sample_of(Annotation("box", 40, ((0, 0), (5, 5)), ((3, "big"),)))
    assert tag_classes([boxes], LABELS) == ()


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        pytest.param((), [0, 0, UNKNOWN, UNKNOWN], id="an image without a tag has no tag"),
        pytest.param((Annotation("tag", 40),), [0, 1, UNKNOWN, UNKNOWN], id="another tag"),
        pytest.param((Annotation("tag", 70),), [1, 0, UNKNOWN, UNKNOWN], id="nothing was chosen"),
        pytest.param((Annotation("tag", 70, (), ((3, "small"),)),), [1, 0, 0, 1], id="one of two was chosen"),
    ],
)
def test_what_is_true_and_what_is_not_known(annotations: Sequence[Annotation], expected: Sequence[float]) -> None:
    truth = tag_truth([sample_of(*annotations)], (RED, BLUE, RED_BIG, RED_SMALL))
    assert truth.tolist() == [expected]


def test_tags_come_best_first_with_their_likeliest_choice() -> None:
    classes = (RED, BLUE, RED_BIG, RED_SMALL)
    assert tags_of([0.6, 0.9, 0.55, 0.7], classes, 0.5) == (
        Annotation("tag", 40, (), (), 0.9),
        Annotation("tag", 70, (), ((3, "small"),), 0.6),
    )
    assert tags_of([0.6, 0.4, 0.3, 0.2], classes, 0.5) == (Annotation("tag", 70, (), (), 0.6),)
    assert RED.group == TAG
