"""I2, one object per name; I3, no leak; I17, ownership: what is on the NAS and on the nodes, and whose it is."""

from collections import defaultdict
from itertools import pairwise
from typing import Final

from csisim.check.findings import Findings, at, short, told
from csisim.check.index import Call, Index, value_of
from csisim.check.subjects import Subjects, snapshot_id, volume_id
from csisim.check.truth import Object, objects_of
from csisim.check.verdicts import Result
from csisim.events import Event

_WHY_I2: Final = (
    "At most one backend volume, snapshot or group exists for one name of a Create call, whatever the retries."
)
_WHY_I3: Final = (
    "When everything that was wanted is to be absent and the faults have stopped, nothing of ours is left: no dataset,"
    " share, target, snapshot, mount, directory, session or lock."
)
_WHY_I17: Final = "Only objects that are proven to be ours are changed or deleted."
_SHOWN: Final = 8
_ON_NAS: Final = "NAS: "


def i2(index: Index) -> Result:
    """One object per name."""
    found = Findings("I2", _WHY_I2)
    _two_answers(index, found)
    _two_names(index, found)
    _two_objects(index, found)
    return found.result()


def _two_answers(index: Index, found: Findings) -> None:
    """One name is answered with two ids, and nobody asked for the end of the first."""
    subjects = index.derived(Subjects)
    by_name: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in index.steps:
        if call.ok and call.f in {"CreateVolume", "CreateSnapshot"}:
            by_name[call.f, str(call.request.get("name", ""))].append(call)
    for (f, name), calls in by_name.items():
        found.looked_at += 1
        id_of = volume_id if f == "CreateVolume" else snapshot_id
        for first, second in pairwise(calls):
            one, other = id_of(first), id_of(second)
            gone = _maybe_deleted(index, subjects, f, one, second.end)
            if second.begin < first.end:  # then the first may have come after it
                gone = gone or _maybe_deleted(index, subjects, f, other, first.end)
            if one != other and not gone:
                found.add(
                    f"{f} of {name!r} was answered with {one!r} ({told(index, first)}) and then with {other!r}"
                    f" ({told(index, second)}), and nobody had asked to delete the first.",
                    (*first.events, *second.events), second.end_s,
                )  # fmt: skip


def _two_names(index: Index, found: Findings) -> None:
    """Two names are answered with one id."""
    by_id: dict[tuple[str, str], Call] = {}
    for call in index.steps:
        if not call.ok or call.f not in {"CreateVolume", "CreateSnapshot"}:
            continue
        id_ = volume_id(call) if call.f == "CreateVolume" else snapshot_id(call)
        first = by_id.setdefault((call.f, id_), call)
        one, other = first.request.get("name"), call.request.get("name")
        if id_ and one != other:
            found.add(
                f"{call.f} of {one!r} ({told(index, first)}) and of {other!r} ({told(index, call)}) were both answered"
                f" with {id_!r}.",
                (*first.events, *call.events), call.end_s,
            )  # fmt: skip


def _maybe_deleted(index: Index, subjects: Subjects, f: str, id_: str, before: int) -> bool:
    if f == "CreateVolume":
        return any(call.begin < before for call in subjects.calls("DeleteVolume", id_))
    deletes = {"DeleteSnapshot", "DeleteVolumeGroupSnapshot"}
    return any(call.begin < before for call in index.steps
               if call.f in deletes and call.request.get("snapshot_id", id_) == id_)  # fmt: skip


def _two_objects(index: Index, found: Findings) -> None:
    """Two datasets made for one name, or two snapshots, are there at one time, after the instant in which they met."""
    by_name: dict[tuple[str, str], list[Object]] = defaultdict(list)
    for each in index.derived(objects_of):
        if each.kind in {"dataset", "snapshot"} and (name := _made_for(index, each)):
            by_name[each.kind, name].append(each)
    for (kind, name), objects in by_name.items():
        found.looked_at += 1
        for number, second in enumerate(objects):
            for first in objects[:number]:
                until_s = index.end_s if first.gone is None else first.gone.at_s
                if second.id.startswith(f"{first.id}/"):
                    continue  # made on the way to it: the dataset that all of them are below
                # What moves from one name to another is at both for no time.
                if first.name != second.name and second.begin < first.end and until_s > second.event.at_s:
                    found.add(
                        f"From {at(second.event.at_s)} on there were two {kind}s for the name {name!r}: {first.id} and"
                        f" {second.id}.",
                        (first.begin, second.begin), second.event.at_s,
                    )  # fmt: skip


def _made_for(index: Index, each: Object) -> str:
    """The name in the Create call for which the NAS made an object; "" where that cannot be told."""
    rpc = index.rpc_of(each.event)
    if rpc is None:
        return ""
    if each.kind == "snapshot":
        # A restore or a clone may cut one of its own.
        return str(rpc.request.get("name", "")) if rpc.f == "CreateSnapshot" else ""
    return str(rpc.request.get("name", "")) if rpc.f == "CreateVolume" else ""


