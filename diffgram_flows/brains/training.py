"""From a snapshot to a new version of a brain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from diffgram_flows.brains.checkpoints import checkpoints_of, order_key
from diffgram_flows.brains.evaluation import Evaluation, pictures_of
from diffgram_flows.brains.methods import Method, Trained, check_same_kind, find_method
from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.prediction import Brain, distinct
from diffgram_flows.brains.records import BrainRecord, Manifest, package_versions
from diffgram_flows.brains.registry import Registry
from diffgram_flows.errors import ConfigurationError, LabelMapChanged, NotEnoughData
from diffgram_flows.models import BrainRef, LabelMap, Prediction, Progress, Sample, Snapshot, Split, no_progress

_BATCH_SIZE = 16


def train_brain(
    snapshot: Snapshot,
    *,
    name: str,
    registry: Registry,
    options: TrainingOptions,
    method: str = "object_detection",
    start_from: BrainRef | None = None,
    checkpoints: Path | None = None,
    progress: Progress = no_progress,
) -> BrainRecord:
    """Train a brain and add it to the registry as the next version of its name. It is not promoted.

    Args:
        snapshot: The data. ``train`` is learned from, ``val`` decides the score threshold (``train`` does, where
            there is none); both ``val`` and ``test`` are evaluated.
        name: Which brain.
        registry: Where it goes.
        options: How it is trained.
        method: How it learns.
        start_from: A version whose weights it starts from, as far as they fit; labels appended since are learned anew.
        checkpoints: A folder for the states of unfinished trainings. One that was interrupted, however, goes on where
            it was when it is started again with the same snapshot, options, method and ``start_from``.
        progress: Told about the training's steps.

    Returns:
        The new version.

    Raises:
        NotEnoughData: No training image, or none with anything that the method learns from.
        LabelMapChanged: The labels of ``start_from``, or of the champion of that name, are not the first ones of the
            snapshot.
        BrainNotFound, BrainTampered: ``start_from`` is not there, or was changed.
        ConfigurationError: An unknown method, one that finds something else than the champion of that name, or one by
            which ``start_from`` did not learn; or TensorFlow is not installed.
        Busy: Another process is at the same training.
        BrainError: It diverged: its weights are no numbers any more.
    """
    way = find_method(method)
    _check_champion(snapshot, registry, name, method)
    _check_material(snapshot, way)
    parent = _parent(snapshot, registry, start_from, method)
    key = order_key(snapshot, options, start_from, method)
    with _kept(checkpoints, name, key) as unfinished, registry.draft(name) as draft:
        trained = way.train(snapshot, draft, options, parent=parent, progress=progress, checkpoints=unfinished)
        manifest = _manifest(snapshot, way, options, start_from, trained)
        unjudged = BrainRecord(BrainRef(name, registry.next_version(name)), draft, manifest)
        metrics, threshold = _judged(way, unjudged, snapshot)
        return registry.add(name, draft, manifest.judged(metrics, threshold))


def options_for(method: str, **chosen: Any) -> TrainingOptions:
    """Options with the learning rate that suits a method, unless one is chosen.

    Raises:
        ConfigurationError: An unknown method, or a number is out of range.
    """
    return TrainingOptions(**{"learning_rate": find_method(method).learning_rate, **chosen})


def check_judging(snapshot: Snapshot, name: str, method: str) -> None:
    """Refuse a training of which nobody could say how good it is, before it costs anything.

    Raises:
        NotEnoughData: No test image has anything on it that the method finds.
        ConfigurationError: An unknown method.
    """
    way = find_method(method)
    if not _any_to_learn(snapshot.split("test"), way):
        raise NotEnoughData(
            f"None of the {len(snapshot.samples)} images of the snapshot {snapshot.id} is a test image with "
            f"{_kinds(way)}, so nobody could say how good {name!r} is.",
            cure="Finish more tasks in Diffgram, or raise test_share, then export again.",
        )


def starting_from(champion: BrainRecord | None, method: str) -> BrainRecord | None:
    """The champion, if a training by that method can start from its weights."""
    return champion if champion and champion.manifest.method == method else None


@contextmanager
def _kept(checkpoints: Path | None, name: str, key: str) -> Iterator[Path | None]:
    if checkpoints is None:
        yield None
        return
    with checkpoints_of(checkpoints / name, key) as folder:
        yield folder


def _check_material(snapshot: Snapshot, method: Method) -> None:
    samples = snapshot.split("train")
    if not _any_to_learn(samples, method):
        count = (
            f"{len(samples)} training images, none of them with {_kinds(method)}" if samples else "no training image"
        )
        raise NotEnoughData(
            f"The snapshot {snapshot.id} has {count} (of {len(snapshot.samples)} images in all).",
            cure="Annotate more images in Diffgram, export again, then train.",
        )


def _kinds(method: Method) -> str:
    return " or ".join(f"a {kind}" for kind in sorted(method.instance_types))


def _check_champion(snapshot: Snapshot, registry: Registry, name: str, method: str) -> None:
    """Refuse a training whose outcome could not be compared with the champion, before it costs anything."""
    champion = registry.champion_ref(name)
    if champion is None:
        return
    manifest = registry.manifest(champion)
    check_same_kind(method, champion, manifest.method)
    if manifest.label_map.is_prefix_of(snapshot.label_map):
        return
    raise LabelMapChanged(
        f"The labels of the champion {champion} ({_with_ids(manifest.label_map)}) are not the first ones "
        f"of the snapshot {snapshot.id} ({_with_ids(snapshot.label_map)}): what is trained could not be compared.",
        cure=f"Give the new brain another name than {name}, or promote a version that has the snapshot's labels first.",
    )


def _with_ids(labels: LabelMap) -> str:
    return ", ".join(f"{name} (id {label_file_id})" for label_file_id, name in labels.labels) or "none"


def _any_to_learn(samples: Iterable[Sample], method: Method) -> bool:
    return any(annotation.type in method.instance_types for sample in samples for annotation in sample.annotations)


def _parent(snapshot: Snapshot, registry: Registry, start_from: BrainRef | None, method: str) -> BrainRecord | None:
    if start_from is None:
        return None
    parent = registry.get(start_from)
    if starting_from(parent, method) is None:
        raise ConfigurationError(
            f"{start_from} learned {parent.manifest.method}; {method} has other layers than its weights are of.",
            cure="Train from scratch, or by the same method.",
        )
    known = parent.manifest.label_map
    if not known.is_prefix_of(snapshot.label_map):
        raise LabelMapChanged(
            f"The labels of {start_from} ({', '.join(known.names)}) are not the first ones of the snapshot "
            f"{snapshot.id} ({', '.join(snapshot.label_map.names)}).",
            cure="Train from scratch, or restore the labels that are gone.",
        )
    parent.verify()
    return parent


def _manifest(
    snapshot: Snapshot, method: Method, options: TrainingOptions, parent: BrainRef | None, trained: Trained
) -> Manifest:
    weights = options.weights_digest()
    return Manifest(
        method=method.name,
        created=datetime.now(UTC),
        snapshot_id=snapshot.id,
        label_map=snapshot.label_map,
        options=options,
        parent=str(parent) if parent else None,
        metrics={},
        score_threshold=1.0,
        history=trained.history,
        skipped=trained.skipped,
        files={},
        versions=package_versions() | ({"backbone_weights": weights} if weights else {}),
    )


def _judged(method: Method, record: BrainRecord, snapshot: Snapshot) -> tuple[dict[str, Evaluation], float]:
    """Evaluations of the splits that were not learned from, and the best score threshold."""
    brain = Brain(record, method.load(record))

    def predictions(samples: tuple[Sample, ...]) -> list[Prediction]:
        return list(brain.predict(pictures_of(samples), score_threshold=0.0, batch_size=_BATCH_SIZE))

    splits: tuple[Split, ...] = ("val", "test")
    seen = {split: predictions(snapshot.split(split)) for split in splits if snapshot.split(split)}
    metrics: dict[str, Evaluation] = {
        split: method.evaluate(snapshot.split(split), found, snapshot.label_map) for split, found in seen.items()
    }
    teaching: Split = "val" if _any_to_learn(snapshot.split("val"), method) else "train"
    deciding = snapshot.split(teaching)
    shown = seen[teaching] if teaching in seen else predictions(deciding)
    return metrics, method.best_threshold(deciding, map(distinct, shown))
