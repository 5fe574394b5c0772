"""What tells one kind of failure from another: the check that fired and what it said, without names and numbers."""

import re
from collections.abc import Mapping
from typing import Any, Final

from csisim.reports.relevance import leading
from csisim.reports.rules import order

_MOST_CHARACTERS: Final = 160
_QUOTED: Final = re.compile(r"'[^'\n]{0,200}'(?!\w)|\"[^\"\n]{0,200}\"")
_THOUSANDS: Final = re.compile(r"(?<=\d),(?=\d{3}\b)")
_OWNED: Final = re.compile(r"(?<=\w)'s\b")
# Whatever has a digit or a slash in it is a name, a number, a time or a path.
_NAME: Final = re.compile(r"[\w.@:+~-]*(?:\d|/)[\w.@:+/~-]*(?<![.:])")
_LIST: Final = re.compile(r"#(?:(?:,? and |, | )#)+")


def kind_of(check: str, summary: str) -> str:
    """One line for what happened, the same for all names, numbers, times and paths.

    Args:
        check: that fired.
        summary: what it said; only its first line counts.
    """
    first = summary.partition("\n")[0][:2000]
    first = _NAME.sub("#", _QUOTED.sub("#", _OWNED.sub("", _THOUSANDS.sub("", first))))
    return f"{check}: {_LIST.sub('#', first)}"[:_MOST_CHARACTERS].rstrip()


def signatures(report: Mapping[str, Any]) -> list[str]:
    """Every kind of failure in a report, the one that its story begins with first; what was undecided comes last.

    Args:
        report: `RunReport.to_json()`.
    """
    found = [kind_of(each["check"], each["summary"]) for each in leading(report["violations"])]
    unknown: Mapping[str, str] = report["unknown"]
    found += [kind_of(f"undecided {name}", unknown[name]) for name in sorted(unknown, key=order)]
    return list(dict.fromkeys(found))