def i3(index: Index) -> Result:
    """No leak."""
    found = Findings("I3", _WHY_I3)
    for event in index.state:
        value = value_of(event)
        if event.f == "left":
            found.looked_at += 1
            expected = set(map(str, value.get("expected") or ()))
            left = [str(each) for each in value.get("objects") or () if str(each) not in expected]
            left = [each for each in left if not _landed_late(index, each)]
            if left:
                more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
                found.add(
                    f"At {at(event.at_s)}, with everything deleted, {len(left)} objects were left:"
                    f" {', '.join(map(short, left[:_SHOWN]))}{more}.",
                    (event.seq, *_births(index, left)), event.at_s,
                    "\n".join(_history_of(index, each) for each in left[:_SHOWN]),
                )  # fmt: skip
        elif event.f == "locks":
            found.looked_at += 1
            if held := [str(each) for each in value.get("held") or ()]:
                found.add(
                    f"At {at(event.at_s)}, with nothing going on, these locks were held: {', '.join(held[:_SHOWN])}.",
                    (event.seq,), event.at_s,
                )  # fmt: skip
    return found.result()


def _landed_late(index: Index, name: str) -> bool:
    """Whether the NAS made it for a process that was dead by then, and after the next one had deleted it.

    TrueNAS takes a call back from nobody: what a dead connection still has under way cannot be seen or fenced off.
    """
    each = _alive(index, name)
    rpc = index.rpc_of(each.event) if each is not None else None
    if each is None or rpc is None:
        return False
    subjects, deletes = index.derived(Subjects), list[Call]()
    if rpc.f == "CreateVolume":
        deletes = subjects.calls("DeleteVolume", subjects.volume(rpc))
    elif rpc.f == "CreateSnapshot":
        of = subjects.snapshot(rpc)
        deletes = [call for call in index.steps if call.f == "DeleteSnapshot" and call.request.get("snapshot_id") == of]
    deletes = [call for call in deletes if call.ok and call.begin < each.begin]
    return any(index.interrupted(rpc.begin, call.begin, "driver") for call in deletes)


def _births(index: Index, left: list[str]) -> list[int]:
    return sorted(each.begin for name in left if (each := _alive(index, name)) is not None)


def _history_of(index: Index, name: str) -> str:
    """How an object that is left came to be."""
    each = _alive(index, name)
    if each is None:
        return f"{name}: the history does not tell when it was made"
    rpc = index.rpc_of(each.event)
    by = f" for {told(index, rpc)}" if rpc is not None else ""
    return f"{name}: created at {at(each.event.at_s)}{by}"


def _alive(index: Index, name: str) -> Object | None:
    """The object of the NAS that is left under this name in the end."""
    name = name.removeprefix(_ON_NAS)
    return next((each for each in index.derived(objects_of) if each.gone is None and each.name == name), None)


def i17(index: Index) -> Result:
    """Ownership."""
    found = Findings("I17", _WHY_I17)
    foreign: dict[str, Event] = {}
    for event in index.world:
        if event.f == "foreign":
            foreign.update(dict.fromkeys(map(str, value_of(event).get("objects") or ()), event))
    born: set[str] = set()
    for event in index.truth:
        if event.process != "nas" or event.f not in {"created", "destroyed"}:
            continue
        name = str(value_of(event).get("object", ""))
        if event.f == "created":
            born.add(name)
            continue
        found.looked_at += 1
        rpc = index.rpc_of(event)
        by = f" by {told(index, rpc)}" if rpc is not None else ""
        if name in foreign:
            found.add(
                f"At {at(event.at_s)} {name}, which belongs to somebody else, was destroyed{by}.",
                (foreign[name].seq, event.seq), event.at_s,
            )  # fmt: skip
        elif rpc is not None and index.whole and name not in born:
            found.add(
                f"At {at(event.at_s)} {name}, which was there before the driver made anything, was destroyed{by}.",
                (*rpc.events, event.seq), event.at_s,
            )  # fmt: skip
    _changed(index, found, foreign)
    return found.result()


def _changed(index: Index, found: Findings, foreign: dict[str, Event]) -> None:
    """Calls for the driver that changed a dataset or snapshot of somebody else."""
    ids = {name.rpartition(" ")[2]: event for name, event in foreign.items()}
    for nas in index.calls.get("nas", ()) if ids else ():
        params = nas.request.get("params") or [""]
        rpc = index.rpc_of(nas)
        if nas.effect != "yes" or not nas.f.endswith(".update") or not nas.response.get("changes", 1):
            continue
        if rpc is not None and isinstance(params[0], str) and params[0] in ids:
            found.looked_at += 1
            found.add(
                f"At {at(nas.end_s)} {params[0]}, which belongs to somebody else, was changed by {told(index, rpc)}.",
                (ids[params[0]].seq, *nas.events), nas.end_s,
            )  # fmt: skip
