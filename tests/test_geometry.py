from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffgram_flows.geometry import (
    clipped_line,
    clipped_polygon,
    contains,
    is_flat,
    polygon_area,
    rectangle,
)
from diffgram_flows.models import Point

SETTINGS = settings(deadline=None, max_examples=100, derandomize=True, database=None)
points = st.tuples(st.integers(-40, 60), st.integers(-40, 60))


@pytest.mark.parametrize(
    ("outline", "expected"),
    [
        pytest.param([(1, 1), (9, 1), (5, 8)], ((1, 1), (9, 1), (5, 8)), id="inside"),
        pytest.param([(0, 0), (10, 0), (10, 10), (0, 10)], ((0, 0), (10, 0), (10, 10), (0, 10)), id="the image"),
        pytest.param([(-5, 2), (5, 2), (5, 8), (-5, 8)], ((0, 2), (5, 2), (5, 8), (0, 8)), id="left"),
        pytest.param([(-9, -9), (20, -9), (20, 20), (-9, 20)], ((0, 0), (10, 0), (10, 10), (0, 10)), id="around"),
        pytest.param([(20, 20), (30, 20), (30, 30)], (), id="outside"),
        pytest.param([(10, 0), (20, 0), (20, 10), (10, 10)], (), id="touching"),
        pytest.param([(5, -5), (15, 5), (5, 15), (-5, 5)], ((10, 0), (10, 10), (0, 10), (0, 0)), id="a corner each"),
    ],
)
def test_polygons_are_cut_at_the_edge(outline: list[Point], expected: tuple[Point, ...]) -> None:
    found = clipped_polygon(outline, 10, 10)
    assert set(found) == set(expected)
    assert len(found) == len(expected)
    assert polygon_area(found) == polygon_area(expected)


@given(st.lists(points, min_size=3, max_size=3))
@SETTINGS
def test_the_part_inside_is_inside_and_independent_of_the_direction(outline: list[Point]) -> None:
    found = clipped_polygon(outline, 20, 20)
    assert contains(20, 20, found)
    assert set(found) == set(clipped_polygon(outline[::-1], 20, 20))
    if found and not contains(20, 20, outline):
        assert not is_flat(found)
        assert polygon_area(found) <= polygon_area(outline) + 20  # each of at most 6 corners is rounded by half a pixel


@given(st.lists(points, min_size=2, max_size=6))
@SETTINGS
def test_lines_keep_what_is_inside_whichever_way_they_were_drawn(line: list[Point]) -> None:
    parts = clipped_line(line, 20, 20)
    assert all(contains(20, 20, part) for part in parts)
    assert {p for p in line if contains(20, 20, [p])} >= {p for part in parts for p in part if p in line}
    back = clipped_line(line[::-1], 20, 20)
    assert [part[::-1] for part in back[::-1]] == list(parts)


def test_a_line_that_comes_back_is_two_lines() -> None:
    assert clipped_line([(5, 5), (15, 5), (15, 8), (5, 8)], 10, 10) == (((5, 5), (10, 5)), ((10, 8), (5, 8)))
    assert clipped_line([(10, 12), (12, 10)], 10, 10) == ()
    assert clipped_line([(0, -1), (-1, 0)], 10, 10) == ()


def test_areas_and_rectangles() -> None:
    assert polygon_area([(0, 0), (4, 0), (4, 3), (0, 3)]) == 12
    assert rectangle([(3, 9), (1, 2), (8, 4)]) == (1, 2, 8, 9)
    assert is_flat([(0, 0), (0, 0), (2, 2), (5, 5)])
    assert not is_flat([(0, 0), (2, 2), (5, 4)])
