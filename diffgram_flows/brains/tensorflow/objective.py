"""What a training minimises, learns from and is judged by: the words between a method and the loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol


class Loss(NamedTuple):
    """How wrong the network is on a batch, as sums: what is minimised is ``total / count``.

    The loop divides, because only it knows the counts of the other devices that work on the same batch.

    Attributes:
        total: Scalar.
        count: Scalar: how many points, images or pixels were summed over. Counts below 1 are taken as 1.
        parts: Scalars that explain ``total``, in the order of the objective's ``parts``.
    """

    total: Any
    count: Any
    parts: tuple[Any, ...] = ()


class Objective(Protocol):
    """The loss of a method.

    Attributes:
        parts: Names of what its losses are made of, for the history.
    """

    @property
    def parts(self) -> tuple[str, ...]: ...

    def __call__(self, outputs: Any, *targets: Any) -> Loss:
        """The loss of the network's outputs for a batch; ``targets`` as the data gives them."""
        ...


class Data(Protocol):
    """What is learned from."""

    def batches(self, first: int) -> Iterable[tuple[Any, ...]]:
        """The batches of the steps ``first``, ``first + 1``, ... without end: (images, target, target, ...).

        The batch of a step depends on nothing but the seed and the step's number: a training that was interrupted
        goes on with the batches that it would have seen.
        """
        ...


class Judged(NamedTuple):
    """How good a network is on images that it does not learn from.

    Attributes:
        loss: Mean, lower is better.
        scores: By name, higher is better; the first one decides, the loss where there is none.
    """

    loss: float
    scores: Mapping[str, float]


class Judge(Protocol):
    """Looks at a network during the training."""

    def __call__(self, network: Any) -> Judged: ...
