"""Every known bug is found where it is said to be, and the shipped driver passes the same runs."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from csisim.cluster.parts import SHIPPED
from csisim.mutants.registry import NAMES, check_name, find, parts_of
from csisim.runs.plan import BadPlan, RunPlan
from csisim.runs.run import run_plan


@pytest.mark.parametrize("name", NAMES)
def test_a_known_bug_is_found_by_what_must_find_it_and_the_shipped_driver_passes_the_same_run(name):
    mutant = find(name)
    plan = RunPlan(seed=mutant.seed, mutant=name, **mutant.plan)
    report = run_plan(plan).report
    fired = [check for check, verdict in report.invariants.items() if verdict == "violation"]
    assert set(fired) & set(mutant.oracle), f"{fired}: run tools/renew_mutant_seeds.py {name}, or mend the check"

    shipped = run_plan(replace(plan, mutant="")).report
    assert (shipped.verdict, shipped.violations) == ("ok", ())


@pytest.mark.parametrize("name", NAMES)
def test_each_says_where_it_comes_from_what_its_author_believed_and_how_to_see_it(name):
    mutant = find(name)
    assert mutant.name == name
    assert mutant.origin
    assert mutant.idea.endswith(".")
    assert mutant.reproduction == f"csisim run --mutant {name} --seed {mutant.seed}"
    parts = mutant.change(SHIPPED)
    assert parts != SHIPPED


def test_without_a_name_the_parts_are_the_shipped_ones():
    assert parts_of("") is SHIPPED


def test_a_name_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"'M-NOLOC' is no mutant: there are M-COUNT, .*M-NOLOCK"):
        check_name("M-NOLOC")
    with pytest.raises(ValueError, match="no mutant is named"):
        find("")
    with pytest.raises(BadPlan, match="mutant: 'M-NOLOC' is no mutant"):
        RunPlan(seed=1, mutant="M-NOLOC")
    with pytest.raises(BadPlan, match="mutant: '7' is no mutant"):
        RunPlan.from_json({"seed": 1, "mutant": 7})


def test_asking_for_names_imports_no_driver():
    program = (
        "import sys; from csisim.mutants.registry import check_name; check_name('M-NOLOCK'); "
        "print([name for name in sys.modules if name.startswith(('csisim.driver', 'csisim.cluster', 'grpc'))])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert shown.stdout.strip() == "[]"


def test_the_page_tells_of_each():
    page = (Path(__file__).parents[2] / "docs" / "mutants.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| M-")]
    assert rows == [
        f"| {each.name} | {each.origin} | {each.idea} | {', '.join(each.oracle)} |" for each in map(find, NAMES)
    ]
    races = ", ".join(name for name in NAMES if find(name).race)
    assert f"Races, which do harm only where two things go on at a time: {races}." in page.splitlines()
