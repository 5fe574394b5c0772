"""What is alternated with what."""

from benchmarks.measure import QUICK, Plan, peak_by_role, rotated
from benchmarks.servers import Usage


def test_the_first_place_goes_round() -> None:
    assert [rotated(("a", "b", "c"), turn)[0] for turn in range(4)] == ["a", "b", "c", "a"]
    assert rotated(("a", "b", "c"), 1) == ("b", "c", "a")


def test_levels_ascend_and_begin_with_the_one_that_is_compared_with() -> None:
    for plan in (Plan(), QUICK):
        assert list(plan.levels) == sorted(set(plan.levels))
        assert plan.levels[0] == 100
        assert plan.rounds > 1


def test_the_full_plan_measures_what_is_claimed() -> None:
    assert Plan().concurrencies == (1, 16, 64)
    assert Plan().levels == (100, 10_000, 100_000)


def test_peaks_are_kept_by_role() -> None:
    assert peak_by_role({"driver": Usage(1.0, 5), "nas": Usage(2.0, 7)}) == {"driver": 5, "nas": 7}
