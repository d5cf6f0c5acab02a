"""A judgement as a page to look at: ``<brain>-evaluation.html``, which needs no other file, and its pictures."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from diffgram_flows.brains.drawing import compared, contact_sheet
from diffgram_flows.brains.evaluation import (
    Calibration,
    Confusion,
    DetectionEvaluation,
    Inspection,
    SegmentationEvaluation,
)
from diffgram_flows.brains.plots import calibration_curve, confusion_matrix, precision_recall
from diffgram_flows.brains.verdict import Judged, Plate, Report, Verdict
from diffgram_flows.disk import write_file
from diffgram_flows.errors import ImageRejected
from diffgram_flows.models import Annotation, Prediction, Sample

_TEMPLATE = Path(__file__).with_name("evaluation.html")
_WORST = 8
_MOST_LABELS = 20  # of a matrix of numbers; more are only drawn
_LONGEST_SIDE = 1100


def write_report(
    verdict: Verdict, mine: Judged, theirs: Judged | None, samples: Sequence[Sample], folder: Path
) -> Report:
    """Write the page and its pictures.

    Args:
        verdict: What was decided.
        mine: The brain that was judged, with the evidence.
        theirs: The champion, if there is one.
        samples: The judging images.
        folder: Where to; it is created.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inspection = mine.evaluation.evidence.inspect(mine.shown) if mine.evaluation.evidence else None
    judged = [mine, theirs] if theirs else [mine]
    drawn = list(_plots(judged, inspection, folder))
    worst = _worst(mine, samples, inspection, folder) if inspection else []
    sheet = _sheet(worst, folder / f"{mine.record.ref}-worst.jpg")
    html = _page(verdict, judged, inspection, drawn, worst)
    page = folder / f"{mine.record.ref}-evaluation.html"
    write_file(page, html.encode())
    return Report(page, (*drawn, *sheet))


def _plots(judged: Sequence[Judged], inspection: Inspection | None, folder: Path) -> Iterator[Plate]:
    name = str(judged[0].record.ref)
    boxes = {str(one.record.ref): one.evaluation for one in judged}
    curves = {ref: found for ref, found in boxes.items() if isinstance(found, DetectionEvaluation)}
    if curves:
        path = precision_recall(curves, folder / f"{name}-precision-recall.png")
        yield Plate("precision-recall", path, "Precision and recall at IoU 0.5, mean over the labels.")
    told = _calibrations(judged)
    if told:
        path = calibration_curve(told, folder / f"{name}-calibration.png")
        yield Plate("calibration", path, "How often answers of a score are right.")
    if inspection:
        path = confusion_matrix(
            inspection.confusion, f"{name}: what is taken for what", folder / f"{name}-confusion.png"
        )
        yield Plate("confusion", path, _threshold_note(judged[0]))


def _calibrations(judged: Sequence[Judged]) -> dict[str, Calibration]:
    evidence = {str(one.record.ref): one.evaluation.evidence for one in judged}
    told = {name: found.calibration() for name, found in evidence.items() if found is not None}
    return {name: found for name, found in told.items() if found.count}


def _threshold_note(judged: Judged) -> str:
    threshold = judged.record.manifest.score_threshold
    unit = ", in pixels" if isinstance(judged.evaluation, SegmentationEvaluation) else ""
    return f"What is taken for what{unit}, of all that reaches the score threshold of {threshold:.2f}."


def _worst(mine: Judged, samples: Sequence[Sample], inspection: Inspection, folder: Path) -> list[Plate]:
    """The images with the most mistakes, truth and prediction side by side, but those that cannot be read."""
    name = mine.record.ref
    found: list[Plate] = []
    order = sorted(range(len(samples)), key=lambda row: -inspection.mistakes[row])
    for row in order:
        if len(found) == _WORST or not inspection.mistakes[row]:
            break
        sample, shown = samples[row], mine.shown[row]
        note = _mistakes(inspection.mistakes[row])
        path = folder / f"{name}-worst-{len(found) + 1}.jpg"
        try:
            compared(
                sample.path,
                sample.annotations,
                _annotations(shown),
                mine.record.manifest.label_map,
                path,
                titles=("people", f"{name}, {note}"),
            )
        except ImageRejected:
            continue
        found.append(Plate(f"worst-{len(found) + 1}", path, f"{sample.file_name}: {note}"))
    return found


