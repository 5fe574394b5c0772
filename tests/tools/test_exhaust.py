"""The list of programs that are exhausted: enough of them, all different, and what is not ok fails it."""

from dataclasses import replace

import pytest

from tools import exhaust


def test_there_are_at_least_twenty_different_programs_of_the_shipped_driver() -> None:
    assert len({repr(plan) for plan in exhaust.PROGRAMS}) == len(exhaust.PROGRAMS) >= 20
    assert {plan.mutant for plan in exhaust.PROGRAMS} == {""}
    assert {plan.think_s for plan in exhaust.PROGRAMS} == {(0.0, 0.0)}


def test_a_row_tells_the_count_and_the_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exhaust, "PROGRAMS", exhaust.PROGRAMS[:2])
    assert exhaust.main(0) == 0
    _, _, first, second, last = capsys.readouterr().out.splitlines()
    for row in (first, second):
        assert "1 of 1" in row
        assert "  exhausted, ok" in row
    assert last == "2 of 2 programs exhausted and ok, 2 schedules"


def test_a_violation_fails_it_and_can_be_done_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = replace(exhaust.PROGRAMS[0], seed=22, clients=3, operations=3, volumes=1, mutant="M-COUNT")
    monkeypatch.setattr(exhaust, "PROGRAMS", (broken,))
    assert exhaust.main(1) == 1
    _, _, row, replay, last = capsys.readouterr().out.splitlines()
    assert "not exhausted, violation" in row
    assert replay.startswith("csisim replay csi1-")
    assert last.startswith("0 of 1 programs")
