"""The commands `csisim scenarios list` and `run`."""

import json
import pickle
import signal
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from csisim import executors
from csisim.cli import scenarios
from csisim.cli.main import app
from csisim.executors import Inline, Workplace
from csisim.scenarios import library
from csisim.scenarios.library import SCENARIOS

N03 = SCENARIOS["N03"]


def call(*arguments: str):
    return CliRunner().invoke(app, ["scenarios", *arguments])


def test_every_scenario_is_listed_with_what_it_is() -> None:
    listed = json.loads(call("list", "--json").stdout)
    assert [each["name"] for each in listed] == list(SCENARIOS)
    assert all(each["story"] and each["source"] and each["wrong_idea"] and each["caught_by"] for each in listed)
    text = call("list").stdout
    assert all(f"{each.name}: {each.title}" in text and each.source in text for each in SCENARIOS.values())


def test_each_one_that_is_run_has_a_line() -> None:
    result = call("run", "N03")
    assert result.exit_code == 0, result.output
    first, second, total = result.stdout.splitlines()
    assert first.startswith(f"N03/nfs       {N03.title}: passed (")
    assert second.startswith("N03/iscsi ")
    assert total.startswith("OK: 2 of 2 ways of 1 scenario passed, ")


def test_plain_data_of_every_seed() -> None:
    result = call("run", "N03/nfs", "--seeds", "4:6", "--json")
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    assert [(each["name"], each["variant"], each["seed"], each["passed"]) for each in shown] == [
        ("N03", "nfs", 4, True), ("N03", "nfs", 5, True),
    ]  # fmt: skip
    assert len({each["trace_hash"] for each in shown}) == 2


class Elsewhere(Executor):
    """Takes and gives only what can go from process to process."""

    def submit(self, fn, /, *args, **kwargs):
        there = pickle.loads(pickle.dumps((fn, args)))  # noqa: S301 - our own
        return Inline().submit(lambda: pickle.loads(pickle.dumps(there[0](*there[1]))))  # noqa: S301


def test_several_processes_share_the_seeds_and_find_the_same(monkeypatch) -> None:
    inside = call("run", "D07", "--seeds", "0:3", "--json").stdout
    asked = []

    @contextmanager
    def elsewhere(jobs):
        asked.append(jobs)
        yield Workplace(Elsewhere(), jobs)

    monkeypatch.setattr(executors, "processes", elsewhere)
    monkeypatch.setattr(scenarios, "_PIECE", 2)
    assert json.loads(call("run", "D07", "--seeds", "0:3", "--json", "--jobs", "8").stdout) == json.loads(inside)
    assert asked == [2]


class Dying(Executor):
    """A worker dies of one piece of work; what is done elsewhere comes to its end."""

    def __init__(self, label: str, first: int) -> None:
        self._what = (label, first)

    def submit(self, fn, /, *args, **kwargs):
        if (args[0].label, args[0].seeds.start) != self._what:
            return Elsewhere().submit(fn, *args)
        future = Future()
        future.set_exception(BrokenExecutor("a worker was killed"))
        return future


@pytest.fixture
def one_dies(monkeypatch):
    def arrange(label: str, first: int) -> None:
        @contextmanager
        def elsewhere(jobs):
            yield Workplace(Dying(label, first), jobs)

        monkeypatch.setattr(executors, "processes", elsewhere)
        monkeypatch.setattr(scenarios, "_PIECE", 2)

    return arrange


def test_a_worker_that_dies_ends_it_with_status_3_and_what_was_found(one_dies) -> None:
    one_dies("N03/iscsi", 1)
    result = call("run", "N03", "D07", "--jobs", "2")
    assert result.exit_code == 3
    assert result.stderr == (
        "csisim scenarios run: a worker has died after 2 of 3 ways, and what was found until then is shown: "
        "a worker was killed\n"
    )
    first, second, total = result.stdout.splitlines()
    assert first.startswith("N03/nfs ")
    assert second.startswith("D07 ")
    assert total.startswith("INCOMPLETE: 2 of 3 ways of 2 scenarios passed, 1 not done, ")
    shown = call("run", "N03", "D07", "--jobs", "2", "--json")
    assert shown.exit_code == 3
    assert [(each["name"], each["variant"]) for each in json.loads(shown.stdout)] == [("N03", "nfs"), ("D07", "")]


