"""The quality report of a snapshot: one HTML file with its pictures inside, and the short of it in Prefect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from diffgram_flows.datasets import SnapshotReport
from diffgram_flows.datasets.census import quantile
from diffgram_flows.datasets.quality import Quality, counts_table, examine
from diffgram_flows.datasets.statistics import SPLITS
from diffgram_flows.datasets.suspicion import KINDS
from diffgram_flows.disk import write_file
from diffgram_flows.models import Snapshot
from diffgram_flows.reports.artifacts import markdown, picture
from diffgram_flows.reports.quality_pictures import encoded, label_sheet, odd_sheet, pair_sheet
from diffgram_flows.reports.quality_plots import counts_svg, drift_svg, sizes_svg

_TEMPLATE = Path(__file__).with_name("quality.html")
_MOST_SHEETS = 60
_MOST_ROWS = 200


def quality_path(workdir: Path, snapshot_id: str) -> Path:
    """Where the quality report of a snapshot lies or would lie."""
    return workdir / "reports" / f"snapshot-{snapshot_id}.html"


def quality_report(snapshot: Snapshot, previous: Snapshot | None, report: SnapshotReport, workdir: Path) -> Path:
    """Look at a snapshot, write what was found below ``workdir/reports``, and show it in Prefect.

    Args:
        snapshot: What was made.
        previous: The snapshot before it, to see what came since.
        report: What its making told: leaks, what was cut, what was left out.
        workdir: Where reports lie.

    Returns:
        The HTML file.
    """
    made: dict[str, Any] = {"skipped": report.skipped, "clipped": report.clipped, "ungrouped": report.ungrouped}
    found = examine(snapshot, previous, leaks=report.leaks, **made)
    path = write_quality(found, quality_path(workdir, snapshot.id))
    markdown("snapshot-quality", as_markdown(found, path))
    sheets = [sheet for label in _rare_first(found)[:1] if (sheet := label_sheet(found, label)) is not None]
    if sheets:
        preview = path.with_name(f"{path.stem}-samples.jpg")
        sheets[0].save(preview, quality=80)
        name = found.names[_rare_first(found)[0]]
        picture("snapshot-quality-samples", preview, f"Samples of {name!r}, the rarest label")
    return path


def write_quality(found: Quality, path: Path) -> Path:
    """Write the report as one HTML file that needs no other."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(_TEMPLATE.read_text("utf-8")).render(**_facts(found))
    write_file(path, page.encode(errors="replace"))
    return path


def as_markdown(found: Quality, path: Path) -> str:
    """What matters, for the artifact; ``path`` is where the rest is."""
    signs = {"good": "✅", "unknown": "❔", "look": "👀", "bad": "⛔"}
    lines = [f"# Quality of snapshot {found.snapshot_id}", ""]
    lines += [f"- {signs[one.level]} {_escaped(one.text)}" for one in found.findings]
    lines += ["", "| label | annotations | images | train | val | test |", "|---|---:|---:|---:|---:|---:|"]
    for row in counts_table(found)[:_MOST_ROWS]:
        cells = [_escaped(str(row["label"])), *(f"{row[name]:,}" for name in ("annotations", "images", *SPLITS))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"The whole report, with pictures: `{path}`", ""])


def _facts(found: Quality) -> dict[str, Any]:
    """What the template shows."""
    counted, label_map = found.counted, found.counted.label_map
    labels = [i for i in _rare_first(found) if counted.shown.of(i)]
    sheets = [(found.names[i], encoded(label_sheet(found, i))) for i in sorted(labels[:_MOST_SHEETS])]
    worst = found.agreement.worst
    return {
        "found": found,
        "splits": list(zip(SPLITS, counted.images.tolist(), counted.empty.tolist(), strict=True)),
        "rows": [row | size for row, size in zip(counts_table(found), _sizes(found), strict=True)][:_MOST_ROWS],
        "left_out": max(0, len(found.names) - _MOST_ROWS),
        "counts": counts_svg(found),
        "sizes": sizes_svg(found) if counted.sizes.any() else "",
        "drift": drift_svg(found),
        "suspicions": [(k, text, counted.suspicious[k], encoded(odd_sheet(found, k))) for k, text in KINDS.items()],
        "leaks": encoded(pair_sheet(found.shown_leaks[:6], label_map)),
        "worst": encoded(pair_sheet([(one.one, one.other) for one in worst[:4]], label_map)),
        "sheets": sheets,
        "empty": encoded(label_sheet(found, None)),
    }


def _sizes(found: Quality) -> list[dict[str, object]]:
    """Sizes of the boxes of each label: quantiles as shares of the image's side, and COCO's three classes."""
    return [
        {
            "quantiles": [quantile(sizes, share) for share in (0.05, 0.5, 0.95)] if sizes.any() else [],
            "scale": scale.tolist(),
        }
        for sizes, scale in zip(found.counted.sizes, found.counted.scale, strict=True)
    ]


def _rare_first(found: Quality) -> list[int]:
    """Class indices of the labels that are there: what is rare deserves a look before what is frequent."""
    total = found.counted.having.sum(axis=0)
    return [i for i in np.argsort(total, kind="stable").tolist() if total[i]]


def _escaped(text: str) -> str:
    """Names of other people's making, as text of Markdown."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|!" else sign for sign in text.replace("\n", " "))
