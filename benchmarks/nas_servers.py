"""The fake NAS and its yardstick as processes, and a JSON-RPC client to them."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.nas_population import POOL
from benchmarks.servers import API_KEY, Usage, accepting, free_port, start, usage

# Servers write `id` last; a reply is not parsed to find it, because parsing costs the load generator more than sending.
_ID_AT_END = re.compile(rb'"id":(\d+)\}$')


class Refused(Exception):
    """The server answered with an error, or not at all; it ends the benchmark."""


class Client:
    """One websocket with many calls in flight."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[bytes]] = {}
        self._reader = asyncio.get_running_loop().create_task(self._read())
        self._reader.add_done_callback(self._ended)

    async def _read(self) -> None:
        while True:
            reply = await self.socket.recv(decode=False)
            found = _ID_AT_END.search(reply[-32:])
            if found is None:
                raise Refused(f"not the reply to a call: {reply[:200]!r}")
            self._pending.pop(int(found[1])).set_result(reply)

    def _ended(self, reader: asyncio.Task[None]) -> None:
        cause = None if reader.cancelled() else reader.exception()
        for future in self._pending.values():
            future.set_exception(Refused(f"the connection ended: {cause!r}"))
        self._pending.clear()

    async def call(self, method: str, *params: Any) -> bytes:
        """The reply's bytes.

        Raises:
            Refused: an error reply, or the connection ended.
        """
        request_id = next(self._ids)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._pending[request_id] = future
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        await self.socket.send(orjson.dumps(message), text=True)
        reply = await future
        if reply.startswith(b'{"jsonrpc":"2.0","error"'):
            raise Refused(f"{method}: {reply[:1000].decode()}")
        return reply

    async def result(self, method: str, *params: Any) -> Any:
        """The result, parsed."""
        return orjson.loads(await self.call(method, *params))["result"]

    async def close(self) -> None:
        """Close the websocket."""
        self._reader.cancel()
        await self.socket.close()


@dataclass(frozen=True, slots=True)
class NasTarget:
    """A server to measure.

    Attributes:
        name: in tables and messages.
        pid: its process.
        client: connected, and logged in where there is a login.
        started_s: from the start of the process to the first connection that it took.
    """

    name: str
    pid: int
    client: Client
    started_s: float

    def usage(self) -> Usage:
        """CPU time and peak memory so far."""
        return usage(self.pid)


@asynccontextmanager
async def bare(work: Path, name: str = "bare") -> AsyncIterator[NasTarget]:
    """The yardstick."""
    async with _serving(work, name, ["benchmarks.nas_bare"]) as target:
        yield target


@asynccontextmanager
async def nas(work: Path, name: str, data_dir: Path | None = None) -> AsyncIterator[NasTarget]:
    """A fake NAS: in memory, or on a data directory."""
    arguments = [
        "fake_truenas",
        "--pool",
        f"{POOL.name}:{POOL.size_bytes}",
        "--api-key",
        API_KEY,
        "--idle-timeout",
        "0",
    ]
    async with _serving(work, name, arguments + ([] if data_dir is None else [f"--data-dir={data_dir}"])) as target:
        await target.client.call("auth.login_with_api_key", API_KEY)
        yield target


@asynccontextmanager
async def _serving(work: Path, name: str, arguments: list[str]) -> AsyncIterator[NasTarget]:
    async with AsyncExitStack() as stack:
        address = f"127.0.0.1:{free_port()}"
        begins = perf_counter()
        process = await start(stack, work, name, [*arguments, f"--listen={address}"])
        await accepting(address, process, work / f"{name}.log")
        started_s = perf_counter() - begins
        url = f"ws://{address}/api/current"
        socket = await connect(url, proxy=None, compression=None, ping_interval=None, max_size=None)
        client = Client(socket)
        stack.push_async_callback(client.close)
        yield NasTarget(name, process.pid, client, started_s)
