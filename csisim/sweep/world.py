"""One cluster on real sockets with its callers, in which one case after the other is run."""

import random
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from csisim.cluster import Cluster, ClusterSettings, EmbeddedNas
from csisim.cluster.inventory import host_leftovers, nas_leftovers
from csisim.cluster.nas_inside import NasInside
from csisim.cluster.parts import Parts
from csisim.cluster.settings import impatient
from csisim.co.callers import Caller, Calls, Patience, dial
from csisim.co.kubelet import Kubelet
from csisim.driver.device_wait import poll
from csisim.faults.plane import FaultPlane
from csisim.faults.settings import FaultSettings
from csisim.started import Started
from csisim.sweep.content import Content
from csisim.sweep.watch import Watch
from csisim.truenas.settings import NasSettings

NODE: Final = "node-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient everybody is, so that a case takes no longer than it must. Seconds.

    Attributes:
        timeout_s: of a call, where an answer is to be expected.
        lost_timeout_s: of a call in cases that lose an answer: somebody waits for it in vain.
        overdue_s, landing_s: see `csisim.truenas.settings`; 15 and 1 by default there.
        limit_s: of a whole case.
    """

    timeout_s: float = 8.0
    lost_timeout_s: float = 0.6
    overdue_s: float = 0.2
    landing_s: float = 0.05
    limit_s: float = 40.0

    def tune(self, settings: NasSettings) -> NasSettings:
        """The NAS client's patience."""
        return impatient(settings, overdue_s=self.overdue_s, landing_s=self.landing_s)

    def patience(self, *, loses_answers: bool) -> Patience:
        """The callers'."""
        timeout_s = self.lost_timeout_s if loses_answers else self.timeout_s
        return Patience(timeout_s=timeout_s, backoff_s=0.01, backoff_max_s=0.2, reconnect_s=0.02)


class World(Started):
    """Use as `async with World(seed) as world`.

    Args:
        seed: of names, jitter and faults.
        pace: of everybody.

    Attributes:
        cluster: driver, NAS and one node.
        caller: of its socket.
        kubelet: of its node.
        calls: what the callers did.
        content: what is on the volumes.
        watch: what the driver tried to do to the node.
    """

    def __init__(self, seed: int, pace: Pace | None = None) -> None:
        super().__init__()
        self.pace = pace or Pace()
        self.watch = Watch()
        self.calls = Calls()
        self._rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
        settings = ClusterSettings(node_ids=(NODE,), nas=EmbeddedNas(tune=self.pace.tune), grace_period_s=0.5)
        self.cluster = Cluster(
            settings,
            rng=random.Random(seed),  # noqa: S311
            faults=FaultSettings(seed=seed, history_limit=0),
            parts=Parts(host=lambda node_id, host, _: self.watch(node_id, host)),
        )
        self._nas = NasInside(lambda: self.cluster.nas)
        self.content = Content(self._nas, settings.driver.root_dataset)
        self.caller: Caller
        self.kubelet: Kubelet

    async def _start(self, stack: AsyncExitStack) -> None:
        self._directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="csisim-sweep-")))
        await stack.enter_async_context(self.cluster)
        self.watch.hosts = self.cluster.hosts
        patience = self.pace.patience(loses_answers=False)
        self.caller = Caller(dial(self.cluster.endpoint.target, patience), self.calls, self._rng, patience)
        stack.push_async_callback(self.caller.close)
        self.kubelet = Kubelet(NODE, self.caller, self._directory)
        for name in ("plugins", "pods"):
            (self._directory / name).mkdir()

    @property
    def plane(self) -> FaultPlane:
        """The rules in force."""
        if self.cluster.injection is None:
            raise RuntimeError("the cluster was made without faults")
        return self.cluster.injection.plane

    async def leftovers(self) -> list[str]:
        """Everything that is left of volumes and snapshots: on the NAS, on the node and in kubelet's directory."""
        root = self.cluster.settings.driver.root_dataset
        found = [f"NAS: {what}" for what in await nas_leftovers(self._nas, root)]
        found += [f"NAS: property {name} of {root}" for name in await self._intents(root)]
        found += await host_leftovers(self.cluster.hosts)
        return found + [f"{NODE}: path {path}" for path in self.kubelet.leftovers()]

    async def calm(self, patience_s: float) -> bool:
        """Wait until nothing of a fault goes on: handlers of calls that were given up, lost answers, reconnecting."""
        await self.cluster.recovered()
        return await poll(self._is_calm, patience_s)

    async def _is_calm(self) -> bool:
        nas = self.cluster.nas_client
        return not self.held() and nas is not None and nas.connected and not nas.tasks.count()

    def held(self) -> list[str]:
        """The keys of operation locks that are held now."""
        return [f"{where}: {key}" for where, locks in self.cluster.locks.items() for key in locks.held()]

    async def _intents(self, root: str) -> list[str]:
        rows = await self._nas.query("pool.dataset.query", [["id", "=", root]], {"extra": {"retrieve_children": False}})
        return [name for row in rows for name in row.get("user_properties", {})]
