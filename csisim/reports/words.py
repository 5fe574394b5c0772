"""An event as a sentence: who, and what became of what. Times are put before it by whoever prints it."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from csisim.reports.record import Entry, Record
from csisim.reports.text import counted, duration, plain, short_ids

_SUBJECTS: Final = ("volume_id", "snapshot_id", "group_snapshot_id", "source_volume_id", "name", "node_id")
_TRUTHS: Final = {
    "mount": "really mounts", "bind": "really binds", "umount": "really unmounts", "remove": "really removes",
    "make_fs": "really formats", "login": "really logs in to", "logout": "really logs out of",
    "reboot": "reboots: all of its mounts are gone", "created": "now has", "destroyed": "has destroyed",
}  # fmt: skip
_INDETERMINATE: Final = frozenset({"CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "UNAVAILABLE", "INTERNAL"})
_PLACES: Final = ("path", "object", "target", "device", "source")


def who(entry: Entry) -> str:
    """Who does it, as short as a column."""
    process = plain(entry.process, 40)
    if entry.kind in {"rpc", "lock"}:
        return f"driver {process}" if process and process != "controller" else "controller"
    if entry.kind == "nas" or (entry.kind == "truth" and process == "nas"):
        return "NAS"
    fixed = {"fault": "FAULT", "world": "the run", "state": "the run"}
    return fixed.get(entry.kind) or process or {"intent": "user", "truth": "machine"}.get(entry.kind, entry.kind)


def what(entry: Entry, record: Record) -> str:
    """What happens, in words. The sentence goes on from `who`."""
    if entry.kind in _ALONE:
        return _line(_ALONE[entry.kind](entry))
    return _line(_IN_CALLS.get(entry.kind, _call)(entry, record))


def whole(begin: Entry, end: Entry, record: Record) -> str:
    """A call from its beginning to its end as one sentence."""
    took = f" after {duration(end.at_s - begin.at_s)}" if end.at_s > begin.at_s else " at once"
    if begin.kind == "lock":
        return _line(f"holds the lock on {begin.f} for {duration(end.at_s - begin.at_s)}")
    if begin.kind == "intent":
        return _line(f"{what(begin, record)}; so it is{took}")
    return _line(f"{subject(begin)}: {outcome(end, took)}")


def subject(entry: Entry) -> str:
    """A call with what it is about: `DeleteVolume(pvc-1)`."""
    return f"{plain(entry.f, 80)}({plain(_about(entry), 120)})"


def outcome(entry: Entry, took: str = "") -> str:
    """How a call ended, in words, and `took` for when; "ok" alone says that all went well."""
    value = entry.value
    if entry.kind == "data":
        return _data_outcome(entry) + took
    reason = value.get("reason") or value.get("errno") or value.get("error") or value.get("code") or ""
    message = value.get("message")
    said = plain(f'{reason}, "{message}"' if message else reason, 160)
    if entry.type == "ok":
        return ("OK" if entry.kind in {"call", "rpc"} else "done") + took
    if ending(entry) == "fail":
        return (f"refused: {said}" if said else "refused") + took
    return f"no answer ({said or 'cut off'}){took}; nobody knows whether it happened"


def ending(entry: Entry) -> str:
    """ok, fail (it did not happen) or info (nobody knows).

    The driver notes ABORTED as info, because it does not know what the call that is in the way will do. Of the refused
    call itself nothing will ever happen, and that is what a picture of calls shows.
    """
    if entry.type == "info" and entry.kind == "rpc" and str(entry.value.get("code", "UNKNOWN")) not in _INDETERMINATE:
        return "fail"
    return entry.type


def code(entry: Entry | None) -> str:
    """The code a call ended with, as tables count it."""
    if entry is None:
        return "still out"
    if entry.type == "ok":
        return "OK"
    given = entry.value.get("code") or entry.value.get("errno") or entry.value.get("reason")
    return plain(given, 60) if given else {"fail": "refused", "info": "unknown"}.get(entry.type, entry.type)


def _line(sentence: str) -> str:
    return short_ids(plain(sentence, 300))


def _about(entry: Entry) -> str:
    value = entry.value
    if entry.kind == "nas":
        return _nas_about(value.get("params"))
    if entry.kind == "data":
        return " ".join(str(value[key]) for key in ("volume", "file") if value.get(key))
    if entry.kind == "mount":
        return str(value.get("path", ""))
    found = next((str(value[key]) for key in _SUBJECTS if value.get(key)), "")
    node = value.get("node_id")
    return f"{found}, {node}" if node and found != node else found


def _nas_about(params: Any) -> str:
    if not isinstance(params, list | tuple) or not params:
        return ""
    first = params[0]
    if isinstance(first, Mapping):
        named = next((str(first[key]) for key in ("name", "dataset", "path", "id", "snapshot") if first.get(key)), "")
        return named or ", ".join(f"{key} {value}" for key, value in first.items() if isinstance(value, str | int))
    if isinstance(first, list):  # filters of a query
        return ", ".join(" ".join(map(str, each)) for each in first[:3] if isinstance(each, list | tuple))
    return str(first)


def _data_outcome(entry: Entry) -> str:
    value = entry.value
    if entry.type == "ok":
        if entry.f == "read":
            return f"finds {value['sha']}" if value.get("sha") else "finds no such file"
        return "done"
    error = value.get("errno") or "an error"
    return str(error) if entry.type == "fail" else f"{error}; it may be written"


def _call(entry: Entry, record: Record) -> str:
    if entry.type == "invoke":
        verb = {"call": "calls", "rpc": "begins", "nas": "is asked for", "mount": "is asked to"}.get(entry.kind, "does")
        detail = f" of {entry.value['sha']}" if entry.kind == "data" and entry.value.get("sha") else ""
        return f"{verb} {subject(entry)}{detail}"
    begin = record.pair(entry).begin
    called = subject(begin) if begin else f"{entry.f}()"
    took = f" after {duration(entry.at_s - begin.at_s)}" if begin and entry.at_s > begin.at_s else ""
    return f"{called}: {outcome(entry, took)}"


def _lock(entry: Entry) -> str:
    verb = {"invoke": "takes the lock on", "ok": "frees the lock on", "fail": "finds the lock taken on"}
    return f"{verb.get(entry.type, 'loses the lock on')} {entry.f}"


def _fault(entry: Entry, record: Record) -> str:
    value = entry.value
    names = [str(value[key]) for key in ("vol", "snap", "node") if value.get(key)]
    rule = f", rule {value['rule']}" if value.get("rule") else ""
    hit = record.calls.get(entry.parent)
    begin = hit.begin if hit else None
    into = f", during {subject(begin)}" if begin else f", {' '.join(names)}" if names else ""
    return f"{value.get('action', 'a fault')} at {entry.f}{into}{rule}"


def _intent(entry: Entry, record: Record) -> str:
    begin = record.pair(entry).begin or entry
    named = begin.value.get("object") or "an object"
    if entry.type == "invoke":
        return f"{'wants' if entry.f == 'present' else 'no longer wants'} {named}"
    return f"has {named}, as wanted" if entry.f == "present" else f"is rid of {named}, as wanted"


def _truth(entry: Entry) -> str:
    value = entry.value
    place = next((str(value[key]) for key in _PLACES if value.get(key)), "")
    source = str(value.get("source") or "")
    told = f"{_TRUTHS.get(entry.f, f'really does {entry.f} with')} {place}"
    return f"{told} from {source}" if source and source != place and entry.f in {"mount", "bind"} else told


def _world(entry: Entry) -> str:
    value = entry.value
    if entry.f == "phase":
        return _PHASES.get(str(value.get("phase")), f"enters the phase {value.get('phase')}")
    place = " on ".join(str(value[key]) for key in ("what", "node") if value.get(key)) or "something"
    down = f" and stays down for {duration(float(value['down_s']))}" if _is_number(value.get("down_s")) else ""
    return {
        "crash": f"kills {place}{down}",
        "restart": f"starts {place} again",
        "reboot": f"reboots {place}{down}",
    }.get(entry.f, f"does {entry.f} to {place}")


_PHASES: Final = {
    "safety": "begins: work under faults",
    "heal": "heals: all rules out, links up, processes back",
    "liveness": "now expects every wish to come true",
    "end": "wants everything gone, then looks at what is left",
}


def _state(entry: Entry) -> str:
    value = entry.value
    if entry.f == "left":
        objects, expected = _texts(value.get("objects")), _texts(value.get("expected"))
        extra = [each for each in objects if each not in set(expected)]
        named = f": {', '.join(extra[:5])}" if extra else ""
        return f"finds {counted(len(objects), 'object')} left, {len(extra)} of them unexpected{named}"
    if entry.f == "locks":
        held = _texts(value.get("held"))
        return f"finds {counted(len(held), 'lock')} held: {', '.join(held[:5])}" if held else "finds no lock held"
    return f"looks at {entry.f}"


def _texts(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_ALONE: Final[Mapping[str, Callable[[Entry], str]]] = {
    "lock": _lock, "truth": _truth, "world": _world, "state": _state,
}  # fmt: skip
_IN_CALLS: Final[Mapping[str, Callable[[Entry, Record], str]]] = {"fault": _fault, "intent": _intent}
