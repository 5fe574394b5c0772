"""From a rule that strikes now and then to rules that strike once, where it did."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from csisim.events import Event
from csisim.faults.grammar import parse_rule
from csisim.faults.model import Match, Rule, Term

_MOST: Final = 8


def narrowed(rule: str, number: int, events: Sequence[Event]) -> Iterator[str]:
    """Rules for one firing each, in the order in which they happened; at most some of them.

    Whether each of them can be honoured is not asked. A rule for a window of time has none: what it does ends with it.

    Args:
        rule: as text.
        number: which of the rules in force it was, from 1.
        events: of a run in which it was in force, values as plain data.
    """
    whole = parse_rule(rule)
    found: dict[str, None] = {}
    for event in events:
        if event.kind == "fault" and len(found) < _MOST:
            one = _once(whole, f"rule-{number}", event)
            if one is not None and str(one) != str(whole):
                found.setdefault(str(one))
    yield from found


def firings(events: Sequence[Event]) -> list[Event]:
    """The faults that happened, in order."""
    return [event for event in events if event.kind == "fault"]


def _once(rule: Rule, name: str, event: Event) -> Rule | None:
    """The rule for this firing alone; None where another rule did it, or where a firing is not all of it."""
    value = event.value() if callable(event.value) else event.value
    term = next((each for each in rule.terms if str(each.action) == value.get("action")), None)
    if term is None or value.get("rule") != name or term.from_s or term.until_s is not None:
        return None
    site, volume = str(value.get("site", "")), str(value.get("vol", ""))
    if not site:
        return None
    patterns = dict(rule.match.patterns)
    if volume and "*" not in volume and "?" not in volume:
        patterns["vol"] = volume
    once = Term(term.action, nth=int(value.get("ordinal", 1)))  # it is counted by site and volume
    return replace(rule, site=site, match=Match(tuple(patterns.items()), rule.match.when), terms=(once,))
