"""What a brain saw, on disk: a row an image, as JSON lines or Parquet, in files that are whole or not there at all."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any, Literal

import orjson

from diffgram_flows.disk import write_file
from diffgram_flows.models import Annotation, Box, Prediction

ResultForm = Literal["jsonl", "parquet", "both"]
_SUFFIXES: dict[ResultForm, tuple[str, ...]] = {
    "jsonl": (".jsonl",),
    "parquet": (".parquet",),
    "both": (".parquet", ".jsonl"),  # a reader takes the JSON lines where there are both, so they come last
}
_BOX = tuple(field.name for field in fields(Box))


def write_predictions(
    path: Path,
    predictions: Iterable[Prediction],
    *,
    brain: str,
    label_map_digest: str,
    form: ResultForm = "jsonl",
    versions: Mapping[str, str] | None = None,
) -> None:
    """Write the predictions of one chunk; files of that name are replaced.

    Args:
        path: The file without its suffix, which the form decides.
        predictions: What was seen.
        brain: By which version: ``name@3``.
        label_map_digest: Of its label map.
        form: JSON lines, Parquet, or both.
        versions: Of the objects by key, for whoever wants to know later whether an object has changed since.
    """
    versions = versions or {}
    same = {"brain": brain, "label_map": label_map_digest}
    rows = [_row(seen) | {"version": versions.get(seen.key, "")} | same for seen in predictions]
    _write(path, rows, _SUFFIXES[form])


def complete(folder: Path, form: ResultForm) -> None:
    """Write what a folder's results are not written as yet, from what there is.

    That is how it is where an earlier run had another form, or was killed between the two files of a chunk.
    """
    for found in result_files(folder):
        missing = [suffix for suffix in _SUFFIXES[form] if not found.with_suffix(suffix).exists()]
        if missing:
            _write(found.with_suffix(""), list(_rows(found)), missing)


def _write(path: Path, rows: list[dict[str, Any]], suffixes: Iterable[str]) -> None:
    for suffix in suffixes:
        write_file(path.with_name(f"{path.name}{suffix}"), _parquet(rows) if suffix == ".parquet" else _lines(rows))


def read_predictions(folder: Path) -> Iterator[Prediction]:
    """Every prediction in a folder's files, in order of file name."""
    return (prediction for prediction, _ in read_versions(folder))


def read_versions(folder: Path) -> Iterator[tuple[Prediction, str]]:
    """Every prediction in a folder's files with the version of its object, in order of file name."""
    for path in result_files(folder):
        for row in _rows(path):
            boxes = tuple(Box(**box) for box in row["boxes"])
            annotations = tuple(_annotation(value) for value in row["annotations"])
            seen = Prediction(row["key"], row["width"], row["height"], boxes, annotations, row["error"])
            yield seen, row.get("version", "")


def result_files(folder: Path) -> list[Path]:
    """The files with the results, one a chunk, in order of name."""
    found = {path.stem: path for path in folder.glob("*.parquet")} | {
        path.stem: path for path in folder.glob("*.jsonl")
    }
    return [found[stem] for stem in sorted(found)]


def _row(prediction: Prediction) -> dict[str, Any]:
    return {
        "key": prediction.key,
        "width": prediction.width,
        "height": prediction.height,
        "boxes": [dict(zip(_BOX, astuple(box), strict=True)) for box in prediction.boxes],
        "annotations": [annotation._asdict() for annotation in prediction.annotations],
        "error": prediction.error,
    }


def _compact(row: Mapping[str, Any]) -> dict[str, Any]:
    """Boxes as lists of numbers, in the order of their fields."""
    return {**row, "boxes": [list(box.values()) for box in row["boxes"]]}


def _annotation(value: Mapping[str, Any]) -> Annotation:
    return Annotation(
        value["type"],
        value["label_file_id"],
        tuple((x, y) for x, y in value["points"]),
        tuple((group, chosen) for group, chosen in value["attributes"]),
        value["score"],
    )


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows as :func:`_row` makes them; what an earlier version wrote has no annotations and no version."""
    for row in _rows_of_parquet(path) if path.suffix == ".parquet" else _rows_of_lines(path):
        boxes = [box if isinstance(box, dict) else dict(zip(_BOX, box, strict=False)) for box in row["boxes"]]
        yield {**row, "boxes": boxes, "annotations": row.get("annotations") or []}


def _rows_of_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            yield orjson.loads(line)


def _rows_of_parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(256):
            for row in batch.to_pylist():
                for annotation in row.get("annotations") or ():
                    annotation["points"] = [(point["x"], point["y"]) for point in annotation["points"]]
                    annotation["attributes"] = [(a["group"], a["value"]) for a in annotation["attributes"]]
                yield row


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(_compact(row), option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    whole, text = pyarrow.int64(), pyarrow.string()
    point = pyarrow.struct([("x", whole), ("y", whole)])
    attribute = pyarrow.struct([("group", whole), ("value", text)])
    numbers = [(name, pyarrow.float64() if name == "score" else whole) for name in _BOX]
    annotation = pyarrow.struct(
        [
            ("type", text),
            ("label_file_id", whole),
            ("points", pyarrow.list_(point)),
            ("attributes", pyarrow.list_(attribute)),
            ("score", pyarrow.float64()),
        ]
    )
    schema = pyarrow.schema(
        [
            *(("key", text), ("width", whole), ("height", whole)),
            *(("boxes", pyarrow.list_(pyarrow.struct(numbers))), ("annotations", pyarrow.list_(annotation))),
            *(("error", text), ("version", text), ("brain", text), ("label_map", text)),
        ]
    )
    content = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([_named(row) for row in rows], schema), content)
    return content.getvalue()


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    """Points and attributes with names instead of places."""
    annotations = [
        annotation
        | {
            "points": [{"x": x, "y": y} for x, y in annotation["points"]],
            "attributes": [{"group": group, "value": value} for group, value in annotation["attributes"]],
        }
        for annotation in row["annotations"]
    ]
    return {**row, "annotations": annotations}