def _mistakes(count: float) -> str:
    if count != int(count) or count == 0:
        return f"{count:.1%} of the pixels wrong"
    return "1 mistake" if count == 1 else f"{count:.0f} mistakes"


def _annotations(shown: Prediction) -> list[Annotation]:
    return [*map(Annotation.of_box, shown.boxes), *shown.annotations]


def _sheet(worst: Sequence[Plate], path: Path) -> list[Plate]:
    if not worst:
        return []
    contact_sheet([plate.path for plate in worst], path, columns=2, tile=560)
    return [Plate("worst-images", path, "The images with the most mistakes: people left, brain right.")]


def _page(
    verdict: Verdict,
    judged: Sequence[Judged],
    inspection: Inspection | None,
    drawn: Sequence[Plate],
    worst: Sequence[Plate],
) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": _number, "embedded": _embedded}
    small = inspection is not None and len(inspection.confusion.labels) <= _MOST_LABELS + 1
    return environment.from_string(_TEMPLATE.read_text("utf-8")).render(
        verdict=verdict,
        names=[str(one.record.ref) for one in judged],
        evaluations=[one.evaluation for one in judged],
        summary=_summary(judged),
        classes=_classes(judged),
        axis=_axis(verdict),
        matrix=_matrix(inspection.confusion) if inspection and small else None,
        confusions=inspection.confusion.worst(10) if inspection else [],
        threshold_note=_threshold_note(judged[0]),
        plates=[plate for plate in drawn if plate.key != "confusion" or not small],
        worst=worst,
        manifest=judged[0].record.manifest,
    )


def _summary(judged: Sequence[Judged]) -> list[tuple[str, list[float | None]]]:
    """Rows of COCO's twelve numbers; none for other methods."""
    found = [one.evaluation for one in judged if isinstance(one.evaluation, DetectionEvaluation)]
    return [(name, [one.summary.get(name) for one in found]) for name in (found[0].summary if found else ())]


def _classes(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """A row a class: its name and all that is known of it, with the champion's value beside the brain's own."""
    mine, theirs = judged[0], judged[1] if len(judged) > 1 else None
    rows = []
    for key, score in mine.evaluation.per_class.items():
        row: dict[str, Any] = {"label": mine.evaluation.name_of(key)}
        for name, value in _named(score).items():
            if theirs is None or name != score.measure:
                row[name] = value
                continue
            other = theirs.evaluation.per_class.get(key)
            row[f"{name} of {mine.record.ref}"] = value
            row[f"{name} of {theirs.record.ref}"] = other.value if other else None
        rows.append(row)
    return rows


def _named(score: object) -> Mapping[str, Any]:
    return asdict(score) if is_dataclass(score) and not isinstance(score, type) else {}


def _axis(verdict: Verdict) -> dict[str, float] | None:
    """Where the ends of the interval lie on a line from -reach to +reach, in percent."""
    interval = verdict.interval
    if interval is None or not math.isfinite(interval.low):
        return None
    reach = 1.15 * max(abs(interval.low), abs(interval.high), abs(interval.difference), 0.01)
    places = {"low": interval.low, "high": interval.high, "middle": interval.difference}
    return {"reach": reach} | {name: 50 + 50 * value / reach for name, value in places.items()}


def _matrix(confusion: Confusion) -> dict[str, Any]:
    rows = []
    for name, counts in zip(confusion.labels, confusion.counts, strict=True):
        total = max(1, sum(counts))
        rows.append((name, [(count, count / total) for count in counts]))
    return {"labels": confusion.labels, "rows": rows}


def _number(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _embedded(path: Path) -> str:
    """A picture as a data URI, made smaller where it is large."""
    kind = "png" if path.suffix == ".png" else "jpeg"
    encoded = BytesIO()
    with Image.open(path) as image:
        small = image.convert("RGB")
        small.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
        small.save(encoded, kind, **({"quality": 82} if kind == "jpeg" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(encoded.getvalue()).decode()}"
