"""A call as its caller sees it."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import grpc

from csisim.sim.grpc_seam.exchange import Connection, Exchange, Way
from csisim.sim.grpc_seam.server_call import Request, ServerCall
from csisim.sim.grpc_seam.wire import (
    DEADLINE_EXCEEDED,
    LOCALLY_CANCELLED,
    Metadatum,
    RawMetadata,
    Status,
    raw_metadata,
    serialized,
    too_large,
)
from csisim.sim.lanes import LANE

_USER_AGENT = Metadatum("user-agent", "grpc-python-asyncio/simulated")

_log = logging.getLogger(__name__)


class ClientCall(grpc.aio.Call):
    """What unary and streaming calls share. It begins as soon as it is made."""

    def __init__(
        self,
        exchange: Exchange,
        target: str,
        method: str,
        request: Any,
        serialize: Callable[[Any], bytes],
        deserialize: Callable[[bytes], Any],
        *,
        timeout_s: float | None,
        metadata: Any,
        wait_for_ready: bool,
        connection: Connection,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._exchange = exchange
        self._connection = connection
        self._target = target
        self._method = method
        self._deserialize = deserialize
        self._ends_at = None if timeout_s is None else self._loop.time() + timeout_s
        self._initial: RawMetadata | None = None
        self._awaiting_initial: list[asyncio.Future[None]] = []
        self._awaiting_end: list[asyncio.Future[None]] = []
        self._arrived: deque[bytes] = deque()
        self._news: asyncio.Future[None] | None = None
        self._status: Status | None = None
        self._usage_error: Exception | None = None
        self._cancelled_here = False
        self._callbacks: list[Callable[[Any], None]] = []
        self._way = Way(exchange)
        self._server_call: ServerCall | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        exchange.calls += 1
        self._number = exchange.calls
        try:
            self._body, self._metadata = serialized(serialize, request), (_USER_AGENT, *raw_metadata(metadata))
        except Exception as error:  # noqa: BLE001 - as grpc.aio: raised where the call is awaited
            self._usage_error = error
            self._end(Status(grpc.StatusCode.INTERNAL, f"the request cannot be sent: {error}"))
            return
        if timeout_s is not None:
            if timeout_s <= 0:
                self._loop.call_soon(self._expire)
                return
            self._timer = self._loop.call_later(timeout_s, self._expire)
        self._begin(wait_for_ready)

    def _begin(self, wait_for_ready: bool) -> None:
        if self._exchange.server(self._target) is None and wait_for_ready:
            self._connecting = self._loop.create_task(self._connect(), name=f"grpc connect {self._number}")
        else:
            self._way.send(self._reach, self._body)

    async def _connect(self) -> None:
        while self._exchange.server(self._target) is None:
            await self._exchange.change()
        self._way.send(self._reach, self._body)

    def _reach(self, body: bytes) -> None:
        """The request arrives where the server is, or was."""
        if self._status is not None:
            return
        server = self._exchange.server(self._target)
        if server is None:
            details = f"failed to connect to all addresses; last error: UNKNOWN: {self._target}: Connection refused"
            self._end(Status(grpc.StatusCode.UNAVAILABLE, details))
            return
        lane = LANE.get() or f"{self._method.rpartition('/')[2]} {self._number}"
        request = Request(self._method, body, self._metadata, self._ends_at, lane, self._connection)
        self._server_call = server.accept(request, self, Way(self._exchange))

    # What arrives from the server, in order

    def initial_arrived(self, metadata: RawMetadata) -> None:
        """Initial metadata."""
        if self._initial is None and self._status is None:
            self._initial = metadata
            _wake(self._awaiting_initial)

    def message_arrived(self, body: bytes) -> None:
        """One message."""
        if self._status is not None:
            return
        refused = too_large("CLIENT", len(body))
        if refused is not None:
            self._give_up(refused)
            return
        self._arrived.append(body)
        self._tell()

    def end_arrived(self, body: bytes | None, status: Status, initial: RawMetadata | None) -> None:
        """The end, as the server tells it; in one piece with what it had not sent before: metadata, the one message."""
        if initial is not None:
            self.initial_arrived(initial)
        if body is not None:
            self.message_arrived(body)
        if self._status is None:
            self._end(status)

    def _expire(self) -> None:
        if self._status is None:
            self._give_up(Status(grpc.StatusCode.DEADLINE_EXCEEDED, DEADLINE_EXCEEDED))

    def _give_up(self, status: Status) -> None:
        """End it on this side; the server hears that nobody waits any more."""
        if self._server_call is not None:
            self._way.send(self._server_call.client_gone)
        self._end(status)

    def _end(self, status: Status) -> None:
        self._status = status
        if self._timer is not None:
            self._timer.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
        self._server_call = None  # which has this one: a cycle would stay until the next collection
        _wake(self._awaiting_initial)
        _wake(self._awaiting_end)
        self._tell()
        for callback in self._callbacks:
            callback(self)

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    # grpc.aio.Call

    def cancel(self) -> bool:
        """End it from this side; False where it has ended."""
        if self._status is not None:
            return False
        self._cancelled_here = True
        self._give_up(Status(grpc.StatusCode.CANCELLED, LOCALLY_CANCELLED))
        return True

    def cancelled(self) -> bool:
        """Whether it ended with CANCELLED."""
        return self._status is not None and self._status.code is grpc.StatusCode.CANCELLED

    def done(self) -> bool:
        """Whether it has ended."""
        return self._status is not None

    def time_remaining(self) -> float | None:
        """Seconds left, None without a deadline."""
        return None if self._ends_at is None else max(0.0, self._ends_at - self._loop.time())

    def add_done_callback(self, callback: Any) -> None:
        """Called with the call when it ends, or now."""
        if self._status is not None:
            callback(self)
        else:
            self._callbacks.append(callback)

    async def initial_metadata(self) -> grpc.aio.Metadata:
        """What the server sent first."""
        await self._answered()
        return grpc.aio.Metadata.from_tuple(self._initial or ())

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        """What the server sent last."""
        return grpc.aio.Metadata.from_tuple((await self._ended()).trailing)

    async def code(self) -> grpc.StatusCode:
        """The status."""
        return (await self._ended()).code

    async def details(self) -> str:
        """The text of the status."""
        return (await self._ended()).details

    async def debug_error_string(self) -> str:
        """The text again: there are no further layers here."""
        return (await self._ended()).details

    async def wait_for_connection(self) -> None:
        """Until the server has answered something, or the call has ended."""
        await self._answered()
        if self._status is not None:
            self._raise_for_status(self._status)

    def end(self) -> asyncio.Future[None]:
        """A future of the caller's own that is done once the call has ended."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._awaiting_end.append(future)
        if self._status is not None:
            _wake(self._awaiting_end)
        return future

    async def _answered(self) -> None:
        if self._initial is None and self._status is None:
            future: asyncio.Future[None] = self._loop.create_future()
            self._awaiting_initial.append(future)
            await future

    async def _ended(self) -> Status:
        while self._status is None:
            await self.end()
        return self._status

    async def _next(self) -> bytes | None:
        """The next message; None at the end of the stream. Who is cancelled here gives the call up.

        Raises:
            grpc.aio.AioRpcError: it ended with an error.
            asyncio.CancelledError: it was cancelled on this side.
        """
        while not self._arrived:
            if self._status is not None:
                self._raise_for_status(self._status)
                return None
            self._news = self._loop.create_future()
            try:
                await self._news
            except asyncio.CancelledError:
                self.cancel()
                raise
        body = self._arrived.popleft()
        if self._server_call is not None and self._status is None:
            self._way.send(self._server_call.taken, len(body))
        return body

    def _message(self, body: bytes) -> Any:
        """A message, or None where it is not one: grpc.aio logs that too and goes on."""
        try:
            return self._deserialize(body)
        except Exception:  # noqa: BLE001 - as grpc.aio
            _log.exception("Exception deserializing message!")
            return None

    def _raise_for_status(self, status: Status) -> None:
        if self._usage_error is not None:
            raise self._usage_error
        if self._cancelled_here:
            raise asyncio.CancelledError
        if status.code is not grpc.StatusCode.OK:
            raise grpc.aio.AioRpcError(
                status.code,
                grpc.aio.Metadata.from_tuple(self._initial or ()),
                grpc.aio.Metadata.from_tuple(status.trailing),
                details=status.details,
                debug_error_string=status.details,
            )


class SimUnaryUnaryCall(ClientCall, grpc.aio.UnaryUnaryCall[Any, Any]):
    """A call that answers with one message."""

    _response: Any = None
    _has_response = False

    def __await__(self) -> Generator[Any, None, Any]:
        return self._wait().__await__()

    async def _wait(self) -> Any:
        try:
            status = await self._ended()
        except asyncio.CancelledError:
            self.cancel()
            raise
        self._raise_for_status(status)
        if not self._has_response:
            self._response, self._has_response = self._message(self._arrived.popleft()), True
        return self._response


class SimUnaryStreamCall(ClientCall, grpc.aio.UnaryStreamCall[Any, Any]):
    """A call that answers with a stream."""

    _messages: AsyncIterator[Any] | None = None

    def __aiter__(self) -> AsyncIterator[Any]:
        if self._messages is None:
            self._messages = self._iterate()
        return self._messages

    async def _iterate(self) -> AsyncIterator[Any]:
        while (body := await self._next()) is not None:
            yield self._message(body)

    async def read(self) -> Any:
        """The next message, or grpc.aio.EOF."""
        body = await self._next()
        return grpc.aio.EOF if body is None else self._message(body)


def _wake(waiting: list[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)
    waiting.clear()
