"""Writing a snapshot: everything into a hidden folder, which gets its name, the id, in one step."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import parquet

from diffgram_flows.datasets import manifest
from diffgram_flows.datasets.columns import IMAGES, INSTANCES, SPLITS, TYPES, ContentDigest, coded, codes_of
from diffgram_flows.datasets.intake import Intake
from diffgram_flows.datasets.leaks import Policy, Settled, settle_leaks
from diffgram_flows.datasets.statistics import SplitStatistics, Tally, twins
from diffgram_flows.disk import publish, sync
from diffgram_flows.models import LabelMap, Split

_IMAGES_IN_A_GROUP = 8192
_REPEATED = ["type", "label_file_id", "split", "group"]  # what is worth a dictionary in Parquet
_EXAMPLES = 100  # pairs of near-duplicates in a manifest
_LEFT_OUT = 1000  # names in a manifest; the number is there in any case


@dataclass(frozen=True)
class Written:
    """A snapshot whose files lie in a hidden folder, but for the manifest.

    Attributes:
        twins: Images with the same bytes as one of another split.
        settled: Images that look like one of another split.
    """

    snapshot_id: str
    label_map: LabelMap
    total: SplitStatistics
    splits: Mapping[Split, SplitStatistics]
    twins: int
    settled: Settled


class Images:
    """The images of a snapshot in order of file id, as columns in memory: about 250 bytes each.

    Args:
        batches: In any order; taken out of the list.
    """

    def __init__(self, batches: list[Any]) -> None:
        table = pa.Table.from_batches(batches)
        batches.clear()
        self.arrived = _numbers(table, "annotations")
        self.order: npt.NDArray[np.int64] = np.argsort(_numbers(table, "file_id"), kind="stable")
        self.table = table.take(pa.array(self.order))
        self.counts = self.arrived[self.order]
        self.splits = codes_of(self.table.column("split"), SPLITS)

    def settle(self, policy: Policy, distance: int, fixed: Collection[int]) -> Settled:
        """Look for images of different splits that show the same, and bring newcomers to their elders if wanted."""
        names = np.array(SPLITS, object)[self.splits].tolist()
        ids, hashes = _numbers(self.table, "file_id"), self.table.column("phash").to_numpy()
        sha256s, groups = (self.table.column(name).to_pylist() for name in ("sha256", "group"))
        tied = groups if any(groups) else None
        how: dict[str, Any] = {"policy": policy, "distance": distance, "fixed": fixed, "groups": tied}
        settled = settle_leaks(ids, names, hashes, sha256s, **how)
        if settled.moved:
            place = IMAGES.get_field_index("split")
            self.splits = np.array([SPLITS.index(split) for split in settled.splits], np.int8)
            self.table = self.table.set_column(place, IMAGES.field(place), coded(self.splits, SPLITS))
        return settled


def write(part: Path, intake: Intake, images: Images, label_map: LabelMap) -> Written:
    """Write images, annotations and labels into a hidden folder."""
    options = intake.options
    settled = images.settle(options.near_duplicates, options.near_duplicate_distance, intake.fixed)
    digest, tally = ContentDigest(), Tally(label_map)
    tally.add_images(images.splits, images.counts)
    owners = np.repeat(images.splits, images.counts)
    with _writer(part / manifest.INSTANCES, INSTANCES) as writer:
        first = 0
        for rows in intake.spool.sorted(images.arrived, images.order):
            digest.add("instances", rows)
            labels, types = _numbers(rows, "label_file_id"), codes_of(rows.column("type"), TYPES)
            tally.add_annotations(owners[first : first + len(rows)], labels, types)
            writer.write_table(rows)
            first += len(rows)
    with _writer(part / manifest.IMAGES, IMAGES) as writer:
        digest.add("images", images.table)
        writer.write_table(images.table, row_group_size=_IMAGES_IN_A_GROUP)
    (part / manifest.LABELS).write_bytes(manifest.label_file(label_map))
    contents = images.table.column("sha256").combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    torn = twins(contents, images.splits)
    return Written(digest.snapshot_id(label_map), label_map, tally.total(), tally.by_split(), torn, settled)


def finish(part: Path, folder: Path, written: Written, intake: Intake, origin: Mapping[str, Any]) -> bool:
    """Add the manifest and give the snapshot its name; ``False`` if it is there already."""
    place = folder / written.snapshot_id
    if place.is_dir():
        return False
    failures = sorted(intake.failures, key=lambda failure: failure.name)
    facts = {
        **origin,
        "id": written.snapshot_id,
        "label_map_digest": written.label_map.digest,
        "total": asdict(written.total),
        "splits": {split: asdict(statistics) for split, statistics in written.splits.items()},
        "provenance": {name: intake.counts[name] for name in ("human", "confirmed", "excluded", "open")},
        "twins": written.twins,
        "ungrouped": intake.ungrouped,
        "near_duplicates": _near_duplicates(written.settled),
        "skipped": dict(sorted(intake.skipped.items())),
        "clipped": intake.clipped,
        "left_out": [asdict(failure) for failure in failures[:_LEFT_OUT]],
        "left_out_count": len(failures),
    }
    (part / manifest.MANIFEST).write_bytes(manifest.write_manifest(part, facts))
    for path in part.iterdir():
        sync(path)
    return publish(part, place)


def _near_duplicates(settled: Settled) -> dict[str, Any]:
    return {
        "left": len(settled.leaks),
        "moved": len(settled.moved),
        "examples": [asdict(leak) for leak in settled.leaks[:_EXAMPLES]],
    }


def _writer(path: Path, schema: Any) -> Any:
    return parquet.ParquetWriter(path, schema, compression="zstd", compression_level=1, use_dictionary=_REPEATED)


def _numbers(rows: Any, name: str) -> npt.NDArray[np.int64]:
    numbers: npt.NDArray[np.int64] = rows.column(name).to_numpy().astype(np.int64)
    return numbers
