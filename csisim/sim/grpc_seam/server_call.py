"""A call as its handler sees it."""

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import grpc

from csisim.sim.grpc_seam.exchange import Connection, Way
from csisim.sim.grpc_seam.wire import UNREAD_BYTES, RawMetadata, Status, raw_metadata, serialized, too_large

if TYPE_CHECKING:
    from csisim.sim.grpc_seam.client_call import ClientCall

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What a call begins with.

    Attributes:
        method: its path.
        body: the serialised message.
        metadata: the caller's.
        ends_at: when the caller gives up, in loop time.
        lane: whose work it is.
        connection: what it came over.
    """

    method: str
    body: bytes
    metadata: RawMetadata
    ends_at: float | None
    lane: str
    connection: Connection


@dataclass(frozen=True, slots=True)
class CallDetails(grpc.HandlerCallDetails):
    """What interceptors and generic handlers are asked with."""

    method: str
    invocation_metadata: Any


class ServerCall(grpc.aio.ServicerContext[Any, Any]):
    """The context of a handler, and its task.

    Args:
        request: what it begins with.
        client: the other end.
        way: to it.
    """

    def __init__(self, request: Request, client: "ClientCall", way: Way) -> None:
        self.request = request
        self._client = client
        self._way = way
        self._loop = asyncio.get_running_loop()
        self._initial_sent = False
        self._status_sent = False
        self._code = grpc.StatusCode.OK
        self._details = ""
        self._trailing: RawMetadata = ()
        self._abort: grpc.aio.AbortError | None = None
        self._serialize: Callable[[Any], bytes] = bytes
        self._untaken_bytes = 0
        self._room: asyncio.Future[None] | None = None
        self._callbacks: list[Callable[[Any], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._gone = False
        self.task: asyncio.Task[None] | None = None

    # Its life

    async def run(self, find: Callable[[CallDetails], Any]) -> None:
        """Find the handler and run it; whatever happens becomes a status."""
        if self.request.ends_at is not None:
            self._timer = self._loop.call_at(self.request.ends_at, self._give_up)
        try:
            await self._handle(find)
        except grpc.aio.AbortError as error:
            if error is not self._abort:
                self._unexpected(error)
        except asyncio.CancelledError:
            # As grpc.aio: the caller has given up and knows. One that has not, because the handler cancelled itself,
            # hears nothing and waits until its deadline.
            _log.debug("RPC cancelled for servicer method [%s]", self.request.method)
        except Exception as error:  # noqa: BLE001 - a handler's error is the caller's UNKNOWN
            self._unexpected(error)
        finally:
            self._abort = None  # its traceback has this call: a cycle would stay until the next collection
            if self._timer is not None:
                self._timer.cancel()
            for callback in self._callbacks:
                callback(self)

    async def _handle(self, find: Callable[[CallDetails], Any]) -> None:
        handler = await find(CallDetails(self.request.method, self.request.metadata))
        if handler is None:
            self._send_status(Status(grpc.StatusCode.UNIMPLEMENTED, "Method not found!"))
            return
        if handler.request_streaming:
            raise NotImplementedError(
                f"{self.request.method} takes a stream of requests: the simulated server has none"
            )
        refused = too_large("SERVER", len(self.request.body))
        if refused is not None:
            self._send_status(refused)
            return
        self._serialize = handler.response_serializer or bytes
        message = (handler.request_deserializer or bytes)(self.request.body)
        if handler.response_streaming:
            await self._stream(handler.unary_stream, message)
        else:
            response = handler.unary_unary(message, self)
            if inspect.isawaitable(response):
                response = await response
            if self._code is grpc.StatusCode.OK and self._abort is None:
                body = serialized(self._serialize, response)
                self._send_status(Status(self._code, self._details, self._trailing), body)
                return
        self._send_status(Status(self._code, self._details, self._trailing))

    async def _stream(self, serve: Callable[..., Any], message: Any) -> None:
        responses = serve(message, self)
        if inspect.isawaitable(responses):
            await responses
            return
        async for response in responses:
            await self.write(response)

    def _unexpected(self, error: Exception) -> None:
        _log.error("Unexpected [%s] raised by servicer method [%s]", error, self.request.method, exc_info=error)
        code = grpc.StatusCode.UNKNOWN if self._code is grpc.StatusCode.OK else self._code
        self._send_status(Status(code, f"Unexpected {type(error)}: {error}", self._trailing))

    def _send_initial(self, metadata: RawMetadata = ()) -> None:
        if not self._initial_sent:
            self._initial_sent = True
            self._way.send(self._client.initial_arrived, metadata)

    def _send_status(self, status: Status, body: bytes | None = None) -> None:
        """The end in one piece with what was not sent before it, as grpc.aio sends the answer to a unary call."""
        if not self._status_sent:
            self._status_sent = True
            initial: RawMetadata | None = None if self._initial_sent else ()
            self._initial_sent = True
            self._way.send(self._client.end_arrived, body, status, initial)

    # What arrives from the client

    def client_gone(self) -> None:
        """The caller has cancelled, which is not heard on a silent connection."""
        if not self._way.is_silent:
            self._give_up()

    def _give_up(self) -> None:
        """Nobody waits any more, or the time is over: the handler is cancelled."""
        if not self._gone:
            self._gone = True
            if self.task is not None:
                self.task.cancel()

    def taken(self, size_bytes: int) -> None:
        """The caller has read a message."""
        self._untaken_bytes -= size_bytes
        if self._untaken_bytes <= UNREAD_BYTES and self._room is not None and not self._room.done():
            self._room.set_result(None)

    def fall_silent(self) -> None:
        """Nothing passes between the two ends any more, and neither is told."""
        self._way.is_silent = True

    def disconnected(self, details: str) -> None:
        """The connection to the caller is cut: each end notices by itself, also what was lost in silence."""
        if self._way.is_silent or not self._status_sent:
            self._status_sent = True
            self._way.is_silent = False
            self._way.send(self._client.end_arrived, None, Status(grpc.StatusCode.UNAVAILABLE, details), None)
        self._give_up()

    def cut_off(self, status: Status) -> None:
        """The server ends, and the call with it."""
        self._send_status(status)
        if self.task is not None:
            self.task.cancel()

    # grpc.aio.ServicerContext

    async def read(self) -> Any:
        """There is no stream of requests."""
        raise grpc.aio.UsageError("context.read() is for streams of requests")

    async def write(self, message: Any) -> None:
        """Send one message of a stream; waits while the caller is far behind."""
        if self._status_sent:
            raise grpc.aio.UsageError("RPC already finished.")
        while self._untaken_bytes > UNREAD_BYTES:
            self._room = self._loop.create_future()
            await self._room
        body = serialized(self._serialize, message)
        self._send_initial()
        self._untaken_bytes += len(body)
        self._way.send(self._client.message_arrived, body)
        await asyncio.sleep(0)

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        """Send it now; once only."""
        if self._initial_sent:
            raise grpc.aio.UsageError("Send initial metadata failed: already sent")
        self._send_initial(raw_metadata(initial_metadata))

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> NoReturn:
        """End the call with a status; always raises. Of a call that was cut off nobody hears it."""
        if self._abort is not None:
            raise grpc.aio.UsageError("Abort already called!")
        if code is grpc.StatusCode.OK:
            raise ValueError("abort wants an error: grpc.aio would leave the caller without an answer")
        self._abort = grpc.aio.AbortError("Locally aborted.")
        self._code, self._details = code, details or self._details
        self._trailing = raw_metadata(trailing_metadata) or self._trailing
        self._send_status(Status(code, self._details, self._trailing))
        raise self._abort

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """End the call with a status; always raises."""
        await self.abort(status.code, status.details, status.trailing_metadata or ())

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        """What is sent with the status."""
        self._trailing = raw_metadata(trailing_metadata)

    def invocation_metadata(self) -> Any:
        """The caller's metadata: pairs."""
        return self.request.metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        """The status when the handler returns, or raises."""
        self._code = code

    def set_details(self, details: str) -> None:
        """The text of the status."""
        self._details = details

    def set_compression(self, compression: grpc.Compression) -> None:
        """Nothing is compressed here."""

    def disable_next_message_compression(self) -> None:
        """Nothing is compressed here."""

    def peer(self) -> str:
        """The caller's address."""
        return self.request.connection.peer

    def peer_identities(self) -> Iterable[bytes] | None:
        """Nobody is authenticated."""
        return None

    def peer_identity_key(self) -> str | None:
        """Nobody is authenticated."""
        return None

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Nobody is authenticated."""
        return {}

    def time_remaining(self) -> float:
        """Seconds left; None without a deadline, whatever the stub says."""
        ends_at = self.request.ends_at
        return None if ends_at is None else max(0.0, ends_at - self._loop.time())  # type: ignore[return-value]

    def trailing_metadata(self) -> Any:
        """What was set."""
        return self._trailing

    def code(self) -> grpc.StatusCode:
        """What was set."""
        return self._code

    def details(self) -> str:
        """What was set."""
        return self._details

    def cancelled(self) -> bool:
        """Whether the caller has given up."""
        return self._gone

    def done(self) -> bool:
        """Whether it has ended."""
        return self._status_sent or self._gone

    def add_done_callback(self, callback: Any) -> None:
        """Called with the context when the handler has ended."""
        self._callbacks.append(callback)
