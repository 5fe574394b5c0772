"""Who decides: the rules in force, their counts, and what fired.

A decision is drawn from a keyed hash of (seed, rule, site, volume, ordinal), never from a shared stream of random
numbers: another rule, client or interleaving does not shift the decisions on a volume.
"""

import asyncio
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from csisim.faults.barriers import Barriers
from csisim.faults.codes import errno_of
from csisim.faults.index import RuleIndex
from csisim.faults.matching import RuleState, Sample
from csisim.faults.model import Action, Rule, Term
from csisim.faults.sites import WAITS, Catalogue

MAX_RULES: Final = 10_000

_MAX_LENT: Final = 1000
_LENDABLE: Final = ("rpc", "mount", "device", "file")

Fields = Callable[[], Mapping[str, Any]]
Heal = Callable[[RuleState | None], None]
"""Ends what a rule that is gone left behind; None: whatever any rule left behind."""


_NO_RULES: Final = RuleIndex(())
"""Of all sites that no rule is for, as nearly all are."""


@dataclass(frozen=True, slots=True)
class Passing:
    """A site is being passed.

    Attributes:
        site: which one.
        vol, snap, node, client, phase, code: what rules select by; "" where it does not apply.
        call_id: of the call that is being made, for the record.
        size_bytes: of the message, for delays per byte.
        fields: gives the request as plain data, for conditions; asked only if a rule has one.
        own: rules that the call brought along; asked after those of the plane.
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
    own: tuple[RuleState, ...] = ()


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
        until_s: end of the window it happened in, by the plane's clock; None if it has none.
    """

    seq: int
    rule: str
    action: Action
    passing: Passing
    ordinal: int
    at_s: float
    draw: float
    until_s: float | None = None

    def delay_s(self) -> float:
        """How long an action that waits waits."""
        if self.action.delay is None:
            return self.action.seconds or 0.0
        return Sample.delay_s(self.action.delay, self.draw, self.passing.size_bytes)

    def os_error(self, subject: str | None = None) -> OSError:
        """What an action `error` raises where errors are errnos."""
        number = errno_of(self.action.word)
        return OSError(number, self.action.text or os.strerror(number), subject)

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
        now: its clock.
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
        self.now = now
        self._on_fire = on_fire
        self._rules: dict[str, RuleState] = {}
        self._by_site: dict[str, RuleIndex] = {}
        self._seq = itertools.count(1)
        self._names = itertools.count(1)
        self._healers: dict[str, Heal] = {}
        self._delayed: dict[asyncio.Future[None], str] = {}
        self._lent: dict[str, dict[tuple[str, str], int]] = {}

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
        self._heal(None)
        self.barriers.release_all()

    @contextmanager
    def scoped(self, *rules: Rule) -> Iterator[list[RuleState]]:
        """Have rules in force while a block runs; what they left behind is healed at its end.

        Raises:
            ValueError: as `add`; none of them is in force.
        """
        states = self.add_all(rules)
        try:
            yield states
        finally:
            for state in states:
                if self._rules.get(state.rule.name) is state:
                    self.remove(state.rule.name)

    def on_change(self, owner: str, heal: Heal) -> None:
        """Have a function called whenever a rule is changed or taken out, and on a reset, so that what lasts can end.

        Args:
            owner: whose it is; a later function of the same owner takes its place.
            heal: ends what lasts.
        """
        self._healers[owner] = heal

    def rules_at(self, site: str) -> tuple[RuleState, ...]:
        """The rules for a site, whatever they match."""
        return (self._by_site.get(site) or self._index(site)).rules

    def idle(self, site: str) -> bool:
        """Whether no rule is for the site. True has counted the passing: there is nothing to `meet` or to `decide`.

        Raises:
            KeyError: the site is not in the catalogue.
        """
        if (self._by_site.get(site) or self._index(site)).rules:
            return False
        self.passed[site] += 1
        return True

    def decide(self, passing: Passing) -> list[Firing]:
        """What happens at this passing, by rule; counts it.

        Raises:
            KeyError: the site is not in the catalogue.
        """
        self.passed[passing.site] += 1
        index = self._index(passing.site)
        if not index.rules and not passing.own:
            return []
        firings = []
        own = [state for state in passing.own if passing.site in state.sites and state.selects(passing)]
        for state in (*index.select(passing), *own):
            fired = state.ask(passing, self.seed, self.now())
            if fired is not None:
                firings.append(self._fire(state, passing, *fired))
        return firings

    async def meet(self, passing: Passing) -> Firing | None:
        """Pass a site: wait where a rule says so; gives the firing that changes what happens next, if there is one."""
        firings = self.decide(passing)
        if not firings:
            return None
        last: Firing | None = None
        with ExitStack() as stack:
            for firing in firings:  # all of them last from now on, although they are waited for one by one
                if firing.action.kind in WAITS and (state := self._rules.get(firing.rule)) is not None:
                    stack.enter_context(state.lasting(firing.action))
            for firing in firings:
                if firing.action.kind in WAITS:
                    await self._wait(firing)
                elif last is None:
                    last = firing
        return last

    async def _wait(self, firing: Firing) -> None:
        """Perform an action that only takes time, as long as its rule is there."""
        if firing.action.kind == "hang":
            await self.barriers.wait(firing.action.word or firing.rule)
            return
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        timer = loop.call_later(firing.delay_s(), _end, over)
        self._delayed[over] = firing.rule
        try:
            await over
        finally:
            timer.cancel()
            del self._delayed[over]

    def lend(self, rule: Rule, method: str = "") -> RuleState:
        """A rule that is not in force, for one call's own use. Its counts begin with each call, its draws do not.

        Args:
            rule: what the call asks for.
            method: short name of the call's method; "" for any.

        Raises:
            ValueError: it could not be honoured, or is not for something that happens within such a call.
        """
        found = [site.name.split(".") for site in self.catalogue.select(rule.site)]
        if found and not any(
            family in _LENDABLE and (family != "rpc" or name[0] == method or not method) for family, *name in found
        ):
            raise ValueError(f"{rule.site} is not passed within the call: there are rpc.{method or '<Method>'}, "
                             "mount, device and file")  # fmt: skip
        if any(term.most is not None for term in rule.terms):
            raise ValueError("max counts over all calls: a rule for one call cannot have it")
        state = self._state(rule, str(rule))
        state.ordinals = self._lent.setdefault(state.key, state.ordinals)
        if len(self._lent) > _MAX_LENT:
            del self._lent[next(iter(self._lent))]
        return state

    def _state(self, rule: Rule, key: str) -> RuleState:
        sites = frozenset(site.name for site in self.catalogue.check(rule))
        # Without a name given, the text is what draws are keyed by: numbers would shift with other rules.
        return RuleState(rule, key or str(rule), sites, self.now())

    def _free_name(self, made: Mapping[str, RuleState]) -> str:
        return next(
            name for number in self._names if (name := f"rule-{number}") not in self._rules and name not in made
        )

    def _index(self, site: str) -> RuleIndex:
        found = self._by_site.get(site)
        if found is None:
            rules = [state for state in self._rules.values() if site in state.sites]
            found = RuleIndex(rules) if rules else _NO_RULES
            if site in self.passed:  # names that are made up are not kept
                self._by_site[site] = found
        return found

    def _fire(self, state: RuleState, passing: Passing, term: Term, ordinal: int, draw: float) -> Firing:
        until_s = None if term.until_s is None else state.since_s + term.until_s
        firing = Firing(next(self._seq), state.rule.name, term.action, passing, ordinal, self.now(), draw, until_s)
        self.fired[passing.site] += 1
        if self._on_fire is not None:
            self._on_fire(firing)
        return firing

    def _rules_changed(self) -> None:
        self._by_site.clear()

    def _release(self, old: RuleState) -> None:
        self._heal(old)
        kept = {name for state in self._rules.values() for name in state.barriers()}
        for name in old.barriers():
            if name not in kept:
                self.barriers.release(name)

    def _heal(self, gone: RuleState | None) -> None:
        for over, rule in self._delayed.items():
            if gone is None or rule == gone.rule.name:
                _end(over)
        for heal in tuple(self._healers.values()):
            heal(gone)


def _end(over: "asyncio.Future[None]") -> None:
    if not over.done():
        over.set_result(None)
