"""One websocket to the NAS, from its handshake to its end."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import structlog
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import broadcast
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.protocol import SEND_EOF, State

from csisim.errors import NasIndeterminate, NasTimeout
from csisim.truenas import jsonrpc
from csisim.truenas.settings import NasSettings
from csisim.truenas.task_map import NasTask, TaskMap

_log = structlog.get_logger(__name__)


class NasSocket(ClientConnection):
    """The library's connection, which also notes when the peer was last heard, to the byte.

    It writes once per turn of the loop: with many calls in flight the system calls cost more than what they carry.
    """

    heard_at: float = 0.0
    _write_due: bool = False

    def send_data(self) -> None:
        """Write what the protocol has, at the end of this turn."""
        if not self._write_due:
            self._write_due = True
            self.loop.call_soon(self._write_now)

    def _write_now(self) -> None:
        self._write_due = False
        frames = self.protocol.writes
        if len(frames) > 1 and SEND_EOF not in frames:
            self.protocol.writes = [b"".join(frames)]
        super().send_data()

    def data_received(self, data: bytes) -> None:
        """Take bytes in; called by the transport."""
        self.heard_at = self.loop.time()
        super().data_received(data)
        if self.state is State.CLOSING:
            # The peer said goodbye, or broke the protocol or the size limit: no reply can come any more. Waiting for
            # the peer to close first would keep every pending call waiting on its manners.
            self._write_now()
            self.transport.close()


@dataclass(frozen=True, slots=True)
class _Lost:
    """The connection ended before the answer came."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Expired:
    """The time given ran out before the answer came."""


@dataclass(slots=True)
class FrameCounts:
    """Frames that fit no call, since the start of the client.

    Attributes:
        malformed: not JSON, or not JSON-RPC.
        unmatched: replies to calls that nobody made, or answers given twice.
    """

    malformed: int = 0
    unmatched: int = 0


Answer: TypeAlias = jsonrpc.Reply | jsonrpc.ErrorReply
_Outcome: TypeAlias = Answer | _Lost | _Expired


