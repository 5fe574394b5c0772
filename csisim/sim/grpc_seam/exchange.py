"""Which server listens at which address, and the ordered ways between a call's two ends."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from csisim.sim.grpc_seam.server import SimGrpcServer

_FIRST_PORT = 30_000
_FIRST_CALLER_PORT = 40_000


@dataclass(frozen=True, slots=True)
class Connection:
    """What all calls of one channel go over.

    Attributes:
        number: of the channel.
        peer: the caller's address, as gRPC shows it to handlers; callers of a Unix socket have none to tell them apart.
    """

    number: int
    peer: str


class Exchange:
    """The addresses of one simulated world.

    Args:
        latency_s: draws how long a message takes one way, in seconds; by default no time.
    """

    def __init__(self, latency_s: Callable[[], float] | None = None) -> None:
        self.latency_s = latency_s
        self._servers: dict[str, SimGrpcServer] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._next_port = _FIRST_PORT
        self._channels = 0
        self.calls = 0

    def bind(self, server: "SimGrpcServer", address: str) -> int:
        """Take an address for a server; gives its port, 1 for a Unix socket, as grpc.aio does.

        Raises:
            RuntimeError: another server has it.
        """
        host, _, port = address.rpartition(":")
        if not address.startswith("unix:") and port == "0":
            self._next_port += 1
            address = f"{host}:{self._next_port}"
        if normal(address) in self._servers:
            raise RuntimeError(f"Failed to bind to address {address}: a server listens there")
        self._servers[normal(address)] = server
        return 1 if address.startswith("unix:") else int(address.rpartition(":")[2])

    def connection(self, target: str) -> "Connection":
        """A new channel's; over TCP it has a port of its own."""
        self._channels += 1
        port = _FIRST_CALLER_PORT + self._channels
        return Connection(self._channels, "unix:" if target.startswith("unix:") else f"ipv4:127.0.0.1:{port}")

    def release(self, server: "SimGrpcServer") -> None:
        """The server listens no more."""
        self._servers = {address: known for address, known in self._servers.items() if known is not server}

    def started(self) -> None:
        """A server takes calls now: those that wait for one look again."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def server(self, target: str) -> "SimGrpcServer | None":
        """Who takes calls at an address."""
        found = self._servers.get(normal(target))
        return found if found is not None and found.is_serving else None

    async def change(self) -> None:
        """Wait until some server has been started."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future


@lru_cache(maxsize=256)
def normal(address: str) -> str:
    """`unix:///path` and `unix:/path` are one address, and so are `localhost` and 127.0.0.1."""
    if address.startswith("unix:"):
        return "unix:/" + address.removeprefix("unix:").lstrip("/")
    host, _, port = address.removeprefix("dns:").lstrip("/").rpartition(":")
    return f"{'127.0.0.1' if host == 'localhost' else host}:{port}"


class Way:
    """One direction of one call: what is sent arrives in order, each after a latency of its own.

    Args:
        exchange: draws the latencies.

    Attributes:
        is_silent: what is sent is lost.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._latency_s = exchange.latency_s
        self._loop = asyncio.get_running_loop()
        self._last_arrival = 0.0
        self._trace = getattr(self._loop, "trace", None)  # an ordinary loop has none
        self.is_silent = False

    def send(self, arrive: Callable[..., object], *args: Any) -> None:
        """Have `arrive` called at the other end."""
        if self.is_silent:
            return
        if self._trace is not None:
            body = args[0] if args else None
            self._trace.note_bytes("grpc", body if isinstance(body, bytes) else b"")
        if self._latency_s is None:
            self._loop.call_soon(arrive, *args)
            return
        self._last_arrival = max(self._last_arrival, self._loop.time() + self._latency_s())
        self._loop.call_at(self._last_arrival, arrive, *args)
