from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from diffgram_flows.datasets.leaks import Settled, settle_leaks
from diffgram_flows.datasets.near import near_pairs
from diffgram_flows.demo import digits
from diffgram_flows.errors import ConfigurationError, DatasetError
from diffgram_flows.models import Split
from diffgram_flows.perceptual import FEATURELESS, NEAR, perceptual_hash

SPREAD: tuple[Split, ...] = ("train", "val", "test")


def reencoded(image: Image.Image) -> Image.Image:
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=40)
    return Image.open(encoded)


def cropped(image: Image.Image) -> Image.Image:
    left, top = image.width // 100, image.height // 100
    return image.crop((left, top, image.width - left, image.height - top))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "encoded anew": reencoded,
    "half as large": lambda image: image.resize((image.width // 2, image.height // 2)),
    "another shape": lambda image: image.resize((image.width, image.height * 3 // 4)),
    "an edge cut off": cropped,
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    "grey": lambda image: image.convert("L"),
    "with an alpha channel": lambda image: image.convert("RGBA"),
}


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    """Pictures of the demo: many are other parts of the same few photographs."""
    return [digits.compose(number, SPREAD[number % 3])[0] for number in range(120)]


@pytest.mark.parametrize("name", COPIES)
def test_copies_of_a_photograph_are_twins(photographs: list[Image.Image], name: str) -> None:
    apart = [(perceptual_hash(COPIES[name](one)) ^ perceptual_hash(one)).bit_count() for one in photographs[:40]]
    assert sum(bits <= NEAR for bits in apart) >= 0.9 * len(apart), sorted(apart)


def test_different_photographs_and_digits_are_no_twins(photographs: list[Image.Image]) -> None:
    drawn = [
        Image.fromarray((one.ink * 255).astype(np.uint8)).resize((64, 64)) for one in digits.handwriting(judging=True)
    ]
    for images in (photographs, drawn[:150]):
        hashes = [perceptual_hash(image) for image in images]
        assert FEATURELESS not in hashes
        assert min((a ^ b).bit_count() for a, b in combinations(hashes, 2)) > NEAR


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (640, 480), (200, 30, 30)),
        Image.new("L", (1, 1), 7),
        Image.fromarray(np.tile(np.linspace(0, 255, 256).astype(np.uint8), (256, 1))),
        Image.fromarray(np.random.default_rng(0).normal(128, 3, (2048, 2048)).astype(np.uint8)),
    ],
    ids=["even", "a pixel", "a shade", "fine noise"],
)
def test_what_shows_nothing_has_no_hash(image: Image.Image) -> None:
    assert perceptual_hash(image) == FEATURELESS


@pytest.mark.parametrize("mode", ["I;16", "F", "P", "1", "CMYK", "LA"])
def test_every_kind_of_pixels_has_a_hash(photographs: list[Image.Image], mode: str) -> None:
    wide = Image.fromarray(np.asarray(photographs[0].convert("L"), np.uint16) * 257)
    image = wide if mode == "I;16" else photographs[0].convert(mode)
    assert 0 < perceptual_hash(image) < 2**64


def random_hashes(count: int, near: int) -> Iterator[int]:
    """Hashes of which many differ in few bits."""
    random = np.random.default_rng(count)
    for base in random.integers(1, 2**63, count // 10, dtype=np.uint64).tolist():
        for _ in range(10):
            flips = random.choice(64, int(random.integers(0, near + 1)), replace=False)
            yield base ^ sum(1 << int(bit) for bit in flips)


@pytest.mark.parametrize("distance", range(9))
def test_the_near_ones_are_those_that_comparing_every_two_finds(distance: int) -> None:
    hashes = np.array(sorted(set(random_hashes(400, 7))), np.uint64)
    one, other = near_pairs(hashes, distance)
    found = set(zip(one.tolist(), other.tolist(), strict=True))
    every = combinations(enumerate(hashes.tolist()), 2)
    assert found == {(i, j) for (i, a), (j, b) in every if 0 < (a ^ b).bit_count() <= distance}


def settle(*images: tuple[int, Split, int] | tuple[int, Split, int, str], **options: object) -> Settled:
    """Images as (file id, split, hash, bytes); the bytes are the hash's where they are not given."""
    ids, splits = [one[0] for one in images], [one[1] for one in images]
    sha256s = [one[3] if len(one) > 3 else str(one[2]) for one in images]
    return settle_leaks(ids, splits, [one[2] for one in images], sha256s, **options)  # type: ignore[arg-type]


def test_a_leak_names_the_image_and_its_elder() -> None:
    (leak,) = settle((5, "test", 0b1111, "x"), (2, "train", 0b1011, "y"), (3, "train", 1 << 40)).leaks
    assert (leak.file_id, leak.split, leak.elder_id, leak.elder_split) == (5, "test", 2, "train")
    assert (leak.distance, leak.same_bytes) == (1, False)
    (copy,) = settle((1, "val", 7), (2, "test", 7)).leaks
    assert (copy.file_id, copy.distance, copy.same_bytes) == (2, 0, True)


def test_twins_in_one_split_are_no_leak() -> None:
    assert settle((1, "train", 3), (2, "train", 3), (3, "train", 2)).leaks == ()


def test_images_without_features_are_twins_of_their_own_bytes_only() -> None:
    flat = settle((1, "train", 0, "red"), (2, "test", 0, "blue"), (3, "val", 0, "red"), (4, "test", 1, "dot"))
    assert [(leak.file_id, leak.elder_id, leak.same_bytes) for leak in flat.leaks] == [(3, 1, True)]


def test_by_default_nothing_moves() -> None:
    settled = settle((1, "train", 7), (2, "test", 7))
    assert (settled.splits, settled.moved) == (["train", "test"], ())


def test_the_newcomer_goes_to_its_elder_also_through_others() -> None:
    images: list[tuple[int, Split, int]] = [
        (3, "test", 0xF00),
        (1, "train", 0xF0F),
        (2, "val", 0xFFF),
        (4, "test", 1 << 50),
    ]
    settled = settle(*images, policy="move")
    assert settled.splits == ["train", "train", "train", "test"]
    assert [(move.file_id, move.before, move.after, move.elder_id) for move in settled.moved] == [
        (3, "test", "train", 1),
        (2, "val", "train", 1),
    ]
    assert settled.leaks == ()


def test_what_is_fixed_stays_and_is_elder_than_what_is_not() -> None:
    images: tuple[tuple[int, Split, int], ...] = ((1, "train", 7), (2, "test", 7), (3, "val", 7))
    settled = settle(*images, policy="move", fixed={2, 3})
    assert settled.splits == ["test", "test", "val"]
    assert [(leak.file_id, leak.elder_id) for leak in settled.leaks] == [(1, 3), (3, 2)]


def test_what_moves_takes_its_group_along() -> None:
    images: tuple[tuple[int, Split, int], ...] = (
        (1, "train", 7),
        (2, "test", 7),
        (3, "test", 1 << 40),
        (4, "test", 0xABC << 30),
    )
    settled = settle(*images, policy="move", groups=["", "cam", "cam", ""])
    assert settled.splits == ["train", "train", "train", "test"]


def test_nothing_comes_of_nothing() -> None:
    assert settle() == Settled([], (), ())
    assert settle(policy="move") == Settled([], (), ())


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="distance of 9 bits"):
        settle((1, "train", 7), distance=9)
    with pytest.raises(DatasetError, match="different lengths"):
        settle_leaks([1, 2], ["train"], [1, 2], ["a", "b"])
