"""What an embedded NAS is asked and what it changes, as events, and as reads and writes for the race detector.

The driver's client numbers its requests from `FIRST_ID` on, over all its lives, so that no other client's number comes
near; by the number a call at the NAS is joined with the RPC that sent it, the locks that this held, and where in the
code it was. Effects are noted when the NAS commits, reads when their handler has answered.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from csisim.check.races import EXISTENCE, Access, Races, Stack
from csisim.cluster.inventory import SHARING
from csisim.cluster.nas_changes import Change, ChangeLog
from csisim.events import History
from fake_truenas import Call, Nas, Proceed
from fake_truenas.pieces import Pieces
from fake_truenas.redaction import REDACTED, hide_arguments, hide_members
from fake_truenas.registry import Registry

FIRST_ID: Final = 1 << 32
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
"""What nothing is hidden in: asked before anything is called, since nearly all of what is in parameters is so."""

_READS: Final[Mapping[str, tuple[str, str]]] = {
    "pool.dataset.query": ("dataset", "id"),
    "pool.snapshot.query": ("snapshot", "id"),
    **{method: (kind, name) for kind, method, name in SHARING},
}


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it left the driver.

    Attributes:
        op: the RPC that it was made for, "" for none.
        rpc: the same for people.
        held: what that held.
        stack: who made it.
        by_host: a simulated machine asks for its mounts and devices, and not the driver.
        lost: whether its connection has ended.
        queued_s: how long it was kept back though the client had a session and a free slot.
        after: number of the last event before it was sent.
    """

    op: str
    rpc: str
    held: frozenset[int]
    stack: Stack
    by_host: bool
    lost: Callable[[], bool]
    queued_s: float = 0.0
    after: int = 0


_NOBODY: Final = Sent("", "", frozenset(), (), by_host=False, lost=lambda: False)


@dataclass(slots=True)
class _Applied:
    """A call that is being applied: who sent it, how its events are found, and how much it has changed."""

    sent: Sent
    method: str = ""
    call: str = ""
    event: int = 0
    changes: int = 0


_applying: ContextVar[_Applied | None] = ContextVar("csisim_applying", default=None)


