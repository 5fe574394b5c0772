"""The simulated network: what listens where, which ways are cut, and connections over in-memory transports.

A host is an address. Code runs on 127.0.0.1 unless the context variable HOST says otherwise.
"""

import asyncio
import errno
import os
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from csisim.sim.direction import Conditions, Direction
from csisim.sim.transport import SimSocket, SimTransport

if TYPE_CHECKING:
    from csisim.sim.listener import SimServer
    from csisim.sim.loop import SimLoop

__all__ = ["HOST", "LOCALHOST", "Conditions", "Link", "Network", "on_host"]

P = TypeVar("P", bound=asyncio.BaseProtocol)
Address: TypeAlias = tuple[str, int] | str

LOCALHOST = "127.0.0.1"
HOST: ContextVar[str] = ContextVar("host", default=LOCALHOST)

_FIRST_SERVED_PORT = 40_000
_FIRST_OUTGOING_PORT = 50_000
_PORTS = 10_000


@contextmanager
def on_host(address: str) -> Iterator[None]:
    """Everything started inside runs on this host: its connections come from there."""
    token = HOST.set(address)
    try:
        yield
    finally:
        HOST.reset(token)


class Link:
    """An established connection, to break it: `ends` are the client's and the server's transport.

    Attributes:
        name: its number and ports, as in the trace.
        hosts: the client's and the server's address.
    """

    def __init__(
        self,
        name: str,
        hosts: tuple[str, str],
        ways: tuple[Direction, Direction],
        ends: tuple[SimTransport, SimTransport],
    ) -> None:
        self.name = name
        self.hosts = hosts
        self.up, self.down = ways
        self.ends = ends

    @property
    def is_open(self) -> bool:
        """Whether an end still has it."""
        return not all(end.gone for end in self.ends)

    def reset(self) -> None:
        """Both ends get a reset now, as from a firewall."""
        for end in self.ends:
            if not end.gone:
                end.break_off(ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))

    def hold(self, *, up: bool = True, down: bool = True) -> None:
        """Swallow what is sent, from client to server and back, until `heal`; nobody is told."""
        self.up.held |= up
        self.down.held |= down

    def heal(self) -> None:
        """What was swallowed is sent again."""
        self.up.held = self.down.held = False
        self.up.go_on()
        self.down.go_on()


