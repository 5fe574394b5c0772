"""Driver, NAS, nodes, faults and a history, simulated or on real sockets: what runs and tests work with."""

import asyncio
import random
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from csisim.call_log import Observer
from csisim.check.verdicts import Result
from csisim.cluster import Cluster, ClusterSettings, EmbeddedNas, parse_endpoint
from csisim.cluster.inventory import host_leftovers, nas_leftovers
from csisim.cluster.parts import Parts
from csisim.cluster.real import RealSurroundings
from csisim.cluster.settings import all_calls_take
from csisim.cluster.simulated import SimulatedSurroundings
from csisim.co.callers import Around, Caller, Calls, Patience, dial
from csisim.co.node_side import KUBELETS_OWN, NodeSide
from csisim.co.orchestrator import Orchestrator
from csisim.co.timings import Timings
from csisim.driver.config import DriverConfig
from csisim.driver.device_wait import poll
from csisim.events import Event, History
from csisim.faults.settings import FaultSettings
from csisim.mutants.registry import parts_of
from csisim.runs import judge
from csisim.runs.handles import Faults, NasHandle, TestNode
from csisim.runs.pace import pace_of
from csisim.runs.plan import RunPlan
from csisim.runs.report import RunReport
from csisim.sim.grpc_seam import Exchange
from csisim.sim.lanes import lane, subject
from csisim.sim.streams import Streams
from csisim.started import Started

_ENDPOINT: Final = "unix:///simulated/csi.sock"
_KUBELET: Final = "/var/lib/kubelet"
_SEEN_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class TestbedSettings:
    """What a testbed consists of.

    Attributes:
        seed: of every random choice.
        simulated: in virtual time, inside of a `SimLoop`; else on real sockets under a temporary directory.
        patient: on real sockets everybody waits as long as in virtual time.
        node_ids: the nodes.
        rules: faults from the start on, as text.
        network_s: shortest and longest time of a CSI message one way, in seconds; simulated only.
        nas_s: shortest and longest time of a call inside of the NAS.
        driver: settings of the driver.
        co: have an orchestrator.
        trace: note also what the checks alone need: locks, calls of the NAS, what really happened on it and on nodes.
        mutant: a known bug that the driver has; see `csisim.mutants.registry`.
        parts: what the driver is built of; that of the mutant, or as it is shipped, where there is none.
        observers: told of every call that the driver has served; see `csisim.call_log`.
    """

    __test__ = False

    seed: int = 0
    simulated: bool = True
    patient: bool = False
    node_ids: tuple[str, ...] = ("node-1", "node-2")
    rules: tuple[str, ...] = ()
    network_s: tuple[float, float] = (0.0001, 0.002)
    nas_s: tuple[float, float] = (0.0005, 0.02)
    driver: DriverConfig = field(default_factory=DriverConfig)
    co: bool = True
    trace: bool = True
    mutant: str = ""
    parts: Parts | None = None
    observers: tuple[Observer, ...] = ()


