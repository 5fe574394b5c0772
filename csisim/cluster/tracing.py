"""What goes on inside of a cluster, for its history and the race detector: locks, NAS calls, and what really happened.

Put in by the composition root where `FaultSettings.trace` asks for it; without that nothing of this exists.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

from csisim.check.races import Races
from csisim.cluster.nas_trace import FIRST_ID, NasTrace, Sent
from csisim.cluster.stacks import calling_stack
from csisim.cluster.truth import MachineTruth, by_host
from csisim.driver.inflight import OperationLocks
from csisim.errors import Aborted
from csisim.events import History
from csisim.faults.calls import current_call
from csisim.sim.host import SimHost
from csisim.truenas.client import Json, NasClient
from csisim.truenas.connection import Connection, Pending
from csisim.truenas.jsonrpc import RequestIds
from csisim.truenas.settings import NasSettings

T = TypeVar("T")


class Trace:
    """What is watched in one cluster.

    Args:
        history: gets the events.

    Attributes:
        races: the race detector; its `result()` is the verdict so far.
        nas: the calls of the embedded NAS.
    """

    def __init__(self, history: History) -> None:
        self.races = Races()
        self.nas = NasTrace(history, self.races, asyncio.get_running_loop().time)
        self._history = history
        self._ids = RequestIds(FIRST_ID)
        self._machines: dict[str, MachineTruth] = {}

    def locks(self, process: str, kind: type[OperationLocks] = OperationLocks) -> OperationLocks:
        """For the controller, or for a node by its id: locks that tell when they are taken, freed and refused."""
        return _over(LoggedLocks, kind)(process, self._history, self.races)

    def client(
        self,
        settings: NasSettings,
        rng: random.Random,
        connect: Callable[..., Any],
        ids: RequestIds | None = None,
        kind: type[NasClient] = NasClient,
    ) -> NasClient:
        """For the driver: a client that tells what it sends for whom; `ids` are as unlike other clients' as its own."""
        return _over(TracedClient, kind)(self, settings, rng, connect, ids or self._ids)

    def machine(self, node_id: str, host: SimHost) -> MachineTruth:
        """The machine of a node, over all lives of its node service."""
        known = self._machines.get(node_id)
        if known is None:
            known = self._machines[node_id] = MachineTruth(node_id, host, self._history, self.races)
        return known

    def rebooted(self, node_id: str) -> None:
        """The machine of a node has lost its mounts and sessions."""
        self._machines[node_id].rebooted()

    def asked(self) -> "Asked":
        """Somebody asks the driver's client for a call, and nothing is in its way."""
        return Asked(asyncio.get_running_loop().time(), self._history.last_seq)

    def sent(self, request_id: int, connection: Connection, asked: "Asked | None") -> None:
        """The driver's client has handed a request to its socket, just now; `asked` is from when it was asked to."""
        queued_s = 0.0
        if asked is not None and asked.seq != self._history.last_seq:  # others went on meanwhile
            queued_s = asyncio.get_running_loop().time() - asked.at_s
        call = current_call()
        lost, seq = partial(_is_lost, connection), self._history.last_seq
        if call is None:
            self.nas.sent(request_id, Sent("", "", frozenset(), (), by_host(), lost, queued_s, seq))
            return
        op, rpc = call.call_id, f"{call.method}({call.snap or call.vol})"
        held, stack = self.races.holds(op), calling_stack()
        self.nas.sent(request_id, Sent(op, rpc, held, stack, by_host(), lost, queued_s, seq))

    def refused(self, method: str, reason: str) -> None:
        """The NAS has refused a call before it looked at it: no event of its own tells of that."""
        op = call.call_id if (call := current_call()) is not None else ""
        noted = self._history.new_call()
        self._history.add("invoke", "nas", method, call=noted, process="nas", parent=op, value={"params": []})
        self._history.add("fail", "nas", method, call=noted, process="nas", parent=op, value={"reason": reason})


