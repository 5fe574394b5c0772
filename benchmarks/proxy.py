"""What `csisim proxy` adds to a call: the bare server asked directly and through the proxy, turn by turn."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import load, servers
from benchmarks.measure import Plan, rotated, say
from benchmarks.report import table, with_range
from benchmarks.servers import Target
from benchmarks.statistics import Spread, median, quantile, spread

MOST_MS = 1.0
"""The bar for the cost of a call at the median."""

_PRESENT = 1000
Turn = Callable[[Target, int], Awaitable[list[float]]]


@dataclass(frozen=True, slots=True)
class ProxyResult:
    """One kind of call.

    Attributes:
        direct_ms, through_ms: at the median of each turn.
        cost_ms: through the proxy less direct, turn by turn.
        cpu_ms: of the proxy's process, per call.
    """

    call: str
    direct_ms: Spread
    through_ms: Spread
    cost_ms: Spread
    cpu_ms: float


async def _deletes(target: Target, count: int) -> list[float]:
    return [await load.seconds(load.delete(target, "absent")) for _ in range(count)]


async def _pages(target: Target, count: int) -> list[float]:
    return await load.page_latencies(target, count)


_CALLS: dict[str, Turn] = {"DeleteVolume": _deletes, "ListVolumes, page of 100": _pages}


async def measure_proxy(work: Path, plan: Plan, calls: int = 200) -> list[ProxyResult]:
    """Each kind of call, one at a time, so often per turn. The proxy has no rules, and keeps its record as always."""
    async with AsyncExitStack() as stack:
        direct = await stack.enter_async_context(servers.bare(work, _PRESENT))
        through = await stack.enter_async_context(servers.proxied(work, work / "bare.sock"))
        return [await _measure(plan.rounds, calls, name, turn, direct, through) for name, turn in _CALLS.items()]


async def _measure(rounds: int, count: int, name: str, turn: Turn, direct: Target, through: Target) -> ProxyResult:
    say(f"{name} directly and through the proxy")
    taken: dict[str, list[float]] = {"direct": [], "through": []}
    cpu: list[float] = []
    for target in (direct, through):
        await turn(target, count)
    for number in range(rounds):
        for side, target in rotated((("direct", direct), ("through", through)), number):
            before = through.usage()["proxy"].cpu_s
            taken[side].append(1000 * quantile(await turn(target, count), 0.5))
            if side == "through":
                cpu.append(1000 * (through.usage()["proxy"].cpu_s - before) / count)
    costs = [mine - bare for mine, bare in zip(taken["through"], taken["direct"], strict=True)]
    return ProxyResult(name, spread(taken["direct"]), spread(taken["through"]), spread(costs), median(cpu))


def as_json(results: list[ProxyResult]) -> dict[str, Any]:
    """Everything, with the bar."""
    return {"most_ms": MOST_MS, "calls": [asdict(each) for each in results]}


def as_text(results: list[ProxyResult]) -> str:
    """One table; `median (low to high)` over the turns, and whether the cost is below the bar."""
    header = ("call", "direct p50 ms", "through p50 ms", f"cost ms (bar {MOST_MS:.1f})", "bar", "proxy CPU ms/call")
    rows = [
        (
            each.call,
            with_range(each.direct_ms, 2),
            with_range(each.through_ms, 2),
            with_range(each.cost_ms, 2),
            "met" if each.cost_ms.median <= MOST_MS else "NOT MET",
            f"{each.cpu_ms:.2f}",
        )
        for each in results
    ]
    return table("csisim proxy, one call at a time", header, rows)
