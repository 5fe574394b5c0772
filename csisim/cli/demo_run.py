"""One run of the demo: cluster, callers and faults put together, the story told, and everything looked through."""

import asyncio
import base64
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from csisim.cli.demo_faults import DemoFaults
from csisim.cli.demo_report import Check, Verdict, rpc_rows, seen_of
from csisim.cli.demo_workload import Blocks, Trouble, Workload, kubelets_on
from csisim.cluster import Cluster, ClusterSettings
from csisim.cluster.inventory import host_leftovers, nas_leftovers
from csisim.co.callers import Caller, Calls, GaveUp, dial
from csisim.co.kubelet import CheckFailed
from csisim.errors import NasError
from csisim.faults.settings import FaultSettings
from csisim.truenas.client import NasClient

NODES = ("node-1", "node-2")
VOLUMES = 20
_LIMIT_S = 60.0

Progress = Callable[[str, int, int], None]


async def run_demo(seed: int, progress: Progress, *, keep: frozenset[str] = frozenset()) -> Verdict:
    """Run once.

    Args:
        seed: of order, content, jitter and names.
        progress: told what is going on.
        keep: names of volumes that are left on purpose.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    settings = ClusterSettings(node_ids=NODES, grace_period_s=2.0, device_delay_s=0.01)
    with tempfile.TemporaryDirectory(prefix="csisim-demo-") as directory:
        inner = random.Random(rng.getrandbits(64))  # noqa: S311
        async with Cluster(settings, rng=inner, faults=FaultSettings(seed=seed, history_limit=0)) as cluster:
            assert cluster.injection is not None  # noqa: S101 - it was given settings for faults
            faults = DemoFaults(cluster.injection, cluster.hosts)
            run = _Run(cluster, Path(directory), faults, rng, progress)
            return await run.to_verdict(seed, keep)


class _Run:
    def __init__(
        self,
        cluster: Cluster,
        directory: Path,
        faults: DemoFaults,
        rng: random.Random,
        progress: Progress,
    ) -> None:
        self._cluster = cluster
        self._faults = faults
        self._rng = rng
        self._progress = progress
        self._calls = Calls()
        # Looks at the NAS and moves blocks: its connection is not the driver's.
        self._other = NasClient(cluster.nas_settings, rng=rng)
        self._main = Caller(dial(cluster.endpoint.target), self._calls, rng)
        targets = {node_id: where.target for node_id, where in cluster.node_endpoints.items()}
        self._kubelets = kubelets_on(directory, targets, self._calls, rng)

    async def to_verdict(self, seed: int, keep: frozenset[str]) -> Verdict:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        await self._other.start()
        try:
            workload = self._workload(keep)
            problem = await self._tell(workload)
            duration_s = loop.time() - started_s
            self._progress("look for leaks", 0, 1)
            leaks = await self._leaks()
            self._progress("look for leaks", 1, 1)
        finally:
            await self._other.close()
            await self._main.close()
            for kubelet in self._kubelets.values():
                await kubelet.close()
        return Verdict(
            seed=seed,
            volumes=len(workload.volumes),
            duration_s=round(duration_s, 3),
            rpcs=rpc_rows(self._calls.attempts),
            injected=seen_of(self._faults.injections, self._calls.attempts),
            checks=self._checks(workload, problem, leaks),
            leaks=tuple(leaks),
        )

    def _workload(self, keep: frozenset[str]) -> Workload:
        return Workload(
            main=self._main,
            kubelets=self._kubelets,
            trouble=Trouble(self._faults.cut_link, self._faults.keep_busy),
            blocks=Blocks(self._write, self._read),
            rng=self._rng,
            progress=self._progress,
            keep=keep,
        )

    async def _tell(self, workload: Workload) -> str:
        """Run the story; returns what ended it early, "" for nothing."""
        try:
            async with asyncio.timeout(_LIMIT_S):
                await workload.run()
        except TimeoutError:
            return f"not done within {_LIMIT_S:g} s"
        except (GaveUp, CheckFailed, NasError) as error:
            return str(error)
        except BaseExceptionGroup as group:
            known, unknown = group.split((GaveUp, CheckFailed, NasError))
            if unknown is not None or known is None:
                raise
            return "; ".join(str(error) for error in _leaves(known))
        return ""

    async def _leaks(self) -> list[str]:
        root = self._cluster.settings.driver.root_dataset
        found = [f"NAS: {what}" for what in await nas_leftovers(self._other, root)]
        found += await host_leftovers(self._cluster.hosts)
        for node_id, kubelet in self._kubelets.items():
            found += [f"{node_id}: path {path}" for path in kubelet.leftovers()]
        return found

    def _checks(self, workload: Workload, problem: str, leaks: list[str]) -> tuple[Check, ...]:
        cuts = [each for each in self._faults.injections if each.in_flight > 1]
        mounted = self._faults.still_mounted
        refusals = len(mounted)
        shown = ", ".join(leaks[:10]) + (f" and {len(leaks) - 10} more" if len(leaks) > 10 else "")
        if problem and leaks:
            shown = f"{len(leaks)} things are left, because the run ended early"
        return (
            Check("every volume went through its whole life, and all answers were right", not problem, problem),
            Check(f"{VOLUMES} volumes were created", len(workload.volumes) == VOLUMES, f"{len(workload.volumes)}"),
            Check("the websocket was cut in the middle of concurrent calls", len(cuts) >= 2, f"{len(cuts)} times"),
            Check("an unmount was refused, and the mount stayed", bool(mounted) and all(mounted), f"{refusals} times"),
            Check("nothing leaked", not leaks, shown),
        )

    async def _write(self, volume_id: str, offset: int, content: bytes) -> None:
        await self._other.query("fake.block.write", self._zvol(volume_id), offset, base64.b64encode(content).decode())

    async def _read(self, volume_id: str, offset: int, length: int) -> bytes:
        return base64.b64decode(await self._other.query("fake.block.read", self._zvol(volume_id), offset, length))

    def _zvol(self, volume_id: str) -> str:
        return f"{self._cluster.settings.driver.root_dataset}/{volume_id}"


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
