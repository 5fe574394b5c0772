"""NAS, driver and nodes put together: what is built from what, and in which order it starts and stops.

    NAS (embedded, or somewhere else) < NAS client < hosts and services < sockets

Stopping goes the other way round, so that running calls still reach the NAS.
"""

import asyncio
import contextvars
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import structlog

from csisim.call_log import Observer
from csisim.cluster.data_path import DataPath
from csisim.cluster.embedded_nas import NasProcess
from csisim.cluster.injection import Injection, nas_methods
from csisim.cluster.nas_backend import NasBackend
from csisim.cluster.parts import SHIPPED, Parts
from csisim.cluster.real import Listener, RealSurroundings, Surroundings
from csisim.cluster.settings import ClusterError, ClusterSettings
from csisim.cluster.state_dir import StateDir
from csisim.driver.config import DriverConfig
from csisim.driver.inflight import OperationLocks
from csisim.driver.server import Services
from csisim.endpoint import Endpoint
from csisim.errors import NasIndeterminate
from csisim.faults.peers import Callers
from csisim.faults.settings import FaultSettings
from csisim.host import NodeHost
from csisim.sim.host import SimHost
from csisim.started import Started
from csisim.truenas.client import NasClient
from csisim.truenas.settings import NasSettings
from fake_truenas import Nas
from fake_truenas.server import Server

_log = structlog.get_logger(__name__)


