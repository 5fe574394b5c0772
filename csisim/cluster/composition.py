"""NAS, driver and nodes put together: what is built from what, and in which order it starts and stops.

    NAS (embedded, or somewhere else) < NAS client < hosts and services < sockets

Stopping goes the other way round, so that running calls still reach the NAS.
"""

import asyncio
import random
import string
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import structlog

from csisim.cluster.endpoint import Endpoint
from csisim.cluster.nas_backend import NasBackend
from csisim.cluster.real import Listener, RealSurroundings, Surroundings
from csisim.cluster.settings import ClusterError, ClusterSettings, EmbeddedNas
from csisim.cluster.state_dir import StateDir
from csisim.driver.config import DriverConfig
from csisim.driver.inflight import OperationLocks
from csisim.driver.node import NodeService, Presence
from csisim.driver.server import Observer, Services
from csisim.driver.services import build_services, build_volumes
from csisim.driver.volumes import Volumes
from csisim.host import NodeHost
from csisim.sim.host import SimHost
from csisim.truenas.client import NasClient
from csisim.truenas.settings import NasSettings
from fake_truenas import Nas, NasConfig
from fake_truenas.server import Server
from fake_truenas.store import StoreError

WrapHost = Callable[[str, NodeHost], NodeHost]

_log = structlog.get_logger(__name__)


def _as_it_is(_node_id: str, host: NodeHost) -> NodeHost:
    return host


class _Lookup:
    """What a node service asks about volumes."""

    def __init__(self, volumes: Volumes, node_id: str) -> None:
        self._volumes = volumes
        self._node_id = node_id

    async def presence(self, volume_id: str) -> Presence:
        """Whether the NAS has the volume, and has it down as published on this node."""
        volume = await self._volumes.find(volume_id)
        if volume is None:
            return Presence.ABSENT
        return Presence.UNPUBLISHED if volume.publication(self._node_id) is None else Presence.PUBLISHED


