"""Pascal VOC: ``Annotations/<name>.xml``, ``JPEGImages/<name>.jpg`` and ``ImageSets/Main/train.txt``.

VOC counts pixels from 1 and names the first and the last one inside a box. Ours begin at 0 and end behind the last
one, so a box from 0 to 10 is ``xmin`` 1 and ``xmax`` 10: the left and upper side change by one, the others do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

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
)
from diffgram_flows.datasets.formats.placing import Placer, beside
from diffgram_flows.datasets.formats.xml_text import parse_xml
from diffgram_flows.errors import DatasetError
from diffgram_flows.models import Annotation, LabelMap, Sample, Split

ANNOTATIONS, IMAGES, SETS = "Annotations", "JPEGImages", "ImageSets/Main"


def write(samples: Iterable[Sample], label_map: LabelMap, folder: Path, options: WriteOptions) -> WriteReport:
    """Write one file an image, and the list of every split.

    Args:
        samples: In the order of the lists.
        label_map: Their labels.
        folder: Empty.
        options: Whether images come along.

    Raises:
        DatasetError: An image is not there, or a label has a name that XML cannot hold.
    """
    names = {i: _text(name) for i, name in label_map.display_names().items()}
    tally, placer = Tally(), Placer(options.images or "copy")
    for place in (ANNOTATIONS, IMAGES, SETS):
        (folder / place).mkdir(parents=True)
    with ExitStack() as stack:
        lists = {
            split: stack.enter_context((folder / SETS / f"{split}.txt").open("w", encoding="utf-8")) for split in SPLITS
        }
        for sample in samples:
            name = placer.name(sample)
            placer.place(sample, folder / IMAGES / name)
            stem = name.rpartition(".")[0] or name
            objects = [_object(one, names[one.label_file_id]) for one in tally.held(sample, {"box"})]
            (folder / ANNOTATIONS / f"{stem}.xml").write_text(_document(sample, name, objects), "utf-8")
            lists[sample.split].write(f"{stem}\n")
    return tally.report()


def read(path: Path) -> ForeignAnnotations:
    """A file, or every one of a folder or of its ``Annotations``.

    Images are numbered in order of the files' names, labels in order of their first use. Boxes that are marked as
    ``difficult`` are boxes.

    Raises:
        DatasetError: A file is malformed; the message names it and the element.
    """
    files, folder = [path], path.parent
    if path.is_dir():
        folder = path / ANNOTATIONS if (path / ANNOTATIONS).is_dir() else path
        files = list(sorted_files(folder, "*.xml"))
    root = folder.parent if folder.name == ANNOTATIONS else folder
    if not files and folder.name != ANNOTATIONS:
        raise DatasetError(f"The folder {path} has no XML file.", cure="Name the folder with 'Annotations' in it.")
    splits = _splits(root / SETS)
    labels: dict[str, int] = {}
    fitter = Fitter()
    images = [_image(file, number, labels, splits.get(file.stem), fitter) for number, file in enumerate(files, 1)]
    placed = (beside(image, (root / IMAGES, root / "images", root)) for image in images)
    return fitter.result(placed, {number: name for name, number in labels.items()})


def _document(sample: Sample, name: str, objects: Iterable[str]) -> str:
    size = f"<width>{sample.width}</width><height>{sample.height}</height><depth>3</depth>"
    return (
        f"<annotation>\n  <folder>{IMAGES}</folder>\n  <filename>{escape(name)}</filename>\n"
        f"  <size>{size}</size>\n  <segmented>0</segmented>\n{''.join(objects)}</annotation>\n"
    )


def _object(annotation: Annotation, name: str) -> str:
    (left, top), (right, bottom) = annotation.points
    corners = f"<xmin>{left + 1}</xmin><ymin>{top + 1}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
    return (
        f"  <object>\n    <name>{name}</name>\n    <pose>Unspecified</pose>\n    <truncated>0</truncated>\n"
        f"    <difficult>0</difficult>\n    <bndbox>{corners}</bndbox>\n  </object>\n"
    )


def _text(name: str) -> str:
    """A label's name as XML holds it.

    Raises:
        DatasetError: It has control characters, which XML has no way to write.
    """
    if not all(c.isprintable() or c == "\N{NO-BREAK SPACE}" for c in name) or name != name.strip():
        raise DatasetError(
            f"The label {name!r} has characters that Pascal VOC cannot hold.",
            cure="Rename it, or choose a JSON format.",
        )
    return escape(name)


def _image(file: Path, number: int, labels: dict[str, int], split: Split | None, fitter: Fitter) -> ForeignImage:
    root = _root(file)
    name = (root.findtext("filename") or "").strip() or f"{file.stem}.jpg"
    width, height = (int(_number(root, f"size/{side}", file)) for side in ("width", "height"))
    if width <= 0 or height <= 0:
        raise _malformed(file, "size", f"is {width} x {height} pixels")
    found = list(_boxes(root, file, labels, fitter))
    return ForeignImage(number, name, width, height, fitter.fit(found, width, height), split)


def _boxes(root: Element, file: Path, labels: dict[str, int], fitter: Fitter) -> Iterator[Annotation]:
    for number, entry in enumerate(root.iter("object"), 1):
        left, top, right, bottom = (
            _number(entry, f"bndbox/{side}", file, f"object {number}, ") for side in ("xmin", "ymin", "xmax", "ymax")
        )
        label = labels.setdefault(_required(entry, "name", file), len(labels) + 1)
        box = box_of(label, left - 1, top - 1, right, bottom)
        if box is None:
            fitter.skipped["without an area"] += 1
        else:
            yield box


def _root(file: Path) -> Element:
    root = parse_xml(file)
    if root.tag != "annotation":
        raise _malformed(file, root.tag, "is the outermost element, in place of 'annotation'")
    return root


def _required(entry: Element, name: str, file: Path) -> str:
    text = (entry.findtext(name) or "").strip()
    if not text:
        raise _malformed(file, f"object/{name}", "is missing or empty")
    return text


def _number(entry: Element, path: str, file: Path, where: str = "") -> float:
    try:
        value = float(entry.findtext(path) or "")
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e9:
        raise _malformed(file, where + path, "is missing or not a number of pixels")
    return value


def _splits(folder: Path) -> dict[str, Split]:
    """Name of an image, without its suffix, to its split, by the lists of a folder."""
    found: dict[str, Split] = {}
    for split in SPLITS:
        path = folder / f"{split}.txt"
        if path.is_file():
            lines = read_bytes(path).decode(errors="replace").splitlines()
            found |= {line.strip(): split for line in lines if line.strip()}
    return found


def _malformed(file: Path, element: str, what: str) -> DatasetError:
    return DatasetError(
        f"This is not Pascal VOC: in {file} {element!r} {what}.",
        cure="Correct the file, or export it from its tool again.",
    )
