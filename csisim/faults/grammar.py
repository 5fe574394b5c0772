"""The rule language: text to `Rule` and back. Pure.

    rule   := site [ "{" match "}" ] ":" term ( "->" term )*          one per line; "# " begins a comment
    match  := key "=" glob ( "," ... )*     keys: vol snap node client phase code, and when="..." and per=vol
    term   := mod* action [ "(" args ")" ]
    mod    := P "%" | N "*" | "+" S | "/" M | "#" K | "t[" from "," until ")" | "~" time | "max" C

    mount.umount{vol=pvc-7*}: 2*off->30%3*error(EBUSY)->off
    rpc.ControllerExpandVolume.after{node=n1}: #2 disconnect(rst)     # grown on the NAS, answer lost

A term is tried where the ones before it did not fire. It looks at its window, its skip, every and nth first, then at
its probability, then at its count (as fail(9) does). The actions are in `csisim.faults.actions`.
"""

import re
from dataclasses import replace
from typing import Final

from csisim.faults.actions import ActionError, Arg, build
from csisim.faults.expressions import Expression, ExpressionError
from csisim.faults.model import MATCH_KEYS, PER_KEYS, PHASES, Action, Match, Rule, Term
from csisim.faults.values import parse_duration

MAX_LENGTH: Final = 4000
MAX_TERMS: Final = 50
_MAX_COUNT: Final = 10**9

_SITE: Final = re.compile(r"[A-Za-z*][A-Za-z0-9_.*-]{0,150}")
_WORD: Final = re.compile(r"[A-Za-z_]+")
_BARE: Final = re.compile(r"[^\s,{}\"=]+")
_ARG: Final = re.compile(r"[^,()\"]*")
_INTEGER: Final = re.compile(r"[0-9]{1,10}")
_PERCENT: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)%")
_TIMES: Final = re.compile(r"([0-9]{1,10})\*")
_WINDOW: Final = re.compile(r"t\[\s*([^,\s]*)\s*,\s*([^)\s]*)\s*\)")
_DURATION: Final = re.compile(r"[0-9.]+[a-z]+")
_COMMENT: Final = re.compile(r"(?:^|\s)#(?:\s|$)")


class RuleError(ValueError):
    """A text is not a rule.

    Attributes:
        reason: what is wrong, and what is allowed there.
        text: the line.
        column: where in it, counted from 1.
        line: of a file, counted from 1; None outside of one.
    """

    def __init__(self, reason: str, text: str, column: int, line: int | None = None) -> None:
        self.reason, self.text, self.column, self.line = reason, text, column, line
        where = f"column {column}" if line is None else f"line {line}, column {column}"
        shown = text.expandtabs(1)
        start = max(0, column - 60)
        super().__init__(f"{where}: {reason}\n  {shown[start : start + 100]}\n  {' ' * (column - 1 - start)}^")

    def __reduce__(self) -> "tuple[type[RuleError], tuple[str, str, int, int | None]]":
        """It may come out of another process."""
        return RuleError, (self.reason, self.text, self.column, self.line)


def parse_rule(text: str, *, name: str = "") -> Rule:
    """One rule. A comment after it is ignored.

    Raises:
        RuleError: it is not one.
    """
    if len(text) > MAX_LENGTH:
        raise RuleError(f"a rule has at most {MAX_LENGTH} characters", text[:80], 1)
    rule = _Reader(text).rule()
    return replace(rule, name=name)


def is_blank(line: str) -> bool:
    """Whether a line of a file has no rule on it."""
    return not line.strip() or line.lstrip().startswith("#")


def refused(error: ValueError, text: str) -> RuleError:
    """A rule that reads well and that the catalogue refuses (`csisim.faults.sites.Refusal`), with the column."""
    reader = _Reader(text)
    reader.rule()
    at = reader.places.get(getattr(error, "part", ""), reader.places[""])
    return RuleError(str(error), text, at + 1)


