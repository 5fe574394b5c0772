"""What a check says about a history."""

from dataclasses import dataclass
from typing import Any, Final, Literal

Verdict = Literal["ok", "violation", "unknown"]

_WORST: Final[tuple[Verdict, ...]] = ("violation", "unknown", "ok")


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be.

    Attributes:
        check: name of the check: I1 to I18, linearizability, cost, races, termination.
        summary: what happened, one sentence with names, values and times.
        why: the rule that it breaks, one sentence.
        events: numbers of the events that show it, in order.
        at_s: when it showed, loop time.
        detail: more for who looks into it, such as two stacks; may have many lines.
    """

    check: str
    summary: str
    why: str
    events: tuple[int, ...] = ()
    at_s: float = 0.0
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"check": self.check, "summary": self.summary, "why": self.why, "events": list(self.events),
                "at_s": round(self.at_s, 6), "detail": self.detail}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found.

    Attributes:
        check: its name.
        looked_at: how many things it judged: 0 says that the history never came near it.
        violations: what it found.
        unknown: why it could not be decided; "" where it could.
    """

    check: str
    looked_at: int
    violations: tuple[Violation, ...] = ()
    unknown: str = ""

    @property
    def verdict(self) -> Verdict:
        """A violation outweighs what could not be decided."""
        return "violation" if self.violations else "unknown" if self.unknown else "ok"


def worst(verdicts: "list[Verdict]") -> Verdict:
    """The verdict of a whole."""
    return next((verdict for verdict in _WORST if verdict in verdicts), "ok")
