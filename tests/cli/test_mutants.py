"""The commands `csisim mutants list`, `hunt` and `reproduce`."""

import json
import signal
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from csisim.cli.main import app
from csisim.explore import hunt as hunting
from csisim.mutants.mutant import Mutant
from csisim.mutants.registry import NAMES, find


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["mutants", *arguments])


def test_every_mutant_is_listed_with_what_it_is() -> None:
    listed = json.loads(call("list", "--json").stdout)
    assert [each["name"] for each in listed] == list(NAMES)
    assert all(each["origin"] and each["idea"] and each["oracle"] and each["reproduction"] for each in listed)
    text = call("list").stdout
    assert all(f"{name}: {find(name).idea}" in text for name in NAMES)


def test_a_hunt_tells_how_many_schedules_it_took(tmp_path: Path) -> None:
    out = tmp_path / "results" / "hunt.json"
    result = call("hunt", "--only", "M-NOLOCK", "--campaigns", "2", "--cap", "200", "--jobs", "1", "--no-shrink", "--json",
                  "--out", str(out))  # fmt: skip
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)
    assert (found["name"], found["found"], found["campaigns"], found["hits"]) == ("M-NOLOCK", True, 2, 2)
    assert found["schedules_mean"] >= 1
    assert found["hit_rate_low"] < found["hit_rate"] < found["hit_rate_high"]
    assert (found["deviations"], found["replays"], found["replayed"]) == (None, 2, 1.0)
    assert json.loads(out.read_text()) == [found]


def test_a_row_for_people_and_status_1_where_it_was_not_found() -> None:
    result = call("hunt", "--only", "M-TWOKEYS", "--campaigns", "1", "--cap", "1", "--jobs", "1", "--no-shrink",
                  "--strategy", "walk", "--against", "fifo", "--against-s", "0.1")  # fmt: skip
    head, row, *sums = result.stdout.splitlines()
    assert head.split()[0] == "mutant"
    assert row.split()[:2] == ["M-TWOKEYS", "0/1"]
    assert head.count(" | ") == row.count(" | ") == 1
    assert sums[0] == "0 mutants of 1 found in every campaign; not M-TWOKEYS"
    assert result.exit_code == 1


def test_a_hunt_that_is_ended_tells_and_keeps_what_was_known_by_then(tmp_path: Path, monkeypatch: Any) -> None:
    whole = hunting.hunt

    def hunt(mutant: Mutant, *rest: Any) -> Any:
        if mutant.name != "M-NOLOCK":
            signal.raise_signal(signal.SIGTERM)
        return whole(mutant, *rest)

    monkeypatch.setattr(hunting, "hunt", hunt)
    out = tmp_path / "hunt.json"
    result = call("hunt", "--only", "M-NOLOCK", "--only", "M-STALE", "--campaigns", "1", "--jobs", "1", "--no-shrink",
                  "--out", str(out))  # fmt: skip
    assert result.exit_code == 128 + signal.SIGTERM
    assert result.stderr == "interrupted after 1 of 2 mutants\n"
    assert [line.split()[0] for line in result.stdout.splitlines()[:2]] == ["mutant", "M-NOLOCK"]
    assert [each["name"] for each in json.loads(out.read_text())] == ["M-NOLOCK"]


def test_a_mutant_is_reproduced_by_its_seed() -> None:
    result = call("reproduce", "M-NOLOCK", "--json")
    found = json.loads(result.stdout)
    assert found["plan"]["mutant"] == "M-NOLOCK"
    assert found["seed"] == find("M-NOLOCK").seed
    assert (result.exit_code == 0) is bool(found["found_by"])
    said = call("reproduce", "M-NOLOCK")
    assert said.stdout.splitlines()[-1].startswith(
        "M-NOLOCK: found by " if found["found_by"] else "M-NOLOCK: NOT found"
    )


def test_a_worker_that_dies_ends_a_hunt_with_status_3_and_what_was_found(monkeypatch: Any) -> None:
    whole = hunting.hunt

    def hunt(mutant: Mutant, *rest: Any) -> Any:
        if mutant.name != "M-NOLOCK":
            raise BrokenExecutor("a worker was killed")
        return whole(mutant, *rest)

    monkeypatch.setattr(hunting, "hunt", hunt)
    flags = ("--only", "M-NOLOCK", "--only", "M-STALE", "--campaigns", "1", "--jobs", "1", "--no-shrink")
    result = call("hunt", *flags)
    assert result.exit_code == 3
    assert result.stderr == (
        "csisim mutants hunt: a worker has died after 1 of 2 mutants, and what was found until then is shown: "
        "a worker was killed\n"
    )
    assert result.stdout.splitlines()[-1] == (
        "1 mutant of 1 found in every campaign; INCOMPLETE, 1 more not hunted to the end"
    )
    shown = call("hunt", *flags, "--json")
    assert (shown.exit_code, [each["name"] for each in json.loads(shown.stdout)]) == (3, ["M-NOLOCK"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
@pytest.mark.parametrize(("cap", "status"), [("200", 74), ("1", 1)])
def test_what_cannot_be_written_is_told_and_printed_all_the_same(cap: str, status: int) -> None:
    name = "M-NOLOCK" if cap == "200" else "M-TWOKEYS"
    result = call("hunt", "--only", name, "--campaigns", "1", "--cap", cap, "--jobs", "1", "--no-shrink",
                  "--out", "/dev/full")  # fmt: skip
    assert result.exit_code == status
    assert result.stderr == "csisim mutants hunt: /dev/full could not be written: No space left on device\n"
    assert " of 1 found in every campaign" in result.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hunt", "--only", "M-X"], "--only: 'M-X' is no mutant"),
        (["reproduce", "M-X"], "NAME: 'M-X' is no mutant"),
        (["reproduce", ""], "NAME: no mutant is named"),
        (["hunt", "--only", "M-NOLOCK", "--strategy", "nonsense"], "--strategy: 'nonsense' is no strategy"),
        (["hunt", "--only", "M-NOLOCK", "--against", "luck"], "--against: 'luck' is no other way to search"),
        (["hunt", "--only", "M-WALK", "--races"], "--races: none of M-WALK needs two things at a time"),
        (["hunt", "--only", "M-NOLOCK", "--out", "/dev/null/hunt.json"], "--out: /dev/null/hunt.json: it cannot be"),
    ],
)
def test_wrong_uses_are_refused(arguments: list[str], said: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert f"Invalid value for {said}" in " ".join(result.output.split())
