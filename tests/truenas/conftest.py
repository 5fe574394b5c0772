"""A NAS that does what a test tells it: real sockets, scripted answers."""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from csisim.truenas.client import NasClient, NasSettings

SERVER_LOG = logging.getLogger("tests.scripted_nas")
SERVER_LOG.setLevel(logging.WARNING)  # frames that the server side logs are not what is tested

API_KEY = "1-0123456789abcdefghijklmnopqrstuvwxyz"

SHORT = NasSettings(
    url="ws://127.0.0.1:1/api/current",
    api_key=API_KEY,
    call_timeout_s=5.0,
    job_timeout_s=5.0,
    connect_timeout_s=2.0,
    wait_connected_s=2.0,
    close_timeout_s=0.5,
    backoff_s=0.01,
    backoff_max_s=0.05,
    backoff_refused_s=0.02,
    stable_s=0.05,
    landing_s=0.05,
    job_poll_s=0.05,
)


@dataclass
class Call:
    """One request as it arrived, with the ways to answer it."""

    socket: ServerConnection
    id: Any
    method: str
    params: list[Any]

    async def reply(self, result: Any) -> None:
        await self.raw({"jsonrpc": "2.0", "result": result, "id": self.id})

    async def error(self, code: int, message: str = "Method call error", data: Any = None) -> None:
        error = {"code": code, "message": message} | ({} if data is None else {"data": data})
        await self.raw({"jsonrpc": "2.0", "error": error, "id": self.id})

    async def refuse(self, number: int, reason: str) -> None:
        await self.error(-32001, data={"error": number, "errname": "", "reason": reason, "trace": None, "extra": None})

    async def event(self, fields: dict[str, Any], msg: str = "changed") -> None:
        params = {"msg": msg, "collection": "core.get_jobs", "id": fields["id"], "fields": fields}
        await self.raw({"jsonrpc": "2.0", "method": "collection_update", "params": params})

    async def raw(self, message: Any) -> None:
        await self.socket.send(message if isinstance(message, str) else json.dumps(message))

    def cut(self) -> None:
        """Reset the connection without a word."""
        self.socket.transport.abort()


Handler = Callable[[Call], Awaitable[None]]


async def echo(call: Call) -> None:
    await call.reply(call.params)


@dataclass
class ScriptedNas:
    """Answers calls by `handlers`, others with their own params; only after the login, as the real one does."""

    port: int = 0
    api_key: str = API_KEY
    handlers: dict[str, Handler] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    sockets: list[ServerConnection] = field(default_factory=list)
    logged_in: set[ServerConnection] = field(default_factory=set)
    login_answers: list[Any] = field(default_factory=list)
    unanswered: asyncio.Queue[Call] = field(default_factory=asyncio.Queue)
    server: Server | None = None

    async def start(self) -> "ScriptedNas":
        self.server = await serve(
            self._talk, "127.0.0.1", self.port, ping_interval=None, close_timeout=0.2, logger=SERVER_LOG
        )
        self.port = next(iter(self.server.sockets)).getsockname()[1]
        return self

    async def stop(self) -> None:
        """Stop listening and cut all connections."""
        server, self.server = self.server, None
        if server is not None:
            for socket in self.sockets:
                socket.transport.abort()
            server.close()
            await server.wait_closed()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/api/current"

    def methods(self) -> list[str]:
        return [call.method for call in self.calls]

    async def hold(self, call: Call) -> None:
        """A handler that answers nothing; the test takes the call from `unanswered`."""
        self.unanswered.put_nowait(call)

    def forget_logins(self) -> None:
        """What a restart of the middleware behind its proxy does: sockets stay, sessions go."""
        self.logged_in.clear()

    def freeze(self) -> None:
        """Half-open: the peers stay connected, nothing is read or answered any more."""
        for socket in self.sockets:
            if not socket.transport.is_closing():
                socket.transport.pause_reading()

    async def _talk(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        tasks: list[asyncio.Task[None]] = []
        try:
            async for text in socket:
                message = json.loads(text)
                call = Call(socket, message["id"], message["method"], message.get("params", []))
                self.calls.append(call)
                tasks.append(asyncio.create_task(self._answer(call)))
        except ConnectionClosed:
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, call: Call) -> None:
        if call.method == "auth.login_with_api_key":
            await self._login(call)
        elif call.socket not in self.logged_in:
            await call.refuse(207, "[ENOTAUTHENTICATED] Not authenticated")
        elif call.method == "core.subscribe" and call.method not in self.handlers:
            await call.reply("subscription-1")
        else:
            await self.handlers.get(call.method, echo)(call)

    async def _login(self, call: Call) -> None:
        answer = self.login_answers.pop(0) if self.login_answers else call.params == [self.api_key]
        if callable(answer):
            await answer(call)
            return
        if answer is True:
            self.logged_in.add(call.socket)
        await call.reply(answer)


@pytest.fixture
async def nas() -> AsyncIterator[ScriptedNas]:
    scripted = await ScriptedNas().start()
    yield scripted
    await scripted.stop()


Connected = Callable[..., Awaitable[NasClient]]


@pytest.fixture
async def new_client(nas: ScriptedNas) -> AsyncIterator[Connected]:
    """Makes started clients of the scripted NAS; keyword arguments change settings."""
    async with AsyncExitStack() as stack:

        async def make(*, wait: bool = True, **changes: Any) -> NasClient:
            client = NasClient(replace(SHORT, **({"url": nas.url} | changes)), rng=random.Random(7))
            stack.push_async_callback(client.close)
            await client.start()
            if wait:
                assert await client.wait_connected(5.0)
            return client

        yield make


@pytest.fixture
async def client(new_client: Connected) -> NasClient:
    return await new_client()
