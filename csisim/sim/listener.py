"""A listening address of the simulated network, as asyncio's Server."""

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from csisim.sim.transport import SimSocket, SimTransport

if TYPE_CHECKING:
    from csisim.sim.loop import SimLoop
    from csisim.sim.network import Address


class SimServer(asyncio.AbstractServer):
    """What create_server and create_unix_server give.

    Args:
        loop: the simulated one.
        factory: makes the protocol of each connection.
        addresses: where to listen.
        family: of the sockets.
        host: the machine that it runs on.

    Attributes:
        context: what its protocols are called in: that of the call which made it.
    """

    def __init__(
        self,
        loop: "SimLoop",
        factory: Callable[[], asyncio.BaseProtocol],
        addresses: "list[Address]",
        family: int,
        host: str,
    ) -> None:
        self.host = host
        self.context = copy_context()
        self._loop = loop
        self._factory = factory
        self._connections: list[SimTransport] = []
        self._serving = False
        self._closed = False
        self._forever: asyncio.Future[None] | None = None
        self._addresses = [loop.network.listen(self, address) for address in addresses]
        self._sockets = tuple(SimSocket(family, address) for address in self._addresses)

    @property
    def sockets(self) -> tuple[Any, ...]:
        """One for each address; none once it is closed."""
        return () if self._closed else self._sockets

    def make_protocol(self) -> asyncio.BaseProtocol:
        """The protocol for one more connection."""
        return self.context.run(self._factory)

    def attach(self, transport: SimTransport) -> None:
        """One more connection."""
        self._connections = [known for known in self._connections if not known.gone]
        self._connections.append(transport)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop."""
        return self._loop

    def is_serving(self) -> bool:
        """Whether it takes connections."""
        return not self._closed

    async def start_serving(self) -> None:
        """It does from its beginning."""

    async def serve_forever(self) -> None:
        """Until it is closed or this is cancelled."""
        if self._forever is not None or self._closed:
            raise RuntimeError(f"server at {self._addresses!r} is served already, or closed")
        self._forever = self._loop.create_future()
        try:
            await self._forever
        finally:
            self._forever = None
            self.close()

    def close(self) -> None:
        """Take no more connections; those that exist go on."""
        self._closed = True
        self._loop.network.forget(self)
        if self._forever is not None and not self._forever.done():
            self._forever.cancel()

    def close_clients(self) -> None:
        """End the connections that exist, in order."""
        for transport in self._connections:
            transport.close()

    def abort_clients(self) -> None:
        """End the connections that exist, now."""
        for transport in self._connections:
            transport.abort()

    async def wait_closed(self) -> None:
        """Returns at once, as it does up to Python 3.11 once `close` was called."""
