"""Delta debugging: what is left is needed, item by item, and few questions are asked."""

import random
from collections.abc import Sequence

import pytest

from csisim.explore.ddmin import ddmin


def asked(items: Sequence[int], needed: set[int]) -> tuple[list[int], int]:
    questions: list[list[int]] = []

    def shows(some: Sequence[int]) -> bool:
        assert list(some) != list(items), "all of them are known to show it"
        questions.append(list(some))
        return needed <= set(some)

    return ddmin(items, shows), len(questions)


@pytest.mark.parametrize("needed", [set(), {0}, {99}, {41, 42}, {0, 50, 99}, {3, 30, 31, 77, 98}])
def test_exactly_what_is_needed_is_left_in_its_order(needed: set[int]) -> None:
    left, _ = asked(range(100), needed)
    assert left == sorted(needed)


def test_whatever_is_needed_nothing_can_be_left_out_of_what_is_left() -> None:
    rng = random.Random(5)
    for _ in range(300):
        size = rng.randint(1, 12)
        # Any of these parts is enough, so leaving out is not the same in every order.
        enough = [frozenset(rng.sample(range(size), rng.randint(0, size))) for _ in range(3)]

        def shows(some: Sequence[int], enough: list[frozenset[int]] = enough) -> bool:
            return any(each <= set(some) for each in enough)

        left = ddmin(range(size), lambda some, size=size: len(some) == size or shows(some))
        assert len(left) == size or shows(left)
        assert not any(shows(left[:at] + left[at + 1 :]) for at in range(len(left))) or len(left) == 0


def test_one_needed_item_among_many_costs_about_two_questions_for_each_halving() -> None:
    left, questions = asked(range(1024), {700})
    assert left == [700]
    assert questions <= 22


def test_of_nothing_nothing_is_asked() -> None:
    assert asked([], set()) == ([], 0)


def test_a_single_item_that_is_needed_stays() -> None:
    assert asked([7], {7}) == ([7], 1)
