"""`csisim run --exhaust`: what it prints, when it is a success, and how what it found is done again."""

import json

import pytest
from typer.testing import CliRunner

from csisim.cli.main import app

TINY = ["run", "--seed", "21", "--size", "2x1x2", "--nodes", "1", "--protocol", "nfs", "--faults", "none"]
COUNTED = [*TINY[:1], "--seed", "22", "--size", "3x3x1", *TINY[5:], "--mutant", "M-COUNT"]


def call(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_an_exhausted_program_is_a_success_with_its_count():
    result = call(*TINY, "--exhaust", "0")
    assert result.exit_code == 0, result.output
    first, last, replay = result.stdout.splitlines()
    assert first.startswith("seed 21 · every schedule · 2 clients x 1 operation, 2 volumes · 1 node · ")
    assert last.startswith("OK: exhausted at 0 deviations, 1 schedules, ")
    assert "0 violations, 0 unknown" in last
    assert "1/1 runs" in result.stderr
    assert call(*replay.split()[1:]).exit_code == 0


def test_a_budget_that_ends_it_early_is_no_success():
    result = call(*TINY, "--exhaust", "2", "--budget", "2", "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["verdict"], report["exhausted"]) == (1, "unknown", False)
    assert (report["schedules"], report["deviations"], report["undecided"]) == (2, 2, 0)
    assert report["schedules_at_least"] > 50
    assert set(report["invariants"].values()) == {"ok"}
    text = call(*TINY, "--exhaust", "2", "--budget", "2").stdout
    assert f"UNKNOWN: not exhausted: 2 of at least {report['schedules_at_least']} at 2 deviations" in text
    assert report["digest"] in text


def test_the_first_violating_schedule_is_told_and_can_be_done_again():
    result = call(*COUNTED, "--exhaust", "1")
    assert result.exit_code == 1
    assert "FAILED: not exhausted: " in result.stdout.splitlines()[-1]
    line = next(line for line in result.stdout.splitlines() if "csisim replay csi1-" in line)
    again = call("replay", line.split()[-1])
    assert again.exit_code == 1
    assert "the same run: trace " in again.stdout


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--budget", "5"], "it is for --exhaust"),
        (["--exhaust", "-1"], "deviations: -1 is not"),
        (["--exhaust", "1", "--budget", "0"], "budget: 0 schedules are none"),
        (["--exhaust", "1", "--strategy", "walk"], "none is drawn by walk"),
        (["--exhaust", "1", "--real"], "real: the schedules"),
    ],
)
def test_flags_that_do_not_go_together_are_a_usage_error(flags, said):
    result = call(*TINY, *flags)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())


def test_every_schedule_is_of_one_seed():
    result = call("run", "--seeds", "1:3", "--exhaust", "1")
    assert result.exit_code == 2
    assert "give --seed" in result.stderr
