"""What is below the JSON-RPC client: a NAS of any release on a port, bare sockets, and the legacy protocol."""

import asyncio
import itertools
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Any, Self

import orjson
from websockets.asyncio.client import ClientConnection, connect

from fake_truenas import Nas, NasConfig
from fake_truenas.server import Server
from tests.fake_truenas.rpc import KEY, Client, Clock


@asynccontextmanager
async def serving(ssl: SSLContext | None = None, **settings: Any) -> AsyncIterator[tuple[Nas, Server]]:
    """A NAS with these settings (`NasConfig`) on a port of the loopback."""
    config = NasConfig(api_key=KEY, login_failure_delay_s=(0.0, 0.0), **settings)
    nas = Nas(config, rng=random.Random(7), clock=Clock())
    server = await nas.serve("127.0.0.1", 0, ssl)
    try:
        yield nas, server
    finally:
        await server.close()
        nas.close()


def address(server: Server, path: str) -> str:
    """Where the server has this path."""
    return server.url.removesuffix("/api/current").removesuffix("/websocket") + path


@asynccontextmanager
async def dialled(url: str, *, login: bool = True, **options: Any) -> AsyncIterator[Client]:
    """A JSON-RPC client."""
    client = Client(await connect(url, proxy=None, max_size=None, ping_interval=None, **options))
    try:
        if login:
            assert await client.call("auth.login_with_api_key", KEY) is True
        yield client
    finally:
        await client.close()


async def get(server: Server, path: str) -> tuple[int, dict[str, str], bytes]:
    """One plain HTTP request; gives status, headers and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: nas\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), {key.lower(): value for key, value in (line.split(": ", 1) for line in lines)}, body


class Raw:
    """A websocket without a library: sends any bytes, and reads only when told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, path: str = "/api/current", receive_buffer_bytes: int | None = None) -> Self:
        """Connect and shake hands."""
        kernel = socket.socket()
        if receive_buffer_bytes is not None:
            kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        kernel.setblocking(False)
        await asyncio.get_running_loop().sock_connect(kernel, ("127.0.0.1", port))
        raw = cls(*await asyncio.open_connection(sock=kernel, limit=1 << 12))
        raw.writer.write(
            f"GET {path} HTTP/1.1\r\nHost: nas\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        assert (await raw.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        return raw

    def send(self, payload: bytes, *, opcode: int = 1, fin: bool = True) -> None:
        """Write one frame."""
        self.writer.write(frame(payload, opcode=opcode, fin=fin))

    async def receive(self) -> tuple[int, bytes]:
        """Read one frame: its opcode and payload."""
        first, second = await self.reader.readexactly(2)
        length = second & 0x7F
        if length > 125:
            length = int.from_bytes(await self.reader.readexactly(2 if length == 126 else 8), "big")
        return first & 0x0F, await self.reader.readexactly(length)

    async def ended(self) -> int | None:
        """Read to the end; gives the code of the close frame, or None if there was none."""
        try:
            while True:
                opcode, payload = await self.receive()
                if opcode == 8:
                    self.writer.close()
                    return int.from_bytes(payload[:2], "big")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def close(self) -> None:
        """Leave without a word."""
        self.writer.transport.abort()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


def frame(payload: bytes, *, opcode: int = 1, fin: bool = True) -> bytes:
    """A client's frame; its mask is all zeros, which leaves the payload as it is."""
    size = len(payload)
    head = bytes([(0x80 if fin else 0) | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += bytes([0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([0x80 | 127]) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


class LegacyClient:
    """The legacy protocol: one message at a time, each answer in turn."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self._ids = itertools.count(1)

    async def say(self, **message: Any) -> None:
        """Send a message."""
        await self.ws.send(orjson.dumps(message).decode())

    async def hear(self) -> dict[str, Any]:
        """Receive a message."""
        heard: dict[str, Any] = orjson.loads(await self.ws.recv())
        return heard

    async def ask(self, **message: Any) -> dict[str, Any]:
        """Send a message and receive the next one."""
        await self.say(**message)
        return await self.hear()

    async def call(self, method: str, *params: Any) -> Any:
        """Call a method that succeeds; what else arrives before its result is dropped."""
        request_id = f"c{next(self._ids)}"
        await self.say(msg="method", method=method, id=request_id, params=list(params))
        while (heard := await self.hear()).get("id") != request_id or heard["msg"] != "result":
            pass
        assert sorted(heard) == ["id", "msg", "result"], heard
        return heard["result"]

    async def refused(self, method: str, *params: Any) -> dict[str, Any]:
        """Call a method that is refused; gives the error."""
        heard = await self.ask(msg="method", method=method, id="refused", params=list(params))
        assert sorted(heard) == ["error", "id", "msg"], heard
        assert (heard["msg"], heard["id"]) == ("result", "refused")
        error: dict[str, Any] = heard["error"]
        return error


@asynccontextmanager
async def legacy(server: Server, *, login: bool = True) -> AsyncIterator[LegacyClient]:
    """A greeted legacy client."""
    async with connect(address(server, "/websocket"), proxy=None, max_size=None, ping_interval=None) as ws:
        client = LegacyClient(ws)
        assert (await client.ask(msg="connect", version="1", support=["1"], features=[]))["msg"] == "connected"
        if login:
            assert await client.call("auth.login_with_api_key", KEY) is True
        yield client
