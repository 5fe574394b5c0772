"""I9, ambiguity kept, and I18, back-pressure: how the driver deals with its NAS."""

import json
from collections import defaultdict
from itertools import pairwise
from typing import Final

from csisim.check.findings import Findings, at, short, told
from csisim.check.index import FOREVER, Call, Index
from csisim.check.invariants.answers import PENDING
from csisim.check.verdicts import Result

_WHY_I9: Final = (
    "A mutation whose outcome is unknown is neither reported as failed for good nor blindly repeated: it is looked up"
    " first."
)
_WHY_I18: Final = "Calls in flight stay under the backend's limit; reconnects are bounded and jittered."
MOST_IN_FLIGHT: Final = 20
"""What one socket of TrueNAS takes: ten that run and ten that wait."""
_MOST_LOGINS: Final = 20
_LOGIN_WINDOW_S: Final = 60.0
_BURST: Final = 10
_BURST_S: Final = 1.0
_MAKES: Final = (".create", ".clone")
_CHANGES: Final = (".create", ".clone", ".delete", ".update", ".promote", ".rollback", ".rename")
_TAKES_AWAY: Final = (".delete", ".rollback")


def i9(index: Index) -> Result:
    """Ambiguity kept."""
    found = Findings("I9", _WHY_I9)
    by_rpc: dict[str, list[Call]] = defaultdict(list)
    for call in index.calls.get("nas", ()):
        if call.parent and "by" not in call.request:
            by_rpc[call.parent].append(call)
    for parent, calls in by_rpc.items():
        _repeated(index, found, calls)
        rpc = index.call("rpc", parent)
        if rpc is not None:
            _given_up(index, found, rpc, calls)
    return found.result()


def _repeated(index: Index, found: Findings, calls: list[Call]) -> None:
    """The same creation sent twice for one served call, with nothing read in between."""
    last: dict[str, Call] = {}
    # What was out when its connection ended may arrive after what was sent later on the next one.
    for call in sorted(calls, key=lambda each: int(each.request.get("sent_after", each.begin))):
        if call.f.endswith(_MAKES):
            found.looked_at += 1
            key = f"{call.f} {json.dumps(call.request.get('params'), sort_keys=True, default=str)}"
            before = last.get(key)
            if before is not None and before.effect != "no":
                found.add(
                    f"{call.f} was sent twice for {_for(index, call)}, at {at(before.begin_s)} and at"
                    f" {at(call.begin_s)}, and what became of the first was not looked up:"
                    f" {short(json.dumps(call.request.get('params'), default=str))}",
                    (*before.events, *call.events), call.begin_s,
                )  # fmt: skip
            last[key] = call
        elif not call.f.endswith(_CHANGES) or call.f.endswith(_TAKES_AWAY):
            last.clear()  # a look at the NAS, whatever it asked


def _given_up(index: Index, found: Findings, rpc: Call, calls: list[Call]) -> None:
    """A served call failed for good, while what it did last is unknown."""
    if rpc.done is None or rpc.ok or rpc.injected or rpc.code in PENDING:
        return
    for number, call in enumerate(calls):
        if not call.f.endswith(_CHANGES) or call.effect != "maybe":
            continue
        found.looked_at += 1
        if not any(not later.f.endswith(_CHANGES) for later in calls[number + 1 :]):
            found.add(
                f"{told(index, rpc)}: it failed for good, and nobody knows what became of {call.f}, sent at"
                f" {at(call.begin_s)}, nor looked.",
                (*call.events, *rpc.events), rpc.end_s,
            )  # fmt: skip
            return


def _for(index: Index, call: Call) -> str:
    rpc = index.rpc_of(call)
    return "nobody" if rpc is None else told(index, rpc)


def i18(index: Index) -> Result:
    """Back-pressure."""
    found = Findings("I18", _WHY_I18)
    calls = index.calls.get("nas", [])
    served = [call for call in calls if call.parent and "by" not in call.request]
    _in_flight(index, found, served)
    _logins(found, [call for call in calls if call.f.startswith("auth.login")])
    return found.result()


def _in_flight(index: Index, found: Findings, calls: list[Call]) -> None:
    edges: list[tuple[int, int, Call]] = []
    for call in calls:
        found.looked_at += 1
        edges.append((call.begin, 1, call))
        if call.done is not None:
            edges.append((call.end, -1, call))
        if "concurrent calls" in str(call.response.get("reason", "")).lower().replace("_", " "):
            found.add(
                f"At {at(call.end_s)} the NAS refused {call.f} because too many calls were under way.",
                call.events, call.end_s,
            )  # fmt: skip
    # Calls on a connection that broke still run, beside those on the next one.
    broken = [event.seq for event in (*index.faults[:1], *index.world) if event.f != "phase"]
    whole_until = min(broken, default=FOREVER)
    out = 0
    for number, change, call in sorted(edges, key=lambda each: each[0]):
        out += change
        if out > MOST_IN_FLIGHT and number < whole_until:
            found.add(
                f"At {at(call.begin_s)} {out} calls of the NAS were under way; one socket takes {MOST_IN_FLIGHT}.",
                (number,), call.begin_s,
            )  # fmt: skip
            return


def _logins(found: Findings, logins: list[Call]) -> None:
    found.looked_at += len(logins)
    for first, last in zip(logins, logins[_BURST:], strict=False):
        if last.begin_s - first.begin_s < _BURST_S:
            found.add(
                f"From {at(first.begin_s)} to {at(last.begin_s)} there were {_BURST + 1} logins at the NAS.",
                (*first.events, *last.events), last.begin_s,
            )  # fmt: skip
            break
    failed = [call for call in logins if call.done is not None and not call.ok]
    for first, last in zip(failed, failed[_MOST_LOGINS:], strict=False):
        if last.begin_s - first.begin_s < _LOGIN_WINDOW_S:
            found.add(
                f"From {at(first.begin_s)} to {at(last.begin_s)} {_MOST_LOGINS + 1} logins failed; the NAS slows down"
                f" who tries more than {_MOST_LOGINS} times in {_LOGIN_WINDOW_S:.0f} s.",
                (*first.events, *last.events), last.begin_s,
            )  # fmt: skip
            break
    gaps = [later.begin_s - earlier.begin_s for earlier, later in pairwise(failed)]
    even = [gap for gap in gaps if gap > 0]
    if len(even) >= _BURST and max(even) - min(even) < 1e-9:
        found.add(
            f"{len(failed)} failed logins were exactly {even[0]:.3f} s apart: the pauses neither grow nor vary.",
            (*failed[0].events, *failed[-1].events), failed[-1].begin_s,
        )  # fmt: skip
