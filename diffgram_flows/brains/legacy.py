"""Brains that Diffgram's earlier SDK has left behind: a folder with a frozen graph and its ``label_dict``.

    brain = load_legacy(Path("old-brain"), {12: "car"})
    record = convert_legacy(Path("old-brain"), registry, "cars", {12: "car"})

The folder holds ``frozen_inference_graph.pb`` (TensorFlow 1) and ``label_dict.json``: label file id to the number of
the class in the graph.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from diffgram_flows.brains.methods.in_tensorflow import module
from diffgram_flows.brains.methods.legacy_detection import LegacyDetection
from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.prediction import Brain
from diffgram_flows.brains.records import BrainRecord, Manifest, package_versions
from diffgram_flows.brains.registry import Registry
from diffgram_flows.disk import sha256_of
from diffgram_flows.errors import BrainTampered, ConfigurationError
from diffgram_flows.models import BrainRef, LabelMap

# The earlier SDK shows what is surer than this.
DEFAULT_THRESHOLD = 0.5


def load_legacy(folder: Path, names: Mapping[int, str] | None = None, *, sha256: str = "") -> Brain:
    """Load such a brain as it is.

    Args:
        folder: Where its two files are.
        names: Of its labels, by label file id; a label without a name gets one from its id.
        sha256: What the graph's SHA-256 (hex) must be, if it is known.

    Returns:
        A brain of version 0, which belongs to no registry. Its threshold is that of the earlier SDK.

    Raises:
        BrainTampered: A file is not what it should be, or the graph holds a forbidden operation.
        ConfigurationError: A name is of a label that it does not have, or TensorFlow is not installed.
    """
    legacy = _legacy()
    _check(folder / legacy.GRAPH_FILE, sha256)
    record = BrainRecord(BrainRef(folder.resolve().name, 0), folder, _manifest(folder, names or {}, DEFAULT_THRESHOLD))
    return Brain(record, legacy.load(record))


def convert_legacy(
    folder: Path,
    registry: Registry,
    name: str,
    names: Mapping[int, str] | None = None,
    *,
    sha256: str = "",
    score_threshold: float = DEFAULT_THRESHOLD,
) -> BrainRecord:
    """Make such a brain the next version of ``name``, as any other brain of the registry; it cannot be trained on.

    The graph is kept beside what was made of it, for programs that want it as it was.

    Args:
        folder: Where its two files are.
        registry: Where it goes.
        name: What it is called there.
        names: As of :func:`load_legacy`.
        sha256: As of :func:`load_legacy`.
        score_threshold: Below it nothing is shown.

    Raises:
        BrainTampered: As of :func:`load_legacy`.
        ConfigurationError: A name is of a label that it does not have, or TensorFlow is not installed.
    """
    legacy = _legacy()
    _check(folder / legacy.GRAPH_FILE, sha256)
    manifest = _manifest(folder, names or {}, score_threshold)
    with registry.draft(name) as draft:
        legacy.convert(folder / legacy.GRAPH_FILE, draft)
        for file in (legacy.LABEL_FILE, legacy.GRAPH_FILE):
            shutil.copyfile(folder / file, draft / file)
        return registry.add(name, draft, manifest)


def _manifest(folder: Path, names: Mapping[int, str], score_threshold: float) -> Manifest:
    legacy = _legacy()
    model_ids = legacy.read_label_dict(folder / legacy.LABEL_FILE)
    files = {name: sha256_of(folder / name) for name in (legacy.GRAPH_FILE, legacy.LABEL_FILE)}
    labels = sorted(model_ids, key=lambda label_file_id: model_ids[label_file_id])
    if unknown := sorted(names.keys() - model_ids.keys()):
        raise ConfigurationError(
            f"The brain in {folder} has no label {', '.join(map(str, unknown))}.",
            cure=f"Its {legacy.LABEL_FILE} has {', '.join(map(str, sorted(labels)))}: name these, or leave names out.",
        )
    return Manifest(
        method=LegacyDetection.name,
        created=datetime.now(UTC),
        snapshot_id="",
        label_map=LabelMap(tuple((found, names.get(found, f"label {found}")) for found in labels)),
        options=TrainingOptions(),
        parent=None,
        metrics={},
        score_threshold=score_threshold,
        history=(),
        skipped=(),
        files=files,
        versions=package_versions(),
        source={"file": f"{folder.resolve().name}/{legacy.GRAPH_FILE}", "sha256": files[legacy.GRAPH_FILE]},
    )


def _check(graph: Path, sha256: str) -> None:
    if not graph.is_file():
        raise BrainTampered(
            f"The graph {graph} is missing.", cure=f"Give the folder with {graph.name} and {_legacy().LABEL_FILE}."
        )
    if sha256 and (found := sha256_of(graph)) != sha256.lower():
        raise BrainTampered(
            f"The graph {graph} has the SHA-256 {found}, not {sha256.lower()}.", cure="Restore it from a backup."
        )


def _legacy() -> ModuleType:
    """The TensorFlow part, imported when it is needed."""
    return module("legacy")