@dataclass(frozen=True, slots=True)
class Asked:
    """When the client was asked for a call: loop time, and the last event before."""

    at_s: float
    seq: int


_asked: ContextVar[Asked | None] = ContextVar("csisim_asked", default=None)


def _is_lost(connection: Connection) -> bool:
    return connection.end_reason is not None


class TracedClient(NasClient):
    """The driver's client, watched where a request leaves it."""

    def __init__(
        self, trace: Trace, settings: NasSettings, rng: random.Random, connect: Callable[..., Any], ids: RequestIds
    ) -> None:
        super().__init__(settings, rng=rng, connect=connect, ids=ids)
        self._trace = trace

    async def _call(self, *args: Any) -> tuple[Json, int]:
        free = self._session.connection is not None and not self._slots.locked()
        token = _asked.set(self._trace.asked() if free else None)
        try:
            return await super()._call(*args)
        finally:
            _asked.reset(token)

    async def _pause(self, request: Any, failures: int, reason: str) -> None:
        self._trace.refused(request.method, reason)
        await super()._pause(request, failures, reason)

    async def _send(self, *args: Any) -> tuple[Connection, Pending, int]:
        asked = _asked.get()
        _asked.set(None)  # another attempt has other reasons to wait
        sent = await super()._send(*args)
        connection, pending, _ = sent
        self._trace.sent(pending.id, connection, asked)  # nothing has run since: nobody can have answered
        return sent


class LoggedLocks(OperationLocks):
    """The locks of one process, with events; see `csisim.events` for their kind `lock`.

    Args:
        process: controller, or the id of a node.
        history: gets the events.
        races: learns who holds what.
    """

    def __init__(self, process: str, history: History, races: Races) -> None:
        super().__init__()
        self._process = process
        self._history = history
        self._races = races

    @asynccontextmanager
    async def hold(self, *keys: str, shared: Iterable[str] = ()) -> AsyncIterator[None]:
        """As its base class; a key is taken when what earlier holders left behind has settled."""
        together = tuple(shared)
        modes = dict.fromkeys(together, "shared") | dict.fromkeys(keys, "exclusive")
        async with self._noted(super().hold(*keys, shared=together), modes):
            yield

    @asynccontextmanager
    async def queue(self, key: str) -> AsyncIterator[None]:
        """As its base class; a key is taken when it is the caller's turn."""
        async with self._noted(super().queue(key), {key: "queued"}):
            yield

    @asynccontextmanager
    async def _noted(self, lock: AbstractAsyncContextManager[None], modes: dict[str, str]) -> AsyncIterator[None]:
        call = current_call()
        op = "" if call is None else call.call_id
        taken: list[tuple[str, str, int]] = []
        try:
            async with lock:
                taken = [self._took(op, key, mode) for key, mode in sorted(modes.items())]
                yield
        except Aborted as error:
            if not taken:
                self._refused(op, modes, error)
            raise
        finally:
            for key, noted, number in taken:
                self._races.freed(op, number)
                self._history.add("ok", "lock", key, call=noted, process=self._process, parent=op)

    def _took(self, op: str, key: str, mode: str) -> tuple[str, str, int]:
        noted = self._history.new_call()
        value = {"mode": mode}
        self._history.add("invoke", "lock", key, call=noted, process=self._process, parent=op, value=value)
        return key, noted, self._races.took(op, key)

    def _refused(self, op: str, modes: dict[str, str], error: Aborted) -> None:
        """One event, for the key that the error names."""
        text = str(error)
        key = next((key for key in sorted(modes, key=len, reverse=True) if text.startswith(f"{key}: ")), "")
        noted, value = self._history.new_call(), {"reason": text}
        self._history.add("fail", "lock", key, call=noted, process=self._process, parent=op, value=value)


def _over(mixin: type[T], kind: type[Any]) -> type[T]:
    """The mixin over a part that is not the shipped one."""
    return mixin if issubclass(mixin, kind) else cast("type[T]", type(mixin.__name__, (mixin, kind), {}))
