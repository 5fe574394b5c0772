"""I10, serial per volume: locks that exclude, and work that does not interleave."""

from collections import defaultdict
from typing import Final

from csisim.check.findings import Findings, at, told
from csisim.check.index import FOREVER, Call, Index, value_of
from csisim.check.subjects import Subjects
from csisim.check.verdicts import Result

_WHY: Final = (
    "Two mutations of one volume never interleave: the second one waits or gets ABORTED; a lock is freed on every exit"
    " path."
)
_ON_DATASET: Final = frozenset({"pool.dataset.create", "pool.dataset.update", "pool.dataset.delete"})
# What holds locks; the processes of an orchestrator, and the NAS, die without freeing any.
_OF_LOCKS: Final = frozenset({"driver", "node", "reboot"})
# What is named after its volume; pairs of such objects have numbers.
_OF_VOLUME: Final = frozenset(
    {"dataset", "nfs share", "iscsi target", "iscsi extent", "nvmet subsystem", "nvmet namespace"}
)


def i10(index: Index) -> Result:
    """Serial per volume."""
    found = Findings("I10", _WHY)
    ends = [event for event in index.world if event.f in {"crash", "restart", "reboot"}]
    deaths = [event.seq for event in ends if value_of(event).get("what", "reboot") in _OF_LOCKS]
    _locks(index, found, deaths)
    _interleaved(index, found, deaths)
    return found.result()


def _locks(index: Index, found: Findings, deaths: list[int]) -> None:
    held: dict[tuple[str, str], list[tuple[Call, int]]] = defaultdict(list)
    for lock in index.calls.get("lock", ()):
        found.looked_at += 1
        # A process that dies frees its locks, and tells nobody.
        end = min(lock.end, next((each for each in deaths if each > lock.begin), FOREVER))
        _freed(index, found, lock, end)
        key = (lock.process, lock.f)
        kept = [(other, until) for other, until in held[key] if until > lock.begin]
        for other, _ in kept:
            if lock.request.get("mode") == other.request.get("mode") == "shared":
                continue
            found.add(
                f"The lock {lock.f!r} of {lock.process} was taken at {at(lock.begin_s)} for {_for(index, lock)} while"
                f" it was held since {at(other.begin_s)} for {_for(index, other)}.",
                (other.begin, lock.begin), lock.begin_s,
            )  # fmt: skip
        held[key] = [*kept, (lock, end)]


def _freed(index: Index, found: Findings, lock: Call, end: int) -> None:
    rpc = index.rpc_of(lock)
    if rpc is None or rpc.done is None or end <= rpc.end:
        return
    until = f"until {at(lock.end_s)}" if lock.done is not None else "for ever"
    found.add(
        f"The lock {lock.f!r} of {lock.process}, taken at {at(lock.begin_s)} for {told(index, rpc)}, was held {until},"
        " longer than its call.",
        (*lock.events, *rpc.events), rpc.end_s,
    )  # fmt: skip


def _for(index: Index, lock: Call) -> str:
    rpc = index.rpc_of(lock)
    return "nobody" if rpc is None else told(index, rpc)


def _interleaved(index: Index, found: Findings, deaths: list[int]) -> None:
    """One call changes a volume, another one changes it, and then the first one again."""
    changes: dict[str, list[tuple[Call, Call]]] = defaultdict(list)
    made_or_gone = _made_or_gone(index)
    for nas in index.calls.get("nas", ()):
        rpc, volume = index.rpc_of(nas), _changed(index, nas) or made_or_gone.get(nas.id, "")
        if rpc is not None and volume:
            changes[volume].append((rpc, nas))
    for volume, made in changes.items():
        last: dict[str, Call] = {}
        before: Call | None = None
        for rpc, nas in made:
            found.looked_at += 1
            earlier, between = last.get(rpc.id), last.get(before.id) if before is not None else None
            if before is not rpc and earlier is not None and between is not None and before is not None:
                apart = earlier.end < between.begin and between.end < nas.begin
                if apart and not any(earlier.begin < each < nas.begin for each in deaths):
                    found.add(
                        f"{told(index, rpc)} changed volume {volume} at {at(earlier.end_s)} and again at"
                        f" {at(nas.begin_s)}, and in between {told(index, before)} did, at {at(between.end_s)}.",
                        (*earlier.events, *between.events, *nas.events), nas.begin_s,
                    )  # fmt: skip
            last[rpc.id] = nas
            before = rpc


def _made_or_gone(index: Index) -> dict[str, str]:
    """By call of the NAS: the volume whose dataset, or a way to it, the call has created or destroyed."""
    found: dict[str, str] = {}
    subjects = index.derived(Subjects)
    for event in index.truth:
        if event.process == "nas" and event.f in {"created", "destroyed"}:
            kind, _, name = str(value_of(event).get("object", "")).rpartition(" ")
            volume = name.rpartition("/")[2]
            if kind in _OF_VOLUME and subjects.knows(volume):
                found.setdefault(event.parent, volume)
    return found


def _changed(index: Index, nas: Call) -> str:
    """The volume whose dataset a call of the NAS has changed; "" for none."""
    if nas.effect != "yes" or nas.f not in _ON_DATASET or not nas.response.get("changes", 1):
        return ""
    params = nas.request.get("params") or [""]
    name = params[0].get("name", "") if isinstance(params[0], dict) else str(params[0])
    volume = str(name).rpartition("/")[2]
    return volume if index.derived(Subjects).knows(volume) else ""
