"""What calls cost: calls of the NAS, bytes and virtual time per RPC, and whether that is as it should be.

The bounds are in `csisim.check.cost_bounds`. A call is held to them when it answered OK and nothing was wrong around
it: no fault fired while it was under way, no connection was disturbed and no process crashed in the minute before. Four
more rules hold for every such call: a query names what it looks for, or is one of a list and has a limit; an update
changes something; a page is no longer than asked for; and what is waited for outside of the NAS and the machine ends
with the device time-out, neither half a second later nor much too soon (exact under virtual time). And two more hold
where nothing was wrong: the calls of the NAS do not queue for one another, and no RPC waits for nobody.
"""

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any, Final

from csisim.check.cost_bounds import MOUNTS, PAGE_ROWS, PER_TARGET, SCANNING, Case, bound, explained, source_of
from csisim.check.index import Call, Index, value_of
from csisim.check.verdicts import Result, Violation

CHECK: Final = "cost"
DEVICE_TIMEOUT_S: Final = 60.0

_CALM_S: Final = 60.0
_SLACK_S: Final = 0.25
# A new operation waits up to 5 s for what its predecessor has left behind, and less for its turn.
_IDLE_S: Final = 8.0
_GAVE_UP: Final = re.compile(r"device .* (did not appear|is still there)")
# So much of its caller's time an RPC leaves for its answer, and more.
_LEFT_S: Final = 1.0
# Columns that many rows share: a query for one of their values is a look at everything.
_SHARED: Final = frozenset({"pool", "type", "enabled", "locked"})
_MAKES: Final = frozenset({"pool.dataset.create", "pool.snapshot.clone"})
_WAITING: Final = frozenset({"NodeStageVolume", "NodeUnstageVolume"})
_DISTURBING: Final = ("link", "connect", "nas", "process", "event")
_WHY: Final = {
    "calls": "What a call costs does not depend on how many volumes and snapshots there are, and does not creep up.",
    "scan": "Nothing fetches all to find one: queries name what they look for, lists are read in pages.",
    "update": "Property updates happen only when something changes.",
    "page": "A page costs what it shows.",
    "mounts": "A device is found by its direct path, and the mount table is asked only for what decides.",
    "wait": "A time-out is checked before the next wait, so that it ends when it says.",
    "early": "How long a device may take is the operator's to say.",
    "queue": "One socket carries many calls at a time: none waits for the answer to another.",
    "idle": "An operation waits for the NAS, its machine or its turn, and whoever does its work tells when it failed.",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one served RPC has cost.

    Attributes:
        rpc: the call.
        nas: the calls of the NAS that the driver made for it, in order.
        host_calls: how many more the simulated machine made.
        mounts: operations on the machine's paths and mount table.
        protocol: of its volume, "" where that is not known.
        objects: datasets and snapshots on the NAS when it began.
        targets: of a NodeUnstageVolume, at how many paths its volume may still have been recorded as published.
        waited_s: its time in which none of its calls was under way.
    """

    rpc: Call
    nas: tuple[Call, ...]
    host_calls: int
    mounts: int
    protocol: str
    objects: int
    targets: int
    waited_s: float

    @property
    def case(self) -> Case:
        """See `csisim.check.cost_bounds`."""
        if any(call.ok and call.f in _MAKES and not explained(self.rpc, call) for call in self.nas):
            return "new"
        return "changed" if any(call.response.get("changes") for call in self.nas) else "same"

    @property
    def counted(self) -> int:
        """The calls of the NAS but for the explained ones."""
        return len(self.nas) - sum(explained(self.rpc, call) for call in self.nas)

    @property
    def sent_bytes(self) -> int:
        """Parameters, as JSON."""
        return sum(len(json.dumps(call.request.get("params", []))) for call in self.nas)

    @property
    def received_bytes(self) -> int:
        """Results, as JSON."""
        return sum(int(call.response.get("size_bytes", 0)) for call in self.nas)


class Costs:
    """Every served RPC of a history with what it cost; `index.derived(Costs)` makes it once.

    Attributes:
        all: in the order in which they began.
    """

    def __init__(self, index: Index) -> None:
        self._protocols = _protocols(index)
        self._targets = _targets(index)
        children = _children(index)
        objects = _objects(index)
        self.all = [self._cost(rpc, children.get(rpc.id, []), objects) for rpc in index.calls.get("rpc", ())]

    def _cost(self, rpc: Call, children: Sequence[Call], objects: "_Count") -> Cost:
        nas = [call for call in children if call.kind == "nas"]
        mine = tuple(call for call in nas if call.request.get("by") != "host")
        volume = str(rpc.request.get("volume_id") or (rpc.response.get("volume") or {}).get("volume_id", ""))
        mounts = sum(call.kind == "mount" for call in children)
        protocol = self._protocols.get(volume, "")
        targets = self._targets.get(rpc.id, 0)
        waited_s = _waited_s(rpc, children)
        return Cost(rpc, mine, len(nas) - len(mine), mounts, protocol, objects.at(rpc.begin), targets, waited_s)


def check_cost(index: Index, *, device_timeout_s: float = DEVICE_TIMEOUT_S) -> Result:
    """Hold every call to its bounds.

    Args:
        index: of a history that was traced; without tracing there is nothing to look at.
        device_timeout_s: how long the driver was told to wait for a device.
    """
    if not any(call.parent for call in index.calls.get("nas", ())):
        return Result(CHECK, 0)
    found: dict[tuple[str, ...], Violation] = {}
    looked_at = 0
    for cost in index.derived(Costs).all:
        if cost.rpc.done is None:
            continue
        for key, violation in _always(cost, index, device_timeout_s):
            found.setdefault((*key, cost.rpc.f), violation)
        if cost.rpc.ok and _calm(cost, index):
            looked_at += 1
            for key, violation in _bounded(cost):
                found.setdefault((*key, cost.rpc.f, cost.protocol, cost.case), violation)
    violations = sorted(found.values(), key=lambda each: each.events)
    return Result(CHECK, looked_at, tuple(violations))


def table(index: Index) -> list[dict[str, Any]]:
    """What RPCs cost by method, status code and case, as plain data: count, and least, median and most of each number.

    Numbers: nas_calls, host_calls, mounts, sent_bytes, received_bytes, latency_s (loop time), objects (datasets and
    snapshots on the NAS when the call began, so that a cost that grows with them shows).
    """
    groups: dict[tuple[str, str, str], list[Cost]] = {}
    for cost in index.derived(Costs).all:
        groups.setdefault((cost.rpc.f, cost.rpc.code, cost.case), []).append(cost)
    return [
        {"rpc": rpc, "code": code, "case": case, "count": len(costs), **_numbers(costs)}
        for (rpc, code, case), costs in sorted(groups.items())
    ]


def _numbers(costs: Sequence[Cost]) -> dict[str, list[float]]:
    rows: dict[str, list[float]] = {
        "nas_calls": [len(cost.nas) for cost in costs],
        "host_calls": [cost.host_calls for cost in costs],
        "mounts": [cost.mounts for cost in costs],
        "sent_bytes": [cost.sent_bytes for cost in costs],
        "received_bytes": [cost.received_bytes for cost in costs],
        "latency_s": [round(cost.rpc.end_s - cost.rpc.begin_s, 6) for cost in costs if cost.rpc.done is not None],
        "objects": [cost.objects for cost in costs],
    }
    return {name: [min(each), median_low(each), max(each)] for name, each in rows.items() if each}


def _bounded(cost: Cost) -> Iterator[tuple[tuple[str, ...], Violation]]:
    """What is wrong with a call around which nothing was wrong."""
    limit = bound(cost.rpc, cost.case, cost.protocol)
    if limit is not None:
        shown = len(cost.rpc.response.get("entries", ()))
        rows = sum(_rows(call) for call in cost.nas)
        if cost.rpc.f in SCANNING - {"CreateVolumeGroupSnapshot"}:
            limit += max(0, rows - shown - 1)  # what is not ours is passed over, and may ask for another page
        if cost.counted > limit:
            names = ", ".join(call.f for call in cost.nas)
            text = f"made {len(cost.nas)} calls of the NAS ({cost.counted} counted), at most {limit} were due: {names}"
            yield ("calls",), _violation(cost, "calls", text)
    for call in cost.nas:
        if call.f.endswith(".update") and call.ok and call.response.get("changes") == 0:
            yield ("update", call.f), _violation(cost, "update", f"{call.f} changed nothing", call)
        if call.request.get("queued_s"):
            text = f"{call.f} was sent {call.request['queued_s']:.6g} s late, with a free slot on the socket"
            yield ("queue",), _violation(cost, "queue", text, call)
    due = MOUNTS.get(cost.rpc.f, cost.mounts) + PER_TARGET * max(0, cost.targets - 1)
    if cost.mounts > due:
        text = f"asked {cost.mounts} things of the machine's paths and mounts, at most {due} were due"
        yield ("mounts",), _violation(cost, "mounts", text)


def _always(cost: Cost, index: Index, device_timeout_s: float) -> Iterator[tuple[tuple[str, ...], Violation]]:
    """What is wrong with a call whatever went on around it."""
    asked = int(cost.rpc.request.get("max_entries") or 0)
    for call in cost.nas:
        if not call.f.endswith(".query"):
            continue
        filters, options = _query(call)
        limit = options.get("limit") or 0
        if not (_names(filters) or options.get("count") or limit == 1 or (limit and cost.rpc.f in SCANNING)):
            text = f"{call.f} with filters {json.dumps(filters)[:200]} and limit {limit or 'none'}"
            yield ("scan", call.f), _violation(cost, "scan", f"{text} looks at everything there is", call)
        most = asked + 1 if asked else PAGE_ROWS
        if cost.rpc.f in ("ListVolumes", "ListSnapshots") and _rows(call) > most:
            text = f"{call.f} gave {_rows(call)} rows for a page of {asked or PAGE_ROWS}"
            yield ("page", call.f), _violation(cost, "page", text, call)
    late_s = cost.waited_s - device_timeout_s
    if cost.rpc.f not in _WAITING and cost.waited_s > _IDLE_S and _prompt(index, cost.rpc) and _quiet(index, cost.rpc):
        text = f"ended as {cost.rpc.code} after {cost.waited_s:.6g} s in which it waited for nothing"
        yield ("idle",), _violation(cost, "idle", text)
    if not _prompt(index, cost.rpc) or not _undisturbed(index, cost.rpc) or _held_up(index, cost.rpc):
        return
    left_s = float(cost.rpc.response.get("left_s", 0.0))
    if late_s < -_SLACK_S and left_s > _LEFT_S and _gave_up(cost.rpc):
        text = (
            f"gave up after {cost.waited_s:.6g} s; it was to wait {device_timeout_s:g} s, and had {left_s:.6g} s left"
        )
        yield ("early",), _violation(cost, "early", text)
    if cost.rpc.f in _WAITING and late_s > _SLACK_S:
        text = f"waited {cost.waited_s:.6g} s besides its calls, {late_s:.3g} s longer than the device time-out"
        yield ("wait",), _violation(cost, "wait", text)


def _violation(cost: Cost, rule: str, text: str, call: Call | None = None) -> Violation:
    rpc, about = cost.rpc, cost.rpc.request
    subject = about.get("name") or about.get("volume_id") or about.get("snapshot_id") or about.get("group_snapshot_id")
    events = sorted({*rpc.events, *(() if call is None else call.events)})
    what = f"{rpc.f}({subject or ''}), {cost.case}{f', {cost.protocol}' if cost.protocol else ''}"
    return Violation(CHECK, f"{what}: {text}", _WHY[rule], tuple(events), rpc.end_s)


def _calm(cost: Cost, index: Index) -> bool:
    """Whether nothing was wrong around the call, and it met nothing half-made."""
    roots = sum(explained(cost.rpc, call) == 2 for call in cost.nas)
    # The dataset of an empty volume is made without asking first; what else is refused an earlier attempt has left.
    refusals = 2 * roots + (1 if cost.rpc.f == "CreateVolume" and not source_of(cost.rpc) else 0)
    answered = [call for call in cost.nas if call.done is not None and call.done.type != "info"]
    if len(answered) < len(cost.nas) or sum(not call.ok for call in answered) > refusals:
        return False
    return _quiet(index, cost.rpc)


def _undisturbed(index: Index, rpc: Call) -> bool:
    """Whether in the minute before, and while it was under way, no connection was cut or slow and nothing crashed."""
    times = index.derived(_troubles)
    return bisect_left(times, rpc.begin_s - _CALM_S) == bisect_right(times, rpc.end_s)


def _quiet(index: Index, rpc: Call) -> bool:
    """Whether nothing at all was wrong around it."""
    return not index.disturbed(rpc) and _undisturbed(index, rpc)


def _prompt(index: Index, rpc: Call) -> bool:
    """Whether the machine was not too busy for it: no step was put off meanwhile, be it of another call."""
    return not any(begin_s < rpc.end_s and rpc.begin_s < begin_s + for_s for begin_s, for_s in index.derived(_stalls))


def _stalls(index: Index) -> list[tuple[float, float]]:
    """When steps of the simulation were put off, and for how long."""
    return [(float(begin_s), float(for_s)) for event in index.state if event.f == "stalled"
            for begin_s, for_s in value_of(event).get("spans") or ()]  # fmt: skip


def _held_up(index: Index, rpc: Call) -> bool:
    """Whether a rule at the call's own site took time of it, or of one like it."""
    return any(rpc.begin < event.seq < rpc.end and event.f.startswith(f"rpc.{rpc.f}.") for event in index.faults)


def _gave_up(rpc: Call) -> bool:
    """Whether it was a wait for a device that came to its end."""
    return rpc.code == "DEADLINE_EXCEEDED" and _GAVE_UP.match(str(rpc.response.get("message", ""))) is not None


def _troubles(index: Index) -> list[float]:
    times = [event.at_s for event in index.faults if event.f.startswith(_DISTURBING)]
    # Who logs in again had lost its connection, also if no fault cut it: who is stalled misses its heartbeats.
    logins = [call.begin_s for call in index.calls.get("nas", []) if call.f.startswith("auth.login")]
    times += logins[1:]
    return sorted(times + [event.at_s for event in index.world if event.f in {"crash", "restart", "reboot"}])


def _query(call: Call) -> tuple[list[Any], dict[str, Any]]:
    params = call.request.get("params") or []
    filters = params[0] if params and isinstance(params[0], list) else []
    options = params[1] if len(params) > 1 and isinstance(params[1], dict) else {}
    return filters, options


def _names(filters: Sequence[Any]) -> bool:
    """Whether the filters say which rows are meant."""
    return any(
        isinstance(each, list) and len(each) == 3 and each[1] in ("=", "in") and each[0] not in _SHARED
        for each in filters
    )


def _rows(call: Call) -> int:
    return int(call.response.get("rows", 0))


def _children(index: Index) -> dict[str, list[Call]]:
    found: dict[str, list[Call]] = {}
    for kind in ("nas", "mount"):
        for call in index.calls.get(kind, ()):
            if call.parent:
                found.setdefault(call.parent, []).append(call)
    return found


def _targets(index: Index) -> dict[str, int]:
    """For each NodeUnstageVolume, at how many paths its volume was asked for and not surely taken away again."""
    found: dict[str, int] = {}
    asked: dict[tuple[str, str], set[str]] = {}
    for rpc in index.calls.get("rpc", ()):
        paths = asked.setdefault((rpc.process, str(rpc.request.get("volume_id", ""))), set())
        path = str(rpc.request.get("target_path", ""))
        if rpc.f == "NodePublishVolume":
            paths.add(path)
        elif rpc.f == "NodeUnpublishVolume" and rpc.ok:
            paths.discard(path)
        elif rpc.f == "NodeUnstageVolume":
            found[rpc.id] = len(paths)
            if rpc.ok:
                paths.clear()
    return found


def _protocols(index: Index) -> dict[str, str]:
    """The protocol of each volume that was created, by id."""
    found: dict[str, str] = {}
    for rpc in index.calls.get("rpc", ()):
        if rpc.f == "CreateVolume" and rpc.ok:
            volume = rpc.response.get("volume") or {}
            found[str(volume.get("volume_id", ""))] = str((volume.get("volume_context") or {}).get("protocol", ""))
    return found


class _Count:
    """How many datasets and snapshots there are, over the numbers of events."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._counts: list[int] = []

    def note(self, number: int, change: int) -> None:
        self._numbers.append(number)
        self._counts.append((self._counts[-1] if self._counts else 0) + change)

    def at(self, number: int) -> int:
        place = bisect_left(self._numbers, number)
        return self._counts[place - 1] if place else 0


def _objects(index: Index) -> _Count:
    found = _Count()
    for event in index.truth:
        if event.process == "nas" and str(value_of(event).get("object", "")).startswith(("dataset ", "snapshot ")):
            found.note(event.seq, 1 if event.f == "created" else -1)
    return found


def _waited_s(rpc: Call, children: Sequence[Call]) -> float:
    """The time of a call in which none of its own calls was under way."""
    if rpc.done is None:
        return 0.0
    waited_s, reached_s = 0.0, rpc.begin_s
    for call in sorted(children, key=lambda each: each.begin_s):
        # One that was sent before the end may arrive long after it.
        waited_s += max(0.0, min(call.begin_s, rpc.end_s) - reached_s)
        reached_s = max(reached_s, min(call.end_s, rpc.end_s))
    return waited_s + max(0.0, rpc.end_s - reached_s)
