"""I11, liveness, and I16, shutdown safe: everything that was begun comes to an end, once."""

import json
from collections import defaultdict
from itertools import pairwise
from typing import Final

from csisim.check.findings import Findings, at, told
from csisim.check.index import FOREVER, Call, Index, value_of
from csisim.check.subjects import Subjects
from csisim.check.verdicts import Result

_WHY_I11: Final = (
    "Once faults stop every intent converges in a bounded time and number of calls; no permanent wedge, no hot retry"
    " loop."
)
_WHY_I16: Final = (
    "Closing may happen twice or in parallel; every pending call is answered exactly once, and nothing crashes."
)
MOST_ATTEMPTS: Final = 60
"""Equal calls of one process after the faults have stopped."""
WEDGED_S: Final = 600.0
"""How long a volume may answer ABORTED after the faults have stopped."""
_HOT: Final = 12
_HOT_GAP_S: Final = 0.5
# Equal calls of a workload's client are no repeats: it draws one call after the other.
_RANDOM: Final = "client-"
_GROWTH: Final = 1.5


def i11(index: Index) -> Result:
    """Liveness."""
    found = Findings("I11", _WHY_I11)
    _intents(index, found)
    series = _series(index)
    _hot_loops(index, found, series)
    calm = index.phase("liveness")
    if calm is not None:
        _too_often(index, found, series, calm.begin)
        _wedged(index, found, calm.begin)
    return found.result()


def _intents(index: Index, found: Findings) -> None:
    """What was wanted last of each object has come true by the end."""
    if not index.ended:
        return
    wanted: dict[str, Call] = {}
    for intent in index.calls.get("intent", ()):
        wanted[str(intent.request.get("object", intent.id))] = intent
    for name, intent in wanted.items():
        found.looked_at += 1
        if not intent.ok:
            what = "to be there" if intent.f == "present" else "to be gone"
            why = str(intent.response.get("message") or intent.response.get("waits_for") or "")
            found.add(
                f"{name} was wanted {what} at {at(intent.begin_s)}, and was not by the end at {at(index.end_s)}"
                f"{': ' + why if why else ''}.",
                intent.events, index.end_s,
            )  # fmt: skip


def _series(index: Index) -> list[list[Call]]:
    """Equal calls of one process, in order."""
    found: dict[tuple[str, str, str], list[Call]] = defaultdict(list)
    for call in index.calls.get("call", ()):
        found[call.process, call.f, json.dumps(call.request, sort_keys=True, default=str)].append(call)
    return [calls for calls in found.values() if len(calls) > 1]


def _hot_loops(index: Index, found: Findings, series: list[list[Call]]) -> None:
    """A call that fails is repeated at once, again and again, with pauses that do not grow."""
    for calls in series:
        if calls[0].process.startswith(_RANDOM):
            continue
        failed: list[Call] = []
        for call in calls:
            found.looked_at += 1
            if call.ok or call.done is None:
                failed = []
                continue
            if failed and call.begin_s - failed[-1].end_s > _HOT_GAP_S:
                failed = []
            failed.append(call)
            if len(failed) >= _HOT and not _grows(failed):
                found.add(
                    f"{call.process} called {call.f} {len(failed)} times from {at(failed[0].begin_s)} to"
                    f" {at(call.end_s)} without growing pauses, though each failed; the last: {told(index, call)}.",
                    (failed[0].begin, call.begin), call.end_s,
                )  # fmt: skip
                break


def _grows(calls: list[Call]) -> bool:
    gaps = [later.begin_s - earlier.end_s for earlier, later in pairwise(calls)]
    half = len(gaps) // 2
    return max(gaps[half:]) > _GROWTH * max(1e-9, min(gaps[:half]))


def _too_often(index: Index, found: Findings, series: list[list[Call]], since: int) -> None:
    for calls in series:
        late = [call for call in calls if call.begin > since and not call.ok]
        if len(late) > MOST_ATTEMPTS:
            found.add(
                f"{late[0].process} called {late[0].f} {len(late)} times in vain after the faults had stopped, from"
                f" {at(late[0].begin_s)} to {at(late[-1].begin_s)}; the last: {told(index, late[-1])}.",
                (late[0].begin, late[-1].begin), late[-1].begin_s,
            )  # fmt: skip


def _wedged(index: Index, found: Findings, since: int) -> None:
    """A volume answers nothing but ABORTED for too long."""
    subjects = index.derived(Subjects)
    first: dict[str, Call] = {}
    for call in index.steps:
        volume = subjects.volume(call)
        if call.begin < since or not volume or call.done is None:
            continue
        if call.code != "ABORTED":
            first.pop(volume, None)
            continue
        begun = first.setdefault(volume, call)
        if call.end_s - begun.begin_s > WEDGED_S:
            found.add(
                f"Volume {volume} answered nothing but ABORTED from {at(begun.begin_s)} to {at(call.end_s)}, after the"
                f" faults had stopped: {call.response.get('message', '')}",
                (begun.begin, call.begin), call.end_s,
            )  # fmt: skip
            first.pop(volume)


def i16(index: Index) -> Result:
    """Shutdown safe."""
    found = Findings("I16", _WHY_I16)
    for event in index.surplus:
        found.add(
            f"At {at(event.at_s)} {event.f} ({event.kind} {event.call or 'without an id'}) ended a second time, or"
            " without having begun.",
            (event.seq,), event.at_s,
        )  # fmt: skip
    for event in index.world:
        if event.f == "error":
            found.looked_at += 1
            text = str(value_of(event).get("message") or value_of(event).get("error") or "an error")
            found.add(f"At {at(event.at_s)} a task died: {text}", (event.seq,), event.at_s)
    for call in (*index.calls.get("call", ()), *index.calls.get("rpc", ())):
        found.looked_at += 1
        # Who serves a call may die with it; who makes one sees that.
        died = call.kind == "rpc" and index.interrupted(call.begin, FOREVER, "driver", "node", "reboot")
        if call.done is None and index.ended and not died:
            found.add(f"{told(index, call)}: the run is over, and nobody ever answered it.", call.events, index.end_s)
    return found.result()
