"""Random samples with images that are nothing but a header, for round trips through formats."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, get_args

from hypothesis import Phase, settings
from hypothesis import strategies as st

from diffgram_flows.datasets.formats import ForeignAnnotations
from diffgram_flows.datasets.instances import Drawing, fitted
from diffgram_flows.geometry import is_flat
from diffgram_flows.models import Annotation, AnnotationType, LabelMap, Sample, Split

LABELS = LabelMap(((4, "car"), (2, "person"), (9, 'sign "stop" <&> {1} \\ é 木 🚗'), (11, "car")))
IMAGES_AN_EXAMPLE = 40
# 1,000 images; shrinking what is drawn from one seed would take minutes and show nothing
ROUND_TRIPS = settings(
    deadline=None, max_examples=25, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
)
FEWER_TRIPS = settings(ROUND_TRIPS, max_examples=10)
Said: TypeAlias = dict[str, tuple[Split | None, int, int, frozenset[Any]]]


def png(width: int, height: int) -> bytes:
    """A PNG of this size with an empty body: enough for whoever reads its header."""
    chunks = {b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0), b"IDAT": b"", b"IEND": b""}
    parts = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@st.composite
def many_samples(
    draw: st.DrawFn, kinds: tuple[AnnotationType, ...] = ("box",), attributes: bool = False
) -> list[Sample]:
    """Samples with valid, distinct annotations in order, and without files. Numbers come from one seed: it is fast."""
    random = draw(st.randoms(use_true_random=False))
    names = draw(st.lists(st.text("abcé木 _-.'&<", min_size=1, max_size=8), min_size=1, max_size=4))
    found = []
    for number in range(IMAGES_AN_EXAMPLE):
        width, height = (random.choice((1, 2, 7, 640, 4096, random.randint(1, 9000))) for _ in "xy")
        drawn = set()
        for _ in range(random.randint(0, 6)):
            kind: AnnotationType = random.choice(kinds)
            points = tuple(
                (random.randint(0, width), random.randint(0, height))
                for _ in range({"box": 2, "polygon": random.randint(3, 9), "line": 3, "point": 1, "tag": 0}[kind])
            )
            if kind == "box":
                (a, b), (c, d) = points
                points = ((min(a, c), min(b, d)), (max(a, c), max(b, d)))
                if points[0][0] == points[1][0] or points[0][1] == points[1][1]:
                    continue
            elif kind == "polygon" and is_flat(points):
                continue
            groups = (
                ((1, random.choice(("heavily", "é 木"))), (12, "XY-99")) if attributes and random.random() < 0.3 else ()
            )
            drawn.add(Annotation(kind, random.choice(LABELS.labels)[0], points, groups))
        one_each = {(one.type, one.label_file_id, one.points): one for one in drawn}
        order = sorted(one_each.values(), key=lambda one: (one.type, one.label_file_id, one.points))
        name = f"{random.choice(names)}-{number}.{random.choice(('jpg', 'JPG', 'png'))}"
        split: Split = random.choice(get_args(Split))
        digest = f"{number:064x}"
        found.append(
            Sample(number * 7 + 1, name, f"s3://b/{name}", digest, Path(name), width, height, split, tuple(order))
        )
    assert all(fitted(Drawing(s.annotations, {}), s.width, s.height).annotations == s.annotations for s in found)
    return found


def with_files(samples: list[Sample], folder: Path) -> list[Sample]:
    """The samples with an image each."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for sample in samples:
        path = folder / f"{sample.file_id}.png"
        path.write_bytes(png(sample.width, sample.height))
        found.append(replace(sample, path=path))
    return found


def said(samples: list[Sample], names: Mapping[int, str]) -> Said:
    """What samples say, with label names in place of ids, by the id of the file."""
    return {
        str(sample.file_id): (sample.split, sample.width, sample.height, _named(sample.annotations, names))
        for sample in samples
    }


def heard(found: ForeignAnnotations, key: Any) -> Said:
    """What came back in the same form; ``key`` gives the id of the file."""
    return {
        str(key(image)): (image.split, image.width, image.height, _named(image.annotations, found.labels))
        for image in found.images
    }


def _named(annotations: tuple[Annotation, ...], names: Mapping[int, str]) -> frozenset[Any]:
    return frozenset((one.type, names[one.label_file_id], one.points, one.attributes) for one in annotations)
