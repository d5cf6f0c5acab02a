from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from diffgram_flows.datasets.census import census, quantile
from diffgram_flows.datasets.leaks import Leak
from diffgram_flows.datasets.quality import Quality, examine
from diffgram_flows.datasets.suspicion import suspicions
from diffgram_flows.models import Annotation, Box, LabelMap, Sample, Snapshot, Split

LABELS = LabelMap(((4, "car"), (7, "person")))
SPREAD: tuple[Split, ...] = ("train", "train", "train", "val", "test")


def sample(number: int, *boxes: Box, sha256: str = "", size: tuple[int, int] = (200, 100)) -> Sample:
    drawn = tuple(map(Annotation.of_box, boxes))
    digest = sha256 or f"{number + 1:064x}"[::-1]
    return Sample(number, f"{number}.jpg", "", digest, Path("none"), *size, SPREAD[number % 5], drawn)


def snapshot(samples: Sequence[Sample], name: str = "this") -> Snapshot:
    return Snapshot(name, Path("nowhere"), LABELS, tuple(samples))


def many(numbers: range, label: int = 4, side: int = 20) -> list[Sample]:
    random = np.random.default_rng(numbers.start)
    made = []
    for number in numbers:
        x, y, more = (int(value) for value in random.integers(0, 60, 3))
        made.append(sample(number, Box(label, x, y, x + side + more // 6, y + side + more // 6)))
    return made


def levels(found: Quality) -> dict[str, str]:
    return {finding.text: finding.level for finding in found.findings}


def test_everything_is_counted() -> None:
    samples = [sample(0, Box(4, 0, 0, 20, 20), Box(4, 50, 0, 70, 20), Box(7, 0, 0, 50, 40)), sample(3), sample(4)]
    found = examine(snapshot(samples), clipped=2, skipped={"outside the image": 1})
    assert found.counted.images.tolist() == [1, 1, 1]
    assert found.counted.empty.tolist() == [0, 1, 1]
    assert found.counted.annotations.tolist() == [[2, 1], [0, 0], [0, 0]]
    assert found.counted.having.tolist() == [[1, 1], [0, 0], [0, 0]]
    assert found.counted.scale.tolist() == [[2, 0, 0], [0, 1, 0]]
    assert "2 annotations were cut at the edge of their image, 1 were wholly outside." in levels(found)
    assert {(gap.label, gap.split) for gap in found.gaps} == {
        (n, s) for n in ("car", "person") for s in ("val", "test")
    }


@pytest.mark.parametrize(
    ("boxes", "kinds"),
    [
        ([Box(4, 10, 10, 13, 60)], ["tiny"]),
        ([Box(4, 0, 0, 200, 99)], ["whole image"]),
        ([Box(4, 10, 10, 60, 60), Box(4, 10, 11, 60, 61)], ["drawn twice"]),
        ([Box(4, 10, 10, 60, 60), Box(7, 10, 10, 60, 60)], ["two labels"]),
        ([Box(4, 10, 10, 60, 60), Box(4, 20, 10, 70, 60), Box(7, 10, 15, 60, 65)], []),
    ],
)
def test_slips_are_found_and_the_rest_is_not(boxes: list[Box], kinds: list[str]) -> None:
    one = sample(0, *boxes)
    assert [found.kind for found in suspicions(one, one.boxes)] == kinds


def test_quantiles_are_right_to_within_a_bin() -> None:
    sides = np.random.default_rng(2).integers(4, 90, 3000).tolist()
    samples = [sample(i, Box(4, 0, 0, side, side), size=(100, 100)) for i, side in enumerate(sides)]
    counted = census(samples, LABELS)
    for share in (0.05, 0.5, 0.95):
        true = float(np.quantile(np.array(sides) / 100, share))
        assert quantile(counted.sizes[0], share) == pytest.approx(true, rel=0.09)


def test_the_same_population_is_steady() -> None:
    found = examine(snapshot(many(range(300))), snapshot(many(range(150)), "last"))
    assert found.drift is not None
    assert (found.drift.images_before, found.drift.images_new, found.drift.previous) == (150, 150, "last")
    assert (found.drift.labels.verdict, found.drift.sizes.verdict) == ("steady", "steady")
    assert [one.verdict for one in found.drift.per_label] == ["steady"]


def test_what_moved_is_told_although_most_of_the_set_is_old() -> None:
    old = many(range(1000))
    found = examine(snapshot([*old, *many(range(1000, 1100), 7, side=60)]), snapshot(old, "last"))
    assert found.drift is not None
    assert (found.drift.labels.verdict, found.drift.sizes.verdict) == ("shifted", "shifted")
    assert {one.label: one.verdict for one in found.drift.per_label} == {"car": "gone", "person": "new"}
    assert any(level == "look" and "car (gone), person (new)" in text for text, level in levels(found).items())


def test_without_new_images_there_is_no_drift() -> None:
    old = many(range(10))
    assert examine(snapshot(old), snapshot(old, "last")).drift is None
    assert examine(snapshot(old)).drift is None


def test_a_few_new_images_prove_nothing() -> None:
    found = examine(snapshot([*many(range(100)), *many(range(100, 103), 7)]), snapshot(many(range(100)), "last"))
    assert found.drift is not None
    assert found.drift.sizes.verdict == "too few to tell"
    (level,) = [level for text, level in levels(found).items() if "too few to tell" in text]
    assert level == "unknown"
    order = [finding.level for finding in found.findings]
    assert order == sorted(order, key=["bad", "look", "unknown", "good"].index)


def test_pictures_that_are_there_twice_tell_how_far_people_agree() -> None:
    car, person, alone = Box(4, 10, 10, 50, 50), Box(7, 100, 10, 150, 60), Box(4, 150, 70, 190, 90)
    samples = [
        sample(0, car, person, sha256="ab" * 32),
        sample(1, Box(4, 10, 10, 50, 40), Box(4, 100, 10, 150, 60), alone, sha256="ab" * 32),
        sample(2, car),
    ]
    agreement = examine(snapshot(samples)).agreement
    assert (agreement.pictures, agreement.matched, agreement.unmatched) == (1, 2, 1)
    assert agreement.mean_iou == pytest.approx((0.75 + 1) / 2)
    assert agreement.labels.tolist() == [[1, 0], [1, 0]]
    assert agreement.kappa == 0
    assert agreement.worst[0].agreed == pytest.approx(1.75 / 3)


def test_images_without_a_group_are_told_and_a_pattern_that_fits_none_is_bad() -> None:
    told = [examine(snapshot(many(range(10))), ungrouped=count).findings for count in (0, 3, 10)]
    said = [[one.level for one in findings if "group pattern" in one.text] for findings in told]
    assert said == [[], ["look"], ["bad"]]


def test_leaks_come_first() -> None:
    found = examine(snapshot(many(range(10))), leaks=[Leak(4, "test", 0, "train", 1, False)])
    assert found.findings[0].level == "bad"
    assert "elder one of another split: 1" in found.findings[0].text
    assert [(a.file_id, b.file_id) for a, b in found.shown_leaks] == [(4, 0)]


class Stream(Sequence[Sample]):
    """Samples that exist only while somebody looks at them."""

    walks = 0

    def __len__(self) -> int:
        return 5000

    def __iter__(self) -> Iterator[Sample]:
        self.walks += 1
        return iter(many(range(5000)))

    def __getitem__(self, index: object) -> Sample:  # type: ignore[override]
        raise AssertionError("Samples are read from the front.")


def test_samples_are_walked_through_once_or_twice() -> None:
    stream = Stream()
    found = examine(Snapshot("this", Path("nowhere"), LABELS, stream))
    assert stream.walks <= 2
    assert int(found.counted.annotations.sum()) == 5000
    assert len(found.counted.shown.of(0)) == 8
