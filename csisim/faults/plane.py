"""Who decides: the rules in force, their counts, and what fired.

A decision is drawn from a keyed hash of (seed, rule, site, volume, ordinal), never from a shared stream of random
numbers: another rule, client or interleaving does not shift the decisions on a volume.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from csisim.faults.barriers import Barriers
from csisim.faults.matching import RuleState, Sample
from csisim.faults.model import Action, Rule
from csisim.faults.sites import WAITS, Catalogue

MAX_RULES: Final = 10_000
_MAX_CACHED: Final = 20_000

Fields = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Passing:
    """A site is being passed.

    Attributes:
        site: which one.
        vol, snap, node, client, phase, code: what rules select by; "" where it does not apply.
        call_id: of the call that is being made, for the record.
        size_bytes: of the message, for delays per byte.
        fields: gives the request as plain data, for conditions; asked only if a rule has one.
    """

    site: str
    vol: str = ""
    snap: str = ""
    node: str = ""
    client: str = ""
    phase: str = ""
    code: str = ""
    call_id: str = ""
    size_bytes: int = 0
    fields: Fields | None = None


@dataclass(frozen=True, slots=True)
class Firing:
    """A fault that is happening.

    Attributes:
        seq: counts all firings of the plane.
        rule: name of the rule.
        action: what happens.
        passing: where, and to what.
        ordinal: how many times the rule had been asked about this volume at this site, this one included.
        at_s: by the plane's clock.
        draw: a number from 0 to 1 of this firing's own, for delays and what is corrupted.
    """

    seq: int
    rule: str
    action: Action
    passing: Passing
    ordinal: int
    at_s: float
    draw: float

    def delay_s(self) -> float:
        """How long an action that waits waits."""
        if self.action.delay is None:
            return self.action.seconds or 0.0
        return Sample.delay_s(self.action.delay, self.draw, self.passing.size_bytes)

    def to_json(self) -> dict[str, Any]:
        """Plain data: no request, so no secrets."""
        where = self.passing
        shown = {key: value for key in ("vol", "snap", "node", "client", "phase", "code", "call_id")
                 if (value := getattr(where, key))}  # fmt: skip
        return {"seq": self.seq, "at_s": round(self.at_s, 6), "rule": self.rule, "site": where.site,
                "action": str(self.action), "ordinal": self.ordinal, **shown}  # fmt: skip


class FaultPlane:
    """The rules in force.

    Args:
        catalogue: which sites there are; rules for others are refused.
        seed: of all decisions.
        now: seconds, for windows and the record; loop time.
        on_fire: told of every firing, in order.

    Attributes:
        seed: as given.
        barriers: what hangs until it is released.
        passed: how often each site was passed.
        fired: how often a fault happened at each.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        seed: int,
        now: Callable[[], float],
        on_fire: Callable[[Firing], None] | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.seed = seed
        self.barriers = Barriers()
        self.passed: dict[str, int] = dict.fromkeys(catalogue.sites, 0)
        self.fired: dict[str, int] = dict.fromkeys(catalogue.sites, 0)
        self._now = now
        self._on_fire = on_fire
        self._rules: dict[str, RuleState] = {}
        self._by_site: dict[str, tuple[RuleState, ...]] = {}
        self._candidates: dict[tuple[str, ...], tuple[RuleState, ...]] = {}
        self._seq = itertools.count(1)
        self._names = itertools.count(1)
        self._healers: list[Callable[[], None]] = []

    @property
    def rules(self) -> tuple[RuleState, ...]:
        """The rules in force with their counts, in the order in which they are asked."""
        return tuple(self._rules.values())

    def add(self, rule: Rule) -> RuleState:
        """Put a rule into force, behind the others.

        Raises:
            ValueError: it could not be honoured, its name is taken, or there are too many.
        """
        return self.add_all([rule])[0]

    def add_all(self, rules: Iterable[Rule]) -> list[RuleState]:
        """Put several rules into force, or none of them.

        Raises:
            ValueError: as `add`; nothing was changed.
        """
        made: dict[str, RuleState] = {}
        for rule in rules:
            name = rule.name or self._free_name(made)
            if name in self._rules or name in made:
                raise ValueError(f"there is a rule {name!r} already")
            made[name] = self._state(replace(rule, name=name), rule.name)
        if len(self._rules) + len(made) > MAX_RULES:
            raise ValueError(f"there can be at most {MAX_RULES} rules")
        self._rules |= made
        self._rules_changed()
        return list(made.values())

    def change(self, name: str, rule: Rule) -> RuleState:
        """Put another rule in the place of one; its counts begin anew, and what hung on it goes on.

        Raises:
            KeyError: there is none of this name.
            ValueError: the new one could not be honoured; the old one stays.
        """
        old = self._rules[name]
        state = self._state(replace(rule, name=name), old.key)
        self._rules[name] = state
        self._rules_changed()
        self._release(old)
        return state

    def remove(self, name: str) -> None:
        """Take a rule out; what hung on it goes on.

        Raises:
            KeyError: there is none of this name.
        """
        old = self._rules.pop(name)
        self._rules_changed()
        self._release(old)

    def reset(self) -> None:
        """Take all rules out, release every barrier and heal every connection."""
        self._rules.clear()
        self._rules_changed()
        self._heal()
        self.barriers.release_all()

    def on_change(self, heal: Callable[[], None]) -> None:
        """Have a function called whenever rules are changed or taken out, so that what lasts can end."""
        self._healers.append(heal)

    def rules_at(self, site: str) -> tuple[RuleState, ...]:
        """The rules for a site, whatever they match."""
        found = self._by_site.get(site)
        if found is None:
            found = self._by_site[site] = tuple(state for state in self._rules.values() if site in state.sites)
        return found

    def decide(self, passing: Passing, extra: RuleState | None = None) -> list[Firing]:
        """What happens at this passing, by rule; counts it. `extra`: a rule of the caller's own, asked last.

        Raises:
            KeyError: the site is not in the catalogue.
        """
        self.passed[passing.site] += 1
        rules = self._by_site.get(passing.site)
        if rules is None:
            rules = self.rules_at(passing.site)
        if not rules and extra is None:
            return []
        firings = []
        for state in (*self._matching(passing, rules), *(() if extra is None else (extra,))):
            fired = state.ask(passing, self.seed, self._now())
            if fired is not None:
                firings.append(self._fire(state, passing, *fired))
        return firings

    async def meet(self, passing: Passing, extra: RuleState | None = None) -> Firing | None:
        """Pass a site: wait where a rule says so; gives the firing that changes what happens next, if there is one."""
        last: Firing | None = None
        for firing in self.decide(passing, extra):
            if firing.action.kind in WAITS:
                await self.wait(firing)
            elif last is None:
                last = firing
        return last

    async def wait(self, firing: Firing) -> None:
        """Perform an action that only takes time."""
        with self._lasting(firing):
            if firing.action.kind == "hang":
                await self.barriers.wait(firing.action.word or firing.rule)
            else:
                await asyncio.sleep(firing.delay_s())

    def active_rule(self, rule: Rule) -> RuleState:
        """A rule that is not in force, for one caller's own use.

        Raises:
            ValueError: it could not be honoured.
        """
        return self._state(rule, rule.name)

    @contextmanager
    def _lasting(self, firing: Firing) -> Iterator[None]:
        state = self._rules.get(firing.rule)
        if state is None:
            yield
            return
        with state.lasting(firing.action):
            yield

    def _state(self, rule: Rule, key: str) -> RuleState:
        sites = frozenset(site.name for site in self.catalogue.check(rule))
        # Without a name given, the text is what draws are keyed by: numbers would shift with other rules.
        return RuleState(rule, key or str(rule), sites, self._now())

    def _free_name(self, made: Mapping[str, RuleState]) -> str:
        return next(
            name for number in self._names if (name := f"rule-{number}") not in self._rules and name not in made
        )

    def _matching(self, passing: Passing, rules: tuple[RuleState, ...]) -> tuple[RuleState, ...]:
        key = (passing.site, passing.vol, passing.snap, passing.node, passing.client, passing.phase, passing.code)
        found = self._candidates.get(key)
        if found is None:
            found = tuple(state for state in rules if state.selects(passing))
            if len(self._candidates) >= _MAX_CACHED:
                self._candidates.clear()
            self._candidates[key] = found
        return found

    def _fire(self, state: RuleState, passing: Passing, action: Action, ordinal: int, draw: float) -> Firing:
        firing = Firing(next(self._seq), state.rule.name, action, passing, ordinal, self._now(), draw)
        self.fired[passing.site] += 1
        if self._on_fire is not None:
            self._on_fire(firing)
        return firing

    def _rules_changed(self) -> None:
        self._by_site.clear()
        self._candidates.clear()

    def _release(self, old: RuleState) -> None:
        self._heal()
        kept = {name for state in self._rules.values() for name in state.barriers()}
        for name in old.barriers():
            if name not in kept:
                self.barriers.release(name)

    def _heal(self) -> None:
        for heal in self._healers:
            heal()
