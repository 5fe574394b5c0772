"""One websocket of the NAS: reads calls, bounds how many run, writes replies. Knows no protocol by itself.

Limits as of TrueNAS 25.10: per connection ten calls run and ten wait, the next is refused; messages are at most 8192
characters long before the login and 65536 after it, but for two methods that take files. Each call is its own task;
replies leave as calls end. Two limits are not TrueNAS's: a client that does not read is cut off once
`MAX_UNSENT_BYTES` wait for it, and one that sends a message in more than `MAX_FRAGMENTS` pieces.
"""

import asyncio
import logging
import socket
import struct
from collections import deque
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidState
from websockets.frames import DATA_OPCODES, Frame
from websockets.protocol import SEND_EOF, Event

from fake_truenas.errors import ApiError, TooManyCalls, Unexpected
from fake_truenas.framing import Answer, Framing, Goodbye, Request
from fake_truenas.idle_cut import IdleCut
from fake_truenas.jsonrpc import JsonRpc
from fake_truenas.legacy import Legacy
from fake_truenas.nas import NO_REPLY, Call, Shaped
from fake_truenas.pieces import Pieces
from fake_truenas.tls import ServerContext

if TYPE_CHECKING:
    from fake_truenas.nas import Nas

MAX_RUNNING = 10
MAX_WAITING = 10
MAX_CHARS_ANONYMOUS = 8192
MAX_CHARS = 65536
MAX_CHARS_FILE = 2 << 20
FILE_METHODS = frozenset({"filesystem.file_receive", "failover.datastore.sql"})
MAX_UNSENT_BYTES = 64 << 20
MAX_FRAGMENTS = 16384
_MAX_REASON_BYTES = 123  # a close frame carries no more
_TURN = 64

logger = logging.getLogger(__name__)