def test_of_many_seeds_those_that_were_played_are_told(one_dies) -> None:
    one_dies("D07", 2)
    result = call("run", "D07", "--seeds", "0:5", "--jobs", "2")
    assert result.exit_code == 3
    line, total = result.stdout.splitlines()
    assert ": passed, 2 seeds not done (" in line
    assert total.startswith("INCOMPLETE: 0 of 1 way of 1 scenario passed, 1 not done, 3 runs, ")


def test_after_a_signal_it_is_said_how_much_is_missing(monkeypatch) -> None:
    whole = scenarios.do

    def do(part):
        if part.variant == "iscsi":
            signal.raise_signal(signal.SIGTERM)
        return whole(part)

    monkeypatch.setattr(scenarios, "do", do)
    result = call("run", "N03")
    assert result.exit_code == 128 + signal.SIGTERM
    assert result.stderr == "interrupted after 1 of 2 ways\n"
    line, total = result.stdout.splitlines()
    assert line.startswith("N03/nfs ")
    assert total.startswith("INCOMPLETE: 1 of 2 ways of 1 scenario passed, 1 not done, ")


def test_wrong_drivers_are_said_to_be_caught() -> None:
    result = call("run", "--wrong", "N03/nfs")
    assert result.exit_code == 0, result.output
    line, total = result.stdout.splitlines()
    assert f"{N03.title}: caught by {', '.join(N03.caught_by)} (" in line
    assert total.startswith("OK: 1 of 1 way of 1 scenario caught, ")


@pytest.fixture
def changed(monkeypatch):
    def change(**members) -> None:
        monkeypatch.setattr(library, "SCENARIOS", {"N03": replace(N03, **members)})

    return change


def test_what_fails_is_told_with_how_to_do_it_again(changed) -> None:
    changed(settings={"parts": None, "mutant": ""}, body=SCENARIOS["N05"].body, left=("NAS: dataset tank/csi/x",))
    assert call("run", "N03/nfs").exit_code == 0

    async def unhappy(cluster, variant) -> None:
        raise AssertionError("the sky is green")

    changed(body=unhappy)
    result = call("run", "N03/nfs", "--seeds", "3:5")
    assert result.exit_code == 1
    assert f"{N03.title}: FAILED with 2 of 2 seeds (" in result.stdout
    assert f"    {N03.story}" in result.stdout
    assert "    not as expected: the sky is green\n" in result.stdout
    assert "    again: csisim scenarios run N03/nfs --seed 3\n" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("FAILED: 0 of 1 way of 1 scenario passed, 2 runs, ")


def test_a_wrong_driver_that_is_not_caught_is_a_failure(changed) -> None:
    changed(wrong=lambda parts: parts)
    result = call("run", "N03/nfs", "--wrong")
    assert result.exit_code == 1
    assert f"{N03.title}: NOT CAUGHT by I5, I6, expectation (" in result.stdout
    assert f"    the wrong idea: {N03.wrong_idea}" in result.stdout
    assert "    found by: nothing" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("FAILED: 0 of 1 way of 1 scenario caught, ")


def test_what_needs_virtual_time_is_left_out_or_refused_in_real(changed) -> None:
    changed(real=False)
    refused = call("run", "N03", "--real")
    assert refused.exit_code == 2
    assert "N03 needs virtual time" in refused.output
    left = call("run", "--all", "--real")
    assert left.exit_code == 2
    assert "nothing is left to do" in left.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "or --all of them"),
        (["run", "N03", "--all"], "or --all of them"),
        (["run", "N10"], "'N10' is no scenario: did you mean N"),
        (["run", "N03/smb"], "there are N03/nfs, N03/iscsi"),
        (["run", "N06/nfs"], "there are N06 alone"),
        (["run", "N03/"], "is no variant of N03"),
        (["run", "N03", "--seed", "1", "--seeds", "1:2"], "one of --seed and --seeds"),
        (["run", "N03", "--seeds", "2"], "is not A:B"),
        (["run", "N03", "--seeds", ""], "Invalid value for --seeds: '' is not A:B"),
        (["run", "N03", "--seed", "9223372036854775808"], "'--seed': 9223372036854775808 is not a number from 0 to"),
        (["run", "N03", "--seed", "-1"], "'--seed': -1 is not a number from 0 to"),
        (["run", "N03", "--seeds", "0:1000000000"], "2000000000 runs at once are more than 1000000"),
        (["run", "N03", "--jobs", "0"], "0 is not a number from 1 to 1000"),
    ],
)
def test_wrong_uses_are_refused(arguments: list[str], said: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
