"""The NAS on a port, on plain asyncio: which path is served how, and to whom.

| path | |
|---|---|
| /api/current, /api/v25.10.5 and so on | JSON-RPC, from 25.04 on; all with the schema of the release that is played |
| /api/versions, /api/boot_id | plain HTTP, from 25.04 on |
| /websocket | the legacy protocol |
| everything else | 404 |
"""

import asyncio
import ssl as tls
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING

import orjson
from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response

from fake_truenas.connection import Connection, Socket
from fake_truenas.idle_cut import IdleCut

if TYPE_CHECKING:
    from fake_truenas.nas import Nas

LEGACY_PATH = "/websocket"
CURRENT_PATH = "/api/current"
_MAX_FRAME_BYTES = 4 << 20
_BACKLOG = 1024


class Server:
    """A listening port. Closing it never waits for a call: those still running are cancelled.

    Attributes:
        middleware_down: while it is true every HTTP request is answered as by the proxy of a NAS whose middleware is
            not there, with 502 or with the status given (504). Connections that exist are not touched.
    """

    def __init__(self, nas: "Nas") -> None:
        self._nas = nas
        self._connections: dict[Connection, None] = {}
        self._listener: WebSocketServer | None = None
        self._scheme = "ws"
        self.middleware_down: bool | HTTPStatus = False
        self.host = ""
        self.port = 0

    @classmethod
    async def start(cls, nas: "Nas", host: str, port: int, ssl: tls.SSLContext | None = None) -> "Server":
        """Listen; with `ssl` for TLS only.

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
            server_header="nginx",
            close_timeout=1,
            ssl=ssl,
            backlog=_BACKLOG,
        )
        server.host, server.port = host, next(iter(server._listener.sockets)).getsockname()[1]
        server._scheme = "ws" if ssl is None else "wss"
        return server

    @property
    def url(self) -> str:
        """Where clients connect."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = CURRENT_PATH if self._nas.persona.json_rpc else LEGACY_PATH
        return f"{self._scheme}://{host}:{self.port}{path}"

    async def close(self) -> None:
        """Stop listening and end all connections with 1001. May be called twice."""
        for connection in list(self._connections):
            connection.cancel_calls()
        if self._listener is not None:
            self._listener.close()
            await self._listener.wait_closed()

    def close_connections_soon(self, code: int) -> None:
        """Begin to end all connections with a close code."""
        for connection in list(self._connections):
            connection.close_soon(code)

    def kill(self) -> None:
        """End all connections with a reset and cancel their calls, as kill -9 does."""
        for connection in list(self._connections):
            connection.cancel_calls()
            connection.abort()

    async def drop_connections(self, code: int | None = None) -> None:
        """End all connections: abruptly like a TCP reset, or with a close code."""
        connections = list(self._connections)
        if code is not None:
            await asyncio.gather(*(connection.close(code, "") for connection in connections))
            return
        for connection in connections:
            connection.abort()

    async def _handle(self, websocket: ServerConnection) -> None:
        if not self._allowed(websocket):
            await websocket.close(1008, "You are not allowed to access this resource")
            return
        legacy = websocket.request is not None and _path(websocket.request) == LEGACY_PATH
        connection = Connection(self._nas, websocket, legacy=legacy)
        self._connections[connection] = None
        idle = self._watch(websocket)
        try:
            await connection.run()
            if idle is not None:
                idle.stop()
            await connection.quiet()  # until then it is one of those whose calls end with the server
        finally:
            del self._connections[connection]
            if idle is not None:
                idle.stop()

    def _allowed(self, websocket: ServerConnection) -> bool:
        networks, peer = self._nas.config.allow, websocket.remote_address
        if not networks or not isinstance(peer, tuple):  # what does not come over a network is always let in
            return True
        address = ip_address(peer[0])
        return any(address in network for network in networks)

    def _watch(self, websocket: ServerConnection) -> IdleCut | None:
        timeout_s = self._nas.config.idle_timeout_s
        if timeout_s is None or not isinstance(websocket, Socket):
            return None
        websocket.idle = IdleCut(asyncio.get_running_loop(), timeout_s, websocket.transport.abort)
        return websocket.idle

    def _route(self, websocket: ServerConnection, request: HttpRequest) -> Response | None:
        if self.middleware_down:
            status = HTTPStatus.BAD_GATEWAY if self.middleware_down is True else HTTPStatus(self.middleware_down)
            return websocket.respond(status, f"{status.value} {status.phrase}\n")
        path, persona = _path(request), self._nas.persona
        if path == LEGACY_PATH:
            return None
        if persona.json_rpc:
            if path == CURRENT_PATH or path.removeprefix("/api/") in persona.api_versions:
                return None
            if path == "/api/versions":
                return _json(orjson.dumps(persona.api_versions))
            if path == "/api/boot_id":
                return _json(orjson.dumps(self._nas.boot_id))
        return websocket.respond(HTTPStatus.NOT_FOUND, "404 Not Found\n")


def _path(request: HttpRequest) -> str:
    return request.path.partition("?")[0]


def _json(body: bytes) -> Response:
    headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"})
    return Response(200, "OK", headers, body)
