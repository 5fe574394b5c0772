"""The figures that benchmarks report, against values worked out by hand."""

import pytest

from benchmarks.statistics import Spread, median, per_ten_thousand, quantile, ratios, spread


@pytest.mark.parametrize(
    ("fraction", "wanted"), [(0.0, 1.0), (0.2, 1.0), (0.21, 2.0), (0.5, 3.0), (0.9, 5.0), (0.99, 5.0), (1.0, 5.0)]
)
def test_quantile_is_the_nearest_rank(fraction: float, wanted: float) -> None:
    assert quantile([5.0, 1.0, 4.0, 2.0, 3.0], fraction) == wanted


def test_quantile_of_one_value_is_that_value() -> None:
    assert quantile([7.0], 0.5) == 7.0


@pytest.mark.parametrize("fraction", [-0.1, 1.1])
def test_quantile_refuses_fractions_outside_the_range(fraction: float) -> None:
    with pytest.raises(ValueError, match=str(fraction)):
        quantile([1.0], fraction)


def test_nothing_measured_is_an_error_and_not_a_zero() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        quantile([], 0.5)
    with pytest.raises(ValueError, match="nothing was measured"):
        median([])


def test_median_of_an_even_count_lies_between_the_two_in_the_middle() -> None:
    assert median([4.0, 1.0, 3.0, 2.0]) == 2.5
    assert median([9.0, 1.0, 2.0]) == 2.0


def test_spread_keeps_the_extremes() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(median=2.0, low=1.0, high=3.0)


def test_ratios_pair_the_rounds_so_that_a_slow_round_cancels_out() -> None:
    # The second round ran at half speed for both: the ratio does not notice.
    assert ratios([10.0, 5.0, 10.0], [20.0, 10.0, 20.0]) == Spread(median=0.5, low=0.5, high=0.5)


def test_ratios_refuse_rounds_that_do_not_pair_up() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0, 2.0], [1.0])


def test_growth_per_ten_thousand_is_a_slope() -> None:
    assert per_ten_thousand(1_000, 21_000, 100, 100_100) == 2_000.0
    with pytest.raises(ValueError, match="100 volumes are not more than 100"):
        per_ten_thousand(1, 2, 100, 100)
