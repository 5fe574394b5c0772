"""Equal seeds are equal runs, in processes that hash texts otherwise and after other runs; a difference is seen."""

import pytest

from tools import determinism


def test_some_seeds_twice_in_three_processes(capfd: pytest.CaptureFixture[str]) -> None:
    assert determinism.main(["4:6"]) == 0  # clients, and an orchestrator
    assert capfd.readouterr().out.startswith("12 runs in ")


def test_a_seed_with_two_outcomes_is_named() -> None:
    same = "1 aa 10 ok\n2 bb 10 ok\n1 aa 10 ok"
    assert determinism.differences([same, same]) == []
    assert determinism.differences([same, "1 aa 10 ok\n2 bc 10 ok"]) == ["seed 2: bb 10 ok | bc 10 ok"]


def test_a_process_that_fails_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(determinism, "HASH_SEEDS", ("not a number",))
    assert determinism.main(["4:5"]) == 1
