"""The NAS on a port: websocket connections at /api/current, on plain asyncio.

Limits as of TrueNAS 25.10: per connection ten calls run and ten wait, the next is refused; messages are at most 8192
characters
long before the login and 65536 after it. Each call is its own task; replies leave as calls end.
"""

import asyncio
import logging
import socket
import struct
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidState
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response
from websockets.protocol import SEND_EOF

from fake_truenas import jsonrpc
from fake_truenas.errors import ApiError, TooManyCalls, Unexpected
from fake_truenas.idle_cut import IdleCut
from fake_truenas.nas import NO_REPLY, Call

if TYPE_CHECKING:
    from fake_truenas.nas import Nas

MAX_RUNNING = 10
MAX_WAITING = 10
MAX_CHARS_ANONYMOUS = 8192
MAX_CHARS = 65536
_MAX_FRAME_BYTES = 4 * (1 << 20)
_HIGH_WATER_BYTES = 1 << 20
API_VERSIONS = ("25.04.0", "25.04.1", "25.04.2", "25.10.0", "25.10.1", "25.10.2", "25.10.3", "25.10.4", "25.10.5")

logger = logging.getLogger(__name__)


class Socket(ServerConnection):
    """The library's connection, writing once per turn of the loop: system calls cost more than what they carry."""

    _write_due = False
    idle: IdleCut | None = None

    def send_data(self) -> None:
        """Write what the protocol has, at the end of this turn."""
        if not self._write_due:
            self._write_due = True
            self.loop.call_soon(self._write_now)

    def _write_now(self) -> None:
        self._write_due = False
        if self.idle is not None:
            self.idle.written()
        frames = self.protocol.writes
        if len(frames) > 1 and SEND_EOF not in frames:
            self.protocol.writes = [b"".join(frames)]
        super().send_data()


class Connection:
    """One websocket: reads calls, bounds how many run, writes replies. Its session says who is logged in."""

    def __init__(self, nas: "Nas", connection: ServerConnection) -> None:
        self._nas = nas
        self._socket = connection
        self._running = 0
        self._waiting: deque[jsonrpc.Request] = deque()
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._open = True
        self.session = nas.open_session(self)
        peer = connection.remote_address
        if isinstance(peer, tuple) and len(peer) >= 2:  # nothing on a simulated network
            self.session.address, self.session.port = str(peer[0]), int(peer[1])

    async def run(self) -> None:
        """Read until the connection ends."""
        try:
            async for message in self._socket:
                if isinstance(message, bytes):
                    await self.close(1003, "Binary messages are not supported")
                    break
                limit = MAX_CHARS_ANONYMOUS if self.session.username is None else MAX_CHARS
                if len(message) > limit:
                    await self._refuse_length()
                    break
                self._receive(message)
        except ConnectionClosed:
            pass  # without a close frame: the usual end of a client that was killed
        finally:
            self._open = False
            self._waiting.clear()  # calls that have not begun never will; those running complete
            self._nas.end_session(self.session)

    async def close(self, code: int, reason: str) -> None:
        """Close with a close frame."""
        self._open = False
        await self._socket.close(code, reason)

    def abort(self) -> None:
        """Cut the TCP connection at once with a reset, without a close frame; what was not sent yet is lost."""
        self._open = False
        transport = self._socket.transport
        kernel_socket = transport.get_extra_info("socket")
        if kernel_socket is not None:  # absent on simulated networks
            kernel_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    def cancel_calls(self) -> None:
        """Cancel the calls that still run: the NAS is closing."""
        self._waiting.clear()
        for task in list(self._tasks):
            task.cancel()

    def send_soon(self, payload: bytes) -> None:
        """Send a notification; one that can no longer be sent is lost."""
        self._write(payload)

    async def _refuse_length(self) -> None:
        if self.session.username is None:
            await self.close(1007, "Anonymous connection max message length is 8 kB")
        else:
            await self.close(1009, "Max message length is 64 kB")

    def _receive(self, text: str) -> None:
        request = jsonrpc.parse(text)
        if isinstance(request, jsonrpc.Refusal):
            if request.reply is not None:
                self._write(request.reply)
        elif self._running < MAX_RUNNING:
            self._start(request)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append(request)
        elif request.wants_reply:
            self._write(jsonrpc.refusal_reply(request.id, TooManyCalls()))

    def _start(self, request: jsonrpc.Request) -> None:
        self._running += 1
        task = self._loop.create_task(self._answer(request))
        self._tasks[task] = None
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        self._running -= 1
        if self._waiting:
            self._start(self._waiting.popleft())

    async def _answer(self, request: jsonrpc.Request) -> None:
        try:
            result = await self._perform(request)
            if result is NO_REPLY:
                return
            reply = jsonrpc.result_reply(request.id, result)
        except ApiError as error:
            reply = jsonrpc.refusal_reply(request.id, error)
        except Exception as error:
            logger.exception("%s failed unexpectedly", request.method)
            reply = jsonrpc.refusal_reply(request.id, Unexpected(error))
        if request.wants_reply:
            self._write(reply)

    async def _perform(self, request: jsonrpc.Request) -> Any:
        nas, session = self._nas, self.session
        if nas.intercept is None:
            return await nas.apply(session, request.method, request.params, request.id)

        async def proceed() -> Any:
            return await nas.apply(session, request.method, request.params, request.id)

        return await nas.intercept(Call(request.method, request.params, request.id, session, self), proceed)

    def _write(self, payload: bytes) -> None:
        if not self._open:
            return
        connection = self._socket
        # websockets' own send() waits for the peer; replies are bounded by the calls in flight, so this need not.
        if connection.transport.get_write_buffer_size() > _HIGH_WATER_BYTES:
            task = self._loop.create_task(self._write_slowly(payload))
            self._tasks[task] = None
            task.add_done_callback(self._tasks.pop)
            return
        try:
            connection.protocol.send_text(payload)
            connection.send_data()
        except (InvalidState, OSError):  # the closing handshake has begun: whatever is still due is lost
            self._open = False

    async def _write_slowly(self, payload: bytes) -> None:
        try:
            await self._socket.send(payload, text=True)
        except ConnectionClosed:
            self._open = False


