"""Which image of another tool is which object of the ledger.

An image is found by its URI, by the unique name of its file in Diffgram, or by how its path ends: ``val/a.jpg`` is the
object ``photos/val/a.jpg`` rather than ``photos/train/a.jpg``, and ``a.jpg`` is neither, because it could be both.
Where the image lies beside its annotations, its path is that of the file: formats such as YOLO name no folder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from diffgram_flows.datasets.formats import ForeignImage
from diffgram_flows.ledger import ObjectRow
from diffgram_flows.models import Failure

_EXACT = 1_000_000  # above the number of parts of any path


@dataclass(frozen=True, slots=True)
class Matches:
    """What was found.

    Attributes:
        pairs: Images with their objects, in order of the images.
        unmatched: The other images, by their names, and why.
    """

    pairs: tuple[tuple[ForeignImage, ObjectRow], ...]
    unmatched: tuple[Failure, ...]


@dataclass(slots=True)
class _Best:
    """The objects that fit an image best so far."""

    score: int = 0
    rows: list[ObjectRow] = field(default_factory=list)

    def consider(self, row: ObjectRow, score: int) -> None:
        if score > self.score:
            self.score, self.rows = score, [row]
        elif score == self.score and score:
            self.rows.append(row)


def match(images: Sequence[ForeignImage], rows: Iterable[ObjectRow]) -> Matches:
    """Find the object of every image; what fits two objects, or shares one with another image, is not matched.

    Args:
        images: Of another tool.
        rows: Of the ledger; read once, as a stream.
    """
    paths = [_path(image) for image in images]
    by_name: dict[str, list[int]] = defaultdict(list)
    by_uri = {image.uri: index for index, image in enumerate(images) if image.uri}
    for index, path in enumerate(paths):
        by_name[path[-1]].append(index)
    best = [_Best() for _ in images]
    for row in rows:
        if row.object.uri in by_uri:
            best[by_uri[row.object.uri]].consider(row, _EXACT + 1)
        for index in by_name.get(row.file_name, ()):
            best[index].consider(row, _EXACT)
        key = _parts(row.object.key)
        for index in by_name.get(key[-1], ()):
            best[index].consider(row, _shared(paths[index], key))
    return _judged(images, best)


def _judged(images: Sequence[ForeignImage], best: Sequence[_Best]) -> Matches:
    claims: dict[int, list[ForeignImage]] = defaultdict(list)
    for image, found in zip(images, best, strict=True):
        for row in found.rows:
            claims[row.id].append(image)
    pairs, unmatched = [], []
    for image, found in zip(images, best, strict=True):
        if not found.rows:
            unmatched.append(Failure(image.file_name, "No object of the ledger has this name."))
        elif len(found.rows) > 1:
            uris = " and ".join(row.object.uri for row in found.rows[:2])
            unmatched.append(Failure(image.file_name, f"It could be {len(found.rows)} objects, {uris} among them."))
        elif len(claims[found.rows[0].id]) > 1:
            unmatched.append(Failure(image.file_name, f"Another image could be {found.rows[0].object.uri}, too."))
        else:
            pairs.append((image, found.rows[0]))
    return Matches(tuple(pairs), tuple(unmatched))


def _path(image: ForeignImage) -> list[str]:
    """The parts of an image's path: as the other tool says, or, if that is its end, of the file beside."""
    told, found = _parts(image.file_name), _parts(str(image.path or ""))
    return found if found[-len(told) :] == told else told


def _parts(path: str) -> list[str]:
    return [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")] or [""]


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many parts two paths have in common at their ends."""
    count = 0
    for mine, theirs in zip(reversed(one), reversed(other), strict=False):
        if mine != theirs:
            break
        count += 1
    return count
