import os
import random
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from csisim.check.linearizability import Model, Operation, check
from tests.support.brute_force import KINDS, Bag, Register, compare, history


def done(f: str, value: Any, result: Any, begin: float, end: float, process: str = "p") -> Operation:
    return Operation(process, f, value, result, begin, end)


def write(value: int, begin: float, end: float | None) -> Operation:
    return Operation("p", "write", ("x", value), None, begin, end, "info" if end is None else "ok")


def read(result: int, begin: float, end: float, key: str = "x") -> Operation:
    return done("read", (key, None), result, begin, end, "q")


def cas(before: int, after: int, result: bool, begin: float, end: float) -> Operation:
    return done("cas", ("x", (before, after)), result, begin, end, "r")


def verdict(*operations: Operation, model: Model[Any] | None = None, **options: int) -> str:
    return check(operations, model or Register(), **options).verdict


@pytest.mark.timeout(900)  # for the long form: CSISIM_TEST_HISTORIES=100000
def test_agrees_with_trying_every_order_on_histories_with_and_without_a_wrong_answer() -> None:
    found = compare(seed=20, count=int(os.environ.get("CSISIM_TEST_HISTORIES", "1800")))
    assert found.differing == []
    assert found.asked // 10 < found.asked - found.linearizable < found.asked // 2


def test_a_read_sees_what_was_written_before_it_and_what_is_written_meanwhile() -> None:
    assert verdict(write(1, 0, 1), read(1, 2, 3)) == "ok"
    assert verdict(write(1, 0, 1), read(0, 2, 3)) == "violation"
    assert verdict(write(1, 0, 5), read(0, 2, 3), read(1, 3.5, 4)) == "ok"
    assert verdict(write(1, 0, 5), read(1, 2, 3), read(0, 3.5, 4)) == "violation"


def test_what_touches_overlaps_unless_its_numbers_tell_which_came_first() -> None:
    assert verdict(write(1, 0, 2), read(0, 2, 3)) == "ok"
    after = Operation("q", "read", ("x", None), 0, 2, 3, invoked_seq=8, completed_seq=9)
    assert verdict(Operation("p", "write", ("x", 1), None, 0, 2, "ok", 1, 7), after) == "violation"
    assert verdict(Operation("p", "write", ("x", 1), None, 0, 2, "ok", 1, 8), after) == "ok"
    assert verdict(Operation("p", "write", ("x", 1), None, 0, 2, "ok", 1, 9), after) == "ok"


def test_a_pending_operation_takes_effect_late_or_never_but_not_before_it_is_invoked() -> None:
    assert verdict(write(1, 0, None), read(0, 1, 2), read(1, 50, 51)) == "ok"
    assert verdict(write(1, 0, None), read(0, 50, 51)) == "ok"
    assert verdict(write(1, 3, None), read(1, 1, 2)) == "violation"
    assert verdict(write(1, 0, None), read(1, 1, 2), read(0, 3, 4)) == "violation"


def test_an_answer_that_says_nothing_is_pending_even_where_its_time_is_known() -> None:
    lost = Operation("p", "write", ("x", 1), None, 0, 1, "info")
    assert verdict(lost, read(0, 2, 3), read(1, 4, 5)) == "ok"


def test_equal_pending_operations_each_count_once() -> None:
    twice = (write(0, 0, None), write(0, 0, None))
    back_and_forth = (write(1, 1, 2), read(0, 3, 4), write(1, 5, 6), read(0, 7, 8))
    assert verdict(*twice, *back_and_forth) == "ok"
    assert verdict(twice[0], *back_and_forth) == "violation"


def test_a_way_that_saves_a_pending_operation_is_not_taken_for_one_that_spent_it() -> None:
    # Both orders of the first two lead to 2; only one of them still has the pending write for the read of 0.
    operations = (write(2, 1, 9), cas(0, 2, True, 2, 9), write(0, 0, None), read(0, 10, 11))
    assert verdict(*operations) == "ok"
    assert verdict(*operations, read(2, 12, 13)) == "violation"


def test_a_result_that_leaves_several_states_open_fits_what_is_found_later() -> None:
    emptied = (done("add", 1, None, 0, 1), done("add", 2, None, 2, 3), done("take", None, "something", 4, 5))
    for left, gone in ((1, 2), (2, 1)):
        seen = (done("has", left, True, 6, 7), done("has", gone, False, 6, 7))
        assert verdict(*emptied, *seen, model=Bag()) == "ok"
    both = (done("has", 1, True, 6, 7), done("has", 2, True, 6, 7))
    assert verdict(*emptied, *both, model=Bag()) == "violation"