class Socket(ServerConnection):
    """The library's connection, writing once per turn of the loop: system calls cost more than what they carry."""

    _write_due = False
    _fragments = 0
    _close_timer: asyncio.TimerHandle | None = None
    idle: IdleCut | None = None
    _port = 0

    def __hash__(self) -> int:
        """Not by place in memory: the library keeps connections in a set, and closes them in the order of that."""
        return self._port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The beginning."""
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self._port = peer[1]
        super().connection_made(transport)

    def process_event(self, event: Event) -> None:
        """Take what has arrived; cut off who sends ever more pieces of one message, if only empty ones."""
        if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            self._fragments = 0 if event.fin else self._fragments + 1
            if self._fragments > MAX_FRAGMENTS:
                self.transport.abort()
                return
        super().process_event(event)

    def data_received(self, data: bytes) -> None:
        """Read; where that ends the connection, the peer has to take its part in time."""
        super().data_received(data)
        if self.close_deadline is not None and self._close_timer is None:
            self._close_timer = self.loop.call_at(self.close_deadline, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        if self._close_timer is not None:
            self._close_timer.cancel()
        super().connection_lost(exc)

    async def drain(self) -> None:
        """Wait until the peer has read enough; where the connection is to close, no longer than that may take.

        Raises:
            TimeoutError: the peer does not read. The library then cuts the connection.
        """
        async with asyncio.timeout_at(self.close_deadline):
            await super().drain()

    def send_data(self) -> None:
        """Write what the protocol has, at the end of this turn."""
        if not self._write_due:
            self._write_due = True
            self.loop.call_soon(self._write_now)

    def _write_now(self) -> None:
        self._write_due = False
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES and not self.transport.is_closing():
            peer = self.remote_address
            logger.warning("%s does not read: cut off with more than %d bytes unsent", peer, MAX_UNSENT_BYTES)
            self.transport.abort()
        if self.transport.is_closing():
            self.protocol.writes = []
            return
        if self.idle is not None:
            self.idle.written()
        frames = self.protocol.writes
        if len(frames) > 1 and SEND_EOF not in frames:
            self.protocol.writes = [b"".join(frames)]
        super().send_data()


class Connection:
    """One websocket and its session, which says who is logged in."""

    def __init__(self, nas: "Nas", connection: ServerConnection, *, legacy: bool = False) -> None:
        self._nas = nas
        self._socket = connection
        self._running = 0
        self._waiting: deque[Request] = deque()
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._open = True
        self._one_long_message = asyncio.Lock()
        self._behind: list[bytes] | None = None  # waits for the end of the long message that is being written
        self._behind_bytes = 0
        self.session = nas.open_session(self)
        peer = connection.remote_address
        if isinstance(peer, tuple) and len(peer) >= 2:  # nothing on a simulated network
            self.session.address, self.session.port = str(peer[0]), int(peer[1])
            context = connection.transport.get_extra_info("sslcontext")
            self.session.secure = context is not None or ip_address(self.session.address).is_loopback
            self.session.end_point = context.end_point if isinstance(context, ServerContext) else None
        self._framing: Framing = Legacy(nas, self.session) if legacy else JsonRpc()

    async def run(self) -> None:
        """Read until the connection ends."""
        number = 0
        try:
            async for message in self._socket:
                goodbye = self._receive(message)
                if goodbye is not None:
                    await self.close(goodbye.code, goodbye.reason)
                    break
                number += 1
                if number % _TURN == 0:  # what has come already is read without a pause: the others want theirs
                    await asyncio.sleep(0)
        except ConnectionClosed:
            pass  # without a close frame: the usual end of a client that was killed
        except Exception as error:
            logger.exception("a message could not be handled")
            await self.close(1011, str(error))
        finally:
            self._open = False
            self._waiting.clear()  # calls that have not begun never will; those running complete
            self._nas.end_session(self.session)

    async def close(self, code: int, reason: str) -> None:
        """Close with a close frame; of the reason 123 bytes are sent."""
        self._open = False
        await self._socket.close(code, reason.encode(errors="replace")[:_MAX_REASON_BYTES].decode(errors="ignore"))

    def abort(self) -> None:
        """Cut the TCP connection at once with a reset, without a close frame; what was not sent yet is lost."""
        self._open = False
        transport = self._socket.transport
        kernel_socket = transport.get_extra_info("socket")
        if kernel_socket is not None and kernel_socket.fileno() >= 0:  # absent on simulated networks
            kernel_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    def hang_up(self) -> None:
        """End the TCP connection without a close frame, once what was written has left."""
        self._open = False
        self._socket.transport.close()

    def close_soon(self, code: int) -> None:
        """Begin to close with a close frame, without waiting for the end."""
        task = self._loop.create_task(self.close(code, ""))
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    def fall_silent(self) -> None:
        """Keep the connection open and neither read nor write any more; `abort` ends it."""
        self._open = False
        self._socket.transport.pause_reading()

    def cancel_calls(self) -> None:
        """Cancel the calls that still run: the NAS is closing."""
        self._waiting.clear()
        for task in list(self._tasks):
            task.cancel()

    async def quiet(self) -> None:
        """Wait until the calls that run have ended, as those do that outlive their connection."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def notify(self, method: str, params: dict[str, Any]) -> None:
        """Send a notification in this connection's protocol; one that can no longer be sent is lost.

        Args:
            method: `collection_update` or `notify_unsubscribed`.
            params: as in JSON-RPC.
        """
        if self._open:
            frame = self._framing.notification(method, params)
            if self._nas.shape_event is None:
                self._write(frame)
            else:
                self._nas.shape_event(self, frame, self._write)

    def _receive(self, message: str | bytes) -> Goodbye | None:
        if isinstance(message, bytes):
            return Goodbye(1003, "Binary messages are not supported")
        if len(message) > MAX_CHARS_ANONYMOUS and (too_long := self._too_long(message)) is not None:
            return too_long
        request = self._framing.read(message)
        if isinstance(request, Answer):
            if request.reply is not None:
                self._write(request.reply)
        elif isinstance(request, Goodbye):
            return request
        elif self._running < MAX_RUNNING:
            self._start(request)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append(request)
        elif request.wants_reply:
            self._write(self._framing.refusal(request, TooManyCalls()))
        return None

    def _too_long(self, message: str) -> Goodbye | None:
        if not self.session.authenticated:
            return Goodbye(1007, "Anonymous connection max message length is 8 kB")
        if len(message) > MAX_CHARS:
            request = self._framing.read(message) if len(message) <= MAX_CHARS_FILE else None
            if not isinstance(request, Request) or request.method not in FILE_METHODS:
                return Goodbye(1009, "Max message length is 64 kB")
        return None

    def _start(self, request: Request) -> None:
        self._running += 1
        task = self._loop.create_task(self._answer(request))
        self._tasks[task] = None
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        self._running -= 1
        if self._waiting:
            self._start(self._waiting.popleft())

    async def _answer(self, request: Request) -> None:
        framing, session = self._framing, self.session
        send: Callable[[bytes, Callable[[bytes], None]], None] | None = None
        reply: bytes | Pieces
        try:
            result = await self._perform(request)
            if result is NO_REPLY:
                return
            if isinstance(result, Shaped):
                send, result = result.send, result.outcome
                if isinstance(result, ApiError):
                    raise result
            reply = result if isinstance(result, Pieces) else framing.result(request, result)
        except ApiError as error:
            reply = framing.refusal(request, error, py_exceptions=session.py_exceptions)
        except Exception as error:
            logger.exception("%s failed unexpectedly", request.method)
            reply = framing.refusal(request, Unexpected(error), py_exceptions=session.py_exceptions)
        if not request.wants_reply:
            return
        if isinstance(reply, Pieces):
            reply.put_into(partial(framing.result, request))
            if send is None:
                await self._write_in_frames(reply)
                return
            reply = reply.whole()
        if send is None:
            self._write(reply)
        else:
            send(reply, self._write)

    async def _perform(self, request: Request) -> Any:
        nas, session = self._nas, self.session
        if nas.intercept is None:
            return await nas.apply(session, request.method, request.params, request.id)

        async def proceed() -> Any:
            return await nas.apply(session, request.method, request.params, request.id)

        return await nas.intercept(Call(request.method, request.params, request.id, session, self), proceed)

    async def _write_in_frames(self, message: Pieces) -> None:
        """Write one message in frames, each once the peer has read enough; what else there is to say comes after it."""
        async with self._one_long_message:
            self._behind = []
            try:
                self._socket.protocol.send_text(message.take(), fin=message.size_bytes == 0)
                self._socket.send_data()
                while self._open and message.size_bytes:
                    await asyncio.sleep(0)  # it is written at the end of a turn
                    await self._socket.drain()
                    self._socket.protocol.send_continuation(message.take(), fin=message.size_bytes == 0)
                    self._socket.send_data()
            except (InvalidState, OSError):  # as in _write
                self._open = False
            finally:
                behind, self._behind, self._behind_bytes = self._behind, None, 0
                self._open = self._open and message.size_bytes == 0  # nothing can follow half a message
                for payload in behind:
                    self._write(payload)

    @property
    def is_in_long_message(self) -> bool:
        """Whether part of a message has been written, and the rest waits for the peer."""
        return self._behind is not None

    def _put_behind(self, behind: list[bytes], payload: bytes) -> None:
        behind.append(payload)
        self._behind_bytes += len(payload)
        if self._behind_bytes > MAX_UNSENT_BYTES:
            peer = self.session.address
            logger.warning("%s does not read: cut off with more than %d bytes unsent", peer, MAX_UNSENT_BYTES)
            self.abort()

    def _write(self, payload: bytes) -> None:
        if not self._open:
            return
        if self._behind is not None:
            self._put_behind(self._behind, payload)
            return
        try:  # not the library's send(), which waits for the peer: what waits for it is bounded in Socket
            self._socket.protocol.send_text(payload)
            self._socket.send_data()
        except (InvalidState, OSError):  # the closing handshake has begun: whatever is still due is lost
            self._open = False
