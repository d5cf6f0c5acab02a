"""From finished annotations to training data that can be trusted.

An export (:func:`export_finished`) is reduced to the files that people finished and refused unless it is complete. A
snapshot (:func:`make_snapshot`) is made of it: images fetched once, boxes cut to them, every image in one split for
ever, the label map only ever appended to. A snapshot is immutable and named by its content, and whoever reads it
(:func:`load_snapshot`) learns of any later change. Formats of other tools are in ``formats/``.
"""

from __future__ import annotations

from diffgram_flows.datasets.completeness import ExportRecord, check_complete
from diffgram_flows.datasets.exporting import FinishedExport, export_finished
from diffgram_flows.datasets.fetching import ImageSource
from diffgram_flows.datasets.formats import FORMATS, find_format
from diffgram_flows.datasets.images import ImageCache
from diffgram_flows.datasets.labels import display_names, extended_label_map
from diffgram_flows.datasets.reading import latest_snapshot, load_snapshot
from diffgram_flows.datasets.snapshotting import SnapshotOptions, SnapshotReport, make_snapshot
from diffgram_flows.datasets.splits import split_of
from diffgram_flows.datasets.statistics import SplitStatistics, count, count_by_split

__all__ = [
    "FORMATS",
    "ExportRecord",
    "FinishedExport",
    "ImageCache",
    "ImageSource",
    "SnapshotOptions",
    "SnapshotReport",
    "SplitStatistics",
    "check_complete",
    "count",
    "count_by_split",
    "display_names",
    "export_finished",
    "extended_label_map",
    "find_format",
    "latest_snapshot",
    "load_snapshot",
    "make_snapshot",
    "split_of",
]
