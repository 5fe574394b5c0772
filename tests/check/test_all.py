"""All checks over one history."""

import pytest

from csisim.check.all import CHECKS, INVARIANTS, check_history
from tests.support.told import Told


def test_every_check_names_itself() -> None:
    told = Told()
    told.in_use()
    results = check_history(told.events)
    assert [result.check for result in results] == list(CHECKS)
    assert list(INVARIANTS) == [f"I{number}" for number in range(1, 19)]


def test_an_empty_history_came_near_nothing() -> None:
    assert {(result.looked_at, result.verdict) for result in check_history([])} == {(0, "ok")}


def test_one_check_alone_and_its_secrets() -> None:
    told = Told()
    told.create("hunter2-volume")
    [result] = check_history(told.events, secrets=["hunter2"], only=["I15"])
    assert result.verdict == "violation"


def test_an_unknown_check_is_refused() -> None:
    with pytest.raises(ValueError, match="'I19' is no check; there are I1, I2"):
        check_history([], only=["I19"])
