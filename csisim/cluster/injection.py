"""Where faults are put into a cluster: around its calls, its machines, its NAS and the connection to that.

Only a cluster that is given `FaultSettings` has any of it.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from websockets.asyncio.client import connect as websocket_connect

from csisim.cluster.nas_faults import NasFaults
from csisim.driver.statuses import status_of
from csisim.faults.host import Gate, faulty_host
from csisim.faults.link import Link, linked
from csisim.faults.peers import Peers
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
    """

    def __init__(
        self,
        settings: FaultSettings,
        nas_methods: Sequence[str] | None,
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

    def around(self, node_id: str, peers: Peers) -> RpcFaults:
        """For the server of one address, with its callers."""
        self.plane.on_change(f"peers {node_id}", peers.heal)
        surgeon = _Surgeon(peers, self._crash, node_id)
        return RpcFaults(
            self.plane, surgeon, stripped, lambda error: status_of(error)[0],
            history=self.history, node=node_id, metadata=self._settings.metadata,
        )  # fmt: skip

    def host(self, node_id: str, host: SimHost) -> NodeHost:
        """For the node service: its machine, with faults."""
        real = NodeHost(host.mounter, host.devices, host.files)
        gate = Gate(self.plane, node_id, host, lambda what, down_s: self._crash(what, node_id, down_s), self.history)
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
        NasFaults(self.plane, nas, root_dataset, lambda what, down_s: self._crash(what, "", down_s), self.history)

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

    def __init__(self, peers: Peers, crash: Crash, node_id: str) -> None:
        self._peers = peers
        self._node_id = node_id
        self.crash_process = crash

    def disconnect(self, peer: str, how: str) -> None:
        """Cut a caller off."""
        self._peers.disconnect(peer, how)

    def crash(self, what: str, node: str, down_s: float | None) -> None:
        """Crash what a rule names; a node is the one that is served here unless the call names one."""
        self.crash_process(what, self._node_id or node, down_s)


def nas_methods() -> tuple[str, ...]:
    """What an embedded NAS serves."""
    return tuple(default_registry().methods)


def sites(nas_methods: Sequence[str] | None, *, has_nodes: bool = True) -> list[Site]:
    """The sites of a cluster; the arguments are as for `Injection`."""
    has_nas = nas_methods is not None
    crashes = ["driver", *(["nas"] if has_nas else []), *(["node", "reboot"] if has_nodes else [])]
    found = [*rpc_sites(local=True), *link_sites()]
    if has_nodes:
        found += host_sites()
    found += [site for site in process_sites() if site.name.removeprefix("process.") in crashes]
    if nas_methods is not None:
        methods = default_registry().methods
        found += [*nas_sites(nas_methods, lambda name: can_rehearse(methods[name])), *clock_sites()]
    return deployable(found, crashes, closes=has_nas)
