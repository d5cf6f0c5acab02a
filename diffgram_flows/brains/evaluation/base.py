"""What every kind of evaluation has in common, so that brains of any method are compared and promoted alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from diffgram_flows.brains.evaluation.calibration import Calibration
from diffgram_flows.brains.evaluation.confusion import Inspection
from diffgram_flows.models import Picture, Prediction, Sample

Floats = NDArray[np.float64]


class ClassResult(Protocol):
    """How good predictions of one class are.

    Attributes:
        measure: Which of its fields is the value.
    """

    measure: ClassVar[str]

    @property
    def value(self) -> float:
        """The evaluation's metric for this class alone."""
        ...

    @property
    def support(self) -> int:
        """How much of the class there was to find."""
        ...


class Evidence(Protocol):
    """What was found image by image: from it the metric is computed again for any weights of the images."""

    def replicates(self, weights: Floats, classes: Sequence[int] | None = None) -> Floats:
        """The metric, once a row of weights.

        Args:
            weights: ``[R, N]``: how often each of the N images counts; all 1 gives the evaluation's own value.
            classes: Indices of the classes that count; ``None`` is all.

        Returns:
            ``[R]``; NaN where nothing is left to find.
        """
        ...

    def calibration(self) -> Calibration:
        """How far scores can be taken for probabilities."""
        ...

    def inspect(self, shown: Iterable[Prediction]) -> Inspection:
        """What is confused with what, and how many mistakes each image has.

        Args:
            shown: What people would get to see: only what reaches the operating threshold.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Evaluation(ABC):
    """How good predictions are on some images.

    Attributes:
        kind: Names the subclass in JSON.
        metric: What ``value`` is; brains are compared by it.
        images: Judged images, also those with nothing to find.
        per_class: By label name, only classes that were there to find. What is chosen in an attribute has the group's
            id in its key, which stays what it is when people rename the group.
        names: What people call such a class, by its key.
        evidence: Image by image; not written to JSON, and ``None`` after reading it.
    """

    kind: ClassVar[str]
    metric: ClassVar[str]
    images: int
    per_class: Mapping[str, ClassResult]
    names: Mapping[str, str] = field(default_factory=dict)
    evidence: Evidence | None = field(default=None, compare=False, repr=False)

    _kinds: ClassVar[dict[str, type[Evaluation]]] = {}

    def __init_subclass__(cls) -> None:
        Evaluation._kinds[cls.kind] = cls

    @property
    def value(self) -> float:
        """The metric, 0 to 1; the first of :attr:`scores`."""
        return next(iter(self.scores.values()))

    @property
    @abstractmethod
    def scores(self) -> Mapping[str, float]:
        """The headline numbers by name, :attr:`metric` first."""

    @property
    @abstractmethod
    def truths(self) -> int:
        """How many things there were to find; 0 means that nothing was judged."""

    def name_of(self, key: str) -> str:
        """What people call a class of :attr:`per_class`."""
        return self.names.get(key, key)

    def to_json(self) -> dict[str, Any]:
        left_out = {"evidence"} if self.names else {"evidence", "names"}
        return {"kind": self.kind} | {
            item.name: _plain(getattr(self, item.name)) for item in fields(self) if item.name not in left_out
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Evaluation:
        """Read :meth:`to_json` of any kind.

        Raises:
            KeyError, TypeError: It is not of that form.
        """
        known = dict(value)
        # Before there were kinds, all brains were detectors.
        return Evaluation._kinds[known.pop("kind", "detection")]._read(known)

    @classmethod
    @abstractmethod
    def _read(cls, value: dict[str, Any]) -> Evaluation:
        """From :meth:`to_json` without the kind."""


def sample_key(sample: Sample) -> str:
    """The key under which predictions of a sample are expected."""
    return str(sample.file_id)


def draw_of(sample: Sample) -> Hashable:
    """What the bootstrap draws a sample with: its group, or the sample alone."""
    return sample.group or sample.file_id


def pictures_of(samples: Iterable[Sample]) -> Iterator[Picture]:
    """The samples as pictures to predict, without the truth."""
    return (Picture(sample_key(sample), sample.path) for sample in samples)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
