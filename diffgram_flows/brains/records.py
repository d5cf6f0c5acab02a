"""What is written down about a brain, and whether its files are still what was written down."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

from diffgram_flows.brains.evaluation import Evaluation
from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.disk import sha256_of
from diffgram_flows.errors import BrainTampered, ConfigurationError
from diffgram_flows.models import BrainRef, Failure, LabelMap
from diffgram_flows.names import Attribute

MANIFEST = "manifest.json"
_RECORDED_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "diffgram-flows")


@dataclass(frozen=True, slots=True)
class Epoch:
    """The means of one interval of a training.

    Attributes:
        step: The last step of the interval.
        loss: Over the interval's training batches.
        parts: What the loss is made of, by name, unweighted.
        validation_loss: Over the validation images at the interval's end, ``None`` without such images.
        scores: On the validation images, by name; the method's choice.
        seconds: Since the training began.
    """

    step: int
    loss: float
    parts: Mapping[str, float]
    validation_loss: float | None
    scores: Mapping[str, float]
    seconds: float

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Epoch:
        """Read what ``asdict`` gives, and what earlier versions wrote."""
        known = dict(value)
        parts = {name: known.pop(f"{name}_loss") for name in ("box", "class") if f"{name}_loss" in known}
        return cls(**{"parts": parts, "scores": {}} | known)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Where a brain comes from, how good it is, and what its files are.

    Attributes:
        method: Name of the method that trained it and can load it.
        created: When, in UTC.
        snapshot_id: What it was trained on.
        label_map: Class index to label, and what people called the attributes of labels.
        options: How it was trained.
        parent: The version it started from (``name@3``), ``None`` from scratch.
        metrics: Evaluations at training time, by split (``val``, ``test``); splits without images are missing.
        score_threshold: Below it, showing a box costs people more edits than it saves.
        history: Losses during the training.
        skipped: Images that could not be trained on.
        files: SHA-256 (hex) of every file but the manifest, by path relative to the folder, with slashes.
        versions: Versions of the packages it was made with; ``git`` is the revision of this one, where it is known.
        source: Of a brain that was converted: ``file``, which it was made of, and its ``sha256`` (hex).
    """

    method: str
    created: datetime
    snapshot_id: str
    label_map: LabelMap
    options: TrainingOptions
    parent: str | None
    metrics: Mapping[str, Evaluation]
    score_threshold: float
    history: tuple[Epoch, ...]
    skipped: tuple[Failure, ...]
    files: Mapping[str, str]
    versions: Mapping[str, str]
    source: Mapping[str, str] = field(default_factory=dict)

    def judged(self, metrics: Mapping[str, Evaluation], score_threshold: float) -> Manifest:
        """This manifest with what the evaluation found."""
        return replace(self, metrics=metrics, score_threshold=score_threshold)

    def sealed(self, folder: Path) -> Manifest:
        """This manifest with the digests of the files that lie in ``folder`` now."""
        return replace(self, files=file_digests(folder))

    def to_json(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "created": self.created.isoformat(),
            "snapshot_id": self.snapshot_id,
            "label_map": [list(pair) for pair in self.label_map.labels],
            "label_map_digest": self.label_map.digest,
            "attribute_groups": [one.to_json() for one in self.label_map.attributes],
            "options": self.options.to_json(),
            "parent": self.parent,
            "metrics": {split: evaluation.to_json() for split, evaluation in self.metrics.items()},
            "score_threshold": self.score_threshold,
            "history": [asdict(epoch) for epoch in self.history],
            "skipped": [asdict(failure) for failure in self.skipped],
            "files": dict(self.files),
            "versions": dict(self.versions),
            **({"source": dict(self.source)} if self.source else {}),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Manifest:
        """Read :meth:`to_json`.

        Raises:
            KeyError, TypeError, ValueError: It is not of that form, or the label map is not what its digest says.
        """
        labels = tuple((int(label_file_id), str(name)) for label_file_id, name in value["label_map"])
        # Earlier versions did not write down what people call attributes.
        named = tuple(Attribute.from_json(group) for group in value.get("attribute_groups", ()))
        label_map = LabelMap(labels, named)
        if label_map.digest != value["label_map_digest"]:
            raise ValueError("the label map is not what its digest says")
        return cls(
            method=value["method"],
            created=datetime.fromisoformat(value["created"]).astimezone(UTC),
            snapshot_id=value["snapshot_id"],
            label_map=label_map,
            options=TrainingOptions.from_json(value["options"]),
            parent=value["parent"],
            metrics={split: Evaluation.from_json(item) for split, item in value["metrics"].items()},
            score_threshold=float(value["score_threshold"]),
            history=tuple(Epoch.from_json(epoch) for epoch in value["history"]),
            skipped=tuple(Failure(**failure) for failure in value["skipped"]),
            files=dict(value["files"]),
            versions=dict(value["versions"]),
            source=dict(value.get("source", {})),
        )


@dataclass(frozen=True, slots=True)
class BrainRecord:
    """One version of a brain, as it lies in the registry."""

    ref: BrainRef
    folder: Path
    manifest: Manifest

    def verify(self) -> None:
        """Compare every file with the manifest.

        Raises:
            BrainTampered: A file was changed, is missing, or is not in the manifest.
        """
        found = file_digests(self.folder)
        for path in sorted(found.keys() | self.manifest.files.keys()):
            if found.get(path) == self.manifest.files.get(path):
                continue
            what = "is missing" if path not in found else "was changed"
            what = what if path in self.manifest.files else "is not in its manifest"
            raise tampered(self.ref, path, what, self.folder)


def parse_manifest(ref: BrainRef, content: bytes, where: str) -> Manifest:
    """Read the manifest of a version.

    Args:
        ref: Whose it is.
        content: What the file holds.
        where: Path or URI of the file, for the message.

    Raises:
        BrainTampered: The manifest is unreadable or inconsistent.
    """
    try:
        return Manifest.from_json(json.loads(content))
    except (AttributeError, ConfigurationError, KeyError, TypeError, ValueError) as error:
        raise BrainTampered(
            f"The manifest of the brain {ref} cannot be read ({error}).",
            cure=f"Restore {where} from a backup, or remove this version.",
        ) from error


def tampered(ref: BrainRef, path: str, what: str, where: object) -> BrainTampered:
    """The error for a file that is not what the manifest says."""
    return BrainTampered(
        f"The file {path} of the brain {ref} {what}.",
        cure=f"Restore {where} from a backup, or promote another version.",
    )


def file_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder but the manifest, by relative path."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / MANIFEST)
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}


def package_versions() -> dict[str, str]:
    """Versions of the packages that decide what a brain is, those that are installed; ``git`` is our own revision."""
    versions = {}
    for name in _RECORDED_PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    revision = _installed_revision() or _checked_out_revision()
    return versions | ({"git": revision} if revision else {})


def _installed_revision() -> str:
    """The commit that pip installed this package from, if it was a repository."""
    try:
        origin = json.loads(distribution("diffgram-flows").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return ""
    return str(origin.get("vcs_info", {}).get("commit_id", ""))


def _checked_out_revision() -> str:
    """The commit of the working copy that this file is in, with ``-dirty`` if it was changed since."""
    root, git = Path(__file__).parents[2], shutil.which("git")
    if git is None or not (root / ".git").exists():
        return ""
    command = [git, "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
