"""What campaigns print: kinds of failure, the most frequent first, and a last line that says how it went."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from csisim.cli.explore_output import facts, show
from csisim.explore.records import Record
from csisim.explore.tally import tally_of
from tests.explore.test_records import FAILURE, SHRUNK
from tests.explore.test_tally import chunk, failure


def test_what_is_left_is_told_in_a_line() -> None:
    assert facts(SHRUNK) == "1 deviation from FIFO, 2 operations, 1 rule with 1 firing, by 40 runs in 0.9 s"
    assert facts(replace(SHRUNK, finished=False)).endswith(", not to the end")


def test_kinds_come_with_their_seeds_and_the_smallest_run(capsys: pytest.CaptureFixture[str]) -> None:
    records: list[Record] = [failure(seed) for seed in range(30)]
    show(tally_of([*records, replace(FAILURE, seed=40, signature="I1: gone\x1b[2J", replay="csi1-other"), chunk(0, 50, 31), SHRUNK]),
         range(50), 2.0, json=False, file=None)  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "30 x I3: left #"
    assert lines[2] == "    seeds 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 20 more"
    assert lines[3] == f"    shrunk to {facts(SHRUNK)}"
    assert lines[4] == "    csisim replay csi1-y"
    assert lines[6].startswith("1 x I1: gone")
    assert "\x1b" not in "".join(lines)
    assert lines[-1].startswith(
        "FAILED: 50 runs of the seeds 0:50 in 2.0 s, 0.0 ms of processor time each, 31 violations"
    )


def test_of_many_kinds_the_rest_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    show(tally_of([*(failure(seed, f"I3: {chr(97 + seed)}") for seed in range(25)), chunk(0, 25, 25)]), range(25), 0.0,
         json=False, file=None)  # fmt: skip
    out = capsys.readouterr().out
    assert out.count(" x I3: ") == 20
    assert "and 5 more kinds of failure" in out


def test_what_is_missing_is_said_with_the_command_that_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    show(tally_of([chunk(0, 10)]), range(25), 1.0, json=False, file=Path("a.jsonl"))
    told = capsys.readouterr()
    assert told.out.startswith("INCOMPLETE, 15 missing: 10 runs of the seeds 0:25")
    assert told.err == "csisim explore --resume a.jsonl goes on\n"


def test_where_results_go_to_standard_output_nothing_else_does(capsys: pytest.CaptureFixture[str]) -> None:
    show(tally_of([failure(3), chunk(0, 10, 1)]), range(10), 1.0, json=False, file=Path("-"))
    told = capsys.readouterr()
    assert told.out == ""
    assert "1 x I3: left #" in told.err


def test_one_object_has_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    show(tally_of([failure(3), chunk(0, 10, 1), SHRUNK]), range(10), 1.0, json=True, file=None)
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["runs"], found["missing"]) == ("violation", 10, 0)
    assert (found["failures"][0]["shrunk"]["deviations"], found["failures"][0]["example"]["failure"]) == (1, 3)
