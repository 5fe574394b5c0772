"""Where faults are put into a cluster: around its calls, its machines, its NAS and the connection to that.

Only a cluster that is given `FaultSettings` has any of it.
"""

import asyncio
import functools
import random
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import connect as websocket_connect

from csisim.cluster.nas_faults import NasFaults
from csisim.cluster.tracing import Trace
from csisim.driver.inflight import OperationLocks
from csisim.driver.statuses import status_of
from csisim.faults.host import Gate, faulty_host
from csisim.faults.link import Link, linked
from csisim.faults.peers import Callers
from csisim.faults.plane import Passing
from csisim.faults.rpc import RpcFaults
from csisim.faults.settings import FaultSettings, recorded_plane
from csisim.faults.sites import (
    Site,
    clock_sites,
    deployable,
    host_sites,
    link_sites,
    nas_sites,
    process_sites,
    rpc_sites,
)
from csisim.host import NodeHost
from csisim.secrets import stripped
from csisim.sim.host import SimHost
from csisim.truenas.client import NasClient
from csisim.truenas.jsonrpc import RequestIds
from csisim.truenas.settings import NasSettings
from fake_truenas import Nas
from fake_truenas.methods import default_registry
from fake_truenas.nas import can_rehearse

Crash = Callable[[str, str, float | None], None]
"""Crashes a process: what (driver, nas, node, reboot), which node, and for how many seconds."""


class Injection:
    """The plane of one cluster and what asks it.

    Args:
        settings: of the faults.
        nas_methods: what an embedded NAS serves; None where the NAS is somewhere else.
        crash: see `Crash`.
        close_nas: ends the NAS's connections with a close code.
        has_nodes: whether nodes are part of this process.

    Raises:
        ValueError: a rule could not be honoured.

    Attributes:
        plane: the rules in force.
        history: what happened.
        link: the connection to the NAS.
        trace: what watches the insides, where the settings ask for it.
    """

    def __init__(
        self,
        settings: FaultSettings,
        nas_methods: tuple[str, ...] | None,
        crash: Crash,
        close_nas: Callable[[int], None],
        *,
        has_nodes: bool = True,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.plane, self.history = recorded_plane(settings, sites(nas_methods, has_nodes=has_nodes), loop.time)
        self._settings = settings
        self._crash = crash
        self._gates: dict[str, Gate] = {}
        self.trace = Trace(self.history) if settings.trace else None
        self.link = Link(self.plane, close_nas if nas_methods is not None else None)

    @property
    def connect(self) -> Callable[..., Any]:
        """For the NAS client: the library's `connect`, over the link."""

        async def connect(*args: Any, create_connection: type[Any], open_timeout: float, **more: Any) -> Any:
            async with asyncio.timeout(open_timeout):
                firing = await self.plane.meet(Passing("connect.nas"))
                if firing is not None:
                    raise firing.os_error()
                wrapped = linked(create_connection, self.link)
                return await websocket_connect(*args, create_connection=wrapped, open_timeout=None, **more)

        return connect

    def client(
        self, settings: NasSettings, rng: random.Random, ids: RequestIds | None, kind: type[NasClient]
    ) -> NasClient:
        """The driver's client of the NAS, over the link; `ids` number its requests."""
        if self.trace is not None:
            return self.trace.client(settings, rng, self.connect, ids, kind)
        return kind(settings, rng=rng, connect=self.connect, ids=ids)

    def locks(self, process: str, kind: type[OperationLocks]) -> OperationLocks:
        """The operation locks of the controller, or of a node by its id."""
        return kind() if self.trace is None else self.trace.locks(process, kind)

    def rebooted(self, node_id: str) -> None:
        """The machine of a node has lost its mounts and sessions."""
        if self.trace is not None:
            self.trace.rebooted(node_id)

    def around(self, node_id: str, peers: Callers) -> RpcFaults:
        """For the server of one address, with its callers."""
        self.plane.on_change(f"peers {node_id}", peers.heal)
        surgeon = _Surgeon(peers, self._crash, node_id)
        return RpcFaults(
            self.plane, surgeon, stripped, lambda error: status_of(error)[0],
            history=self.history, node=node_id, metadata=self._settings.metadata,
        )  # fmt: skip

    def host(self, node_id: str, host: SimHost) -> NodeHost:
        """For the node service: its machine, with faults."""
        truth = None if self.trace is None else self.trace.machine(node_id, host)
        real = NodeHost(host.mounter, host.devices, host.files) if truth is None else truth.host
        gate = Gate(
            self.plane, node_id, truth or host, lambda what, down_s: self._crash(what, node_id, down_s), self.history
        )
        self._gates[node_id] = gate
        return faulty_host(real, gate)

    def kill(self, node_id: str) -> None:
        """The node service has crashed: what is left of its calls does nothing to its machine any more."""
        gate = self._gates.get(node_id)
        if gate is not None:
            gate.dead = True

    def cut_nas(self) -> None:
        """The driver has crashed: the kernel ends its connections to the NAS."""
        self.link.drop()

    def watch_nas(self, nas: Nas, root_dataset: str) -> None:
        """For the embedded NAS, and for the one that replaces it after a crash."""
        trace = None if self.trace is None else self.trace.nas
        if trace is not None:
            trace.watch(nas)

        def crash(what: str, down_s: float | None) -> None:
            self._crash(what, "", down_s)

        NasFaults(self.plane, nas, root_dataset, crash, self.history, trace)

    def clock(self, wall_time_s: Callable[[], float]) -> Callable[[], float]:
        """The NAS's clock, which may be wrong."""

        def now_s() -> float:
            if self.plane.idle("clock.nas"):
                return wall_time_s()
            skews = self.plane.decide(Passing("clock.nas"))
            return wall_time_s() + sum(firing.action.seconds or 0.0 for firing in skews)

        return now_s


class _Surgeon:
    """See `csisim.faults.rpc.Surgeon`; for one served address."""

    def __init__(self, peers: Callers, crash: Crash, node_id: str) -> None:
        self._peers = peers
        self._node_id = node_id
        self.crash_process = crash

    def disconnect(self, peer: str, how: str) -> None:
        """Cut a caller off."""
        self._peers.disconnect(peer, how)

    def crash(self, what: str, node: str, down_s: float | None) -> None:
        """Crash what a rule names; a node is the one that is served here unless the call names one."""
        self.crash_process(what, self._node_id or node, down_s)


@functools.cache
def nas_methods() -> tuple[str, ...]:
    """What an embedded NAS serves."""
    return tuple(default_registry().methods)


@functools.lru_cache(maxsize=16)
def sites(nas_methods: tuple[str, ...] | None, *, has_nodes: bool = True) -> tuple[Site, ...]:
    """The sites of a cluster; the arguments are as for `Injection`. Worked out once: there are a thousand."""
    has_nas = nas_methods is not None
    crashes = ["driver", *(["nas"] if has_nas else []), *(["node", "reboot"] if has_nodes else [])]
    found = [*rpc_sites(local=True), *link_sites()]
    if has_nodes:
        found += host_sites()
    found += [site for site in process_sites() if site.name.removeprefix("process.") in crashes]
    if nas_methods is not None:
        methods = default_registry().methods
        found += [*nas_sites(nas_methods, lambda name: can_rehearse(methods[name])), *clock_sites()]
    return tuple(deployable(found, crashes, closes=has_nas))
