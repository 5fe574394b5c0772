"""How a check gathers what it finds, and how it tells of calls."""

from collections.abc import Iterable
from typing import Final

from csisim.check.index import Call, Index
from csisim.check.subjects import Subjects
from csisim.check.verdicts import Result, Violation

_MOST: Final = 50
_LONGEST: Final = 120


class Findings:
    """What one check found so far.

    Args:
        check: its name.
        why: the rule, one sentence.

    Attributes:
        looked_at: how many things were judged.
    """

    def __init__(self, check: str, why: str) -> None:
        self.looked_at = 0
        self._check = check
        self._why = why
        self._violations: list[Violation] = []

    def add(self, summary: str, events: Iterable[int], at_s: float, detail: str = "") -> None:
        """Note a violation; after fifty of one check there is nothing more to learn."""
        if len(self._violations) < _MOST:
            numbers = tuple(sorted(set(events)))
            self._violations.append(Violation(self._check, summary, self._why, numbers, at_s, detail))

    def result(self, unknown: str = "") -> Result:
        """What the check says."""
        return Result(self._check, self.looked_at, tuple(self._violations), unknown)


def told(index: Index, call: Call) -> str:
    """A call in a sentence: `CreateVolume(pvc-1) by provisioner, 1.250 s to 1.300 s, OK`."""
    subjects = index.derived(Subjects)
    what = subjects.volume(call) or str(call.request.get("name") or call.request.get("snapshot_id") or "")
    node = call.request.get("node_id")
    about = ", ".join(short(str(each)) for each in (what, node) if each)
    who = f" by {call.process}" if call.process else ""
    if call.done is None:
        return f"{call.f}({about}){who}, begun at {at(call.begin_s)}, never answered"
    return f"{call.f}({about}){who}, {at(call.begin_s)} to {at(call.end_s)}, {call.code or call.done.type}"


def at(time_s: float) -> str:
    """A time as it is told."""
    return f"{time_s:.3f} s"


def short(text: str) -> str:
    """The text, its middle left out where it is long."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}...{text[-_LONGEST // 3 :]}"
