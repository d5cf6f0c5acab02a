"""YOLO: ``data.yaml``, and for every image of ``images/<split>`` a text of its name in ``labels/<split>``.

A line is the class and the centre, width and height of a box as shares of the image; in the segmentation variant
(``yolo-seg``) the class and the points of a polygon. That variant has no boxes: they become polygons of four corners.
Classes are places in the label map. The size of an image stands only in the image itself, so reading needs the images,
and takes them upright as EXIF says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml  # type: ignore[import-untyped]

from diffgram_flows.datasets.formats.base import (
    SPLITS,
    Fitter,
    ForeignAnnotations,
    ForeignImage,
    Tally,
    WriteOptions,
    WriteReport,
    box_of,
    read_bytes,
    sorted_files,
    whole,
)
from diffgram_flows.datasets.formats.placing import SUFFIXES, Placer
from diffgram_flows.errors import DatasetError
from diffgram_flows.geometry import is_flat
from diffgram_flows.images import image_size
from diffgram_flows.models import Annotation, LabelMap, Sample

DATA = "data.yaml"
_LONGEST_TEXT = 64 * 1024**2  # bytes of one file of labels


def write_boxes(samples: Iterable[Sample], label_map: LabelMap, folder: Path, options: WriteOptions) -> WriteReport:
    """Write boxes; polygons as the boxes around them. Raises :class:`DatasetError` if an image is not there."""
    return _write(samples, label_map, folder, options, _box_line)


def write_polygons(samples: Iterable[Sample], label_map: LabelMap, folder: Path, options: WriteOptions) -> WriteReport:
    """Write polygons; boxes as polygons of four corners. Raises as :func:`write_boxes`."""
    return _write(samples, label_map, folder, options, _polygon_line)


def read(path: Path) -> ForeignAnnotations:
    """What ``data.yaml`` describes, or that file in a folder. Images are numbered in order of split and name.

    A line of five numbers is a box, a longer one a polygon. An image without a text has no annotations; texts
    without an image are counted.

    Raises:
        DatasetError: A file is missing or malformed; the message names the line.
        ImageRejected: The size of an image cannot be read.
    """
    config = _config(path)
    described = _described(config)
    names = _names(described.get("names"), config)
    root = config.parent / str(described.get("path") or ".")
    root = root if root.is_dir() else config.parent
    fitter = Fitter()
    images: list[ForeignImage] = []
    read: set[Path] = set()
    for split in SPLITS:
        for image in _image_files(described.get(split), root, config):
            width, height = image_size(image, name=str(image))
            lines = _label_file(image)
            read.add(lines)
            found = list(_annotations(lines, names, width, height, fitter)) if lines.is_file() else []
            inside = fitter.fit(found, width, height)
            images.append(ForeignImage(len(images) + 1, image.name, width, height, inside, split, image))
    if lost := _texts(path for split in SPLITS for _, path in _places(described.get(split), root)) - read:
        fitter.skipped["texts without an image"] = len(lost)
    return fitter.result(images, names)


def _write(
    samples: Iterable[Sample],
    label_map: LabelMap,
    folder: Path,
    options: WriteOptions,
    line: Callable[[Annotation, int, int, int], str],
) -> WriteReport:
    numbers, tally, placer = label_map.index_of(), Tally(), Placer(options.images or "copy")
    outlines = line is _polygon_line
    for split in SPLITS:
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
    for sample in samples:
        name = placer.name(sample)
        placer.place(sample, folder / "images" / sample.split / name)
        kept = tally.held(sample, {"box", "polygon"} if outlines else {"box"})
        if outlines and (boxes := sum(annotation.type == "box" for annotation in kept)):
            tally.changed["boxes as polygons of four corners"] += boxes
        lines = [line(one, numbers[one.label_file_id], sample.width, sample.height) for one in kept]
        _label_file(folder / "images" / sample.split / name).write_text("".join(lines), "utf-8")
    names = "".join(f"  {number}: {_quoted(name)}\n" for number, name in enumerate(label_map.display_names().values()))
    places = "".join(f"{split}: images/{split}\n" for split in SPLITS)
    described = f"path: .\n{places}nc: {len(numbers)}\nnames:{' {}' if not names else ''}\n{names}"
    (folder / DATA).write_text(described, "utf-8")
    return tally.report()


def _quoted(name: str) -> str:
    """A text of YAML."""
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in name) + '"'


def _box_line(annotation: Annotation, number: int, width: int, height: int) -> str:
    (left, top), (right, bottom) = annotation.points
    shares = ((left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height)
    return _line(number, shares)


def _polygon_line(annotation: Annotation, number: int, width: int, height: int) -> str:
    points = annotation.points
    if annotation.type == "box":
        (left, top), (right, bottom) = points
        points = ((left, top), (right, top), (right, bottom), (left, bottom))
    return _line(number, (share for x, y in points for share in (x / width, y / height)))


def _line(number: int, shares: Iterable[float]) -> str:
    # 9 digits bring every pixel back in an image of up to 600 million pixels a side.
    return " ".join([str(number), *(f"{share:.9f}" for share in shares)]) + "\n"


def _label_file(image: Path) -> Path:
    """Where YOLO looks for the text of an image: the last ``images`` of its path is ``labels``."""
    parts = list(image.parts)
    last = max((index for index, part in enumerate(parts[:-1]) if part == "images"), default=None)
    if last is not None:
        parts[last] = "labels"
    return Path(*parts).with_suffix(".txt")


def _annotations(path: Path, names: Mapping[int, str], width: int, height: int, fitter: Fitter) -> Iterator[Annotation]:
    text = read_bytes(path, limit=_LONGEST_TEXT).decode("utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            label, *shares = line.split()
            annotation = _annotation(int(label), [float(share) for share in shares], width, height)
        except (TypeError, ValueError, OverflowError) as error:
            raise _malformed(f"{path}, line {number}", "is not a class, and a box or a polygon") from error
        if int(label) not in names:
            raise _malformed(f"{path}, line {number}", f"has the class {int(label)}, which {DATA} does not name")
        if annotation is None:
            fitter.skipped["without an area"] += 1
        else:
            yield annotation


def _annotation(label: int, shares: list[float], width: int, height: int) -> Annotation | None:
    if len(shares) == 4:
        x, y, across, down = shares
        left, right = (x - across / 2) * width, (x + across / 2) * width
        return box_of(label, left, (y - down / 2) * height, right, (y + down / 2) * height)
    if len(shares) < 6 or len(shares) % 2:
        raise ValueError(len(shares))
    pairs = zip(shares[::2], shares[1::2], strict=True)
    points = tuple((whole(x * width), whole(y * height)) for x, y in pairs)
    return None if is_flat(points) else Annotation("polygon", label, points)


def _config(path: Path) -> Path:
    if path.is_dir() and not (path / DATA).is_file():
        raise DatasetError(
            f"The folder {path} has no {DATA}, which says what YOLO's classes are called.",
            cure="Name the YAML file itself if it is called otherwise, or write one: 'train: images/train' for the "
            "folders of images, and 'names: [car, person]' for the classes from 0 on.",
        )
    return path / DATA if path.is_dir() else path


def _described(config: Path) -> Mapping[str, Any]:
    try:
        described = yaml.safe_load(read_bytes(config, limit=_LONGEST_TEXT))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _malformed(str(config), f"is no YAML ({reason})") from error
    if not isinstance(described, Mapping):
        raise _malformed(str(config), "is no list of settings")
    return described


def _names(names: Any, config: Path) -> dict[int, str]:
    """Class numbers to names, which are written as a list or as a map."""
    pairs = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(pairs, Mapping) or not all(isinstance(number, int) for number in pairs):
        raise _malformed(str(config), "has no 'names' of its classes")
    return {number: str(name) for number, name in pairs.items()}


def _places(place: Any, root: Path) -> Iterator[tuple[Any, Path]]:
    """What a split names, one or several, each with where it should be."""
    for entry in place if isinstance(place, list) else [place] if place else []:
        path = root / str(entry)
        if not path.exists():  # many say ../train/images and mean a folder beside the file
            path = root / str(entry).removeprefix("../")
        yield entry, path


def _texts(folders: Iterable[Path]) -> set[Path]:
    """All texts where YOLO looks for those of the images of these folders, unless they lie among the images."""
    homes = {_label_file(folder / "any").parent for folder in folders if folder.is_dir() and "images" in folder.parts}
    return {text for home in homes for text in sorted_files(home, "**/*.txt")}


def _image_files(place: Any, root: Path, config: Path) -> Iterator[Path]:
    """The images of a split: of a folder, of a list in a text file, or of several of these."""
    for entry, path in _places(place, root):
        if path.is_dir():
            yield from (image for image in sorted_files(path, "**/*") if image.suffix.lower() in SUFFIXES)
        elif path.suffix == ".txt":
            listed = read_bytes(path, limit=_LONGEST_TEXT).decode(errors="replace").splitlines()
            yield from (path.parent / PurePosixPath(line.strip()) for line in listed if line.strip())
        else:
            raise _malformed(str(config), f"names {entry!r}, which is neither a folder nor a list of images")


def _malformed(place: str, what: str) -> DatasetError:
    return DatasetError(f"This is not YOLO: {place} {what}.", cure="Correct it, or export it from its tool again.")
