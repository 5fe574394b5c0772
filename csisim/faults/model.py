"""A rule as data. `str()` of each part is its text in the rule language, which reads back as the same part. Pure."""

import re
from dataclasses import dataclass, field
from typing import Final

from csisim.faults.expressions import Expression
from csisim.faults.values import Delay, print_duration, print_size

MATCH_KEYS: Final = ("vol", "snap", "node", "client", "phase", "code")
"""What a rule can select by pattern; `when` and `per` are written between the same braces."""
PER_KEYS: Final = ("vol", "snap", "node", "client")
PHASES: Final = ("create", "publish", "stage", "use", "unstage", "unpublish", "delete")

_PLAIN: Final = re.compile(r"[^\s,{}\"=]+")


@dataclass(frozen=True, slots=True)
class Action:
    """What happens when a term fires. Which of the members count depends on `kind`; see `csisim.faults.grammar`.

    Attributes:
        kind: error, delay, hang, and so on.
        word: the code of an error, the name of a barrier, how to disconnect, what to crash, to lie or to exhaust.
        text: message of an error.
        delay: of a delay.
        number: of reorder, ready; the close code of a disconnect.
        size_bytes: of truncate, oversize, slice, limit; per second for throttle.
        seconds: of stall, skew, ready, slice, and how long a crashed process stays down.
    """

    kind: str
    word: str = ""
    text: str = ""
    delay: Delay | None = None
    number: int | None = None
    size_bytes: int | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        args: list[str] = []
        if self.word:
            args.append(self.word)
        if self.text:
            args.append(quoted(self.text))
        if self.delay is not None:
            args.append(str(self.delay))
        if self.number is not None:
            args.append(str(self.number))
        if self.size_bytes is not None:
            args.append(f"{print_size(self.size_bytes)}{'/s' if self.kind == 'throttle' else ''}")
        if self.seconds is not None:
            sign = "-" if self.seconds < 0 else ""
            args.append(f"{sign}{print_duration(abs(self.seconds))}")
        return f"{self.kind}({', '.join(args)})" if args else self.kind


@dataclass(frozen=True, slots=True)
class Term:
    """One step of a rule: when it fires, and what it does then.

    Attributes:
        action: what it does.
        percent: probability, drawn before the count; 100 always fires.
        times: fires at most so often; None without end.
        skip: passes that are let through first.
        every: fires at every so-manieth pass after those.
        nth: fires at exactly this pass; None for any.
        from_s: beginning of a time window, seconds since the rule was added.
        until_s: its end, not included; None for no end.
        ramp_s: the probability grows from 0 over this time, from the window's beginning on.
        most: at most so many of its firings last at the same time; None for any number.
    """

    action: Action
    percent: float = 100.0
    times: int | None = None
    skip: int = 0
    every: int = 1
    nth: int | None = None
    from_s: float = 0.0
    until_s: float | None = None
    ramp_s: float = 0.0
    most: int | None = None

    def __str__(self) -> str:
        mods = ""
        if self.from_s or self.until_s is not None:
            until = "" if self.until_s is None else print_duration(self.until_s)
            mods += f"t[{print_duration(self.from_s) if self.from_s else '0'},{until}) "
        if self.ramp_s:
            mods += f"~{print_duration(self.ramp_s)} "
        if self.skip:
            mods += f"+{self.skip} "
        if self.every != 1:
            mods += f"/{self.every} "
        if self.nth is not None:
            mods += f"#{self.nth} "
        if self.most is not None:
            mods += f"max {self.most} "
        if self.percent != 100.0:
            mods += f"{self.percent:g}%"
        if self.times is not None:
            mods += f"{self.times}*"
        return f"{mods}{self.action}"


@dataclass(frozen=True, slots=True)
class Match:
    """What a rule is for. Patterns are globs of whole names; an empty one takes anything.

    Attributes:
        patterns: by key of MATCH_KEYS.
        when: must be true of the request's fields.
        per: counts and ordinals are kept for each value of this key; "" for the whole rule.
    """

    patterns: tuple[tuple[str, str], ...] = ()
    when: Expression | None = None
    per: str = ""

    def __str__(self) -> str:
        parts = [f"{key}={_word(pattern)}" for key, pattern in self.patterns]
        if self.when is not None:
            parts.append(f"when={quoted(self.when.text)}")
        if self.per:
            parts.append(f"per={self.per}")
        return f"{{{', '.join(parts)}}}" if parts else ""


@dataclass(frozen=True, slots=True)
class Rule:
    """Where, for what, and what then.

    Attributes:
        site: name of a site; `*` stands for any characters within it.
        match: what it is for.
        terms: tried in this order; the first that fires decides.
        name: for people, and to change or delete it; unique among the rules of a plane. "" gets one there.
    """

    site: str
    terms: tuple[Term, ...]
    match: Match = field(default_factory=Match)
    name: str = ""

    def __str__(self) -> str:
        return f"{self.site}{self.match}: {'->'.join(map(str, self.terms))}"


def glob(pattern: str) -> "re.Pattern[str]":
    """`*` is any characters and `?` one; brackets mean themselves."""
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", pattern))
    return re.compile("".join(parts), re.DOTALL)


def quoted(text: str) -> str:
    """A text between double quotes, with backslashes before quotes and backslashes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _word(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quoted(text)
