"""From finished annotations to training data that can be trusted.

Of an export (:func:`export_finished`) a snapshot is made (:func:`make_snapshot`), or refused if it lacks a file that
people finished: images fetched once, annotations cut to them, every image in one split for ever, the label map only
ever appended to. A snapshot is immutable and named by its content, and whoever reads it
(:func:`load_snapshot`) learns of any later change. Formats of other tools are in ``formats/``.
"""

from __future__ import annotations

from diffgram_flows.datasets.completeness import Completeness, ExportRecord
from diffgram_flows.datasets.exporting import FinishedExport, export_finished
from diffgram_flows.datasets.fetching import ImageSource
from diffgram_flows.datasets.formats import FORMATS, find_format
from diffgram_flows.datasets.images import ImageCache
from diffgram_flows.datasets.labels import extended_label_map
from diffgram_flows.datasets.options import SnapshotOptions
from diffgram_flows.datasets.provenance import finished_files
from diffgram_flows.datasets.reading import latest_snapshot, load_snapshot
from diffgram_flows.datasets.snapshotting import SnapshotReport, make_snapshot
from diffgram_flows.datasets.splits import split_of
from diffgram_flows.datasets.statistics import SplitStatistics

__all__ = [
    "FORMATS",
    "Completeness",
    "ExportRecord",
    "FinishedExport",
    "ImageCache",
    "ImageSource",
    "SnapshotOptions",
    "SnapshotReport",
    "SplitStatistics",
    "export_finished",
    "extended_label_map",
    "find_format",
    "finished_files",
    "latest_snapshot",
    "load_snapshot",
    "make_snapshot",
    "split_of",
]
