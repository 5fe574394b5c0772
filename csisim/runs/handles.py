"""What a test or a workload holds on to: faults, the NAS, and each node of a testbed."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from csisim.cluster import Cluster
from csisim.cluster.nas_inside import NasInside
from csisim.faults.files import rules_of_text
from csisim.faults.matching import RuleState
from csisim.faults.plane import FaultPlane
from csisim.host import MountPoint
from csisim.sim.host import SimHost
from csisim.sim.host_paths import HostPaths


class FaultHandle:
    """Rules that were added together; at the end of a `with` block they are gone, and what they left is healed."""

    def __init__(self, plane: FaultPlane, states: Sequence[RuleState]) -> None:
        self._plane = plane
        self._states = tuple(states)

    def __str__(self) -> str:
        return "; ".join(str(state.rule) for state in self._states)

    @property
    def fired(self) -> int:
        """How often these rules have fired."""
        return sum(state.fired for state in self._states)

    def remove(self) -> None:
        """Take them out; those that are out already stay out."""
        for state in self._states:
            if state in self._plane.rules:
                self._plane.remove(state.rule.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


class Faults:
    """The rules in force in a testbed."""

    def __init__(self, plane: FaultPlane) -> None:
        self.plane = plane

    @property
    def fired(self) -> int:
        """How many faults have happened."""
        return sum(self.plane.fired.values())

    def passed(self, site: str) -> int:
        """How often a site was passed, with or without a fault. KeyError: there is no such site."""
        return self.plane.passed[site]

    def add(self, text: str) -> FaultHandle:
        """Put rules into force, one per line (docs/faults.md).

        Raises:
            ValueError: one is no rule, or could not be honoured; none of them is in force.
        """
        return FaultHandle(self.plane, self.plane.add_all(rules_of_text(text)))

    def reset(self) -> None:
        """Take all rules out, release every barrier and heal every connection."""
        self.plane.reset()


class DriverHandle:
    """The driver's process: its controller, and the node services that it has in it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def crash(self, down_s: float = 0.0) -> None:
        """End it as kill -9 does, and start it again after so many seconds; machines and the NAS go on."""
        await self._cluster.crash("driver", down_s=down_s)


class NasHandle:
    """The embedded NAS."""

    def __init__(self, cluster: Cluster, faults: Faults) -> None:
        self._cluster = cluster
        self._faults = faults
        self._skew: FaultHandle | None = None
        self.inside = NasInside(lambda: cluster.nas)

    async def call(self, method: str, *params: Any) -> Any:
        """Call a method from inside: past every fault, and without a connection.

        Raises:
            csisim.cluster.nas_inside.Refused: the NAS's own error.
        """
        return await self.inside.query(method, *params)

    async def crash(self, down_s: float = 0.0) -> None:
        """End it as kill -9 does, and start it again on what it had committed after so many seconds."""
        await self._cluster.crash("nas", down_s=down_s)

    async def restart(self) -> None:
        """Crash, and be back at once."""
        await self.crash()

    def skew(self, seconds: float) -> None:
        """Have its clock be wrong by so much from now on; 0 puts it right."""
        if self._skew is not None:
            self._skew.remove()
        self._skew = self._faults.add(f"clock.nas: skew({seconds:g}s)") if seconds else None


class TestNode:
    """One node of a testbed.

    Attributes:
        node_id: as the driver tells it.
        directory: where its kubelet has its directories.
        host: its simulated machine.
    """

    __test__ = False  # not a test class, whatever pytest makes of the name

    def __init__(self, cluster: Cluster, node_id: str, directory: str) -> None:
        self._cluster = cluster
        self.node_id = node_id
        self.directory = directory

    @property
    def host(self) -> SimHost:
        """Its machine."""
        return self._cluster.hosts[self.node_id]

    @property
    def paths(self) -> Any:
        """The directories of its machine: see `Paths` in csisim.co."""
        return HostPaths(self.host)

    def mounts(self) -> tuple[MountPoint, ...]:
        """Everything that is mounted there, oldest first."""
        return self.host.mounter.all_mounts()

    async def write(self, target: str, name: str, content: bytes) -> None:
        """Write a file as a pod does that has the volume at `target`; OSError as Linux would."""
        await self.host.content.write(target, name, content)

    async def read(self, target: str, name: str) -> bytes | None:
        """Read it back; None where there is no such file."""
        return await self.host.content.read(target, name)

    async def names(self, target: str) -> list[str]:
        """The files there are."""
        return await self.host.content.names(target)

    async def crash(self, down_s: float = 0.0) -> None:
        """End its node service as kill -9 does; the machine goes on."""
        await self._cluster.crash("node", self.node_id, down_s)

    async def reboot(self, down_s: float = 0.0) -> None:
        """Reboot the machine: mounts and sessions are gone, files on its disk are not."""
        await self._cluster.crash("reboot", self.node_id, down_s)