def test_partitions_are_judged_each_for_itself() -> None:
    found = check([write(1, 0, 1), read(0, 2, 3), read(0, 2, 3, key="y")], Register())
    assert [failure.partition for failure in found.failures] == ["x"]
    assert (found.operations, found.partitions) == (3, 2)


def hard(wrong: int) -> list[Operation]:
    """All writes at one time, and a read of what nobody wrote."""
    return [*(write(value, 0, 1) for value in range(1, 12)), read(wrong, 2, 3)]


def test_an_exhausted_budget_is_unknown_and_never_ok() -> None:
    assert verdict(*hard(99), budget=500) == "unknown"
    assert verdict(*hard(99)) == "violation"
    assert verdict(*hard(11), budget=5) == "unknown"
    assert verdict(*hard(11)) == "ok"
    assert verdict(write(1, 0, 1), budget=0) == "unknown"


def test_a_violation_outweighs_a_partition_that_could_not_be_decided() -> None:
    other = [done("write", ("y", 1), None, 0, 1), read(0, 2, 3, key="y")]
    found = check([*hard(99), *other], Register(), budget=500)
    assert (found.verdict, found.undecided) == ("violation", ("x",))
    assert "x: not decided" in found.text()


def test_a_failure_tells_the_longest_order_and_what_cannot_follow() -> None:
    (failure,) = check([write(1, 0, 1), read(1, 2, 3), write(2, 3.5, None), read(7, 4, 5)], Register()).failures
    assert [each.f for each in failure.prefix] == ["write", "read"]
    assert [each.result for each in failure.stuck] == [7]
    assert failure.text() == (
        "x: no order of these operations explains all answers.\n"
        "longest order found:\n"
        "  1. [0s to 1s] p: write(('x', 1)) -> ok None\n"
        "  2. [2s to 3s] q: read(('x', None)) -> ok 1\n"
        "state after it: 1\n"
        "one of these would have to come next, and none can:\n"
        "  [4s to 5s] q: read(('x', None)) -> ok 7"
    )


def test_the_operation_that_is_overdue_comes_first_among_those_that_cannot_follow() -> None:
    (failure,) = check([read(5, 0, 9), read(6, 1, 2)], Register()).failures
    assert [each.result for each in failure.stuck] == [6, 5]


class Anonymous(Register):
    """Who asks makes no difference."""

    def alike(self, operation: Operation) -> tuple[str, Any]:
        return operation.f, operation.value


def test_many_that_ask_for_the_same_and_are_not_answered_are_as_one() -> None:
    lost = [Operation(f"p{number}", "write", ("x", number % 2), None, number / 100, None) for number in range(12)]
    reads = [read(number % 2, number, number + 0.5) for number in range(1, 9)]
    assert verdict(*lost, *reads, model=Anonymous(), budget=100) == "ok"
    assert verdict(*lost, *reads, read(7, 20, 21), model=Anonymous(), budget=100) == "violation"
    assert verdict(*lost, *reads, read(7, 20, 21), budget=1000) == "unknown"


def test_nothing_has_an_order() -> None:
    assert verdict() == "ok"
    assert verdict(write(1, 0, None)) == "ok"


def test_an_operation_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="completed before it was invoked"):
        check([write(1, 2, 1)], Register())


def test_pending_operations_whose_value_has_no_hash_are_checked_as_well() -> None:
    class Log(Model[tuple[int, ...]]):
        def init(self) -> tuple[int, ...]:
            return ()

        def step(self, state: tuple[int, ...], operation: Operation) -> Iterable[tuple[int, ...]]:
            if operation.f == "append":
                return (state + tuple(operation.value),)
            return (state,) if list(state) == operation.result else ()

    lost = [Operation("p", "append", [1], None, 0, None, "info")] * 2
    assert verdict(*lost, done("read", None, [1, 1], 1, 2), model=Log()) == "ok"
    assert verdict(*lost, done("read", None, [1, 1, 1], 1, 2), model=Log()) == "violation"


def test_the_order_in_which_operations_are_given_changes_nothing() -> None:
    rng = random.Random(3)
    for kind in KINDS.values():
        operations = history(rng, kind, 12, mutate=True)
        first = check(operations, kind.model)
        rng.shuffle(operations)
        assert check(operations, kind.model).verdict == first.verdict


DOCUMENT = Path(__file__).parents[2] / "docs" / "linearizability.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_of_the_document_hold(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    exec(EXAMPLES[number], {})  # noqa: S102 - our own text
    assert len(EXAMPLES) == 2
    told = capsys.readouterr().out
    assert not told or f"```\n{told}```" in DOCUMENT.read_text()
