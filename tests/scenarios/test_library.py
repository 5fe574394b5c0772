"""The library: every scenario passes, every wrong driver is caught, and what is told of them is true."""

import re
from pathlib import Path

import pytest

from csisim.check.all import CHECKS, INVARIANTS
from csisim.cluster.injection import nas_methods, sites
from csisim.faults.grammar import parse_rule
from csisim.faults.sites import Catalogue
from csisim.scenarios import node
from csisim.scenarios.library import SCENARIOS, find, ordered
from csisim.scenarios.play import Played, play
from csisim.scenarios.scenario import EXPECTATION, Scenario

DOCUMENT = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text()
P0 = [
    "N01", "N03", "N04", "N05", "N06", "N09", "N12", "N15", "N18", "N20", "N21", "N23", "N24",
    "C01", "C04", "C05", "C07", "C08", "C09", "C13", "C14", "C18", "D01", "D03", "D07", "D08", "A01",
    "S01", "S02", "S03", "S05", "E02", "W01", "W02", "W03", "W05", "W06", "X01",
]  # fmt: skip
WAYS = [pytest.param(each, variant, id=f"{each.name}-{variant}".rstrip("-"))
        for each in SCENARIOS.values() for variant in each.variants]  # fmt: skip
FIRST = [pytest.param(each, id=each.name) for each in SCENARIOS.values()]
REAL = [pytest.param(each, id=each.name) for each in SCENARIOS.values() if each.real]


def told(played: Played) -> str:
    return f"{played.unexpected}\n{played.story}\n{played.again}"


@pytest.mark.parametrize(("scenario", "variant"), WAYS)
def test_the_shipped_driver_passes_simulated(scenario: Scenario, variant: str) -> None:
    played = play(scenario, variant)
    assert played.passed, told(played)


@pytest.mark.parametrize("scenario", REAL)
def test_the_shipped_driver_passes_on_real_sockets(scenario: Scenario) -> None:
    played = play(scenario, scenario.variants[0], real=True)
    assert played.passed, told(played)


@pytest.mark.parametrize("scenario", FIRST)
def test_the_wrong_driver_is_caught_by_what_must_catch_it(scenario: Scenario) -> None:
    played = play(scenario, scenario.variants[0], wrong=True)
    assert not played.passed
    assert played.missed == (), f"found by {played.broken}\n{told(played)}"


def test_every_entry_of_the_highest_priority_is_there_in_order() -> None:
    assert list(SCENARIOS) == P0


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue(sites(nas_methods()))


@pytest.mark.parametrize("scenario", FIRST)
def test_everything_is_told(scenario: Scenario, catalogue: Catalogue) -> None:
    texts = (scenario.title, scenario.story, scenario.expectation, scenario.source, scenario.wrong_idea)
    assert all(text == text.strip() and text for text in (*texts, *scenario.faults))
    assert scenario.faults
    assert "\n" not in scenario.title
    assert set(scenario.invariants) <= INVARIANTS.keys()
    assert scenario.invariants
    assert set(scenario.caught_by) <= {*CHECKS, "races", "termination", EXPECTATION}
    assert scenario.caught_by
    assert all(re.fullmatch(r"[a-z0-9-]+", each) for each in scenario.variants if len(scenario.variants) > 1)
    for rule in (text for text in scenario.faults if re.match(r"[a-z]+\.[\w.*]+(\{[^}]*\})?: ", text)):
        catalogue.check(parse_rule(rule))


def test_names_that_there_are_not_lead_to_the_nearest() -> None:
    assert find("N01") is SCENARIOS["N01"]
    with pytest.raises(ValueError, match=r"'N10' is no scenario: did you mean N"):
        find("N10")
    with pytest.raises(ValueError, match="'n01' is no scenario: did you mean N01"):
        find("n01")
    with pytest.raises(ValueError, match="is no scenario: there are N01, N03"):
        find("???")


def test_two_of_one_name_are_refused() -> None:
    assert list(ordered([node.N03, node.N01])) == ["N01", "N03"]
    with pytest.raises(ValueError, match="two scenarios are named N01"):
        ordered([node.N01, node.N01])


def test_the_table_of_the_document_is_the_library() -> None:
    rows = re.findall(r"^\| ([A-Z]\d\d) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", DOCUMENT, re.MULTILINE)
    assert rows == [
        (each.name, each.title, each.wrong_idea, ", ".join(each.caught_by), "both" if each.real else "simulated")
        for each in SCENARIOS.values()
    ]


def test_the_body_in_the_document_is_one_of_them() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert code in Path(node.__file__).read_text()
