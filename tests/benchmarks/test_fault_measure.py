"""What is compared when the fault plane's cost is measured."""

import pytest

from benchmarks.fault_measure import QUICK, FaultPlan, one_site_rules, setups, spread_rules
from csisim.cluster.injection import nas_methods, sites
from csisim.faults.grammar import parse_rule
from csisim.faults.plane import FaultPlane, Passing
from csisim.faults.sites import Catalogue


@pytest.mark.parametrize("rules", [spread_rules(1000), one_site_rules(1000)], ids=["many sites", "one site"])
def test_the_rules_are_for_sites_that_are_passed_and_never_match(rules: list[str]) -> None:
    plane = FaultPlane(Catalogue(sites(nas_methods())), seed=0, now=lambda: 0.0)
    plane.add_all(map(parse_rule, rules))
    assert len(plane.rules) == len(set(rules)) == 1000
    assert plane.rules_at("rpc.CreateVolume.before")
    for site in {state.rule.site for state in plane.rules}:
        assert plane.decide(Passing(site, vol="pair-0-1-2")) == []
    assert plane.decide(Passing("rpc.CreateVolume.before", vol="other-0000-x"))  # they would, for their own volumes


def test_the_bars_are_those_that_are_claimed() -> None:
    assert [(each.most, len(each.rules)) for each in setups(1000)] == [(0.05, 0), (0.15, 1000), (0.15, 1000)]
    assert FaultPlan().rules == QUICK.rules == 1000
