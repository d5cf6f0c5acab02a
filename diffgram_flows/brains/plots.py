"""Curves of a training and of an evaluation. Figures are made without pyplot, whose state is not safe in threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from diffgram_flows.brains.evaluation import RECALLS, DetectionEvaluation
from diffgram_flows.brains.records import Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
