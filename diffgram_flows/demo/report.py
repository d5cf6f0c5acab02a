"""What came of the demo, to look at: ``report/index.html`` and, for machines, ``report/summary.json``."""

from __future__ import annotations

import json
from dataclasses import asdict
from html import escape
from pathlib import Path

from diffgram_flows.brains import Brain, BrainRecord, before_after, loss_curve, pictures_of, precision_recall
from diffgram_flows.datasets import latest_snapshot
from diffgram_flows.demo.results import Summary, champions, judged, summarise
from diffgram_flows.demo.rounds import Play
from diffgram_flows.errors import NotEnoughData
from diffgram_flows.models import Box, Sample
from diffgram_flows.reports import sheet

_SHOWN = 8
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse } th, td { border: 1px solid #ccc; padding: .3rem .8rem; text-align: right }
figure { margin: 1.5rem 0 } img { max-width: 100%; border: 1px solid #ddd } figcaption { color: #555 }
"""


def write_report(play: Play, *, wall_seconds: float) -> Summary:
    """Judge every round's champion on the same test images, and write the report.

    Raises:
        NotEnoughData: Nobody finished a file, or nothing was promoted.
    """
    folder = play.workdir / "report"
    folder.mkdir(exist_ok=True)
    workspace = play.workspace
    snapshot = latest_snapshot(workspace.ledger, workspace.snapshots, workspace.images)
    records = champions(play)
    if snapshot is None or not records:
        raise NotEnoughData("No brain was promoted in the demo.", cure="Give it more pictures with boxes.")
    test = snapshot.split("test")
    evaluations = judged(records, test)
    summary = summarise(play, snapshot, evaluations, wall_seconds)
    precision_recall(evaluations, folder / "precision-recall.png")
    shown = [("precision-recall.png", "Precision and recall of the champions, on the same test images")]
    for name, record in records.items():
        loss_curve(record.manifest.history, folder / f"loss-{name}.png")
        shown.append((f"loss-{name}.png", f"Loss of {name}, trained on snapshot {record.manifest.snapshot_id}"))
    people = [(sample.path, sample.boxes) for sample in snapshot.samples[:12]]
    sheet(people, snapshot.label_map, folder / "people.jpg")
    shown.append(("people.jpg", "What people drew"))
    shown += _compared(records, test[:_SHOWN], folder)
    (folder / "summary.json").write_text(json.dumps(asdict(summary), indent=2))
    (folder / "index.html").write_text(_page(summary, shown), encoding="utf-8")
    return summary


def _compared(records: dict[str, BrainRecord], samples: tuple[Sample, ...], folder: Path) -> list[tuple[str, str]]:
    """Pictures of what the first and the last champion see in the same test images."""
    first, last = next(iter(records.values())), list(records.values())[-1]
    before, after = _seen(first, samples), _seen(last, samples)
    found = []
    for number, sample in enumerate(samples):
        name = f"test-{number}.jpg"
        titles = (f"{first.ref}", f"{last.ref}")
        boxes = (before[number], after[number])
        before_after(sample.path, *boxes, last.manifest.label_map, folder / name, titles=titles)
        found.append((name, f"{sample.file_name}: what {first.ref} and {last.ref} see"))
    return found


def _seen(record: BrainRecord, samples: tuple[Sample, ...]) -> list[tuple[Box, ...]]:
    return [prediction.boxes for prediction in Brain.load(record).predict(pictures_of(samples))]


def _page(summary: Summary, pictures: list[tuple[str, str]]) -> str:
    rows = "".join(
        f"<tr><td>{number}</td><td>{escape(r.brain)}</td><td>{r.images_annotated}</td><td>{r.edits_per_image:.2f}</td>"
        f"<td>{'-' if r.prelabels_kept_share is None else f'{r.prelabels_kept_share:.0%}'}</td>"
        f"<td>{r.map:.3f}</td><td>{r.map50:.3f}</td></tr>"
        for number, r in enumerate(summary.rounds, start=1)
    )
    figures = "".join(
        f'<figure><img src="{escape(name)}" alt="{escape(text)}"><figcaption>{escape(text)}</figcaption></figure>'
        for name, text in pictures
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Import - train - update</title><style>{_STYLE}</style></head><body>
<h1>Import - train - update</h1>
<p>{summary.objects} objects in the bucket, {summary.imported} imported, {summary.duplicates} duplicates,
{summary.failed} failed, in {summary.wall_seconds:.0f} seconds.</p>
<table><tr><th>round</th><th>champion</th><th>annotated</th><th>edits an image</th><th>pre-labels kept</th>
<th>mAP</th><th>mAP50</th></tr>{rows}</table>
{figures}
</body></html>
"""
