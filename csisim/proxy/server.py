"""The proxy as a whole: a socket, the driver behind it, and the rules in between."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import grpc.aio
import structlog

from csisim.call_log import Observer
from csisim.endpoint import Endpoint
from csisim.faults.peers import Peers
from csisim.faults.rpc import METADATA_KEY, RpcFaults
from csisim.faults.settings import FaultSettings, recorded_plane
from csisim.faults.sites import rpc_sites
from csisim.proxy.relay import Relay, ending
from csisim.proxy.upstream import MESSAGE_OPTIONS, Upstream
from csisim.secrets import stripped
from csisim.sockets import bind
from csisim.started import Started

_SERVER_OPTIONS = (
    *MESSAGE_OPTIONS,
    # Without this a second process could take half of the calls of a TCP port, and nobody would notice.
    ("grpc.so_reuseport", 0),
    # How often a caller may ask whether the connection lives is for nobody in between to say.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_ping_strikes", 0),
)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """Everything that a proxy needs to know.

    Attributes:
        listen: where callers find it.
        upstream: where the driver listens.
        faults: what is to go wrong from the start.
        grace_period_s: how long running calls may take when the proxy is stopped.

    Raises:
        ValueError: the proxy would call itself.
    """

    listen: Endpoint
    upstream: Endpoint
    faults: FaultSettings = field(default_factory=FaultSettings)
    grace_period_s: float = 10.0

    def __post_init__(self) -> None:
        if self.listen == self.upstream:
            raise ValueError(f"{self.listen} is both the proxy's own address and its upstream's")


class Proxy(Started):
    """A running proxy. Use as `async with Proxy(settings) as proxy`.

    Args:
        settings: what it stands between, and its faults.
        observers: told of every finished call of CSI, for logs.

    Raises:
        ValueError: a rule could not be honoured; nothing was started.
        EndpointError: it cannot listen where it was told to.

    Attributes:
        settings: as given.
        plane: the rules in force.
        history: every call of CSI and every fault.
        endpoint: where it listens; with the port that was chosen, once it does.
    """

    def __init__(self, settings: ProxySettings, *, observers: Sequence[Observer] = ()) -> None:
        super().__init__()
        self.settings = settings
        self.endpoint = settings.listen
        self.plane, self.history = recorded_plane(
            settings.faults, rpc_sites(local=False), asyncio.get_running_loop().time
        )
        self._observers = tuple(observers)
        self._server: grpc.aio.Server | None = None

    @property
    def driver_name(self) -> str:
        """Not known: the driver behind may come and go."""
        return ""

    @property
    def endpoints(self) -> Sequence[str]:
        """Where CSI is served."""
        return (str(self.endpoint),)

    @property
    def links(self) -> Mapping[str, str]:
        """There are none that rules could be for."""
        return {}

    async def crash(self, what: str, node_id: str, down_s: float) -> None:  # noqa: ARG002 - see `Controlled`
        """Not here: the driver is a process of its own."""
        raise ValueError(f"{what} cannot be crashed by a proxy: the driver behind it is a process of its own")

    async def leftovers(self) -> list[str]:
        """Not known here."""
        raise ValueError("a proxy does not know what the driver behind it has left behind")

    def disconnect_nas(self) -> int:
        """Not here."""
        raise ValueError("a proxy has no connection to a NAS: cut the driver's own")

    async def stop_serving(self, grace_s: float | None = None) -> None:
        """Take no more calls and wait for the running ones; may be called again, with less patience.

        Args:
            grace_s: after this they are cancelled; by default the grace period of the settings.
        """
        self.plane.reset()  # nobody is to wait for what a rule holds up
        if self._server is not None:
            await self._server.stop(self.settings.grace_period_s if grace_s is None else grace_s)

    async def _start(self, stack: AsyncExitStack) -> None:
        upstream = Upstream(self.settings.upstream)
        stack.push_async_callback(upstream.close)
        peers = Peers(self.settings.listen.path)
        self.plane.on_change("peers", peers.heal)
        faults = RpcFaults(
            self.plane, _Surgeon(peers), stripped, lambda error: ending(error).code,
            history=self.history, metadata=self.settings.faults.metadata,
        )  # fmt: skip
        withheld = (METADATA_KEY,) if self.settings.faults.metadata else ()
        server = grpc.aio.server(options=_SERVER_OPTIONS)
        server.add_generic_rpc_handlers([Relay(upstream, faults, self._observers, self.history, withheld)])
        self._server = server
        stack.push_async_callback(self.stop_serving)
        binding = await bind(server, self.settings.listen)
        stack.callback(binding.release)
        self.endpoint = binding.endpoint
        peers.port = self.endpoint.port
        await server.start()
        _log.info("Serving", endpoint=str(self.endpoint), upstream=str(self.settings.upstream))


class _Surgeon:
    """See `csisim.faults.rpc.Surgeon`: callers can be cut off, the driver is out of reach."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    def disconnect(self, peer: str, how: str) -> None:
        """Cut a caller off."""
        self._peers.disconnect(peer, how)

    def crash(self, what: str, node: str, down_s: float | None) -> None:  # noqa: ARG002 - see `Surgeon`
        """No site of a proxy allows this."""
        raise RuntimeError(f"a rule asked a proxy to crash {what}")
