"""Predicting what is in a bucket or a folder, without a Diffgram: list, fetch ahead, predict, write, chunk by chunk."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from diffgram_flows.brains.prediction import Brain, predict_many
from diffgram_flows.brains.result_settings import ResultSettings
from diffgram_flows.brains.results import ResultForm, complete, read_versions, result_files, write_predictions
from diffgram_flows.brains.tiling import TileOption, Tiling
from diffgram_flows.errors import ConfigurationError, StorageError, StorageUnavailable
from diffgram_flows.models import Failure, Picture, Prediction, Progress, StoredObject, no_progress
from diffgram_flows.storage import ObjectStore, SkipReason
from diffgram_flows.storage.media import TYPES

_THREADS = 8
_BYTES_AHEAD = 256 << 20
_IMAGES = frozenset(suffix for suffix, kind in TYPES.items() if kind.startswith("image/"))


@dataclass(slots=True)
class PredictedObjects:
    """What became of a bucket's images.

    Attributes:
        images: Looked at in this run.
        boxes: Found in them, by all brains together.
        known: Were there already from an earlier run.
        failures: Could not be read or looked at, or are empty. What could not be read is tried again by the next run;
            what an earlier run could not look at is told again, as long as it is there.
        skipped: Objects that were left out of the listing: reason to count.
        more: Whether images are left for the next run, because this one had a limit.
    """

    images: int = 0
    boxes: int = 0
    known: int = 0
    failures: list[Failure] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    more: bool = False


def predict_objects(
    brains: Sequence[Brain],
    store: ObjectStore,
    prefix: str,
    out: Path,
    *,
    chunk_size: int = 500,
    form: ResultForm = "jsonl",
    score_threshold: float | None = None,
    tile: TileOption | Tiling = "never",
    max_files: int | None = None,
    progress: Progress = no_progress,
) -> PredictedObjects:
    """Predict all images below a prefix, and write what was seen to ``out/<name@version>/<number>``.

    A chunk's file is there as a whole or not at all, so a run that was killed goes on where it was: what is written is
    not looked at again, and what is new or has changed since is. Images are told by the suffix of their key.

    How it was looked at is written beside the results, once (:class:`ResultSettings`). Where earlier runs had another
    form, what they found is written in this one as well.

    Args:
        brains: Who looks; each image is fetched and decoded once for all of them.
        store: The bucket.
        prefix: How the keys of the images begin.
        out: Where the results go.
        chunk_size: Images in a file of results.
        form: See :func:`~diffgram_flows.brains.results.write_predictions`.
        score_threshold: As of :meth:`Brain.predict`.
        tile: As of :meth:`Brain.predict`.
        max_files: Images in this run; the next one takes the next ones.
        progress: Told after every image; the total is not known.

    Raises:
        StorageError: The bucket cannot be listed, or does not answer any more.
        ConfigurationError: There is no brain, or a folder holds results that were made with other settings.
    """
    if not brains:
        raise ConfigurationError("No brain was given to predict with.", cure="Give at least one.")
    folders = [out / str(brain.record.ref) for brain in brains]
    settings = [ResultSettings.of(brain, score_threshold, tile) for brain in brains]
    for folder, setting in zip(folders, settings, strict=True):
        setting.check(folder)
        complete(folder, form)
    earlier = _Earlier.of(folders)
    number = max((int(path.stem) + 1 for folder in folders for path in result_files(folder)), default=0)
    done = PredictedObjects()
    images = _new(store, prefix, earlier, done)
    remaining = islice(images, max_files)
    while chunk := list(islice(remaining, chunk_size)):
        seen: list[tuple[Prediction, ...]] = []
        for found in predict_many(brains, _pictures(store, chunk, done), score_threshold=score_threshold, tile=tile):
            seen.append(found)
            progress(done.images + len(seen), 0, found[0].key.rpartition("/")[2])
        versions = {obj.uri: obj.version for obj in chunk}
        for place, (setting, folder) in enumerate(zip(settings, folders, strict=True)):
            new = [one for one in (found[place] for found in seen) if not earlier.knows(place, one.key, versions)]
            if not new:
                continue
            setting.keep(folder)
            write_predictions(
                folder / f"{number:08}",
                new,
                brain=setting.brain,
                label_map_digest=setting.label_map.digest,
                form=form,
                versions=versions,
            )
        number += 1
        done.images += len(seen)
        done.boxes += sum(len(one.boxes) for found in seen for one in found)
        done.failures += [Failure(found[0].key, found[0].error) for found in seen if found[0].error]
    done.more = next(images, None) is not None
    return done


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What earlier runs have looked at.

    Attributes:
        known: Marks of what each brain has seen.
        errors: Mark to the reason why it could not be looked at.
    """

    known: tuple[set[int], ...]
    errors: dict[int, str]

    @classmethod
    def of(cls, folders: Iterable[Path]) -> _Earlier:
        marks: list[set[int]] = []
        errors: dict[int, str] = {}
        for folder in folders:
            marks.append(set())
            for seen, version in read_versions(folder):
                mark = _mark(seen.key, version)
                marks[-1].add(mark)
                if seen.error:
                    errors[mark] = seen.error
        return cls(tuple(marks), errors)

    def knows(self, place: int, key: str, versions: Mapping[str, str]) -> bool:
        """Whether one of the brains has seen an object: a run was killed between two brains, or one came later."""
        return _mark(key, versions[key]) in self.known[place]


def _new(store: ObjectStore, prefix: str, earlier: _Earlier, done: PredictedObjects) -> Iterator[StoredObject]:
    """The images that were not looked at yet; the others are noted."""

    def skip(obj: StoredObject, reason: SkipReason) -> None:
        done.skipped[reason.value] += 1
        if reason is SkipReason.EMPTY:
            done.failures.append(Failure(obj.uri, "The file is empty. Upload it again, or remove it."))

    for obj in store.iter_objects(prefix, suffixes=_IMAGES, on_skip=skip):
        mark = _mark(obj.uri, obj.version)
        if not all(mark in known for known in earlier.known):
            yield obj
            continue
        done.known += 1
        if mark in earlier.errors:
            done.failures.append(Failure(obj.uri, earlier.errors[mark]))


def _mark(uri: str, version: str) -> int:
    """A number for a version of an object: a million of them fit into memory."""
    return hash((uri, version))


def _pictures(store: ObjectStore, chunk: Iterable[StoredObject], done: PredictedObjects) -> Iterator[Picture]:
    """The images with their bytes, some of them fetched ahead; what cannot be read is noted and left out."""
    threads = ThreadPoolExecutor(_THREADS, "fetch")
    ahead: deque[tuple[StoredObject, Future[bytes]]] = deque()
    waiting = 0

    def first() -> Iterator[Picture]:
        obj, content = ahead.popleft()
        try:
            yield Picture(obj.uri, content.result())
        except StorageUnavailable:
            raise
        except StorageError as error:
            done.failures.append(Failure(obj.uri, str(error)))

    try:
        for obj in chunk:
            while ahead and (len(ahead) >= 2 * _THREADS or waiting + obj.size > _BYTES_AHEAD):
                waiting -= ahead[0][0].size
                yield from first()
            ahead.append((obj, threads.submit(store.read, obj)))
            waiting += obj.size
        while ahead:
            yield from first()
    finally:
        threads.shutdown(cancel_futures=True)
