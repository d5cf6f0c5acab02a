from __future__ import annotations

import numpy as np
import pytest

from diffgram_flows.datasets.measures import chi_square, kappa, kolmogorov_smirnov, stability_index

stats = pytest.importorskip("scipy.stats")
RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize("classes", [2, 3, 10, 80])
@pytest.mark.parametrize("size", [50, 5_000, 200_000])
def test_chi_square_is_that_of_scipy(classes: int, size: int) -> None:
    shares = RANDOM.dirichlet(np.ones(classes))
    before, after = (
        RANDOM.multinomial(size, shares),
        RANDOM.multinomial(size // 3, (shares + 0.02) / (1 + 0.02 * classes)),
    )
    kept = before + after > 0
    expected = stats.chi2_contingency([before[kept], after[kept]], correction=False).pvalue
    assert chi_square(before, after) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_kolmogorov_smirnov_is_that_of_scipy() -> None:
    one, other = RANDOM.normal(0, 1, 800), RANDOM.normal(0.12, 1, 700)
    edges = np.sort(np.concatenate([one, other]))
    bins = [np.searchsorted(edges, values) for values in (one, other)]
    counts = [np.bincount(places, minlength=len(edges)) for places in bins]
    distance, chance = kolmogorov_smirnov(counts[0], counts[1])
    expected = stats.ks_2samp(one, other, method="asymp")
    assert distance == pytest.approx(expected.statistic)
    assert chance == pytest.approx(expected.pvalue, rel=0.15)


def test_the_stability_index_grows_with_the_difference() -> None:
    even = np.array([100, 100, 100])
    assert stability_index(even, 3 * even) == pytest.approx(0, abs=1e-4)
    assert 0.1 < stability_index(even, np.array([160, 100, 60])) < 0.25
    assert stability_index(even, np.array([250, 40, 10])) > 0.25
    assert stability_index(even, np.zeros(3, np.int64)) == 0


def test_kappa() -> None:
    assert kappa(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)  # the example of Wikipedia
    assert kappa(np.array([[5, 0], [0, 9]])) == 1
    assert kappa(np.array([[5, 0], [0, 0]])) is None
    assert kappa(np.zeros((2, 2), np.int64)) is None


def test_nothing_is_no_difference() -> None:
    empty, some = np.zeros(3, np.int64), np.array([1, 2, 3])
    assert chi_square(empty, some) == 1
    assert kolmogorov_smirnov(empty, some) == (0.0, 1.0)
