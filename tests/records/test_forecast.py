"""What a network promises by its scores so far."""

from __future__ import annotations

import pytest

from lit_metanas.records.statistics import forecast


def error(trained: float) -> float:
    """A power law."""
    return 0.9 * trained**-0.25


def test_a_power_law_is_continued() -> None:
    curve = [(1.0, 0.2), (10.0, 1 - error(10)), (40.0, 1 - error(40))]  # the first point does not count
    assert forecast(curve, 200.0) == pytest.approx(1 - error(200))


@pytest.mark.parametrize(
    "curve", [[(4.0, 0.6)], [(2.0, 0.7), (4.0, 0.6)], [(2.0, 1.0), (4.0, 1.0)], [(0.0, 0.1), (4.0, 0.6)]]
)
def test_without_a_rise_the_last_score_is_all_that_is_known(curve: list[tuple[float, float]]) -> None:
    assert forecast(curve, 100.0) == curve[-1][1]
    assert forecast([(2.0, 0.5), (4.0, 0.6)], 4.0) == 0.6