class Cluster:
    """A running driver with its NAS and nodes. Use as `async with Cluster(settings, rng=...) as cluster`.

    Args:
        settings: what it consists of.
        rng: source of every random choice; a SystemRandom where nothing has to be repeated.
        observers: told of every finished call, for logs and histories.
        wrap_host: puts something between a node service and its host, such as refused unmounts.
        surroundings: real sockets and clock by default.

    Attributes:
        hosts: the simulated machines by node id.
        nas: the embedded NAS, None where it is somewhere else.
        nas_server: its listening port.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        *,
        rng: random.Random,
        observers: Sequence[Observer] = (),
        wrap_host: WrapHost = _as_it_is,
        surroundings: Surroundings | None = None,
    ) -> None:
        self.settings = settings
        self.hosts: dict[str, SimHost] = {}
        self.nas: Nas | None = None
        self.nas_server: Server | None = None
        self._rng = rng
        self._observers = tuple(observers)
        self._wrap_host = wrap_host
        self._surroundings = surroundings or RealSurroundings()
        self._listeners: list[Listener] = []
        self._node_endpoints: dict[str, Endpoint] = {}
        self._nas_settings: NasSettings | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def endpoint(self) -> Endpoint:
        """The main socket."""
        return self._listeners[0].endpoint

    @property
    def node_endpoints(self) -> Mapping[str, Endpoint]:
        """Where each node of this process is served."""
        return self._node_endpoints

    @property
    def nas_settings(self) -> NasSettings:
        """How the driver reaches the NAS; a second client may use it too."""
        if self._nas_settings is None:
            raise RuntimeError("the cluster is not started")
        return self._nas_settings

    async def stop_serving(self, grace_s: float | None = None) -> None:
        """Take no more calls and wait for the running ones; may be called again, with less patience.

        Args:
            grace_s: after this they are cancelled; by default the grace period of the settings.
        """
        patience_s = self.settings.grace_period_s if grace_s is None else grace_s
        async with asyncio.TaskGroup() as tasks:
            for listener in self._listeners:
                tasks.create_task(listener.stop(patience_s))

    async def _start(self, stack: AsyncExitStack) -> None:
        state = stack.enter_context(StateDir(self.settings.state_dir))
        self._nas_settings = await self._find_nas(state, stack)
        client = NasClient(self._nas_settings, rng=self._stream("nas client"))
        stack.push_async_callback(client.close)
        await client.start()
        config = self._driver_config(self._nas_settings)
        stack.push_async_callback(self.stop_serving)
        main = self.settings.endpoint or Endpoint(path=str(state.path / "csi.sock"))
        for node_id, services in self._services(config, client, state):
            where = self._address(main, node_id)
            listener = await self._surroundings.listen(services, self._observers, where)
            self._listeners.append(listener)
            if services.node is not None:
                self._node_endpoints[node_id] = listener.endpoint
            _log.info("Serving", endpoint=str(listener.endpoint), node=node_id)

    def _address(self, main: Endpoint, node_id: str) -> Endpoint:
        if not self._listeners:
            return main
        try:
            return main.for_node(node_id)
        except ValueError as error:
            raise ClusterError(f"node {node_id}: {error}; choose a shorter endpoint") from error

    async def _find_nas(self, state: StateDir, stack: AsyncExitStack) -> NasSettings:
        where = self.settings.nas
        if isinstance(where, NasSettings):
            return where
        key = "1-" + "".join(self._stream("api key").choices(string.ascii_letters + string.digits, k=64))
        self.nas = nas = self._embed(where, key, state)
        stack.callback(nas.close)
        self.nas_server = server = await self._surroundings.serve_nas(nas)
        stack.push_async_callback(server.close)
        _log.info("Embedded NAS", url=server.url)
        return NasSettings(url=server.url, api_key=key)

    def _embed(self, where: EmbeddedNas, key: str, state: StateDir) -> Nas:
        config = NasConfig(pools=where.pools, api_key=key, data_dir=state.nas)
        try:
            return Nas(config, rng=self._stream("nas"), clock=self._surroundings.wall_time_s)
        except (OSError, StoreError) as error:
            raise ClusterError(f"the embedded NAS cannot start: {error}") from error

    def _driver_config(self, nas: NasSettings) -> DriverConfig:
        known = frozenset(self.settings.node_ids) if self.settings.mode.has_nodes else None
        host = urlsplit(nas.url).hostname or self.settings.driver.data_host
        return replace(self.settings.driver, known_nodes=known, data_host=host)

    def _services(self, config: DriverConfig, client: NasClient, state: StateDir) -> list[tuple[str, Services]]:
        """The services of every socket, the main one first, each with the id of its node."""
        mode = self.settings.mode
        # The controller and each node lock for themselves: they stand for processes on different machines.
        controller = build_volumes(config, client, OperationLocks()) if mode.has_controller else None
        if not mode.has_nodes:
            return [("", build_services(config, client, controller, None))]
        backend = NasBackend(client, config.data_host)
        found = []
        for number, node_id in enumerate(self.settings.node_ids):
            locks = OperationLocks()
            host = self._wrap_host(node_id, self._host(node_id, backend, state))
            lookup = _Lookup(build_volumes(config, client, locks), node_id)
            node = NodeService(config, node_id, host, locks, lookup)
            found.append((node_id, build_services(config, client, None if number else controller, node)))
        return found

    def _host(self, node_id: str, backend: NasBackend, state: StateDir) -> NodeHost:
        delay_s = self.settings.device_delay_s
        try:
            if state.temporary:
                host = SimHost(backend, appear_after_s=delay_s)
            else:
                directory = state.node(node_id)
                host = SimHost(
                    backend,
                    state_dir=directory / "records",
                    kernel_file=directory / "kernel.json",
                    appear_after_s=delay_s,
                )
        except (OSError, ValueError) as error:
            raise ClusterError(f"node {node_id}: {error}") from error
        self.hosts[node_id] = host
        return NodeHost(host.mounter, host.devices, host.files)

    def _stream(self, purpose: str) -> random.Random:
        """A random stream of its own, so that one part's choices do not shift another's."""
        if isinstance(self._rng, random.SystemRandom):
            return self._rng
        return random.Random(f"{purpose} {self._rng.getrandbits(64)}")  # noqa: S311 - derived from the injected one