class Cluster(Started):
    """A running driver with its NAS and nodes. Use as `async with Cluster(settings, rng=...) as cluster`.

    Args:
        settings: what it consists of.
        rng: source of every random choice; a SystemRandom where nothing has to be repeated.
        observers: told of every finished call, for logs and histories.
        surroundings: real sockets and clock by default.
        faults: what is to go wrong; with None nothing can, and nothing is in the way of a call.
        parts: what the driver is built of.

    Attributes:
        hosts: the simulated machines by node id.
        injection: the fault plane and the history, None without faults.
        locks: those of the controller and of each node id; others after a crash.
        on_reboot: functions that are told of a node at the moment at which its mounts are gone.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        *,
        rng: random.Random,
        observers: Sequence[Observer] = (),
        surroundings: Surroundings | None = None,
        faults: FaultSettings | None = None,
        parts: Parts = SHIPPED,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.hosts: dict[str, SimHost] = {}
        self.injection: Injection | None = None
        self.locks: dict[str, OperationLocks] = {}
        self.on_reboot: list[Callable[[str], None]] = []
        self._rng = rng
        self._observers = tuple(observers)
        self._surroundings = surroundings or RealSurroundings()
        self._faults = faults
        self._parts = parts
        self._listeners: dict[str, Listener] = {}
        self._nas: NasProcess | None = None
        self._client: NasClient | None = None
        self._data = DataPath(self._ask_nas)
        self._state: StateDir
        self._crashes: dict[asyncio.Task[None], tuple[str, str]] = {}
        self._crashing = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._peers: dict[str, Callers] = {}
        self._node_endpoints: dict[str, Endpoint] = {}
        self._nas_settings: NasSettings | None = None

    @property
    def endpoint(self) -> Endpoint:
        """The main socket."""
        return next(iter(self._listeners.values())).endpoint

    @property
    def nas(self) -> Nas | None:
        """The embedded NAS; another one after a crash, None where it is somewhere else."""
        return None if self._nas is None else self._nas.nas

    @property
    def nas_server(self) -> Server | None:
        """Its listening port; None while it is down."""
        return None if self._nas is None else self._nas.server

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

    @property
    def nas_client(self) -> NasClient | None:
        """The driver's own; another one after a crash, None while it is down."""
        return self._client

    async def stop_serving(self, grace_s: float | None = None) -> None:
        """Take no more calls and wait for the running ones; may be called again, with less patience.

        Args:
            grace_s: after this they are cancelled; by default the grace period of the settings.
        """
        patience_s = self.settings.grace_period_s if grace_s is None else grace_s
        self._stopping.set()
        if self.injection is not None:
            self.injection.plane.reset()  # nobody is to wait for what a rule holds up
        async with self._crashing:  # what is down stays down
            pass
        async with asyncio.TaskGroup() as tasks:
            for listener in self._listeners.values():
                tasks.create_task(listener.stop(patience_s))

    async def crash(self, what: str, node_id: str = "", down_s: float = 0.0) -> None:
        """End a process abruptly and start it again on its durable state; comes back when it serves.

        Connections are cut, running calls end without an answer, what was in memory alone is gone. This process goes
        on, so `finally` blocks of the ended calls still run, but nothing of theirs reaches a machine any more, nor
        the NAS if it is the driver that crashed. A cluster that is being stopped starts nothing again.

        Args:
            what: driver, nas, node, or reboot (a node whose machine loses its mounts and sessions too).
            node_id: which node; the first one by default.
            down_s: how long it stays away.

        Raises:
            ValueError: there is no such process here.
        """
        where = node_id or next(iter(self.settings.node_ids), "")
        if what not in {"driver", "nas", "node", "reboot"}:
            raise ValueError(f"{what!r} cannot crash: there are driver, nas, node, reboot")
        if (what == "nas" and self._nas is None) or (what in {"node", "reboot"} and where not in self.hosts):
            raise ValueError(f"{what} {where} is not part of this process".replace("  ", " "))
        async with self._crashing:
            if self._stopping.is_set():
                return
            hit = where if what in {"node", "reboot"} else ""
            _log.warning("Crash", what=what, node=hit)
            self._note("crash", what, hit, down_s)
            if what == "nas":
                await self._crash_nas(down_s)
            elif what == "driver":
                await self._crash_driver(down_s)
            else:
                await self._crash_node(where, down_s, reboot=what == "reboot")
            self._note("restart", what, hit, down_s)

    def _note(self, f: str, what: str, node_id: str, down_s: float) -> None:
        if self.injection is not None:
            value = {"what": what, "node": node_id, "down_s": down_s}
            self.injection.history.add("info", "world", f, process="world", value=value)

    async def _crash_nas(self, down_s: float) -> None:
        if self._nas is not None:
            await self._nas.crash()
            if await self._comes_back(down_s):
                await self._nas.start()

    async def _crash_driver(self, down_s: float) -> None:
        for node_id in self._listeners:
            self._kill(node_id)
        if self.injection is not None:
            self.injection.cut_nas()
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        for listener in self._listeners.values():
            await listener.stop(0)
        if await self._comes_back(down_s):
            await self._start_driver()

    async def _crash_node(self, node_id: str, down_s: float, *, reboot: bool) -> None:
        self._kill(node_id)
        await self._listeners[node_id].stop(0)
        if reboot:
            self.hosts[node_id].reboot()
            if self.injection is not None:
                self.injection.rebooted(node_id)
            self._note("reboot", "reboot", node_id, down_s)
            for told in self.on_reboot:
                told(node_id)
        if await self._comes_back(down_s):
            await self._serve(node_id)

    def _kill(self, node_id: str) -> None:
        """Nothing that was going on at this socket is answered, or reaches the machine, from now on."""
        if self.injection is not None:
            self.injection.kill(node_id)
        self._peers[node_id].disconnect_all()

    async def _comes_back(self, down_s: float) -> bool:
        """Stay away for this long; False where the cluster is stopped first."""
        try:
            async with asyncio.timeout(down_s):
                await self._stopping.wait()
        except TimeoutError:
            return True
        return False

    async def recovered(self) -> None:
        """Wait until every process that rules have crashed serves again."""
        while self._crashes:
            await asyncio.wait(tuple(self._crashes))

    def _crash_soon(self, what: str, node_id: str, down_s: float | None) -> None:
        """What a rule asks for, from inside of the call that is to be its victim."""
        where = (node_id or next(iter(self.settings.node_ids), "")) if what in {"node", "reboot"} else ""
        if (what, where) in self._crashes.values():
            return  # all that crashes together crashes once
        # In a context of its own: what is started anew must not inherit the deadline of the call that is its victim.
        task = asyncio.get_running_loop().create_task(
            self.crash(what, node_id, down_s or 0.0), context=contextvars.Context()
        )
        self._crashes[task] = what, where
        task.add_done_callback(self._crashed)

    def _crashed(self, task: "asyncio.Task[None]") -> None:
        del self._crashes[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("A crash could not be undone", exc_info=error)

    async def _end_crashes(self) -> None:
        self._stopping.set()
        await self.recovered()

    async def _start(self, stack: AsyncExitStack) -> None:
        self._state = state = stack.enter_context(StateDir(self.settings.state_dir))
        where = self.settings.nas
        if self._faults is not None:
            methods = None if isinstance(where, NasSettings) else nas_methods()
            has_nodes = self.settings.mode.has_nodes
            self.injection = Injection(self._faults, methods, self._crash_soon, self._close_nas, has_nodes=has_nodes)
        if isinstance(where, NasSettings):
            self._nas_settings = where
        else:
            clock = self._surroundings.wall_time_s
            if self.injection is not None:
                clock = self.injection.clock(clock)
            self._nas = NasProcess(where, state, self._surroundings, self._stream, clock, self._prepare_nas)
            stack.push_async_callback(self._nas.close)
            self._nas_settings = await self._nas.start()
        stack.push_async_callback(self._close_client)
        stack.push_async_callback(self.stop_serving)
        await self._start_driver()
        stack.push_async_callback(self._end_crashes)

    async def _start_driver(self) -> None:
        """Client, services and sockets; after a crash on the addresses that they had."""
        rng = self._stream("nas client")
        ids = self._surroundings.request_ids()
        if self.injection is None:
            self._client = self._parts.client(self.nas_settings, rng=rng, ids=ids)
        else:
            self._client = self.injection.client(self.nas_settings, rng, ids, self._parts.client)
        await self._client.start()
        for node_id in self.settings.node_ids if self.settings.mode.has_nodes else ("",):
            await self._serve(node_id)

    async def _serve(self, node_id: str) -> None:
        known = self._listeners.get(node_id)
        where = self._address(node_id) if known is None else known.endpoint
        peers = self._peers.get(node_id)
        if peers is None:
            peers = self._peers[node_id] = self._surroundings.callers(where)
        around = None if self.injection is None else self.injection.around(node_id, peers)
        listener = await self._surroundings.listen(self._services(node_id), self._observers, where, around)
        peers.port = listener.endpoint.port
        self._listeners[node_id] = listener
        if node_id:
            self._node_endpoints[node_id] = listener.endpoint
        _log.info("Serving", endpoint=str(listener.endpoint), node=node_id)

    async def _ask_nas(self, method: str, *params: Any) -> Any:
        """What hosts ask for their pods: past the API's connection, where the NAS is in this process."""
        if self._nas is not None:
            return await self._nas.ask(method, *params)
        if self._client is None:
            raise NasIndeterminate(method, "the driver, which has the only connection to the NAS, is down", sent=False)
        return await self._client.query(method, *params)

    async def _close_client(self) -> None:
        if self._client is not None:
            await self._client.close()

    def _address(self, node_id: str) -> Endpoint:
        main = self.settings.endpoint or Endpoint(path=str(self._state.path / "csi.sock"))
        if not self._listeners:
            return main
        try:
            return main.for_node(node_id)
        except ValueError as error:
            raise ClusterError(f"node {node_id}: {error}; choose a shorter endpoint") from error

    def _prepare_nas(self, nas: Nas) -> None:
        if self.injection is not None:
            self.injection.watch_nas(nas, self.settings.driver.root_dataset)
        self._surroundings.watch_nas(nas)

    def _close_nas(self, code: int) -> None:
        if self.nas_server is not None:
            self.nas_server.close_connections_soon(code)

    def _driver_config(self, nas: NasSettings) -> DriverConfig:
        known = frozenset(self.settings.node_ids) if self.settings.mode.has_nodes else None
        host = urlsplit(nas.url).hostname or self.settings.driver.data_host
        return replace(self.settings.driver, known_nodes=known, data_host=host)

    def _services(self, node_id: str) -> Services:
        """The services of one socket, with locks and memory of their own; the main one has the controller too."""
        assert self._client is not None  # noqa: S101 - started before the first socket
        config = self._driver_config(self.nas_settings)
        controller = None
        if self.settings.mode.has_controller and node_id == (self.settings.node_ids[0] if node_id else ""):
            # The controller and each node lock for themselves: they stand for processes on different machines.
            self.locks["controller"] = self._locks("controller")
            controller = self._parts.volumes_of(config, self._client, self.locks["controller"])
        if not node_id:
            return self._parts.services_of(config, self._client, controller, None)
        locks = self.locks[node_id] = self._locks(node_id)
        host = self._machine(node_id, NasBackend(self._client, config.data_host, self._data))
        node = self._parts.node_of(config, node_id, host, self._client, locks)
        return self._parts.services_of(config, self._client, controller, node)

    def _locks(self, process: str) -> OperationLocks:
        kind = self._parts.locks
        return kind() if self.injection is None else self.injection.locks(process, kind)

    def _machine(self, node_id: str, backend: NasBackend) -> NodeHost:
        """The node's machine, which outlives its driver."""
        host = self.hosts.get(node_id)
        if host is None:
            host = self.hosts[node_id] = self._host(node_id, backend)
        else:
            host.use(backend)
        if self.injection is not None:
            seen = self.injection.host(node_id, host)
        else:
            seen = NodeHost(host.mounter, host.devices, host.files)
        return self._parts.host(node_id, seen, host)

    def _host(self, node_id: str, backend: NasBackend) -> SimHost:
        delay_s = self.settings.device_delay_s
        if self._state.temporary:
            return SimHost(backend, appear_after_s=delay_s, disk=self._surroundings.disk())
        try:
            directory = self._state.node(node_id)
            return SimHost(
                backend,
                state_dir=directory / "records",
                kernel_file=directory / "kernel.json",
                appear_after_s=delay_s,
                disk=self._surroundings.disk(),
            )
        except (OSError, ValueError) as error:
            raise ClusterError(f"node {node_id}: {error}") from error

    def _stream(self, purpose: str) -> random.Random:
        """A random stream of its own, so that one part's choices do not shift another's."""
        if isinstance(self._rng, random.SystemRandom):
            return self._rng
        return random.Random(f"{purpose} {self._rng.getrandbits(64)}")  # noqa: S311 - derived from the injected one
