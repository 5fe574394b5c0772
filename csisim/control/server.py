"""The control server: uvicorn's HTTP in the loop that is running, without its signal handlers, threads and polling."""

import asyncio
import socket
from types import TracebackType
from typing import Any, Self

import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from csisim.control.app import ControlApp
from csisim.control.controlled import Controlled
from csisim.control.options import ControlOptions

_GRACE_S = 1.0
_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]

_log = structlog.get_logger(__name__)


class ControlServer:
    """Serves the control API as long as it is entered: `async with ControlServer(controlled, options) as server`.

    Args:
        controlled: a driver or a proxy.
        options: where to listen, and bounds.

    Attributes:
        port: where it listens, once it does.
    """

    def __init__(self, controlled: Controlled, options: ControlOptions) -> None:
        self._controlled = controlled
        self._options = options
        self._state = ServerState()
        self._state.default_headers = list(_HEADERS)
        self._app: ControlApp
        self._server: asyncio.Server
        self.port = options.port

    @property
    def url(self) -> str:
        """For clients."""
        host = self._options.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Serve from now on.

        Raises:
            OSError: the address is taken, or not of this machine; the text says which.
        """
        listening = await self._listen()
        self.port = listening.getsockname()[1]
        self._app = ControlApp(self._controlled, self._options)
        config = uvicorn.Config(
            self._app.asgi, http=_protocol(self._options), ws="none", lifespan="off", interface="asgi3",
            log_config=None, access_log=False, proxy_headers=False, server_header=False, date_header=False,
        )  # fmt: skip
        config.load()

        def connected() -> asyncio.Protocol:
            made: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self._state, app_state={}
            )
            return made

        self._server = await asyncio.get_running_loop().create_server(connected, sock=listening)
        _log.info("Control", url=self.url)

    async def close(self) -> None:
        """End all streams, give running requests a moment, and stop."""
        self._server.close()
        self._app.close()
        for connection in tuple(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(tuple(self._state.tasks), timeout=_GRACE_S)
        for task in tuple(self._state.tasks):
            task.cancel()
        if self._state.tasks:
            await asyncio.wait(tuple(self._state.tasks))
        for connection in tuple(self._state.connections):
            transport: Any = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()  # a reader that takes nothing any more
        await self._server.wait_closed()

    async def _listen(self) -> socket.socket:
        options = self._options
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        host = "127.0.0.1" if options.host == "localhost" else options.host
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setblocking(False)
            listening.bind((host, options.port))
        except OSError as error:
            listening.close()
            reason = f"the control server cannot listen on {host}:{options.port}: {error.strerror}"
            raise OSError(reason) from error
        return listening


def _protocol(options: ControlOptions) -> type[H11Protocol]:
    """The library's HTTP connection, of which there are not too many, and none that never asks for anything."""

    class Bounded(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > options.max_connections:
                transport.abort()
                return
            asyncio.get_running_loop().call_later(options.read_timeout_s, self._unless_asked)

        def _unless_asked(self) -> None:
            cycle: object | None = self.cycle  # none before the first request
            if cycle is None:
                self.transport.abort()

    return Bounded
