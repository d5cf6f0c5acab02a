"""Small things in large images, and several brains on one image."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from diffgram_flows.brains import Brain, BrainRecord, Tiling, predict_many
from diffgram_flows.brains.tensorflow.pixels import decode_squares
from diffgram_flows.brains.tiling import Tile, merged, tiles_of
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import Box, Picture, Prediction, Snapshot

TILE = Tile(100, 0, 100, 100)


@pytest.fixture(scope="module")
def brain(learned: BrainRecord) -> Brain:
    return Brain.load(learned)


@pytest.fixture(scope="module")
def large(snapshot: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Box]]:
    """A photograph of 4000 x 3000 on which the images that the brain knows are pasted: its things are tiny there."""
    image = Image.new("RGB", (4000, 3000), (110, 110, 110))
    expected = []
    places = [(0, 0), (1900, 1450), (3808, 2808), (2111, 333), (997, 2203)]
    for (x, y), sample in zip(places, snapshot.split("train"), strict=False):
        with Image.open(sample.path) as known:
            image.paste(known.resize((192, 192)), (x, y))
        expected += [
            Box(b.label_file_id, 2 * b.x_min + x, 2 * b.y_min + y, 2 * b.x_max + x, 2 * b.y_max + y)
            for b in sample.boxes
        ]
    path = tmp_path_factory.mktemp("large") / "large.png"
    image.save(path, compress_level=1)
    return path, expected


def test_small_things_in_a_large_image_are_found_in_tiles(brain: Brain, large: tuple[Path, list[Box]]) -> None:
    path, expected = large
    pictures = [Picture("large", path), Picture("small", path.parent / "none")]

    def found(tile: Tiling | str) -> int:
        seen, missing = brain.predict(pictures, tile=tile)  # type: ignore[arg-type]
        assert missing.error
        assert (seen.width, seen.height, seen.error) == (4000, 3000, "")
        assert all(0 <= box.x_min < box.x_max <= 4000 and 0 <= box.y_min < box.y_max <= 3000 for box in seen.boxes)
        return sum(any(is_same(box, other) for other in seen.boxes) for box in expected)

    assert found("never") == 0
    assert found(Tiling(overlap=0.5, side=192)) >= 0.8 * len(expected)


def test_an_image_that_is_not_much_larger_is_left_alone(brain: Brain, snapshot: Snapshot) -> None:
    pictures = [Picture("a", snapshot.split("train")[0].path)] * 3
    assert list(brain.predict(pictures, tile="auto")) == list(brain.predict(pictures))


@pytest.mark.parametrize(("width", "height"), [(4000, 3000), (3000, 50), (1281, 320)])
def test_tiles_cover_every_pixel_and_overlap(width: int, height: int) -> None:
    tiles = tiles_of(width, height, 320, Tiling(overlap=0.25))
    seen = np.zeros((height, width), bool)
    for tile in tiles:
        assert tile.cut(seen).shape == (min(320, height), min(320, width))
        tile.cut(seen)[:] = True
    assert seen.all()
    columns = sorted({tile.x for tile in tiles})
    assert all(0 < after - before <= 240 for before, after in pairwise(columns))


def test_nothing_is_cut_where_tiles_are_not_smaller() -> None:
    assert tiles_of(1280, 960, 320, Tiling()) == []


def test_of_two_boxes_at_one_place_the_better_one_stays() -> None:
    whole = [Box(1, 110, 10, 150, 50, 0.6), Box(2, 110, 10, 150, 50, 0.5)]
    assert merged(whole, [(TILE, [Box(1, 12, 11, 51, 50, 0.9)])], 1000, 1000) == (
        Box(1, 112, 11, 151, 50, 0.9),
        whole[1],
    )


def test_a_piece_at_a_border_gives_way_to_what_is_seen_whole() -> None:
    beside = Tile(175, 0, 100, 100)
    found = [(TILE, [Box(1, 80, 20, 100, 60, 0.95)]), (beside, [Box(1, 5, 20, 45, 60, 0.7)])]
    assert merged([], found, 1000, 1000) == (Box(1, 180, 20, 220, 60, 0.7),)


def test_pieces_of_what_no_tile_shows_whole_become_one() -> None:
    beside = Tile(175, 0, 100, 100)
    found = [(TILE, [Box(1, 20, 20, 100, 60, 0.6)]), (beside, [Box(1, 0, 21, 70, 60, 0.8)])]
    assert merged([], found, 1000, 1000) == (Box(1, 120, 20, 245, 60, 0.8),)


def test_a_box_at_the_border_of_the_image_is_whole() -> None:
    corner = Tile(0, 0, 100, 100)
    assert merged([], [(corner, [Box(1, 0, 0, 40, 40, 0.5)])], 100, 100) == (Box(1, 0, 0, 40, 40, 0.5),)


@pytest.mark.parametrize("options", [{"overlap": 1.0}, {"overlap": -0.1}, {"side": -1}])
def test_tiles_that_cannot_be_laid_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="cannot be laid"):
        Tiling(**options)  # type: ignore[arg-type]


def test_several_brains_see_in_a_picture_what_each_sees_alone(
    brain: Brain, novice: BrainRecord, snapshot: Snapshot, tmp_path: Path
) -> None:
    pictures = [Picture(sample.file_name, sample.path) for sample in snapshot.split("train")]
    pictures.insert(2, Picture("none", tmp_path / "none"))
    both = list(predict_many([brain, Brain.load(novice)], pictures))
    assert [seen for seen, _ in both] == list(brain.predict(pictures))
    assert [seen for _, seen in both] == list(Brain.load(novice).predict(pictures))


def test_several_brains_share_one_decoding(
    brain: Brain, novice: BrainRecord, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[bytes] = []

    def counted(content: bytes, orientation: int, sizes: Sequence[int]) -> list[NDArray[np.uint8]]:
        decoded.append(content)
        return decode_squares(content, orientation, sizes)

    monkeypatch.setattr("diffgram_flows.brains.tensorflow.looking.decode_squares", counted)
    pictures = [Picture(sample.file_name, sample.path) for sample in snapshot.split("train")]
    list(predict_many([brain, Brain.load(novice), brain], pictures))
    assert len(decoded) == len(pictures)


def test_many_threads_ask_one_brain(brain: Brain, snapshot: Snapshot) -> None:
    pictures = [Picture(sample.file_name, sample.path.read_bytes()) for sample in snapshot.split("train")]
    expected = list(brain.predict(pictures))
    answers: list[list[Prediction]] = []

    def ask(count: int) -> None:
        for start in range(0, len(pictures), count):
            seen = list(brain.predict(pictures[start : start + count]))
            answers.append(seen)

    threads = [threading.Thread(target=ask, args=(count,)) for count in (1, 1, 2, 4, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {seen.key: seen for answer in answers for seen in answer}
    assert sum(map(len, answers)) == 5 * len(pictures)
    for want in expected:
        got = found[want.key]
        assert len(got.boxes) == len(want.boxes)
        assert all(is_same(one, other) for one, other in zip(got.boxes, want.boxes, strict=True))


def test_a_large_jpeg_decoded_small_has_the_same_boxes(brain: Brain, snapshot: Snapshot, tmp_path: Path) -> None:
    """Decoding at an eighth of the size changes pixels, and no box by more than a little."""
    for number, sample in enumerate(snapshot.split("train")[:4]):
        with Image.open(sample.path) as image:
            enlarged = image.resize((960, 960), Image.Resampling.BICUBIC)
        canvas = ImageDraw.Draw(enlarged)
        canvas.line((0, 0, 959, 0), (120, 120, 120))
        enlarged.save(tmp_path / f"{number}.jpg", quality=95)
        enlarged.save(tmp_path / f"{number}.png")  # decoded at full size
        pictures = [Picture(kind, tmp_path / f"{number}.{kind}") for kind in ("jpg", "png")]
        small, exact = brain.predict(pictures)
        assert len(small.boxes) == len(exact.boxes) > 0
        for one, other in zip(small.boxes, exact.boxes, strict=True):
            assert one.label_file_id == other.label_file_id
            assert one.iou(other) > 0.9
            assert abs((one.score or 0) - (other.score or 0)) < 0.1


def is_same(one: Box, other: Box) -> bool:
    return one.label_file_id == other.label_file_id and one.iou(other) > 0.5