class NasTrace:
    """The calls of one embedded NAS, over all its lives.

    Args:
        history: gets the events.
        races: gets reads and writes.
        now: seconds; loop time.
    """

    def __init__(self, history: History, races: Races, now: Callable[[], float]) -> None:
        self._history = history
        self._races = races
        self._now = now
        self._sent: dict[int, Sent] = {}
        self._applied: dict[str, _Applied] = {}
        self._registry: Registry | None = None

    def watch(self, nas: Nas) -> None:
        """Tell what this NAS changes from now on."""
        self._registry = nas.registry
        ChangeLog(nas.db, self._changed)

    def sent(self, request_id: int, sent: Sent) -> None:
        """The driver has sent a request; to be told in the same step."""
        if self._registry is not None:
            self._sent[request_id] = sent

    def invoke(self, call: Call, noted: str) -> None:
        """A call has come in: its first event, with its parameters but for what is secret."""
        sent = self._sent.pop(call.request_id, _NOBODY) if isinstance(call.request_id, int) else _NOBODY
        value: dict[str, Any] = {"params": self._plain(call)} | ({"by": "host"} if sent.by_host else {})
        value |= {"queued_s": round(sent.queued_s, 6)} if sent.queued_s else {}
        value |= {"sent_after": sent.after} if sent.lost() else {}  # whatever its sender did since came before
        self._history.add("invoke", "nas", call.method, call=noted, process="nas", parent=sent.op, value=value)
        self._applied[noted] = _Applied(sent, call.method, noted, self._history.last_seq)

    def done(
        self, type_: Literal["ok", "fail", "info"], call: Call, noted: str, value: Mapping[str, Any] | None, result: Any
    ) -> None:
        """It has ended: its second event, of an ok one with how much came back and how much has changed."""
        applied = self._applied.pop(noted)
        told = _size_of(result) | {"changes": applied.changes} if type_ == "ok" else value
        parent = applied.sent.op
        self._history.add(type_, "nas", call.method, call=noted, process="nas", parent=parent, value=told)

    def around(self, call: Call, noted: str, proceed: Proceed) -> Proceed:
        """The same call, watched while it is applied."""
        applied = self._applied[noted]

        async def watched() -> Any:
            token = _applying.set(applied)
            try:
                result = await proceed()
            finally:
                _applying.reset(token)
            self._read(call, applied, result)
            return result

        return watched

    def _plain(self, call: Call) -> list[Any]:
        """The parameters without what their declaration calls secret; of an unknown method none are shown."""
        assert self._registry is not None  # noqa: S101 - set before the first call
        method = self._registry.methods.get(call.method)
        if method is None:
            return []
        shown: list[Any] = _hidden(hide_arguments(method.params, call.params), self._registry.secret_names)
        return shown

    def _changed(self, changes: Sequence[Change]) -> None:
        applied = _applying.get() or _Applied(_NOBODY)
        applied.changes += len(changes)
        for change in changes:
            self._tell(change, applied.call)
        by = self._access(applied)
        for obj, part in _parts(changes):
            self._races.wrote(obj, part, by, late=applied.sent.lost())

    def _tell(self, change: Change, call: str) -> None:
        match change.how:
            case "created" | "destroyed":
                self._truth(change.how, {"object": change.object}, call)
            case "moved":
                new = f"{change.kind} {change.more}"
                self._truth("destroyed", {"object": change.object, "moved_to": new}, call)
                self._truth("created", {"object": new, "moved_from": change.object}, call)

    def _truth(self, f: str, value: Mapping[str, Any], call: str) -> None:
        self._history.add("info", "truth", f, process="nas", parent=call, value=value)

    def _read(self, call: Call, applied: _Applied, result: Any) -> None:
        known = _READS.get(call.method)
        if known is None or not applied.sent.op or applied.sent.by_host:
            return
        by = self._access(applied, self._races.holds(applied.sent.op))
        for obj in _seen(*known, call.params, result):
            self._races.read(obj, by)

    def _access(self, applied: _Applied, held: frozenset[int] | None = None) -> Access:
        sent = applied.sent
        holds = sent.held if held is None else held
        return Access(sent.op, sent.stack, holds, self._now(), applied.event, applied.method, sent.rpc, sent.after)


def _parts(changes: Sequence[Change]) -> Iterator[tuple[str, str]]:
    """The objects and parts that a transaction wrote, each once."""
    found: dict[tuple[str, str], None] = {}
    for change in changes:
        found[change.object, change.more if change.how == "changed" else EXISTENCE] = None
        if change.how == "moved":
            found[f"{change.kind} {change.more}", EXISTENCE] = None
    yield from found


def _seen(kind: str, name: str, params: Sequence[Any], result: Any) -> Iterator[str]:
    """The objects that a query showed, and those it was asked for by name: that one is not there is news too."""
    found: dict[str, None] = {}
    if isinstance(result, list):
        found.update((f"{kind} {row[name]}", None) for row in result if isinstance(row, dict) and name in row)
    for each in params[0] if params and isinstance(params[0], list) else ():
        if isinstance(each, list) and len(each) == 3 and each[:2] == [name, "="]:
            found[f"{kind} {each[2]}"] = None
    yield from found


def _hidden(value: Any, names: AbstractSet[str]) -> Any:
    """As `hide_members`, and a filter does not tell what it compares a secret with."""
    if isinstance(value, list):
        if len(value) == 3 and isinstance(value[0], str) and value[0].rpartition(".")[2] in names:
            return [*hide_members(value[:2], names), REDACTED]
        return [inner if type(inner) in _PLAIN else _hidden(inner, names) for inner in value]
    if isinstance(value, dict):
        shown = {key: inner if type(inner) in _PLAIN else _hidden(inner, names) for key, inner in value.items()}
        for key in names & shown.keys():
            if isinstance(value[key], str) and value[key]:
                shown[key] = REDACTED
        return shown
    return hide_members(value, names)


def _size_of(result: Any) -> dict[str, Any]:
    """How much an answer is, counted as JSON; rows where it is a list."""
    if isinstance(result, Pieces):
        return {"size_bytes": result.size_bytes}
    size = {"size_bytes": len(orjson.dumps(result, default=str))}
    return size | {"rows": len(result)} if isinstance(result, list) else size
