"""The part of a simulated loop that asyncio's streams and the websockets library open connections with."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from csisim.sim.listener import SimServer
from csisim.sim.network import HOST, LOCALHOST, Network
from csisim.sim.transport import SimTransport

if TYPE_CHECKING:
    from csisim.sim.network import Address

P = TypeVar("P", bound=asyncio.BaseProtocol)

# Options of real sockets that change nothing here.
_WITHOUT_EFFECT = frozenset({
    "family", "proto", "flags", "local_addr", "server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout",
    "happy_eyeballs_delay", "interleave", "all_errors", "backlog", "reuse_address", "reuse_port", "keep_alive",
    "start_serving", "cleanup_socket",
})  # fmt: skip


class LoopNetwork:
    """A mixin for the loop."""

    network: Network

    def refuse(self, what: str) -> NoReturn:
        """Fail the run."""
        raise NotImplementedError(what)

    async def create_connection(
        self,
        protocol_factory: Callable[[], P],
        host: str | None = None,
        port: int | None = None,
        **options: Any,
    ) -> tuple[SimTransport, P]:
        """See asyncio."""
        self._check(options)
        if port is None:
            raise ValueError("host and port was not specified and no sock specified")
        return await self.network.connect(protocol_factory, (self.network.resolve(host) or LOCALHOST, int(port)))

    async def create_unix_connection(
        self, protocol_factory: Callable[[], P], path: "str | os.PathLike[str] | None" = None, **options: Any
    ) -> tuple[SimTransport, P]:
        """See asyncio."""
        self._check(options)
        if path is None:
            raise ValueError("no path and sock were specified")
        return await self.network.connect(protocol_factory, os.fspath(path))

    async def create_server(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | Iterable[str] | None = None,
        port: int | None = None,
        **options: Any,
    ) -> SimServer:
        """See asyncio; without a host it listens on every address."""
        self._check(options)
        hosts = [host] if host is None or isinstance(host, str) else list(host)
        addresses: list[Address] = []
        for each in hosts:
            address = self.network.resolve(each)
            addresses.append(("" if address == "0.0.0.0" else address, port or 0))  # noqa: S104 - compared, not bound
        return self._serve(protocol_factory, addresses, socket.AF_INET)

    async def create_unix_server(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        path: "str | os.PathLike[str] | None" = None,
        **options: Any,
    ) -> SimServer:
        """See asyncio."""
        self._check(options)
        if path is None:
            raise ValueError("path was not specified, and no sock specified")
        return self._serve(protocol_factory, [os.fspath(path)], socket.AF_UNIX)

    async def getaddrinfo(self, host: Any, port: Any, **_options: Any) -> list[Any]:
        """The addresses that the network knows.

        Raises:
            socket.gaierror: there is no such name.
        """
        address = self.network.resolve(host) or LOCALHOST
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, int(port or 0)))]

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:  # noqa: ARG002 - asyncio's
        """The address itself: nothing is looked up."""
        return str(sockaddr[0]), str(sockaddr[1])

    def _serve(self, factory: Callable[[], asyncio.BaseProtocol], addresses: "list[Address]", family: int) -> SimServer:
        first = addresses[0]
        host = first[0] if isinstance(first, tuple) and first[0] else HOST.get()
        return SimServer(self, factory, addresses, family, host)  # type: ignore[arg-type] # mixed into one

    def _check(self, options: dict[str, Any]) -> None:
        if options.get("sock") is not None:
            self.refuse("a real socket was given: its bytes would not pass through the simulation")
        if options.get("ssl"):
            self.refuse("TLS draws entropy of its own, so no two runs are equal: simulate ws://, test wss:// for real")
        unknown = options.keys() - _WITHOUT_EFFECT - {"sock", "ssl"}
        if unknown:
            raise TypeError(f"unexpected keyword arguments: {', '.join(sorted(unknown))}")
