"""The commands `csisim mutants list`, `hunt` and `reproduce`."""

import json

import pytest
from typer.testing import CliRunner

from csisim.cli.main import app
from csisim.mutants.registry import NAMES, find


def call(*arguments: str):
    return CliRunner().invoke(app, ["mutants", *arguments])


def test_every_mutant_is_listed_with_what_it_is() -> None:
    listed = json.loads(call("list", "--json").stdout)
    assert [each["name"] for each in listed] == list(NAMES)
    assert all(each["origin"] and each["idea"] and each["oracle"] and each["reproduction"] for each in listed)
    text = call("list").stdout
    assert all(f"{name}: {find(name).idea}" in text for name in NAMES)


def test_a_hunt_tells_how_many_schedules_it_took() -> None:
    result = call(
        "hunt", "--only", "M-NOLOCK", "--campaigns", "2", "--cap", "200", "--jobs", "1", "--no-shrink", "--json"
    )
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)
    assert (found["name"], found["found"], found["campaigns"], found["hits"]) == ("M-NOLOCK", True, 2, 2)
    assert found["schedules_mean"] >= 1
    assert found["hit_rate_low"] < found["hit_rate"] < found["hit_rate_high"]
    assert found["deviations"] is found["replayed"] is None


def test_a_row_for_people_and_status_1_where_it_was_not_found() -> None:
    result = call("hunt", "--only", "M-ALLSNAPS", "--campaigns", "1", "--cap", "1", "--jobs", "1", "--no-shrink",
                  "--strategy", "fifo")  # fmt: skip
    head, row = result.stdout.splitlines()
    assert head.split()[0] == "mutant"
    assert row.split()[:2] in (["M-ALLSNAPS", "0/1"], ["M-ALLSNAPS", "1/1"])
    assert result.exit_code == (row.split()[1] == "0/1")


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


@pytest.mark.parametrize("arguments", [["hunt", "--only", "M-X"], ["reproduce", "M-X"], ["reproduce", ""],
                                       ["hunt", "--only", "M-NOLOCK", "--strategy", "nonsense"]])  # fmt: skip
def test_wrong_uses_are_refused(arguments: list[str]) -> None:
    assert call(*arguments).exit_code == 2