class Pending:
    """A call whose bytes were handed to the socket; it lives until its answer comes or the connection ends."""

    __slots__ = ("id", "on_settled", "outcome", "settled", "task", "timeout_s", "timer")

    def __init__(
        self,
        task: NasTask,
        outcome: "asyncio.Future[_Outcome]",
        timer: asyncio.TimerHandle,
        timeout_s: float,
        on_settled: Callable[[], None] | None,
    ) -> None:
        self.id = task.id
        self.task = task
        self.outcome = outcome
        self.timer = timer
        self.timeout_s = timeout_s
        self.on_settled = on_settled
        self.settled: asyncio.Future[None] | None = None

    def resolve(self, outcome: "_Outcome") -> None:
        """Hand the outcome to the caller, unless one was handed over or nobody waits any more."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class NotSent(Exception):
    """The connection has ended; no byte left."""


class Connection:
    """Matches answers to calls by id, and watches over the peer.

    Whoever notices the end first (reader, heartbeat, a sender, the owner) calls `end`; the first one wins, and every
    pending call is answered exactly once.

    Args:
        socket: an open websocket.
        settings: of the client.
        tasks: where calls in flight are shown.
        frames: where odd frames are counted.
        on_notification: called with every message that has no id; must not raise.
        on_end: called once, synchronously, when the connection ends.
    """

    def __init__(
        self,
        socket: NasSocket,
        settings: NasSettings,
        tasks: TaskMap,
        frames: FrameCounts,
        *,
        on_notification: Callable[[jsonrpc.Notification], None],
        on_end: Callable[[], None],
    ) -> None:
        self._socket = socket
        self._settings = settings
        self._tasks = tasks
        self._frames = frames
        self._on_notification = on_notification
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._pending: dict[int, Pending] = {}
        self._end_reason: str | None = None
        socket.heard_at = self._loop.time()
        self._workers = (
            self._loop.create_task(self._read(), name="nas-reader"),
            self._loop.create_task(self._heartbeat(), name="nas-heartbeat"),
        )

    @property
    def end_reason(self) -> str | None:
        """Why the connection ended; None while it is up."""
        return self._end_reason

    def submit(
        self,
        request_id: int,
        method: str,
        text: str,
        *,
        timeout_s: float,
        attempt: int = 1,
        on_settled: Callable[[], None] | None = None,
    ) -> Pending:
        """Hand a request to the socket, at once and whole: the caller cannot be interrupted half-way.

        There is no wait for the peer to take it: the number of calls in flight bounds what can pile up, and a deadline
        must not depend on a peer that stopped reading.

        Args:
            request_id: as in the text.
            method: for messages.
            text: the request.
            timeout_s: for the answer.
            attempt: for the task map.
            on_settled: called exactly once, when the answer came or the connection ended.

        Raises:
            NotSent: the connection has ended; `on_settled` will not be called.
        """
        if self._end_reason is None and self._socket.state is not State.OPEN:
            self.end("the connection is closing")
        if self._end_reason is not None:
            raise NotSent(self._end_reason)
        task = NasTask(request_id, method, self._loop.time(), attempt)
        outcome: asyncio.Future[_Outcome] = self._loop.create_future()
        timer = self._loop.call_later(timeout_s, self._expire, request_id)
        pending = Pending(task, outcome, timer, timeout_s, on_settled)
        self._pending[request_id] = pending
        self._tasks.upsert(task)
        try:
            broadcast((self._socket,), text, raise_exceptions=True)
        except ExceptionGroup as errors:
            # Part of it may have left: the caller hears "indeterminate" from its pending entry.
            self.end(f"cannot write: {errors.exceptions[0]}")
        return pending

    async def answer(self, pending: Pending, unsettled: "list[asyncio.Future[None]] | None" = None) -> Answer:
        """Wait for the answer.

        Args:
            pending: what `submit` returned.
            unsettled: takes a future if the call is given up, complete once it can no longer take effect unseen.

        Raises:
            NasTimeout: not in time; a late answer will be dropped.
            NasIndeterminate: the connection ended first.
        """
        try:
            outcome = await pending.outcome
        except asyncio.CancelledError:
            self._give_up(pending, unsettled)
            raise
        method = pending.task.method
        if isinstance(outcome, _Lost):
            if unsettled is not None:
                unsettled.append(self._landed())
            raise NasIndeterminate(method, f"the connection ended before the answer: {outcome.reason}", sent=True)
        if isinstance(outcome, _Expired):
            self._give_up(pending, unsettled)
            raise NasTimeout(method, f"no answer within {pending.timeout_s:.3g} s", sent=True)
        return outcome

    def end(self, reason: str) -> None:
        """Answer every pending call with "indeterminate"; any call after the first does nothing."""
        if self._end_reason is not None:
            return
        self._end_reason = reason
        for pending in list(self._pending.values()):
            self._settle(pending, _Lost(reason))
        self._on_end()

    async def close(self, *, graceful: bool) -> None:
        """Let go of the socket and the workers. Graceful says goodbye to the peer first. May run again."""
        self.end("closed by this side")
        for worker in self._workers:
            worker.cancel()
        try:
            if graceful:
                # The library's own limit does not cover a peer that has stopped reading.
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.close_timeout_s):
                        await self._socket.close()
        finally:
            self._socket.transport.abort()
        await self._socket.wait_closed()
        for worker in self._workers:
            await asyncio.wait((worker,))
            if not worker.cancelled() and (error := worker.exception()) is not None:
                _log.error("nas.worker_failed", worker=worker.get_name(), exc_info=error)

    async def _read(self) -> None:
        try:
            while True:
                self._receive(await self._socket.recv(decode=False))
        except ConnectionClosed as error:
            self.end(self._describe(error))
        finally:
            self.end("the reader stopped")

    def _receive(self, data: bytes) -> None:
        message = jsonrpc.parse(data)
        if isinstance(message, jsonrpc.Notification):
            self._on_notification(message)
            return
        if isinstance(message, jsonrpc.Malformed):
            self._frames.malformed += 1
            _log.warning("nas.malformed_frame", why=message.why, size_bytes=len(data))
            return
        pending = self._pending.get(message.id) if message.id is not None else None
        if pending is None:
            self._frames.unmatched += 1
            _log.warning("nas.unmatched_reply", id=message.id)
            return
        self._settle(pending, message)

    def _settle(self, pending: Pending, outcome: "_Outcome") -> None:
        del self._pending[pending.id]
        self._tasks.remove(pending.id)
        pending.timer.cancel()
        pending.resolve(outcome)
        if pending.settled is not None:
            if isinstance(outcome, _Lost):
                self._landed(pending.settled)
            elif not pending.settled.done():
                pending.settled.set_result(None)
        if pending.on_settled is not None:
            pending.on_settled()

    def _landed(self, settled: "asyncio.Future[None] | None" = None) -> "asyncio.Future[None]":
        """A future for the end of a call whose connection is gone: the NAS goes on with what it had begun."""
        landed = settled or self._loop.create_future()
        self._loop.call_later(self._settings.landing_s, _complete, landed)
        return landed

    def _expire(self, request_id: int) -> None:
        self._pending[request_id].resolve(_Expired())

    def _give_up(self, pending: Pending, unsettled: "list[asyncio.Future[None]] | None") -> None:
        if pending.id not in self._pending:
            return
        # The answer still counts against the NAS's limit, so it keeps its slot, but a lost one must not for ever.
        pending.timer.cancel()
        pending.timer = self._loop.call_later(self._settings.overdue_s, self._overdue, pending)
        task = pending.task
        self._tasks.upsert(NasTask(task.id, task.method, task.started_s, task.attempt, given_up=True))
        if unsettled is not None:
            pending.settled = self._loop.create_future()
            unsettled.append(pending.settled)

    def _overdue(self, pending: Pending) -> None:
        self.end(f"no answer to {pending.task.method} for {self._loop.time() - pending.task.started_s:.3g} s")
        self._socket.transport.abort()

    async def _heartbeat(self) -> None:
        every_s, patience_s = self._settings.heartbeat_s, self._settings.heartbeat_timeout_s
        beat = 0
        while True:
            await asyncio.sleep(every_s)
            beat += 1
            pinged_at = self._loop.time()
            try:
                async with asyncio.timeout(patience_s):
                    # A counter, where the library would draw random bytes.
                    await (await self._socket.ping(str(beat)))
            except TimeoutError:
                # Bytes of a long reply are a sign of life too.
                if self._socket.heard_at <= pinged_at:
                    self.end(f"the NAS was silent for {self._loop.time() - self._socket.heard_at:.3g} s")
                    self._socket.transport.abort()
                    return
            except ConnectionClosed as error:
                self.end(self._describe(error))
                return

    def _describe(self, error: ConnectionClosed) -> str:
        if error.sent is not None and error.sent.code == CloseCode.MESSAGE_TOO_BIG:
            return f"a message of the NAS exceeds {self._settings.max_message_bytes} bytes (max_message_bytes)"
        cause: Any = error.__cause__
        return str(cause) if isinstance(cause, OSError) and str(cause) else str(error)


def _complete(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
