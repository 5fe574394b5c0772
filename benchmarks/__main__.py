"""Run the benchmarks: `python -m benchmarks`, or `make bench`."""

import argparse
import asyncio
import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import orjson
import uvloop

from benchmarks import (
    checker,
    fault_measure,
    fault_report,
    nas_measure,
    nas_report,
    proxy,
    simulation,
    simulation_report,
)
from benchmarks.fault_measure import FaultPlan, FaultResults
from benchmarks.measure import QUICK, Plan, measure_levels, measure_pairs
from benchmarks.nas_measure import NasPlan, NasResults
from benchmarks.report import Results, as_json, as_text
from csisim.logs import silence

DRIVER_PARTS = ("pairs", "create", "list")
NAS_PARTS = ("nas-calls", "nas-size")
PARTS = (*DRIVER_PARTS, *NAS_PARTS, "proxy", "faults", "checker", "simulation")


async def run(plan: Plan, parts: list[str], date: str) -> Results:
    """Measure the parts asked for; sockets and logs lie in a directory of their own that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="csisim-bench-") as directory:
        work = Path(directory)
        pairs = await measure_pairs(work, plan) if "pairs" in parts else []
        levels = []
        if {"create", "list"} & set(parts):
            levels = await measure_levels(work, plan, create="create" in parts, pages="list" in parts)
    return Results(date, plan, pairs, levels)


async def run_nas(plan: NasPlan, parts: list[str], cache: Path) -> NasResults:
    """Measure the parts of the NAS that were asked for; the big data directory is kept in `cache`."""
    with tempfile.TemporaryDirectory(prefix="csisim-bench-") as directory:
        work = Path(directory)
        calls = await nas_measure.measure_calls(work, plan) if "nas-calls" in parts else []
        size = await nas_measure.measure_size(work, cache, plan) if "nas-size" in parts else None
    return NasResults(plan, calls, size)


async def run_proxy(plan: Plan) -> list[proxy.ProxyResult]:
    """Measure what the proxy costs."""
    with tempfile.TemporaryDirectory(prefix="csisim-bench-") as directory:
        return await proxy.measure_proxy(Path(directory), plan)


async def run_faults(plan: FaultPlan) -> FaultResults:
    """Measure what the fault plane costs."""
    with tempfile.TemporaryDirectory(prefix="csisim-bench-") as directory:
        return await fault_measure.measure_faults(Path(directory), plan)


def _documents(runner: asyncio.Runner, arguments: argparse.Namespace, parts: list[str]) -> tuple[str, dict[str, Any]]:
    """Run what was asked for; tables, and the same for JSON. The old driver part has the document's top level."""
    results = Results(arguments.date, QUICK if arguments.quick else Plan(), [], [])
    if set(DRIVER_PARTS) & set(parts):
        results = runner.run(run(results.plan, parts, arguments.date))
    text, document = as_text(results), as_json(results)
    if set(NAS_PARTS) & set(parts):
        plan = nas_measure.QUICK if arguments.quick else NasPlan()
        nas = runner.run(run_nas(plan, parts, arguments.output.parent / "cache"))
        text, document = f"{text}\n\n{nas_report.as_text(nas)}", document | {"nas": nas_report.as_json(nas)}
    if "proxy" in parts:
        proxied = runner.run(run_proxy(results.plan))
        text, document = f"{text}\n\n{proxy.as_text(proxied)}", document | {"proxy": proxy.as_json(proxied)}
    if "faults" in parts:
        faults = runner.run(run_faults(fault_measure.QUICK if arguments.quick else FaultPlan()))
        text = f"{text}\n\n{fault_report.as_text(faults)}"
        document["faults"] = fault_report.as_json(faults)
    if "checker" in parts:
        checked = checker.measure_checker(results.plan.rounds)
        text, document = f"{text}\n\n{checker.as_text(checked)}", document | {"checker": checker.as_json(checked)}
    if "simulation" in parts:
        silence()  # what is measured runs in this process
        found = simulation.measure_simulation(simulation.QUICK if arguments.quick else simulation.SimulationPlan())
        text = f"{text}\n\n{simulation_report.as_text(found)}"
        document["simulation"] = simulation_report.as_json(found)
    return text, document


def main() -> None:
    """Read the flags, measure, print the tables and write the JSON."""
    parser = argparse.ArgumentParser(
        description="Measure the driver, fake_truenas and the proxy, each beside a bare server."
    )
    parser.add_argument("--quick", action="store_true", help="few rounds and volumes: shows that it works, no more")
    parser.add_argument("--only", default=",".join(PARTS), help=f"comma-separated, of {', '.join(PARTS)}")
    parser.add_argument("--output", type=Path, default=Path("results/bench.json"))
    parser.add_argument("--date", default=dt.datetime.now(dt.UTC).date().isoformat())
    arguments = parser.parse_args()
    parts = arguments.only.split(",")
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"--only: {', '.join(unknown)} is not one of {', '.join(PARTS)}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        text, document = _documents(runner, arguments, parts)
    print(text)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    print(f"\nwritten to {arguments.output}")


if __name__ == "__main__":
    main()
