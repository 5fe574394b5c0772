"""What the answered calls say must be on the NAS, and what must not be. Pure.

The driver does one operation on a volume at a time. So an answered call settles what earlier ones of its kind with an
unknown outcome may still have done.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Event = Mapping[str, Any]

_KINDS: Final = {"Volume": "dataset", "Snapshot": "snapshot"}
"""By the end of the methods' names: what the NAS calls it."""


@dataclass(slots=True)
class _Known:
    """One volume or snapshot.

    Attributes:
        made: whether the last answered call made it; None before the first.
        creates, deletes: calls that are under way, or ended without a certain outcome.
        changes: counts all that was ever asked for it.
    """

    made: bool | None = None
    creates: set[str] = field(default_factory=set)
    deletes: set[str] = field(default_factory=set)
    changes: int = 0

    @property
    def present(self) -> bool | None:
        """Whether it must be there; None if nobody knows."""
        open_calls = self.deletes if self.made else self.creates
        return None if open_calls else self.made


def contradictions(events: Sequence[Event], there: Iterable[str], *, meanwhile: Sequence[Event] = ()) -> list[str]:
    """What is there and should not be, or is not and should; sorted.

    Args:
        events: of the CSI calls up to when `there` was taken.
        there: what the NAS has, as `csisim.control.client.FaultClient.leftovers` tells it.
        meanwhile: the events since; what they are about is left out.
    """
    found = []
    lines = list(there)
    for end, thing in _KINDS.items():
        names = {line.rpartition("/")[2] for line in lines if line.startswith(f"{thing} ")}
        later = _read([*events, *meanwhile], end)
        for name, known in _read(events, end).items():
            if known.present is None or later[name].changes != known.changes or known.present is (name in names):
                continue
            done, state = ("created", "not there") if known.present else ("deleted", "still there")
            found.append(f"{thing} {name} was {done}, and is {state}")
    return sorted(found)


def _read(events: Iterable[Event], end: str) -> dict[str, _Known]:
    """By the name that the NAS knows it by, which is its id.

    The id of something new is first told by the answer; a request that came before has been for the same name.
    """
    known: dict[str, _Known] = {}
    ids: dict[str, str] = {}
    calls: dict[str, str] = {}
    for event in events:
        if event["f"] not in {f"Create{end}", f"Delete{end}"}:
            continue
        creating, call, value = event["f"].startswith("Create"), event.get("call", ""), event.get("value", {})
        if event["type"] == "invoke":
            calls[call] = value.get("name" if creating else f"{end.lower()}_id", "")
            subject = ids.get(calls[call], "") if creating else calls[call]
            if subject in known:
                known[subject].changes += 1
                (known[subject].creates if creating else known[subject].deletes).add(call)
            continue
        asked = calls.pop(call, "")
        if event["type"] == "ok" and creating:
            ids[asked] = value[end.lower()][f"{end.lower()}_id"]
        one = known.setdefault(ids.get(asked, "") if creating else asked, _Known())
        one.changes += 1
        open_calls = one.creates if creating else one.deletes
        match event["type"]:
            case "ok":
                one.made = creating
                open_calls.clear()
            case "fail":
                open_calls.discard(call)
    known.pop("", None)
    return known
