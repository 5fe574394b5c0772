"""The swarm: rules that can be honoured, and enough of each kind."""

import random

from csisim.cluster.injection import nas_methods, sites
from csisim.faults.grammar import parse_rule
from csisim.faults.sites import Catalogue
from csisim.runs.faultmix import KINDS, draw, rule_of


def test_whatever_is_drawn_of_a_kind_can_be_honoured():
    catalogue = Catalogue(sites(nas_methods()))
    for number, kind in enumerate(KINDS):
        for seed in range(20):
            catalogue.check(parse_rule(rule_of(kind, random.Random(100 * number + seed), times=(1.0, 0.05)[seed % 2])))


def test_a_seed_draws_some_kinds_and_others_others():
    drawn = [draw(random.Random(seed)) for seed in range(200)]
    assert draw(random.Random(7)) == drawn[7]
    assert {len(rules) for rules in drawn} >= {0, 1, 2, 3, 4, 6}
    families = {rule.split(".")[0] for rules in drawn for rule in rules}
    assert families == {"rpc", "nas", "event", "clock", "connect", "process", "link", "mount", "device", "file"}


def test_there_are_many_kinds_and_none_is_a_lie():
    assert len(KINDS) >= 25
    assert not [text for text in KINDS.values() if "lie(" in text or "INTERNAL" in text or "corrupt" in text]


def test_times_are_scaled():
    rule = "nas slow"
    slow = rule_of(rule, random.Random(3)).rpartition("delay(")[2]
    quick = rule_of(rule, random.Random(3), times=0.1).rpartition("delay(")[2]
    assert int(slow.removesuffix("ms)")) > 5 * int(quick.removesuffix("ms)"))
