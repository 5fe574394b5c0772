"""A small JSON-RPC client over a real socket, and how its tests make a NAS."""

import asyncio
import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection

from fake_truenas import Nas, NasConfig, Pool, jsonrpc
from fake_truenas.session import Session

KEY = "1-" + "k" * 64
GIB = 1 << 30


class RpcError(Exception):
    """An error reply."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']} {error['message']} {error.get('data', {}).get('reason')}")
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: dict[str, Any] = error.get("data", {})

    @property
    def reason(self) -> str:
        return str(self.data["reason"])

    @property
    def items(self) -> list[tuple[Any, ...]]:
        """The triples of a validation error."""
        return [tuple(item) for item in self.data["extra"]]


class Client:
    """Calls methods and collects notifications; replies are matched by id."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._ids = itertools.count(1)
        self._pending: dict[Any, asyncio.Future[Any]] = {}
        self._reader = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        async for text in self.socket:
            message = orjson.loads(text)
            if "method" in message:
                self.events.put_nowait(message)
            else:
                self._pending.pop(message["id"]).set_result(message)

    async def start(self, method: str, *params: Any) -> "asyncio.Future[Any]":
        """Send a call; the future gives the whole reply."""
        request_id = next(self._ids)
        future = asyncio.get_running_loop().create_future()
        self._pending[request_id] = future
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": list(params)}
        await self.socket.send(orjson.dumps(message).decode())
        return future

    async def call(self, method: str, *params: Any) -> Any:
        """Call and wait for the result."""
        reply = await (await self.start(method, *params))
        if "error" in reply:
            raise RpcError(reply["error"])
        return reply["result"]

    async def refused(self, method: str, *params: Any) -> RpcError:
        """Call something that must be refused; gives the error."""
        with pytest.raises(RpcError) as caught:
            await self.call(method, *params)
        return caught.value

    async def close(self) -> None:
        await self.socket.close()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)


class Wire:
    """Stands where a connection stands: keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def notify(self, method: str, params: dict[str, Any]) -> None:
        self.sent.append(orjson.loads(jsonrpc.notification(method, params))["params"])


def listener(name: str) -> tuple[Session, Wire]:
    wire = Wire()
    return Session(name, wire), wire  # type: ignore[arg-type]


class Clock:
    """Wall time that stands still unless moved."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def make_nas(data_dir: Path | None = None, clock: Callable[[], float] | None = None, **options: Any) -> Nas:
    config = NasConfig(
        pools=options.pop("pools", (Pool("tank", 1 << 40),)),
        api_key=KEY,
        data_dir=data_dir,
        login_failure_delay_s=(0.0, 0.0),
    )
    return Nas(config, rng=random.Random(7), clock=clock or Clock(), **options)
