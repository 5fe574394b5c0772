"""The real surroundings of a cluster: wall clock, TCP port of the NAS, sockets of the driver."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from csisim.call_log import Observer
from csisim.cluster.settings import ClusterError
from csisim.driver.server import Around, DriverServer, Services, build_server
from csisim.endpoint import Endpoint
from csisim.faults.peers import Callers, Peers
from csisim.sim.disk import Disk, RealDisk
from csisim.sockets import Binding, EndpointError, bind
from csisim.truenas.jsonrpc import RequestIds
from fake_truenas import Nas
from fake_truenas.server import Server


class Listener(Protocol):
    """A served address."""

    endpoint: Endpoint

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, give the running ones this long, then cancel them. May be called again to hurry."""


class Surroundings(Protocol):
    """What differs between a cluster on real sockets and a simulated one."""

    def wall_time_s(self) -> float:
        """Seconds since the epoch."""

    async def serve_nas(self, nas: Nas, port: int = 0) -> Server:
        """Put the embedded NAS on an address that NAS clients reach; after a crash on the port that it had."""

    async def listen(
        self, services: Services, observers: Sequence[Observer], endpoint: Endpoint, around: Around | None = None
    ) -> Listener:
        """Serve the services at an address."""

    def callers(self, endpoint: Endpoint) -> Callers:
        """Those of an address that is served, or will be; the port is set when it is known."""

    def disk(self) -> Disk:
        """The disk of one more node."""

    def request_ids(self) -> RequestIds | None:
        """What numbers the requests of the driver's NAS client; None: it does."""

    def watch_nas(self, nas: Nas) -> None:
        """A NAS is about to serve; its fault hook is in place."""


class SocketListener:
    """A gRPC server on a real socket."""

    def __init__(self, server: DriverServer, binding: Binding) -> None:
        self.endpoint = binding.endpoint
        self._server = server
        self._binding = binding

    async def stop(self, grace_s: float) -> None:
        """See `Listener`; the socket file is gone afterwards."""
        await self._server.stop(grace_s)
        self._binding.release()


class RealSurroundings:
    """Real sockets and the wall clock."""

    def wall_time_s(self) -> float:
        """Seconds since the epoch."""
        return datetime.now(UTC).timestamp()

    async def serve_nas(self, nas: Nas, port: int = 0) -> Server:
        """A loopback port that the system chooses, if none is given."""
        try:
            return await nas.serve("127.0.0.1", port)
        except OSError as error:
            raise ClusterError(f"the embedded NAS cannot listen on 127.0.0.1: {error.strerror}") from error

    async def listen(
        self, services: Services, observers: Sequence[Observer], endpoint: Endpoint, around: Around | None = None
    ) -> SocketListener:
        """A Unix socket of mode 0600, or a loopback port."""
        server = await build_server(services, observers, around)
        try:
            binding = await bind(server.grpc, endpoint)
        except EndpointError as error:
            raise ClusterError(str(error)) from error
        await server.grpc.start()
        return SocketListener(server, binding)

    def callers(self, endpoint: Endpoint) -> Peers:
        """Found by their sockets."""
        return Peers(endpoint.path)

    def disk(self) -> RealDisk:
        """This machine's, for every node."""
        return RealDisk()

    def request_ids(self) -> None:
        """The client numbers its own."""

    def watch_nas(self, nas: Nas) -> None:
        """Nobody asks whose work a real step is."""
