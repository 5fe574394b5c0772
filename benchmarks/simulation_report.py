"""What the simulation does as tables, and whether that keeps the bars."""

from dataclasses import asdict
from typing import Any

from benchmarks.report import table, with_range
from benchmarks.simulation import LEAST_CPU_RATIO, REFERENCE_LOOP_S, LockResult, SimulationResults


def as_json(results: SimulationResults) -> dict[str, Any]:
    """Everything, with the bars."""
    document = asdict(results)
    document["results"] = [
        {**asdict(each), "is_fast": each.is_fast, "is_cheap": each.is_cheap} for each in results.results
    ]
    document["bars"] = {"cpu_ratio": LEAST_CPU_RATIO, "reference_loop_s": REFERENCE_LOOP_S}
    return document


def as_text(results: SimulationResults) -> str:
    """Two tables; `median (low to high)` over the turns."""
    header = (
        "clients x operations", "what", "schedules/s", "at the bars' speed", "bar", "", "steps/s",
        "CPU on sockets / simulated", "bar", "",
    )  # fmt: skip
    rows = [
        (
            each.size.name,
            each.kind,
            with_range(each.per_s, 0),
            with_range(each.scaled_per_s, 0),
            f">= {each.size.bar_per_s:.0f}",
            _met(kept=each.is_fast),
            with_range(each.steps_per_s, 0),
            with_range(each.cpu_ratio, 1),
            f">= {LEAST_CPU_RATIO:.0f}",
            _met(kept=each.is_cheap),
        )
        for each in results.results
    ]
    taken = with_range(results.loop_s, 4)
    title = f"Schedules per second of CPU; the bare loop took {taken} s, the bars are for {REFERENCE_LOOP_S} s"
    return f"{table(title, header, rows)}\n\n{_locks(results.locks)}"


def _met(*, kept: bool) -> str:
    return "met" if kept else "NOT MET"


def _locks(locks: LockResult) -> str:
    title = "Eight tasks that take locks 160 times, one schedule"
    if not locks.ms:
        return f"{title}\n  not measured: {locks.why_not}"
    ours = locks.ms["csisim"]
    rows = [(name, f"{each_ms:.2f}", f"{each_ms / ours:.2f}") for name, each_ms in locks.ms.items()]
    return table(title, ("simulation", "CPU ms", "ratio"), rows)
