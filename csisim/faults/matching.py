"""One rule in force: what it selects, its counts, and whether it fires. Pure: the time is an argument."""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from csisim.faults.model import Action, Rule, Term, glob
from csisim.faults.values import Delay

if TYPE_CHECKING:
    from csisim.faults.plane import Passing

_MAX_ORDINALS: Final = 100_000


class Sample:
    """Numbers drawn from keys instead of a stream."""

    @staticmethod
    def draw(*key: object) -> float:
        """A number from 0 up to 1 that only the key decides."""
        text = "\x1f".join(map(str, key)).encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") / (1 << 64)

    @staticmethod
    def delay_s(delay: Delay, draw: float, size_bytes: int) -> float:
        """One delay of this kind."""
        match delay.kind:
            case "fixed":
                return delay.low_s
            case "uniform":
                return delay.low_s + (delay.high_s - delay.low_s) * draw
            case "exp":
                return -math.log(1.0 - draw) * delay.low_s
            case _:
                return delay.low_s * size_bytes


class _Counts:
    """How often one term was asked and has fired, for one value of the key that counts are kept by."""

    __slots__ = ("asked", "fired")

    def __init__(self) -> None:
        self.asked = 0
        self.fired = 0


class RuleState:
    """A rule and what it has done.

    Args:
        rule: with its name.
        key: what its draws are keyed by.
        sites: names of the sites that it is for.
        since_s: when it was added.

    Attributes:
        asked: how often it was asked, of passings that it is for.
        fired: how often it fired.
        ordinals: how often it was asked, by site and volume.
    """

    def __init__(self, rule: Rule, key: str, sites: frozenset[str], since_s: float) -> None:
        self.rule = rule
        self.key = key
        self.sites = sites
        self.since_s = since_s
        self.asked = 0
        self.fired = 0
        self._patterns = [(name, glob(pattern)) for name, pattern in rule.match.patterns]
        self.ordinals: dict[tuple[str, str], int] = {}
        self._counts: dict[tuple[int, str], _Counts] = {}
        self._active: dict[Action, int] = {}
        self._looks: dict[str, tuple[int, float]] = {}

    def selects(self, passing: "Passing") -> bool:
        """Whether the rule is for such a passing, its condition apart."""
        return all(pattern.fullmatch(getattr(passing, name)) for name, pattern in self._patterns)

    def ask(self, passing: "Passing", seed: int, now_s: float) -> tuple[Term, int, float] | None:
        """Whether it fires: the term, the ordinal of this passing, and a number from 0 to 1 for the action's use."""
        when = self.rule.match.when
        if when is not None and not when.holds({} if passing.fields is None else passing.fields()):
            return None
        self.asked += 1
        where = passing.site, passing.vol
        ordinal = self.ordinals.get(where, 0) + 1
        if len(self.ordinals) >= _MAX_ORDINALS and where not in self.ordinals:
            del self.ordinals[next(iter(self.ordinals))]
        self.ordinals[where] = ordinal
        per = self.rule.match.per
        group = str(getattr(passing, per)) if per else ""
        for index, term in enumerate(self.rule.terms):
            if not self._executes(index, term, group, now_s, (seed, self.key, index, *where, ordinal)):
                continue
            if term.action.kind == "off" or (
                term.action.kind == "ready" and self._is_ready(term.action, passing, now_s)
            ):
                return None
            self.fired += 1
            return term, ordinal, Sample.draw(seed, self.key, index, *where, ordinal, "value")
        return None

    @contextmanager
    def lasting(self, action: Action) -> Iterator[None]:
        """Count the action as going on."""
        self._active[action] = self._active.get(action, 0) + 1
        try:
            yield
        finally:
            self._active[action] -= 1

    def barriers(self) -> set[str]:
        """The barriers at which the rule lets calls hang."""
        return {term.action.word or self.rule.name for term in self.rule.terms if term.action.kind == "hang"}

    def does(self, kind: str, *words: str) -> bool:
        """Whether an action of this kind is among its terms, and with one of these words if any are given."""
        actions = (term.action for term in self.rule.terms)
        return any(action.kind == kind and (not words or action.word in words) for action in actions)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"name": self.rule.name, "rule": str(self.rule), "asked": self.asked, "fired": self.fired}

    def _is_ready(self, action: Action, passing: "Passing", now_s: float) -> bool:
        """Whether enough looks were taken at the snapshot or volume, or enough time has gone by since the first."""
        key = passing.snap or passing.vol
        looks, first_s = self._looks.pop(key, (0, now_s))
        if len(self._looks) >= _MAX_ORDINALS:
            del self._looks[next(iter(self._looks))]
        self._looks[key] = looks + 1, first_s
        if action.number is not None:
            return looks + 1 >= action.number
        return now_s - first_s >= (action.seconds or 0.0)

    def _executes(self, index: int, term: Term, group: str, now_s: float, key: tuple[object, ...]) -> bool:
        since_s = now_s - self.since_s
        if since_s < term.from_s or (term.until_s is not None and since_s >= term.until_s):
            return False
        counts = self._counts.get((index, group))
        if counts is None:
            if len(self._counts) >= _MAX_ORDINALS:
                del self._counts[next(iter(self._counts))]
            counts = self._counts[index, group] = _Counts()
        counts.asked += 1
        if not _is_due(term, counts.asked):
            return False
        if term.most is not None and self._active.get(term.action, 0) >= term.most:
            return False
        percent = term.percent
        if term.ramp_s:
            percent *= min(1.0, (since_s - term.from_s) / term.ramp_s)
        if percent < 100.0 and Sample.draw(*key) * 100.0 >= percent:
            return False
        if term.times is not None and counts.fired >= term.times:
            return False
        counts.fired += 1
        return True


def _is_due(term: Term, asked: int) -> bool:
    after = asked - term.skip
    if after <= 0:
        return False
    if term.nth is not None:
        return after == term.nth
    return after % term.every == 0
