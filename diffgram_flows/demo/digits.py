"""Pictures for the demo: real handwritten digits (scikit-learn) on real photographs (scikit-image, scikit-learn).

The digits of pictures that will judge (test split) come from other handwriting than those that teach, so a good score
cannot come from knowing a digit by heart. Picture number ``i`` is always the same picture.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffgram_flows.disk import write_file
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import Split

Pixels = NDArray[np.float32]
Corners = tuple[int, int, int, int]
Placed = tuple[str, Corners]
SIDE = 256
_JUDGING_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class _Digit:
    ink: Pixels  # height x width, 0 paper to 1 ink, cropped to the ink
    label: str


def write_pictures(folder: Path, numbers: Iterable[int], split_of: Callable[[str], Split]) -> None:
    """Write pictures as ``photo-00007.jpg``; existing ones are left alone."""
    for number in numbers:
        path = folder / file_name(number)
        if path.exists():
            continue
        image, _ = compose(number, split_of(path.name))
        encoded = BytesIO()
        image.save(encoded, "JPEG", quality=90)
        write_file(path, encoded.getvalue())


def write_truth(path: Path, numbers: Iterable[int], split_of: Callable[[str], Split]) -> None:
    """Write what is where in the pictures, as COCO ground truth."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in numbers:
        name = file_name(number)
        images.append({"id": number, "file_name": name, "width": SIDE, "height": SIDE})
        for label, (x_min, y_min, x_max, y_max) in boxes_of(number, split_of(name)):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(label) + 1,
                    "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
                }
            )
    categories = [{"id": digit + 1, "name": str(digit)} for digit in range(10)]
    truth = {"images": images, "annotations": annotations, "categories": categories}
    write_file(path, json.dumps(truth).encode())


def file_name(number: int) -> str:
    """Name of a picture's file."""
    return f"photo-{number:05}.jpg"


def compose(number: int, split: Split) -> tuple[Image.Image, list[Placed]]:
    """Picture ``number`` with its boxes: (digit, (x_min, y_min, x_max, y_max)) in pixels."""
    digits = _layout(number, split)
    return _paint(number, digits), [(digit.label, box) for digit, box in digits]


def boxes_of(number: int, split: Split) -> list[Placed]:
    """The boxes of a picture, without the work of painting it."""
    return [(digit.label, box) for digit, box in _layout(number, split)]


def _layout(number: int, split: Split) -> list[tuple[_Digit, Corners]]:
    """Which digits lie where."""
    random = np.random.default_rng([20, number])
    pool = handwriting(judging=split == "test")
    placed: list[tuple[_Digit, Corners]] = []
    for _ in range(int(random.integers(2, 5))):
        digit = _drawn(pool[int(random.integers(len(pool)))], random)
        box = _free_place(digit, [taken for _, taken in placed], random)
        if box is not None:
            placed.append((digit, box))
    return placed


def _paint(number: int, digits: Sequence[tuple[_Digit, Corners]]) -> Image.Image:
    random = np.random.default_rng([21, number])
    canvas = _background(random)
    for digit, box in digits:
        _paste(canvas, digit.ink, box, random)
    noisy = np.clip(canvas + random.normal(0, 4, canvas.shape), 0, 255).astype(np.uint8)
    return Image.fromarray(noisy)


def _background(random: np.random.Generator) -> Pixels:
    photo = _photographs()[int(random.integers(len(_photographs())))]
    side = int(min(photo.size) * random.uniform(0.4, 1.0))
    left = int(random.integers(photo.width - side + 1))
    top = int(random.integers(photo.height - side + 1))
    part = photo.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(part, np.float32) * random.uniform(0.5, 1.0) + random.uniform(0, 40)


def _drawn(digit: _Digit, random: np.random.Generator) -> _Digit:
    """The digit in a random size and slightly turned."""
    side = int(SIDE * random.uniform(0.2, 0.4))
    image = Image.fromarray((digit.ink * 255).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    turned = image.rotate(random.uniform(-12, 12), Image.Resampling.BILINEAR)
    ink: Pixels = np.asarray(turned, np.float32) / np.float32(255)
    rows, columns = np.where(ink > 0.25)
    return _Digit(ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1], digit.label)


def _free_place(digit: _Digit, taken: Sequence[Corners], random: np.random.Generator) -> Corners | None:
    height, width = digit.ink.shape
    for _ in range(20):
        x = int(random.integers(0, SIDE - width))
        y = int(random.integers(0, SIDE - height))
        box = (x, y, x + width, y + height)
        if not any(_overlap(box, other) for other in taken):
            return box
    return None


def _overlap(a: Corners, b: Corners) -> bool:
    return min(a[2], b[2]) - max(a[0], b[0]) > 2 and min(a[3], b[3]) - max(a[1], b[1]) > 2


def _paste(canvas: Pixels, ink: Pixels, box: Corners, random: np.random.Generator) -> None:
    x_min, y_min, x_max, y_max = box
    under = canvas[y_min:y_max, x_min:x_max]
    colour = random.uniform(0, 255, 3)
    if abs(colour.mean() - under.mean()) < 90:  # a person must be able to read it
        colour = np.full(3, (under.mean() + 128) % 256)
    canvas[y_min:y_max, x_min:x_max] = under * (1 - ink[..., None]) + ink[..., None] * colour


@cache
def handwriting(*, judging: bool) -> tuple[_Digit, ...]:
    """The digits that teach, or those that judge; no digit is in both."""
    digits = _sklearn("sklearn.datasets").load_digits()
    order = np.random.default_rng(7).permutation(len(digits.target))
    cut = int(len(order) * _JUDGING_SHARE)
    chosen = order[:cut] if judging else order[cut:]
    return tuple(_Digit(digits.images[i].astype(np.float32) / 16, str(digits.target[i])) for i in chosen)


@cache
def _photographs() -> tuple[Image.Image, ...]:
    data = _sklearn("skimage.data")
    names = ("coffee", "chelsea", "rocket", "astronaut", "hubble_deep_field", "immunohistochemistry", "retina")
    grey = ("grass", "gravel", "brick", "camera", "moon")
    arrays = [getattr(data, name)() for name in names]
    arrays += [np.stack([getattr(data, name)()] * 3, axis=-1) for name in grey]
    arrays += list(_sklearn("sklearn.datasets").load_sample_images().images)
    return tuple(Image.fromarray(array[..., :3].astype(np.uint8)) for array in arrays)


def _sklearn(module: str) -> Any:
    try:
        return __import__(module, fromlist=["_"])
    except ImportError:
        raise ConfigurationError(
            "The demo's own pictures need scikit-learn and scikit-image.",
            cure="Run: pip install 'diffgram-flows[demo]', or bring your own pictures with --images and --truth.",
        ) from None
