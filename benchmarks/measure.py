"""The measurements: what is alternated with what, and how often."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import load, servers
from benchmarks.servers import Target, Usage
from benchmarks.statistics import Spread, median, per_ten_thousand, quantile, ratios, spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much to measure.

    Attributes:
        concurrencies: lanes of Create+Delete.
        rounds: how often each target gets its turn; the first turn of all is thrown away.
        round_s: length of one turn of Create+Delete.
        levels: numbers of volumes present, ascending; the first is also the one that the others are compared with.
        batch: CreateVolume or ListVolumes calls per turn at a level.
    """

    concurrencies: tuple[int, ...] = (1, 16, 64)
    rounds: int = 5
    round_s: float = 3.0
    levels: tuple[int, ...] = (100, 10_000, 100_000)
    batch: int = 60


QUICK = Plan(rounds=2, round_s=0.5, levels=(100, 1000), batch=20)


@dataclass(frozen=True, slots=True)
class PairsResult:
    """Create+Delete at one concurrency.

    Attributes:
        ratio: csisim's pairs/s over the bare server's, round by round.
        cpu_ms_per_rpc: of the servers, by role; medians over the rounds.
    """

    concurrency: int
    csisim_per_s: Spread
    bare_per_s: Spread
    ratio: Spread
    cpu_ms_per_rpc: dict[str, float]


@dataclass(frozen=True, slots=True)
class Compared:
    """Milliseconds at the median of each turn: of the driver with few volumes, with many, and of the bare server.

    Attributes:
        ratio: many over few, turn by turn.
    """

    many_ms: Spread
    few_ms: Spread
    bare_ms: Spread
    ratio: Spread


@dataclass(frozen=True, slots=True)
class LevelResult:
    """What a number of volumes present does to CreateVolume, to the first page of ListVolumes, and to memory.

    Attributes:
        last_page_ms: the last full page; None where only pages of `first_page` were asked for.
        populated_per_s: CreateVolume calls per second while the volumes were made.
    """

    volumes: int
    populated_per_s: float
    create: Compared | None
    first_page: Compared | None
    last_page_ms: Spread | None
    peak_bytes: dict[str, int]


async def measure_pairs(work: Path, plan: Plan) -> list[PairsResult]:
    """Create+Delete on both servers in turn, at each concurrency."""
    results = []
    async with AsyncExitStack() as stack:
        bare = await stack.enter_async_context(servers.bare(work))
        csisim = await stack.enter_async_context(servers.csisim(work))
        for target in (bare, csisim):
            await load.pairs(target, max(plan.concurrencies), plan.round_s, "warm-up")
        for concurrency in plan.concurrencies:
            say(f"Create+Delete with {concurrency} at a time")
            turns: dict[str, list[load.Pairs]] = {"bare": [], "csisim": []}
            for turn in range(plan.rounds):
                for target in rotated((bare, csisim), turn):
                    prefix = f"pair-{concurrency}-{turn}"
                    turns[target.name].append(await load.pairs(target, concurrency, plan.round_s, prefix))
            results.append(_pairs_result(concurrency, turns["csisim"], turns["bare"]))
    return results


def _pairs_result(concurrency: int, csisim: list[load.Pairs], bare: list[load.Pairs]) -> PairsResult:
    csisim_per_s, bare_per_s = [each.per_s for each in csisim], [each.per_s for each in bare]
    cpu = {
        role: 1000 * median([each.cpu_s_per_rpc[role] for each in turns])
        for turns in (csisim, bare)
        for role in turns[0].cpu_s_per_rpc
    }
    return PairsResult(concurrency, spread(csisim_per_s), spread(bare_per_s), ratios(csisim_per_s, bare_per_s), cpu)


async def measure_levels(work: Path, plan: Plan, *, create: bool, pages: bool) -> list[LevelResult]:
    """One driver keeps the first level, one climbs all of them, so that both are measured within the same seconds."""
    results = []
    async with AsyncExitStack() as stack:
        few = await stack.enter_async_context(servers.csisim(work, "few"))
        many = await stack.enter_async_context(servers.csisim(work, "many"))
        await load.populate(few, 0, plan.levels[0], _progress("the driver to compare with", plan.levels[0]))
        present = 0
        for level in plan.levels:
            report = _progress(f"{level:,} volumes", level - present)
            populated_per_s = await load.populate(many, present, level, report)
            present = level
            results.append(await _measure_level(work, plan, few, many, level, populated_per_s, create, pages))
    return results


async def _measure_level(
    work: Path, plan: Plan, few: Target, many: Target, level: int, populated_per_s: float, create: bool, pages: bool
) -> LevelResult:
    peaks = peak_by_role(many.usage())
    created, first, last = None, None, None
    async with servers.bare(work, level) as bare:
        if create:
            say(f"CreateVolume beside {level:,} volumes")
            turn = iter(range(1_000_000))
            created = await _compare(
                plan, many, few, bare, lambda on: load.create_latencies(on, plan.batch, f"new-{level}-{next(turn)}")
            )
        if pages:
            say(f"ListVolumes of {level:,} volumes")
            first = await _compare(plan, many, few, bare, lambda on: load.page_latencies(on, plan.batch))
            token = await load.deep_token(many)
            last = await _turns(plan, many, lambda on: load.page_latencies(on, plan.batch, token))
    return LevelResult(level, populated_per_s, created, first, last, peaks)


async def _compare(
    plan: Plan, many: Target, few: Target, bare: Target, turn: Callable[[Target], Awaitable[list[float]]]
) -> Compared:
    """Alternate the three, in an order that changes, and keep the median of every turn."""
    targets = {"many": many, "few": few, "bare": bare}
    for target in targets.values():
        await turn(target)
    taken: dict[str, list[float]] = {name: [] for name in targets}
    for number in range(plan.rounds):
        for name in rotated(tuple(targets), number):
            taken[name].append(1000 * quantile(await turn(targets[name]), 0.5))
    many_ms, few_ms, bare_ms = (taken[name] for name in ("many", "few", "bare"))
    return Compared(spread(many_ms), spread(few_ms), spread(bare_ms), ratios(many_ms, few_ms))


async def _turns(plan: Plan, target: Target, turn: Callable[[Target], Awaitable[list[float]]]) -> Spread:
    return spread([1000 * quantile(await turn(target), 0.5) for _ in range(plan.rounds)])


def peak_by_role(usage: dict[str, Usage]) -> dict[str, int]:
    """Peak resident bytes of each process."""
    return {role: each.peak_bytes for role, each in usage.items()}


def memory_growth(levels: Sequence[LevelResult]) -> dict[str, float]:
    """Bytes of peak memory per 10,000 volumes by role, between the first level and the last."""
    first, last = levels[0], levels[-1]
    return {
        role: per_ten_thousand(first.peak_bytes[role], last.peak_bytes[role], first.volumes, last.volumes)
        for role in first.peak_bytes
    }


def say(text: str) -> None:
    """Progress, apart from the results on standard output."""
    print(f"  {text} ...", file=sys.stderr, flush=True)


def _progress(what: str, total: int) -> Callable[[int, float], None]:
    say(f"creating {what}")

    def report(done: int, elapsed_s: float) -> None:
        if elapsed_s > 0 and done < total:
            print(f"    {done:,} of {total:,} ({done / elapsed_s:,.0f}/s)", file=sys.stderr, flush=True)

    return report


def rotated(items: tuple[Any, ...], turn: int) -> tuple[Any, ...]:
    """The same in an order that begins one further each turn."""
    start = turn % len(items)
    return items[start:] + items[:start]
