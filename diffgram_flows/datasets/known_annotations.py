"""Annotations that exist already, made ready for Diffgram: with the schema's labels, and on the ledger's objects.

They go out through the same doors as predictions, so they are sent exactly once: to files that exist by a push, to
objects that are about to be imported in the packet that imports them (:class:`KnownAnnotations` is a prelabeller).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from diffgram_flows.datasets.formats import ForeignAnnotations, ForeignImage
from diffgram_flows.datasets.matching import match
from diffgram_flows.errors import ConfigurationError, ImageRejected, ObjectNotFound
from diffgram_flows.images import image_size
from diffgram_flows.ledger import Ledger, ObjectRow
from diffgram_flows.ledger.objects import OPEN_STATES
from diffgram_flows.models import Annotation, Box, Failure, LabelMap, Seen
from diffgram_flows.storage import ObjectStore

LIVING = (*OPEN_STATES, "imported")
"""States of objects that are in Diffgram or on their way; older versions of a key are not among them."""
_NAMED = 20
_HEADERS = (64 * 2**10, 2**20, 32 * 2**20)  # bytes; a preview or a colour profile may come before the size


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one image.

    Attributes:
        name: As the other tool calls it.
        size: Width and height of the image for which the annotations are.
        seen: With the schema's labels; none mean that there is nothing to be seen.
    """

    name: str
    row: ObjectRow
    size: tuple[int, int]
    seen: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class KnownPlan:
    """What would be sent.

    Attributes:
        known: Matched images, in order of the other tool's.
        unmatched: Images that are no object of the ledger for sure, and why.
        sent: What would be sent: type to count.
        left_out: What would not be sent: what to count.
        clipped: Annotations that were cut at the edge of their image.
    """

    known: tuple[Known, ...]
    unmatched: tuple[Failure, ...]
    sent: Mapping[str, int]
    left_out: Mapping[str, int]
    clipped: int


def used_labels(found: ForeignAnnotations) -> tuple[str, ...]:
    """The names of the labels that annotations have, in order; a file may name many more."""
    used = {annotation.label_file_id for image in found.images for annotation in image.annotations}
    return tuple(sorted({found.labels[label] for label in used}))


def label_ids(found: ForeignAnnotations, schema: Sequence[tuple[int, str]]) -> dict[int, int]:
    """The other tool's label ids to label file ids, by name; of two labels of one name the elder counts.

    Args:
        found: What was read.
        schema: Label file id and name of every label of the schema.

    Raises:
        ConfigurationError: Names are not in the schema; the message lists them.
    """
    by_name = {name: label for label, name in sorted(schema, reverse=True)}
    by_name |= {name: label for label, name in LabelMap(tuple(schema)).display_names().items() if name not in by_name}
    unknown = [name for name in used_labels(found) if name not in by_name]
    if unknown:
        names = ", ".join(map(repr, unknown[:_NAMED])) + (", ..." if len(unknown) > _NAMED else "")
        raise ConfigurationError(
            f"{len(unknown)} labels of the annotations are not in the label schema: {names}.",
            cure="Have them made (--create-labels), or rename them to those of the schema.",
        )
    return {label: by_name[name] for label, name in found.labels.items() if name in by_name}


def plan_known(found: ForeignAnnotations, labels: Mapping[int, int], rows: Iterable[ObjectRow]) -> KnownPlan:
    """Match images with objects and count what of their annotations can be sent. Sends nothing.

    Args:
        found: What was read.
        labels: As :func:`label_ids` gives them.
        rows: Objects of the ledger; read once, as a stream.
    """
    matches = match(found.images, rows)
    sent: Counter[str] = Counter()
    left_out = Counter(found.skipped)
    known = []
    for image, row in matches.pairs:
        known.append(Known(image.file_name, row, (image.width, image.height), _seen(image, labels)))
        sent.update("box" if isinstance(seen, Box) else seen.type for seen in known[-1].seen)
        left_out["attributes"] += sum(len(annotation.attributes) for annotation in image.annotations)
    counts = dict(sorted((+left_out).items()))
    return KnownPlan(tuple(known), matches.unmatched, dict(sorted(sent.items())), counts, found.clipped)


class KnownAnnotations:
    """A prelabeller that knows what is in the images: their annotations travel in the packets that import them.

    Args:
        found: What was read.
        labels: As :func:`label_ids` gives them.
        ledger: Whose objects are matched, when it is first asked: after the bucket was listed.
        store: Where an image's size is looked up, for annotations of another size would be in the wrong places.
        brain: Under which name and version they are sent: ``ground-truth@1``, ``coco-import@1``.
    """

    def __init__(
        self, found: ForeignAnnotations, labels: Mapping[int, int], ledger: Ledger, store: ObjectStore, *, brain: str
    ) -> None:
        self._found, self._labels, self._ledger, self._store = found, labels, ledger, store
        self._brain = brain
        self._known: dict[str, Known] | None = None

    @property
    def brain(self) -> str:
        """``name@version``."""
        return self._brain

    def __call__(self, rows: Sequence[ObjectRow]) -> Mapping[str, tuple[Seen, ...]]:
        """File name to annotations; what is not known, or is of another size, is imported without."""
        if self._known is None:
            plan = plan_known(self._found, self._labels, self._ledger.objects.stream(*LIVING))
            self._known = {one.row.file_name: one for one in plan.known}
        found = {}
        for row in rows:
            known = self._known.get(row.file_name)
            if known is not None and self._fits(known):
                found[row.file_name] = known.seen
        return found

    def _fits(self, known: Known) -> bool:
        """Whether the image is of the annotations' size; what is not is told when the rest is pushed."""
        stored = known.row.object
        for length in _HEADERS:
            try:
                return image_size(self._store.read(stored, length=length), name=stored.uri) == known.size
            except (ImageRejected, ObjectNotFound):
                if length >= stored.size:
                    break
        return False


def _seen(image: ForeignImage, labels: Mapping[int, int]) -> tuple[Seen, ...]:
    """As it is, but for attributes: the other tool's groups are none of the schema's."""
    bare = (Annotation(one.type, labels[one.label_file_id], one.points) for one in image.annotations)
    return tuple(dict.fromkeys(one.box or one if one.type == "box" else one for one in bare))
