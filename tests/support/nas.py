"""A look into the NAS over its own websocket, and a relay in between that sees and holds the driver's calls."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.support.processes import API_KEY

ROOT = "tank/csi"
# Everything that a volume or a snapshot may consist of: what is listed here after a teardown has leaked.
_INVENTORY: tuple[tuple[str, list[Any]], ...] = (
    ("pool.dataset", [["id", "^", f"{ROOT}/"]]),
    ("pool.snapshot", [["dataset", "^", ROOT]]),
    ("sharing.nfs", []),
    ("iscsi.target", []),
    ("iscsi.extent", []),
    ("iscsi.targetextent", []),
    ("nvmet.subsys", []),
    ("nvmet.namespace", []),
)
_VOLUME_NAMESPACES = ("pool.", "sharing.", "iscsi.", "nvmet.", "zfs.", "replication.")


class Nas:
    """A minimal JSON-RPC client, one call at a time. Use as `async with Nas(port) as nas`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._calls = 0
        self._stack = AsyncExitStack()
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        url = f"ws://127.0.0.1:{self._port}/api/current"
        self._socket = await self._stack.enter_async_context(connect(url, proxy=None, max_size=None))
        assert await self.call("auth.login_with_api_key", API_KEY) is True
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def call(self, method: str, *params: Any) -> Any:
        assert self._socket is not None
        self._calls += 1
        await self._socket.send(
            json.dumps({"jsonrpc": "2.0", "id": self._calls, "method": method, "params": list(params)})
        )
        while (answer := json.loads(await self._socket.recv())).get("id") != self._calls:
            continue
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    async def inventory(self) -> dict[str, list[str]]:
        """Names or ids of all objects that belong to volumes, without the kinds of which there is none."""
        found = {}
        for namespace, filters in _INVENTORY:
            rows = await self.call(f"{namespace}.query", filters, {})
            if rows:
                found[namespace] = [str(row.get("name", row.get("path", row["id"]))) for row in rows]
        return found


async def _pass() -> None:
    return None


class Relay:
    """Stands between driver and NAS. `on_request` and `on_reply` run before a message is passed on, and may wait.

    Both get (ordinal, method), where the ordinal counts the calls about volumes since the last `reset`; logins,
    pings and subscriptions are passed on unseen.
    """

    def __init__(self, nas_port: int) -> None:
        self._url = f"ws://127.0.0.1:{nas_port}/api/current"
        self._server: Server | None = None
        self._held: set[asyncio.Task[None]] = set()
        self.calls: list[str] = []
        self.on_request: Callable[[int, str], Awaitable[None]] = lambda _ordinal, _method: _pass()
        self.on_reply: Callable[[int, str], Awaitable[None]] = lambda _ordinal, _method: _pass()

    def reset(self) -> None:
        """Forget the calls seen, and let everything pass."""
        self.calls = []
        self.on_request = self.on_reply = lambda _ordinal, _method: _pass()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._server = await serve(self._serve, "127.0.0.1", 0, max_size=None, compression=None)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        for task in list(self._held):
            task.cancel()
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, near: ServerConnection) -> None:
        async with connect(self._url, proxy=None, max_size=None, compression=None) as far:
            waiting: dict[Any, tuple[int, str]] = {}
            pumps = [
                asyncio.create_task(self._requests(near, far, waiting)),
                asyncio.create_task(self._replies(far, near, waiting)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)

    async def _requests(
        self, near: ServerConnection, far: ClientConnection, waiting: dict[Any, tuple[int, str]]
    ) -> None:
        async for text in near:
            message = json.loads(text)
            method = message["method"]
            if not method.startswith(_VOLUME_NAMESPACES):
                await far.send(text)
                continue
            ordinal = len(self.calls)
            self.calls.append(method)
            waiting[message["id"]] = (ordinal, method)
            self._pass_on(self.on_request(ordinal, method), far, text)

    async def _replies(
        self, far: ClientConnection, near: ServerConnection, waiting: dict[Any, tuple[int, str]]
    ) -> None:
        async for text in far:
            call = waiting.pop(json.loads(text).get("id"), None)
            if call is None:
                await near.send(text)
            else:
                self._pass_on(self.on_reply(*call), near, text)

    def _pass_on(self, hook: Awaitable[None], to: ClientConnection | ServerConnection, text: str | bytes) -> None:
        async def later() -> None:
            await hook
            try:
                await to.send(text)
            except ConnectionClosed:
                return  # the peer left while its message was held

        task = asyncio.create_task(later())
        self._held.add(task)
        task.add_done_callback(self._held.discard)
