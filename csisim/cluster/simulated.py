"""The simulated surroundings of a cluster: virtual time, the NAS on the loop's network, the driver on the gRPC seam."""

import asyncio
import functools
from collections.abc import Sequence
from typing import Final

from csisim.call_log import Observer
from csisim.cluster.labels import LabelledIds, Subjects
from csisim.cluster.settings import ClusterError
from csisim.driver.server import Around, DriverServer, Services, build_server
from csisim.endpoint import Endpoint
from csisim.faults.matching import RuleState
from csisim.sim.closed_world import EPOCH_S
from csisim.sim.disk import MemoryDisk
from csisim.sim.grpc_seam import Exchange, SimChannel, SimGrpcServer
from csisim.sim.lanes import prompt
from fake_truenas import Nas
from fake_truenas.server import Server

# A call whose connection has ended takes effect within `NasSettings.landing_s`, which is 1 s: the driver counts on it,
# as TrueNAS neither takes a call back nor tells whether it goes on.
_NAS_STALL_S: Final = 0.2


class SimulatedListener:
    """A gRPC server at a simulated address."""

    def __init__(self, server: DriverServer, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._server = server

    async def stop(self, grace_s: float) -> None:
        """See `csisim.cluster.real.Listener`."""
        await self._server.stop(grace_s)


class SimulatedCallers:
    """The callers of one address of the gRPC seam; see `csisim.faults.peers.Callers`.

    Args:
        exchange: where the server is found.
        endpoint: its address.

    Attributes:
        port: of a TCP address, once it is known.
    """

    def __init__(self, exchange: Exchange, endpoint: Endpoint) -> None:
        self.port = endpoint.port
        self._exchange = exchange
        self._endpoint = endpoint

    def disconnect(self, peer: str, how: str) -> int:
        """Cut a caller off by fin, rst or blackhole; over a Unix socket all of them."""
        server = self._server()
        return 0 if server is None else server.disconnect(peer, how)

    def disconnect_all(self) -> int:
        """End the connections of all callers at once."""
        server = self._server()
        return 0 if server is None else server.disconnect_all()

    def heal(self, gone: RuleState | None = None) -> None:
        """End the connections that are silent."""
        server = self._server()
        if server is not None and (gone is None or gone.does("disconnect")):
            server.heal()

    def _server(self) -> SimGrpcServer | None:
        where = self._endpoint
        return self._exchange.server((where if where.is_unix else Endpoint(host=where.host, port=self.port)).target)


class SimulatedSurroundings:
    """Nothing of it is outside of the loop that runs it, a `csisim.sim.loop.SimLoop`.

    Args:
        exchange: where gRPC servers are reached; also sets how long messages take.
    """

    def __init__(self, exchange: Exchange | None = None) -> None:
        self._exchange = exchange or Exchange()
        self._ids = LabelledIds()

    def channel(self, endpoint: Endpoint) -> SimChannel:
        """A channel for generated stubs."""
        return SimChannel(endpoint.target, self._exchange)

    def wall_time_s(self) -> float:
        """Seconds since the epoch, in virtual time."""
        return EPOCH_S + asyncio.get_running_loop().time()

    async def serve_nas(self, nas: Nas, port: int = 0) -> Server:
        """On the loop's network."""
        try:
            with prompt(_NAS_STALL_S):
                return await nas.serve("127.0.0.1", port)
        except OSError as error:
            raise ClusterError(f"the embedded NAS cannot listen on 127.0.0.1: {error}") from error

    async def listen(
        self, services: Services, observers: Sequence[Observer], endpoint: Endpoint, around: Around | None = None
    ) -> SimulatedListener:
        """At any address, which need not exist."""
        make = functools.partial(SimGrpcServer, self._exchange)
        server = await build_server(services, observers, Subjects(around), make)
        try:
            port = server.grpc.add_insecure_port(endpoint.target)
        except RuntimeError as error:
            raise ClusterError(str(error)) from error
        await server.grpc.start()
        return SimulatedListener(server, endpoint if endpoint.is_unix else Endpoint(host=endpoint.host, port=port))

    def callers(self, endpoint: Endpoint) -> SimulatedCallers:
        """Those that the server of the seam knows."""
        return SimulatedCallers(self._exchange, endpoint)

    def disk(self) -> MemoryDisk:
        """In memory, a new one."""
        return MemoryDisk()

    def request_ids(self) -> LabelledIds:
        """Each with whose work the request is."""
        return self._ids

    def watch_nas(self, nas: Nas) -> None:
        """What the NAS does is the work of who asked for it."""
        self._ids.watch(nas)
