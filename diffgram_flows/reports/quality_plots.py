"""Plots of a quality report, as SVG that takes the colour of the text around it: readable on light and on dark."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from diffgram_flows.datasets.census import BINS, size_of_bin
from diffgram_flows.datasets.quality import Quality

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK = "#010203"  # no other colour of a plot; becomes that of the text
_COLOURS = {"train": "#3b82c4", "val": "#d08a1e", "test": "#2f9e73"}
_MOST_LABELS = 40


def counts_svg(found: Quality) -> str:
    """How many annotations of each label are in which split."""
    counts = found.counted.annotations
    order = np.argsort(-counts.sum(axis=0), kind="stable")[:_MOST_LABELS][::-1]
    figure, axes = _figure(9, 1.0 + 0.28 * max(1, len(order)))
    left = np.zeros(len(order), np.int64)
    names = [found.names[i] for i in order.tolist()]
    for split, row in zip(_COLOURS, counts[:, order], strict=True):
        axes.barh(np.arange(len(order)), row, left=left, color=_COLOURS[split], label=split)
        left = left + row
    axes.set_yticks(np.arange(len(order)), [_plain(name) for name in names])
    axes.set_xlabel("annotations")
    return _svg(figure, axes)


def sizes_svg(found: Quality) -> str:
    """How large the boxes are."""
    counts = found.counted.sizes.sum(axis=0)
    edges = np.array([size_of_bin(place) for place in range(BINS + 1)])[::-1]
    figure, axes = _figure(9, 3.2)
    axes.stairs(counts[::-1], edges, fill=True, color=_COLOURS["train"], alpha=0.8, label="boxes")
    axes.set_xscale("log", base=2)
    taken = np.flatnonzero(counts)
    axes.set_xlim(size_of_bin(int(taken.max(initial=_MOST_LABELS)) + 2), 1)
    axes.set_xlabel("size: the side of a square of the box's area, as a share of the image's side")
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %" if value >= 0.1 else f"{100 * value:.2g} %")
    return _svg(figure, axes)


def drift_svg(found: Quality) -> str:
    """How often each label is in the new images, beside the previous snapshot's; empty where there is nothing new."""
    if found.drift is None:
        return ""
    shown = sorted(found.drift.per_label, key=lambda one: -abs(one.after - one.before))[:_MOST_LABELS][::-1]
    figure, axes = _figure(9, 1.0 + 0.32 * max(1, len(shown)))
    places = np.arange(len(shown))
    axes.barh(places + 0.2, [100 * one.before for one in shown], 0.36, color=_COLOURS["val"], label="previous snapshot")
    axes.barh(places - 0.2, [100 * one.after for one in shown], 0.36, color=_COLOURS["train"], label="new images")
    axes.set_yticks(places, [_plain(one.label) for one in shown])
    axes.set_xlabel("% of images that have the label")
    return _svg(figure, axes)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color(_INK)
    axes.tick_params(colors=_INK)
    axes.xaxis.label.set_color(_INK)
    return figure, axes


def _svg(figure: Figure, axes: Axes) -> str:
    from matplotlib import rc_context

    axes.legend(frameon=False, labelcolor=_INK, loc="best")
    out = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "quality"}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :].replace(_INK, "currentColor")


def _plain(name: str) -> str:
    """A label that matplotlib takes for what it is, and not for a formula."""
    short = name if len(name) <= 30 else name[:29] + "…"
    return short.replace("$", r"\$")