class Network:
    """What the loop's create_connection and create_server reach.

    Args:
        loop: the simulated one.
        conditions: of every way that `set_conditions` does not name.

    Attributes:
        names: host names and their addresses.
        links: connections that are open, the oldest first.
    """

    def __init__(self, loop: "SimLoop", conditions: Conditions) -> None:
        self.names: dict[str, str] = {"localhost": LOCALHOST}
        self._loop = loop
        self._conditions = conditions
        self._ways: dict[tuple[str, str], Conditions] = {}
        self._cuts: dict[tuple[str, str], None] = {}
        self._down: dict[str, None] = {}
        self._listeners: dict[Address, SimServer] = {}
        self._links: dict[int, Link] = {}
        self._numbers = 0
        self._healed: list[asyncio.Future[Any]] = []
        self._served_ports = 0
        self._outgoing_ports = 0

    # What is wrong with it

    def set_conditions(self, client: str, server: str, conditions: Conditions) -> None:
        """What the way between two hosts is like, for connections that begin from now on."""
        self._ways[client, server] = conditions

    def partition(self, one: str, other: str) -> None:
        """Nothing gets from one host to the other, in this direction; call it twice for both."""
        self._cuts[one, other] = None

    def heal(self) -> None:
        """No partition is left, and every connection goes on where it was."""
        self._cuts.clear()
        for link in self.links:
            link.heal()
        self._wake()

    def crash(self, address: str) -> None:
        """The host loses power: its connections are gone, and nobody is told, until `restart`; it listens nowhere."""
        self._down[address] = None
        for link in self.links:
            for host, end in zip(link.hosts, link.ends, strict=True):
                if host == address:
                    end.vanish()
        for server in list(self._listeners.values()):
            if server.host == address:
                server.close()

    def restart(self, address: str) -> None:
        """It is there again and knows of no connection: what is sent on an old one is answered with a reset."""
        self._down.pop(address, None)
        for link in tuple(self._links.values()):
            link.up.go_on()
            link.down.go_on()
        self._wake()

    def is_cut(self, sender: str, receiver: str) -> bool:
        """Whether nothing gets from one to the other now."""
        if not self._cuts and not self._down:  # nearly always, and every segment asks
            return False
        return (sender, receiver) in self._cuts or sender in self._down or receiver in self._down

    @property
    def links(self) -> list[Link]:
        """See the class."""
        gone = [number for number, link in self._links.items() if not link.is_open]
        for number in gone:
            del self._links[number]
        return list(self._links.values())

    def close(self) -> None:
        """The run is over."""
        self._links.clear()
        self._listeners.clear()

    def _wake(self) -> None:
        waiting, self._healed = self._healed, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    # Who listens

    def resolve(self, host: str | None) -> str:
        """The address of a host.

        Raises:
            socket.gaierror: there is no such name.
        """
        if not host:
            return ""
        try:
            return str(ip_address(host))
        except ValueError:
            found = self.names.get(host)
        if found is None:
            raise socket.gaierror(socket.EAI_NONAME, f"Name or service not known: {host}")
        return found

    def listen(self, server: "SimServer", address: Address) -> Address:
        """Take an address; port 0 is a free one.

        Raises:
            OSError: EADDRINUSE.
        """
        if isinstance(address, tuple) and address[1] == 0:
            while (address[0], _FIRST_SERVED_PORT + self._served_ports) in self._listeners:
                self._served_ports = (self._served_ports + 1) % _PORTS
            address = address[0], _FIRST_SERVED_PORT + self._served_ports
            self._served_ports = (self._served_ports + 1) % _PORTS
        if address in self._listeners:
            raise OSError(errno.EADDRINUSE, f"error while attempting to bind on address {address!r}: in use")
        self._listeners[address] = server
        return address

    def forget(self, server: "SimServer") -> None:
        """It listens no more."""
        self._listeners = {address: known for address, known in self._listeners.items() if known is not server}

    def _listener(self, address: Address) -> "SimServer | None":
        found = self._listeners.get(address)
        if found is None and isinstance(address, tuple):
            found = self._listeners.get(("", address[1]))
        return found

    # Connecting

    async def connect(self, factory: Callable[[], P], address: Address) -> tuple[SimTransport, P]:
        """Open a connection: a segment there and one back.

        Raises:
            ConnectionRefusedError: nothing listens there.
            FileNotFoundError: nothing listens at this path.
            TimeoutError: ETIMEDOUT, nobody answered within `connect_timeout_s`.
        """
        is_unix = isinstance(address, str)
        here = HOST.get()
        there = here if isinstance(address, str) else address[0]
        self._numbers += 1
        number = self._numbers
        conditions = Conditions(latency_s=(0.0, 0.0)) if is_unix else self._ways.get((here, there), self._conditions)
        rng = self._loop.streams.stream(f"net {number}")
        await self._segment(here, there, conditions, rng)
        server = self._listener(address)
        if server is None:
            await self._segment(there, here, conditions, rng)
            if is_unix:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"Connect call failed {address!r}")
        self._outgoing_ports = (self._outgoing_ports + 1) % _PORTS
        mine: Address = "" if isinstance(address, str) else (here, _FIRST_OUTGOING_PORT + self._outgoing_ports)
        protocol = factory()
        ways = (
            self._direction(f"{number} up", conditions, here, there),
            self._direction(f"{number} down", conditions, there, here),
        )
        client = self._end(protocol, (mine, address), ways, copy_context())
        accepted = self._end(server.make_protocol(), (address, mine), ways[::-1], server.context)
        ways[0].between(client, accepted)
        ways[1].between(accepted, client)
        self._links[number] = Link(str(number), (here, there), ways, (client, accepted))
        server.attach(accepted)
        self._loop.call_soon(accepted.begin, context=server.context)
        await self._segment(there, here, conditions, rng)
        client.begin()
        return client, protocol

    async def _segment(self, sender: str, receiver: str, conditions: Conditions, rng: random.Random) -> None:
        """One segment of the handshake, sent again until it gets through."""
        loop = self._loop
        gives_up_at = loop.time() + conditions.connect_timeout_s
        await asyncio.sleep(conditions.latency(rng))
        while self.is_cut(sender, receiver):
            healed = loop.create_future()
            self._healed.append(healed)
            try:
                async with asyncio.timeout_at(gives_up_at):
                    await healed
            except TimeoutError:
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
            await asyncio.sleep(conditions.latency(rng))

    def _end(
        self,
        protocol: asyncio.BaseProtocol,
        addresses: tuple[Address, Address],
        ways: tuple[Direction, Direction],
        context: Context,
    ) -> SimTransport:
        family = socket.AF_UNIX if isinstance(addresses[0], str) and isinstance(addresses[1], str) else socket.AF_INET
        return SimTransport(self._loop, protocol, SimSocket(family, *addresses), *ways, context)

    def _direction(self, name: str, conditions: Conditions, sender: str, receiver: str) -> Direction:
        rng = self._loop.streams.stream(f"net {name}")
        return Direction(self._loop, conditions, rng, name, partial(self.is_cut, sender, receiver))
