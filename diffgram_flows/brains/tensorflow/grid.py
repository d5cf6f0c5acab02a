"""The points of an image that the detector speaks about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STRIDES = (8, 16, 32)
# An object belongs to the grid on which its longer side spans fewer than this many strides.
_LARGEST_SPAN = 8


@dataclass(frozen=True, slots=True)
class Grid:
    """All points of all strides, finest grid first, row by row: the order of the network's outputs.

    Attributes:
        size: Side of the square image, in pixels.
        points: Centres, ``[N, 2]`` as (x, y) in pixels.
        strides: Pixels between neighbours, ``[N]``.
        lower, upper: A point is responsible for objects whose longer side is in [lower, upper) pixels, ``[N]``.
    """

    size: int
    points: NDArray[np.float32]
    strides: NDArray[np.float32]
    lower: NDArray[np.float32]
    upper: NDArray[np.float32]


def make_grid(size: int) -> Grid:
    """The grid of a square image of ``size`` pixels, a multiple of the coarsest stride."""
    points, strides = [], []
    for stride in STRIDES:
        centres = (np.arange(size // stride) + 0.5) * stride
        x, y = np.meshgrid(centres, centres)
        points.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full(x.size, stride))
    stride_of = np.concatenate(strides).astype(np.float32)
    return Grid(
        size=size,
        points=np.concatenate(points).astype(np.float32),
        strides=stride_of,
        lower=np.where(stride_of == STRIDES[0], 0, stride_of * _LARGEST_SPAN / 2).astype(np.float32),
        upper=np.where(stride_of == STRIDES[-1], np.inf, stride_of * _LARGEST_SPAN).astype(np.float32),
    )
