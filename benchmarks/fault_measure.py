"""What the fault plane costs: the same driver without one, with no rules, and with rules for other volumes."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from benchmarks import load, servers
from benchmarks.measure import rotated, say
from benchmarks.servers import Target
from benchmarks.statistics import Spread, median, ratios, spread

_CALLS = ("pool.dataset.create", "pool.dataset.query", "pool.dataset.delete", "sharing.nfs.create", "sharing.nfs.query")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """How much to measure.

    Attributes:
        concurrency: lanes of Create+Delete.
        rounds: how often each driver gets its turn.
        round_s: length of one turn. Short ones follow each other closely, which is what their ratio needs.
        rules: how many do not match.
    """

    concurrency: int = 16
    rounds: int = 40
    round_s: float = 0.5
    rules: int = 1000


QUICK = FaultPlan(rounds=4, round_s=0.25)


@dataclass(frozen=True, slots=True)
class Setup:
    """A driver to compare with the one without a plane.

    Attributes:
        name: in the table.
        rules: that it has.
        most: the share of throughput that it may lose.
    """

    name: str
    rules: Sequence[str]
    most: float


@dataclass(frozen=True, slots=True)
class FaultResult:
    """One setup beside the driver without a plane.

    Attributes:
        ratio: of pairs/s, turn by turn.
        cpu_ratio: of the process's CPU time per call, median over median.
        most: as in the setup.
    """

    name: str
    per_s: Spread
    ratio: Spread
    cpu_ratio: float
    most: float

    @property
    def met(self) -> bool:
        """Whether the median of the ratios keeps the bar."""
        return self.ratio.median >= 1.0 - self.most


@dataclass(frozen=True, slots=True)
class FaultResults:
    """What was measured.

    Attributes:
        bare_per_s: pairs/s of the driver without a plane.
    """

    plan: FaultPlan
    bare_per_s: Spread
    results: Sequence[FaultResult]


def spread_rules(count: int) -> list[str]:
    """Rules over every site that a volume's life passes at the driver and its NAS, none for a volume that there is."""
    methods = ("CreateVolume", "DeleteVolume", "ControllerPublishVolume", "NodeStageVolume", "NodePublishVolume")
    sites = [(f"rpc.{method}.{when}", "error(UNAVAILABLE)") for method in methods for when in ("before", "after")]
    sites += [(f"nas.{call}.{when}", "error(EBUSY)") for call in _CALLS for when in ("request", "apply", "reply")]
    numbered = enumerate(islice(cycle(sites), count))
    return [f"{site}{{vol=other-{number:04}-*}}: {action}" for number, (site, action) in numbered]


def one_site_rules(count: int) -> list[str]:
    """Rules at one site, none for a volume that there is."""
    return [f"rpc.CreateVolume.before{{vol=other-{number:04}-*}}: error(UNAVAILABLE)" for number in range(count)]


def setups(rules: int) -> list[Setup]:
    """What is compared, with its bar."""
    return [
        Setup("no rules", (), 0.05),
        Setup(f"{rules:,} rules at many sites", spread_rules(rules), 0.15),
        Setup(f"{rules:,} rules at one site", one_site_rules(rules), 0.15),
    ]


async def measure_faults(work: Path, plan: FaultPlan) -> FaultResults:
    """Create+Delete on all drivers in turn, each with its NAS inside, so that every site is in the way."""
    compared = setups(plan.rules)
    async with AsyncExitStack() as stack:
        bare = await stack.enter_async_context(servers.with_faults(work, "no-plane", None))
        targets = [bare]
        for number, each in enumerate(compared):
            targets.append(await stack.enter_async_context(servers.with_faults(work, f"plane-{number}", each.rules)))
        say(f"Create+Delete with {plan.concurrency} at a time, with and without a fault plane")
        turns = await _turns(plan, targets)
    results = [
        _result(each, turns[target.name], turns[bare.name]) for each, target in zip(compared, targets[1:], strict=True)
    ]
    return FaultResults(plan, spread([each.per_s for each in turns[bare.name]]), results)


async def _turns(plan: FaultPlan, targets: Sequence[Target]) -> dict[str, list[load.Pairs]]:
    for target in targets:
        await load.pairs(target, plan.concurrency, plan.round_s, "warm-up")
    turns: dict[str, list[load.Pairs]] = {target.name: [] for target in targets}
    for turn in range(plan.rounds):
        for target in rotated(tuple(targets), turn):
            turns[target.name].append(await load.pairs(target, plan.concurrency, plan.round_s, f"pair-{turn}"))
    return turns


def _result(setup: Setup, taken: Sequence[load.Pairs], bare: Sequence[load.Pairs]) -> FaultResult:
    per_s = [each.per_s for each in taken]
    cpu, bare_cpu = (median([each.cpu_s_per_rpc["driver"] for each in turns]) for turns in (taken, bare))
    return FaultResult(
        setup.name, spread(per_s), ratios(per_s, [each.per_s for each in bare]), cpu / bare_cpu, setup.most
    )