class Testbed(Started):
    """Use as `async with Testbed(settings) as testbed`; where simulated, within `csisim.sim.run.simulate`.

    Attributes:
        settings: as given.
        seed, simulated: of the settings.
        pace: how long everybody waits: as Kubernetes does, or shorter.
        streams: random streams by name.
        calls: what all callers did.
        faults, nas, nodes: handles; there once it is started.
    """

    __test__ = False

    def __init__(self, settings: TestbedSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or TestbedSettings()
        self.seed = self.settings.seed
        self.simulated = self.settings.simulated
        self.pace = pace_of(real=not self.simulated, patient=self.settings.patient)
        self.streams = Streams(self.seed)
        self.calls = Calls()
        self.cluster = self._cluster()
        self.faults: Faults
        self.nas: NasHandle
        self.nodes: Mapping[str, TestNode] = {}
        self._co: Orchestrator | None = None
        self._started_s = 0.0

    @property
    def co(self) -> Orchestrator:
        """The orchestrator.

        Raises:
            RuntimeError: the settings ask for none, or it is not started yet.
        """
        if self._co is None:
            raise RuntimeError("the testbed has no orchestrator, or is not started")
        return self._co

    @property
    def history(self) -> History:
        """Everything that has happened."""
        if self.cluster.injection is None:
            raise RuntimeError("the testbed is not started")
        return self.cluster.injection.history

    @property
    def call_count(self) -> int:
        """How many CSI calls were made, each repeat counted."""
        return len(self.calls.attempts) + (0 if self._co is None else len(self._co.calls.attempts))

    @property
    def faults_fired(self) -> int:
        """How many faults have happened."""
        return 0 if self.cluster.injection is None else sum(self.cluster.injection.plane.fired.values())

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not turn up anywhere."""
        try:
            return (self.cluster.nas_settings.api_key,)
        except RuntimeError:  # the start has failed before there was a key
            return ()

    def events(self) -> list[Event]:
        """Everything that has happened, times from the start on; nothing before the start."""
        found = [] if self.cluster.injection is None else self.history.since(plain=True)
        if self.simulated:
            return found  # there the loop begins at 0, and what is noted of its steps is in its time
        return [replace(event, at_s=event.at_s - self._started_s) for event in found]

    def races(self) -> list[Result]:
        """What watched the driver's decisions has to say; nothing where nobody watched."""
        trace = None if self.cluster.injection is None else self.cluster.injection.trace
        return [] if trace is None else [trace.races.result()]

    def _cluster(self) -> Cluster:
        settings = self.settings
        if self.simulated:
            rng, (shortest_s, longest_s) = self.streams.stream("messages"), settings.network_s
            self._exchange = Exchange(lambda: rng.uniform(shortest_s, longest_s))
            self._surroundings: SimulatedSurroundings | RealSurroundings = SimulatedSurroundings(self._exchange)
        else:
            self._surroundings = RealSurroundings()
        return Cluster(
            ClusterSettings(
                driver=settings.driver,
                node_ids=settings.node_ids,
                endpoint=parse_endpoint(_ENDPOINT) if self.simulated else None,
                nas=EmbeddedNas(latency=all_calls_take(*settings.nas_s), tune=self.pace.tune),
                grace_period_s=self.pace.grace_s,
            ),
            rng=self.streams.stream("cluster"),
            surroundings=self._surroundings,
            faults=FaultSettings(seed=self.seed, history_limit=None, trace=settings.trace),
            parts=settings.parts or parts_of(settings.mutant),
            observers=settings.observers,
        )

    async def _start(self, stack: AsyncExitStack) -> None:
        home = _KUBELET
        if not self.simulated:
            home = stack.enter_context(tempfile.TemporaryDirectory(prefix="csisim-run-"))
        self._started_s = asyncio.get_running_loop().time()
        await stack.enter_async_context(self.cluster)
        injection = self.cluster.injection
        assert injection is not None  # noqa: S101 - the cluster was given faults
        if injection.trace is not None and not self.simulated:
            injection.trace.races.begin_s = self._started_s
        self.faults = Faults(injection.plane)
        self.nas = NasHandle(self.cluster, self.faults)
        self.nodes = MappingProxyType(
            {each: TestNode(self.cluster, each, f"{home}/{each}") for each in self.settings.node_ids}
        )
        for node in self.nodes.values():
            for name in KUBELETS_OWN:
                node.paths.make_dir(f"{node.directory}/{name}")
        for rule in self.settings.rules:
            self.faults.add(rule)
        if self.settings.co:
            self._co = await stack.enter_async_context(self._orchestrator())
            self.cluster.on_reboot.append(self.co.lose_power)

    def _orchestrator(self) -> Orchestrator:
        return Orchestrator(
            self,
            {name: NodeSide(node.paths, node, node.directory) for name, node in self.nodes.items()},
            rng=self.streams.stream("co"),
            history=self.history,
            timings=Timings().scaled(self.pace.co_times),
            around=self.around,
        )

    def channel(self, node_id: str | None) -> Any:
        """A new channel to a node's socket, None: to the controller's. Whoever asks for it closes it."""
        where = self.cluster.endpoint if node_id is None else self.cluster.node_endpoints[node_id]
        if isinstance(self._surroundings, SimulatedSurroundings):
            return self._surroundings.channel(where)
        return dial(where.target, self.pace.callers)

    def caller(
        self,
        name: str,
        node_id: str | None = None,
        *,
        rng: random.Random | None = None,
        patience: Patience | None = None,
    ) -> Caller:
        """Somebody who calls the driver, and is seen in the history.

        Args:
            name: who, such as "client-1".
            node_id: whose socket; None for the controller's.
            rng: jitter of the backoff; a stream of its own by default.
            patience: how it waits; as the pace says by default.
        """
        return Caller(
            self.channel(node_id),
            self.calls,
            rng or self.streams.stream(f"caller {name} {node_id or ''}"),
            patience or self.pace.callers,
            name=name,
            history=self.history,
            around=self.around,
        )

    @property
    def around(self) -> Around | None:
        """What a simulated call is made within: its lane and its subject."""
        return _of_call if self.simulated else None

    def phase(self, name: str) -> None:
        """Note that a phase begins: safety, heal, liveness, end."""
        self.history.add("info", "world", "phase", process="world", value={"phase": name})

    async def settled(self, timeout_s: float) -> None:
        """Wait until the orchestrator has everything as it is wanted.

        Raises:
            csisim.co.orchestrator.NotConverged: it has not come to that in time; names what it waits for.
        """
        await self.co.settled(timeout_s)

    async def conclude(self, timeout_s: float) -> None:
        """Start again what of the orchestrator has crashed, let every wish come true, then have everything deleted.

        Args:
            timeout_s: of either part.

        Raises:
            csisim.co.orchestrator.NotConverged: it has not come to that in time.
        """
        for process in self.co.process_names():
            if not self.co.runs(process):
                await self.co.restart(process)
        await self.co.settled(timeout_s)
        await self.co.everything_absent(timeout_s)

    async def look(self, expected: Callable[[list[str]], Collection[str]] | None) -> None:
        """Note what is left and which locks are held, once nothing goes on any more.

        Args:
            expected: says what of `leftovers` is to be left; None: that is nobody's concern.
        """
        await self.calm()
        if expected is not None:
            left = await self.leftovers()
            value = {"objects": left, "expected": sorted(expected(left))}
            self.history.add("info", "state", "left", process="world", value=value)
        self.history.add("info", "state", "locks", process="world", value={"held": self.held()})
        if self.simulated:
            spans = [list(span) for span in asyncio.get_running_loop().stalled if span[1] >= _SEEN_S]  # type: ignore[attr-defined]
            self.history.add("info", "state", "stalled", process="world", value={"spans": spans})

    async def check(self, expected: Collection[str] | None = None) -> RunReport:
        """Heal, look, and judge everything that has happened so far.

        Args:
            expected: what is to be left, as `leftovers` has it; None: that is nobody's concern.
        """
        await self.finish(expected)
        return self.judged(judge.Measured(
            self.settings.rules, self.faults_fired, self.call_count,
            virtual_s=asyncio.get_running_loop().time() - self._started_s,
        ))  # fmt: skip

    async def finish(self, expected: Collection[str] | None) -> None:
        """Heal, and look; `expected` as for `check`."""
        await self.heal()
        self.phase("end")
        await self.look(None if expected is None else lambda _left: expected)
        await self.calm()  # somebody may have looked for himself meanwhile, as the attacher does now and then

    def judged(self, measured: judge.Measured, more: Collection[Result] = ()) -> RunReport:
        """Everything that has happened so far, judged.

        Args:
            measured: what it was.
            more: what else was found.
        """
        events = tuple(map(judge.plain, self.events()))
        settings = self.settings
        plan = RunPlan(
            seed=self.seed, nodes=len(settings.node_ids), faults=settings.rules or ("none",),
            real=not self.simulated, patient=settings.patient, network_s=settings.network_s, nas_s=settings.nas_s,
            mutant=settings.mutant,
        )  # fmt: skip
        return judge.report(plan, [*judge.check_events(events, self.secrets), *self.races(), *more], measured)

    def note_errors(self) -> None:
        """From here on an error that nobody in the loop has taken up is an event of the history."""

        def unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            error = context.get("exception")
            text = f"{type(error).__name__}: {error}" if error else ""
            value = {"message": str(context.get("message", "")), "error": text}
            self.history.add("info", "world", "error", process="world", value=value)

        asyncio.get_running_loop().set_exception_handler(unhandled)

    async def heal(self) -> None:
        """All rules out, links up, what crashed back, and nothing of a fault going on any more."""
        self.faults.reset()
        if self.simulated:
            asyncio.get_running_loop().network.heal()  # type: ignore[attr-defined] # a SimLoop
        await self.cluster.recovered()
        await self.calm()

    async def calm(self) -> bool:
        """Wait until no call is out, nothing runs, no answer is missing and the NAS is reached; False: never so."""
        return await poll(self._is_calm, self.pace.calm_s)

    async def _is_calm(self) -> bool:
        nas = self.cluster.nas_client
        out = self.calls.out + (self.co.calls.out if self.settings.co else 0)
        return not out and not self.held() and nas is not None and nas.connected and not nas.tasks.count()

    def held(self) -> list[str]:
        """The keys of operation locks that are held now."""
        return [f"{where}: {key}" for where, locks in self.cluster.locks.items() for key in locks.held()]

    async def leftovers(self) -> list[str]:
        """Everything that is left of volumes and snapshots, on the NAS and on the nodes."""
        found = [
            f"NAS: {what}" for what in await nas_leftovers(self.nas.inside, self.cluster.settings.driver.root_dataset)
        ]
        found += await host_leftovers(self.cluster.hosts)
        for node in self.nodes.values():
            own = {f"{node.directory}/{name}" for name in KUBELETS_OWN}
            found += [f"{node.node_id}: path {path}" for path in node.paths.listing(node.directory) if path not in own]
        return found


@contextmanager
def _of_call(call: str, about: str) -> Iterator[None]:
    with lane(call), subject(about):
        yield