class _Reader:
    """Reads one rule. `places` is where its parts are: "" the site, a key, or the number of a term's action."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._terms = 0
        self.places: dict[str | int, int] = {}

    def rule(self) -> Rule:
        self._skip()
        self.places[""] = self._at
        site = self._take(_SITE, "a site such as rpc.CreateVolume.after or mount.umount")
        self._skip()
        match = self._match() if self._peek("{") else Match()
        self._skip()
        self._expect(":", "':' and what happens there")
        terms = [self._term()]
        while not self._end():
            self._expect("->", "'->' and the next term, or the end")
            terms.append(self._term())
            if len(terms) > MAX_TERMS:
                raise self._error(f"a rule has at most {MAX_TERMS} terms")
        return Rule(site, tuple(terms), match)

    def _match(self) -> Match:
        self._expect("{", "'{'")
        patterns: dict[str, str] = {}
        when, per = None, ""
        while True:
            self._skip()
            start = self._at
            key = self._take(_WORD, f"one of {', '.join(MATCH_KEYS)}, when, per")
            self._skip()
            self._expect("=", f"'=' after {key}")
            self._skip()
            value_at = self._at
            if key in patterns or (key == "when" and when) or (key == "per" and per):
                raise self._error(f"{key} is given twice", start)
            self.places[key] = start
            match key:
                case "when":
                    when = self._when(self._value())
                case "per":
                    per = self._one_of(self._value(), PER_KEYS, value_at)
                case "phase":
                    patterns[key] = self._one_of(self._value(), PHASES, value_at)
                case _ if key in MATCH_KEYS:
                    patterns[key] = self._glob(self._value(), value_at)
                case _:
                    raise self._error(f"{key!r} is not one of {', '.join(MATCH_KEYS)}, when, per", start)
            self._skip()
            if self._peek(","):
                self._at += 1
                continue
            self._expect("}", "',' and the next condition, or '}'")
            return Match(tuple(patterns.items()), when, per)

    def _glob(self, text: str, at: int) -> str:
        if not text or text.count("*") > 8:
            raise self._error("a pattern has at least one character and at most eight *", at)
        return text

    def _when(self, text: str) -> Expression:
        at = self._at - len(text) - 1
        try:
            return Expression(text)
        except ExpressionError as error:
            raise self._error(str(error), max(0, at + error.column)) from None

    def _one_of(self, word: str, known: tuple[str, ...], at: int) -> str:
        if word not in known:
            raise self._error(f"{word!r} is not one of {', '.join(known)}", at)
        return word

    def _value(self) -> str:
        if self._peek('"'):
            return self._quoted()
        return self._take(_BARE, "a pattern such as pvc-*, or a text between double quotes")

    def _quoted(self) -> str:
        start = self._at
        self._at += 1
        found: list[str] = []
        while self._at < len(self._text):
            char = self._text[self._at]
            self._at += 1
            if char == '"':
                return "".join(found)
            if char in "\r\n":
                raise self._error("a line break cannot be part of a text: a rule is one line", self._at - 1)
            if char == "\\" and self._at < len(self._text):
                char = self._text[self._at]
                self._at += 1
            found.append(char)
        raise self._error("this text has no closing '\"'", start)

    def _term(self) -> Term:
        mods: dict[str, float | int | None] = {}
        while True:
            self._skip()
            start = self._at
            found = self._mod()
            if found is None:
                break
            for key, value in found.items():
                if key in mods:
                    raise self._error("this is given twice", start)
                mods[key] = value
        if mods.get("ramp_s") and mods.get("percent") is None:
            mods["percent"] = 100.0
        return Term(self._action(), **mods)  # type: ignore[arg-type] # each key has its own type

    def _mod(self) -> "dict[str, float | int | None] | None":  # noqa: PLR0911 - one per modifier
        if self._follows(r"max\s"):
            self._at += 3
            self._skip()
            return {"most": self._integer("how many may last at the same time", least=1)}
        if self._follows(r"t\["):
            return self._window()
        for sign, key, least in (("+", "skip", 0), ("/", "every", 1), ("#", "nth", 1)):
            if self._peek(sign):
                self._at += 1
                return {key: self._integer(f"a number after {sign!r}", least=least)}
        if self._peek("~"):
            self._at += 1
            return {"ramp_s": self._duration("over how long the probability grows, such as 30s")}
        if (percent := _PERCENT.match(self._text, self._at)) is not None:
            if float(percent[1]) > 100:
                raise self._error(f"{percent[0]} is more than 100%")
            self._at = percent.end()
            return {"percent": float(percent[1])}
        if (times := _TIMES.match(self._text, self._at)) is not None:
            if not 1 <= int(times[1]) <= _MAX_COUNT:
                raise self._error(f"{times[0]}: a number from 1 to {_MAX_COUNT}")
            self._at = times.end()
            return {"times": int(times[1])}
        return None

    def _window(self) -> "dict[str, float | int | None]":
        start = self._at
        window = _WINDOW.match(self._text, self._at)
        if window is None:
            raise self._error("a window is written as t[10s,12s); either end may be left out")
        try:
            from_s = parse_duration(window[1]) if window[1] else 0.0
            until_s = parse_duration(window[2]) if window[2] else None
        except ValueError as error:
            raise self._error(str(error), start + 2) from None
        if until_s is not None and until_s <= from_s:
            raise self._error("a window ends after it begins", start)
        self._at = window.end()
        return {"from_s": from_s, "until_s": until_s}

    def _action(self) -> Action:
        start = self._at
        self.places[self._terms] = start
        self._terms += 1
        kind = self._take(_WORD, "an action such as error(EBUSY), delay(50ms) or off")
        args: list[Arg] = []
        self._skip()
        if self._peek("("):
            self._at += 1
            args = self._args()
        try:
            return build(kind, args)
        except ActionError as error:
            raise self._error(str(error), start if error.column is None else error.column) from None

    def _args(self) -> list[Arg]:
        args: list[Arg] = []
        while True:
            self._skip()
            start = self._at
            text = self._quoted() if self._peek('"') else self._bare_arg()
            if text or args or not self._peek(")"):
                args.append(Arg(text, start))
            self._skip()
            if self._peek(","):
                self._at += 1
                continue
            self._expect(")", "',' and the next argument, or ')'")
            return args

    def _bare_arg(self) -> str:
        match = _ARG.match(self._text, self._at)
        assert match is not None  # noqa: S101 - the empty text fits too
        self._at = match.end()
        return match[0].rstrip()

    def _integer(self, what: str, *, least: int) -> int:
        start = self._at
        number = int(self._take(_INTEGER, what))
        if not least <= number <= _MAX_COUNT:
            raise self._error(f"a number from {least} to {_MAX_COUNT}", start)
        return number

    def _duration(self, what: str) -> float:
        start = self._at
        text = self._take(_DURATION, what)
        try:
            return parse_duration(text)
        except ValueError as error:
            raise self._error(str(error), start) from None

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _end(self) -> bool:
        comment = _COMMENT.match(self._text, self._at)
        if comment is not None:
            return True
        self._skip()
        if self._text.startswith("#", self._at) and self._text[self._at - 1].isspace():
            return self._text[self._at + 1 : self._at + 2] in {"", " ", "\t"}
        return self._at >= len(self._text)

    def _peek(self, token: str) -> bool:
        return self._text.startswith(token, self._at)

    def _follows(self, pattern: str) -> bool:
        return re.compile(pattern).match(self._text, self._at) is not None

    def _take(self, pattern: "re.Pattern[str]", what: str) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise self._error(f"here should be {what}")
        self._at = match.end()
        return match[0]

    def _expect(self, token: str, what: str) -> None:
        if not self._peek(token):
            raise self._error(f"here should be {what}")
        self._at += len(token)

    def _error(self, reason: str, at: int | None = None) -> RuleError:
        return RuleError(reason, self._text, (self._at if at is None else at) + 1)
