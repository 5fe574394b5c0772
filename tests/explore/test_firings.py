"""Rules for single firings."""

from csisim.events import Event
from csisim.explore.firings import firings, narrowed
from csisim.faults.grammar import parse_rule

RULE = "nas.pool.dataset.*.reply{node=n*}: 30%4*drop"


def fired(
    seq: int, site: str, ordinal: int, *, rule: str = "rule-2", action: str = "drop", vol: str = "pvc-1"
) -> Event:
    value = {"rule": rule, "site": site, "action": action, "ordinal": ordinal, "vol": vol}
    return Event(seq, 0.0, "info", "fault", site, value=value)


def test_each_firing_becomes_a_rule_that_says_where_it_was() -> None:
    events = [
        fired(1, "nas.pool.dataset.create.reply", 3),
        fired(2, "nas.pool.dataset.update.reply", 1, vol=""),
        Event(3, 0.0, "invoke", "call", "CreateVolume"),
        fired(4, "nas.pool.dataset.create.reply", 3),
    ]
    found = list(narrowed(RULE, 2, events))
    assert found == [
        "nas.pool.dataset.create.reply{node=n*, vol=pvc-1}: #3 drop",
        "nas.pool.dataset.update.reply{node=n*}: #1 drop",
    ]
    assert [str(parse_rule(rule)) for rule in found] == found
    assert [event.seq for event in firings(events)] == [1, 2, 4]


def test_firings_of_other_rules_and_of_other_actions_are_not_its_own() -> None:
    assert list(narrowed(RULE, 1, [fired(1, "nas.pool.dataset.create.reply", 3)])) == []
    assert list(narrowed(RULE, 2, [fired(1, "nas.pool.dataset.create.reply", 3, action="dup")])) == []


def test_a_rule_that_strikes_once_already_gives_none() -> None:
    rule = "nas.pool.dataset.create.reply{vol=pvc-1}: #3 drop"
    assert list(narrowed(rule, 2, [fired(1, "nas.pool.dataset.create.reply", 3)])) == []


def test_what_ends_with_a_window_of_time_keeps_it() -> None:
    rule = "link.down: t[1s,2s) disconnect(blackhole)"
    assert list(narrowed(rule, 2, [fired(1, "link.down", 3, action="disconnect(blackhole)", vol="")])) == []


def test_of_many_firings_some_are_given() -> None:
    assert len(list(narrowed(RULE, 2, [fired(at, "nas.pool.dataset.create.reply", at) for at in range(1, 50)]))) == 8