class Server:
    """A listening port. Closing it never waits for a call: those still running are cancelled."""

    def __init__(self, nas: "Nas") -> None:
        self._nas = nas
        self._connections: dict[Connection, None] = {}
        self._listener: WebSocketServer | None = None
        self.host = ""
        self.port = 0

    @classmethod
    async def start(cls, nas: "Nas", host: str, port: int) -> "Server":
        """Listen.

        Raises:
            OSError: the address is in use or not ours.
        """
        server = cls(nas)
        server._listener = await serve(
            server._handle,
            host,
            port,
            create_connection=Socket,
            process_request=server._route,
            compression=None,
            ping_interval=None,  # the middleware sends no pings of its own
            max_size=_MAX_FRAME_BYTES,
            server_header="TrueNAS",
            close_timeout=1,
        )
        server.host, server.port = host, next(iter(server._listener.sockets)).getsockname()[1]
        return server

    @property
    def url(self) -> str:
        """Where clients connect."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self.port}/api/current"

    async def close(self) -> None:
        """Stop listening and end all connections with 1001. May be called twice."""
        for connection in list(self._connections):
            connection.cancel_calls()
        if self._listener is not None:
            self._listener.close()
            await self._listener.wait_closed()

    async def drop_connections(self, code: int | None = None) -> None:
        """End all connections: abruptly like a TCP reset, or with a close code."""
        for connection in list(self._connections):
            if code is None:
                connection.abort()
            else:
                await connection.close(code, "")

    async def _handle(self, websocket: ServerConnection) -> None:
        connection = Connection(self._nas, websocket)
        self._connections[connection] = None
        idle = self._watch(websocket)
        try:
            await connection.run()
        finally:
            del self._connections[connection]
            if idle is not None:
                idle.stop()

    def _watch(self, websocket: ServerConnection) -> IdleCut | None:
        timeout_s = self._nas.config.idle_timeout_s
        if timeout_s is None or not isinstance(websocket, Socket):
            return None
        websocket.idle = IdleCut(asyncio.get_running_loop(), timeout_s, websocket.transport.abort)
        return websocket.idle

    def _route(self, websocket: ServerConnection, request: HttpRequest) -> Response | None:
        path = request.path.partition("?")[0]
        if path == "/api/current" or path.removeprefix("/api/v") in API_VERSIONS:
            return None
        if path == "/api/versions":
            return _json(orjson.dumps([f"v{version}" for version in API_VERSIONS]))
        if path == "/api/boot_id":
            return _json(orjson.dumps(self._nas.boot_id))
        return websocket.respond(HTTPStatus.NOT_FOUND, "Not found\n")


def _json(body: bytes) -> Response:
    headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"})
    return Response(200, "OK", headers, body)
