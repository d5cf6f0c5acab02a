from __future__ import annotations

import time

import pytest

from diffgram_flows.datasets.gathering import gather
from diffgram_flows.errors import ImageRejected, StorageUnavailable


def test_results_come_in_the_order_of_the_items() -> None:
    seen: list[int] = []
    outcomes = gather(lambda n: n * n, range(50), progress=lambda done, total, note="": seen.append(done))
    assert outcomes == [(n, n * n) for n in range(50)]
    assert seen == list(range(1, 51))


def test_a_bad_thing_does_not_stop_the_others() -> None:
    def work(number: int) -> int:
        if number % 2:
            raise ImageRejected(f"{number} is odd.")
        return number

    outcomes = dict(gather(work, range(40)))
    assert [n for n, outcome in outcomes.items() if outcome == n] == list(range(0, 40, 2))
    assert str(outcomes[7]) == "7 is odd."


@pytest.mark.parametrize(("down", "stops"), [(10, False), (11, True)], ids=["odd objects", "outage"])
def test_an_outage_stops_the_work(down: int, stops: bool) -> None:
    called: list[int] = []

    def work(number: int) -> None:
        called.append(number)
        time.sleep(0.001)
        if number < down:
            raise StorageUnavailable("The bucket does not answer.")

    if stops:
        with pytest.raises(StorageUnavailable):
            gather(work, range(2000), threads=1)
        assert len(called) < 2000
    else:
        assert len(gather(work, range(50), threads=1)) == 50


def test_a_mistake_of_ours_is_not_taken_for_a_bad_object() -> None:
    with pytest.raises(ZeroDivisionError):
        gather(lambda n: 1 / n, range(3))
