"""Run the benchmarks: `python -m benchmarks`, or `make bench`."""

import argparse
import asyncio
import datetime as dt
import tempfile
from pathlib import Path

import orjson
import uvloop

from benchmarks.measure import QUICK, Plan, measure_levels, measure_pairs
from benchmarks.report import Results, as_json, as_text

PARTS = ("pairs", "create", "list")


async def run(plan: Plan, parts: list[str], date: str) -> Results:
    """Measure the parts asked for; sockets and logs lie in a directory of their own that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="csisim-bench-") as directory:
        work = Path(directory)
        pairs = await measure_pairs(work, plan) if "pairs" in parts else []
        levels = []
        if {"create", "list"} & set(parts):
            levels = await measure_levels(work, plan, create="create" in parts, pages="list" in parts)
    return Results(date, plan, pairs, levels)


def main() -> None:
    """Read the flags, measure, print the tables and write the JSON."""
    parser = argparse.ArgumentParser(description="Measure the driver beside a bare gRPC server.")
    parser.add_argument("--quick", action="store_true", help="few rounds and volumes: shows that it works, no more")
    parser.add_argument("--only", default=",".join(PARTS), help=f"comma-separated, of {', '.join(PARTS)}")
    parser.add_argument("--output", type=Path, default=Path("results/bench.json"))
    parser.add_argument("--date", default=dt.datetime.now(dt.UTC).date().isoformat())
    arguments = parser.parse_args()
    parts = arguments.only.split(",")
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"--only: {', '.join(unknown)} is not one of {', '.join(PARTS)}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        results = runner.run(run(QUICK if arguments.quick else Plan(), parts, arguments.date))
    print(as_text(results))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_bytes(orjson.dumps(as_json(results), option=orjson.OPT_INDENT_2) + b"\n")
    print(f"\nwritten to {arguments.output}")


if __name__ == "__main__":
    main()
