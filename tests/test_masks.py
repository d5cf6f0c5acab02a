from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from diffgram_flows.masks import Mask, mask_of, polygons_of

SETTINGS = settings(deadline=None, max_examples=150, derandomize=True, database=None)


def test_a_rectangle_is_exactly_its_pixels() -> None:
    mask = mask_of([(2, 1), (5, 1), (5, 3), (2, 3)], 8, 6)
    assert mask.shape == (6, 8)
    assert mask.sum() == 6
    assert mask[1:3, 2:5].all()


def test_what_sticks_out_is_cut_off() -> None:
    assert mask_of([(-50, -50), (50, -50), (50, 50), (-50, 50)], 4, 3).all()
    assert not mask_of([(10, 0), (20, 0), (20, 9)], 4, 3).any()


def test_a_triangle_has_about_its_area() -> None:
    assert mask_of([(0, 0), (100, 0), (0, 60)], 100, 60).sum() == pytest.approx(3000, rel=0.02)


@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
@SETTINGS
def test_outlines_make_the_mask_again_with_its_holes_filled(mask: Mask) -> None:
    height, width = mask.shape
    outlines = polygons_of(mask)
    again = np.zeros_like(mask)
    for outline in outlines:
        again |= mask_of(outline, width, height)
    assert (again == _filled(mask)).all()


def _filled(mask: Mask) -> Mask:
    """The mask with what cannot be reached from outside, also around corners, filled."""
    open_ = np.pad(~mask, 1, constant_values=True)
    reached = np.zeros_like(open_)
    reached[0, 0] = True
    while True:
        grown = np.zeros_like(np.pad(reached, 1))
        for down in range(3):
            for across in range(3):
                grown[down : down + reached.shape[0], across : across + reached.shape[1]] |= reached
        new = grown[1:-1, 1:-1] & open_
        if (new == reached).all():
            return ~reached[1:-1, 1:-1]
        reached = new


def test_parts_come_largest_first_and_small_ones_can_be_left_out() -> None:
    mask = np.zeros((20, 20), np.bool_)
    mask[0:2, 0:2] = mask[5:15, 5:15] = mask[17, 17] = True
    assert polygons_of(mask, least_area=2) == (
        ((5, 5), (15, 5), (15, 15), (5, 15)),
        ((0, 0), (2, 0), (2, 2), (0, 2)),
    )
    assert len(polygons_of(mask)) == 3


def test_a_tolerance_saves_points_and_keeps_the_shape() -> None:
    down, across = np.mgrid[0:200, 0:200]
    circle: Mask = ((down - 100) ** 2 + (across - 100) ** 2) < 80**2
    (exact,), (simple,) = polygons_of(circle), polygons_of(circle, tolerance=1.5)
    assert len(simple) < len(exact) / 8
    both, either = (mask_of(simple, 200, 200) & circle).sum(), (mask_of(simple, 200, 200) | circle).sum()
    assert both / either > 0.97
