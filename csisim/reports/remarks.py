"""What a reader of a verdict must know besides: why nothing was looked at, what stood in the way, what is left."""

from collections.abc import Mapping
from typing import Any, Final

from csisim.reports.text import plain

_NEVER: Final = "the run never came near it"
_LONGEST: Final = 600


def idle(report: Mapping[str, Any], check: str) -> str:
    """Why a check had nothing to judge; a driver of somebody else's does not show everything."""
    return plain((report.get("unseen") or {}).get(check) or _NEVER, _LONGEST)


def remarks(report: Mapping[str, Any]) -> list[str]:
    """The notes of a run, and what is left of it where no note tells of that; one line each."""
    notes = [plain(note, _LONGEST) for note in report.get("notes") or ()]
    left = [plain(each, _LONGEST) for each in report.get("left") or ()]
    return [*notes, *(f"left: {each}" for each in left if not any(each in note for note in notes))]
