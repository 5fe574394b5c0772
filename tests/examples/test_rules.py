"""The rule files: each rule can be honoured, fires in the life of a volume, and the driver survives it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from csisim.cluster.injection import nas_methods, sites
from csisim.faults.files import read_rules
from csisim.faults.model import Rule
from csisim.faults.plane import FaultPlane
from csisim.faults.sites import Catalogue
from csisim.sweep.cases import Case
from csisim.sweep.run import run_cases

FOLDER = Path(__file__).parent.parent.parent / "examples" / "rules"
KNOWN = ("connection.yaml", "controller.yaml", "node.yaml")


@dataclass(frozen=True, slots=True, order=True)
class Known(Case):
    """A rule of a file instead of one that is made up."""

    text: str = ""

    @property
    def rule(self) -> str:
        return self.text

    @property
    def loses_answers(self) -> bool:
        return True


def cases(file: str) -> Iterator[Known]:
    for rule in read_rules(FOLDER / file):
        protocol = "iscsi" if rule.site.startswith("device.") else "nfs"
        yield Known(protocol, "mount", rule.site, 1, str(rule.terms[0].action), str(rule))


def named(file: str) -> dict[str, Rule]:
    return {rule.name: rule for rule in read_rules(FOLDER / file)}


def test_every_file_is_looked_at_here() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*KNOWN, "storm.rules"}


@pytest.mark.parametrize("file", [*KNOWN, "storm.rules"])
def test_all_rules_of_a_file_can_be_in_force_together(file: str) -> None:
    plane = FaultPlane(Catalogue(sites(nas_methods())), seed=0, now=lambda: 0.0)
    rules = read_rules(FOLDER / file)
    assert len(plane.add_all(rules)) == len(rules) > 3


@pytest.mark.parametrize("file", KNOWN)
async def test_a_volume_lives_through_each_known_failure(file: str) -> None:
    chosen = list(cases(file))
    outcomes = await run_cases(chosen, seed=1)
    assert {outcome.case.rule: outcome.violations for outcome in outcomes if outcome.violations} == {}
    assert [outcome.case.rule for outcome in outcomes if not outcome.fired] == []
    assert len(outcomes) == len(chosen) == len(named(file))
