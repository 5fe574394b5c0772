"""A wrong driver is somebody's driver: on a calm day nobody notices. What fails in its scenario is what that is about."""

from dataclasses import replace

import pytest

from csisim.runs.script import Script
from csisim.scenarios.ledger import kept, written
from csisim.scenarios.library import SCENARIOS
from csisim.scenarios.play import play
from csisim.scenarios.scenario import Scenario

WRONG = {each.wrong: each for each in SCENARIOS.values() if callable(each.wrong)}


async def calm(cluster: Script, _variant: str) -> None:
    """Nothing fails, and nobody is in a hurry."""
    await written(cluster, "iscsi")
    cluster.co.create_snapshot("monday", "data")
    cluster.co.expand("data", 2 << 30)
    await cluster.settled()
    await kept(cluster, "web")


@pytest.mark.parametrize("scenario", [pytest.param(each, id=each.name) for each in WRONG.values()])
def test_a_wrong_driver_does_its_work_while_nothing_happens(scenario: Scenario) -> None:
    played = play(replace(scenario, body=calm, left=()), scenario.variants[0], wrong=True)
    # What it costs, and what it would take for a decision to go wrong, may be seen on any day.
    assert set(played.broken) <= {"cost", "races"}, played.story
    assert played.unexpected == ""
