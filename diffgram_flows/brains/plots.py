"""Curves of a training and of an evaluation. Figures are made without pyplot, whose state is not safe in threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffgram_flows.brains.evaluation import RECALLS, Calibration, Confusion, DetectionEvaluation
from diffgram_flows.brains.records import Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_NUMBERS = 21  # rows of a confusion matrix into which numbers still fit
_LONGEST_NAME = 40
_MOST_NAMES = 60  # rows that can still be named


def loss_curve(history: Sequence[Epoch], path: Path) -> Path:
    """Draw the losses of a training over its steps.

    Args:
        history: Of a manifest.
        path: A ``.png`` file; its folder is created.

    Returns:
        ``path``.
    """
    figure, axes = _figure("training", "step", "loss")
    steps = [epoch.step for epoch in history]
    axes.plot(steps, [epoch.loss for epoch in history], label="training")
    for part in history[0].parts if history else ():
        axes.plot(steps, [epoch.parts[part] for epoch in history], label=f"of it {part}, unweighted", linestyle=":")
    validated = [(epoch.step, epoch.validation_loss) for epoch in history if epoch.validation_loss is not None]
    if validated:
        axes.plot(*zip(*validated, strict=True), label="validation", linestyle="--")
    axes.set_ylim(bottom=0)
    return _write(figure, axes, path)


def precision_recall(evaluations: Mapping[str, DetectionEvaluation], path: Path) -> Path:
    """Draw precision over recall at IoU 0.5, a curve an evaluation.

    Args:
        evaluations: By what the legend calls them.
        path: A ``.png`` file; its folder is created.

    Returns:
        ``path``.
    """
    figure, axes = _figure("precision and recall at IoU 0.5", "recall", "precision")
    for name, evaluation in evaluations.items():
        precisions = evaluation.precision_recall or (0.0,) * len(RECALLS)
        axes.plot(RECALLS, precisions, label=f"{name}: mAP50 {evaluation.map50:.3f}")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    return _write(figure, axes, path)


def calibration_curve(calibrations: Mapping[str, Calibration], path: Path) -> Path:
    """Draw how often answers are right over their scores; the diagonal is a score that is a probability.

    Args:
        calibrations: By what the legend calls them.
        path: A ``.png`` file; its folder is created.

    Returns:
        ``path``.
    """
    figure, axes = _figure("scores and being right", "score", "share that is right")
    axes.plot((0, 1), (0, 1), color="grey", linestyle=":", label="as the score says")
    for name, found in calibrations.items():
        full = [one for one in found.bins if one.count]
        label = f"{name}: error {found.error:.3f}, {found.count} answers"
        axes.plot([one.score for one in full], [one.hits for one in full], marker="o", label=label)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    return _write(figure, axes, path)


def confusion_matrix(confusion: Confusion, title: str, path: Path) -> Path:
    """Draw what is taken for what: a row a truth, shaded by its shares, with the counts of up to twenty labels.

    Args:
        confusion: What to draw.
        title: The line above.
        path: A ``.png`` file; its folder is created.

    Returns:
        ``path``.
    """
    figure, axes = _figure(title, "answer", "truth")
    counts = np.array(confusion.counts, np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = len(confusion.labels)
    figure.set_size_inches(*(min(16.0, 3.5 + 0.5 * size),) * 2)
    axes.grid(visible=False)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if size <= _MOST_NAMES:
        names = [_fitting(name) for name in confusion.labels]
        axes.set_xticks(range(size), names, rotation=90, parse_math=False)
        axes.set_yticks(range(size), names, parse_math=False)
    for row, column in zip(*np.nonzero(counts if size <= _MOST_NUMBERS else np.zeros((0, 0))), strict=True):
        shade = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, _short(counts[row, column]), ha="center", va="center", color=shade, fontsize=8)
    return _write(figure, axes, path)


def _fitting(name: str) -> str:
    """A name that leaves room for the matrix: its beginning and its end, where names of one attribute differ."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME // 2]}…{name[-(_LONGEST_NAME // 2) + 1 :]}"


def _short(count: float) -> str:
    """A count in a few characters: 950, 12k, 3M."""
    for size, unit in ((1e6, "M"), (1e4, "k")):
        if count >= size:
            return f"{count / (1e3 if unit == 'k' else size):.0f}{unit}"
    return f"{count:.0f}"


def _figure(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    return figure, axes


def _write(figure: Figure, axes: Axes, path: Path) -> Path:
    if axes.get_lines():
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path
