"""Whether equal seeds give equal runs: in one process after other runs, and in processes that hash texts otherwise.

python tools/determinism.py 0:1000        # each seed twice in each of three processes

Exit status 0 if every run of a seed has the same trace hash, 1 if not.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
HASH_SEEDS = ("0", "1", "4711")
CO_EVERY = 5
"""Every so many seeds an orchestrator takes the place of the clients."""


def run_all(first: int, last: int) -> list[str]:
    """One line per run: every seed once, and once more the other way round, so that other runs come before it."""
    sys.path.insert(0, str(ROOT))
    from csisim.logs import silence  # noqa: PLC0415 - the parent needs none of it
    from csisim.runs.plan import RunPlan  # noqa: PLC0415
    from csisim.runs.run import run_plan  # noqa: PLC0415

    silence()
    lines = []
    for seed in (*range(first, last), *reversed(range(first, last))):
        plan = RunPlan(seed=seed, workload="co" if seed % CO_EVERY == 0 else "clients")
        report = run_plan(plan).report
        lines.append(f"{seed} {report.trace_hash} {report.steps} {report.verdict}")
    return lines


def differences(printed: list[str]) -> list[str]:
    """What processes printed, compared by seed; each seed with more than one outcome is one line."""
    outcomes: dict[str, dict[str, None]] = {}
    for line in "\n".join(printed).split("\n"):
        seed, _, outcome = line.partition(" ")
        if outcome:
            outcomes.setdefault(seed, {})[outcome] = None
    return [f"seed {seed}: {' | '.join(found)}" for seed, found in outcomes.items() if len(found) > 1]


def elsewhere(span: str, hash_seed: str) -> "subprocess.Popen[str]":
    """A process of its own that runs all and prints its lines."""
    return subprocess.Popen(
        [sys.executable, __file__, span, "--child"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def main(arguments: list[str]) -> int:
    """Run and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", metavar="A:B", help="from A up to, and without, B")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args(arguments)
    first, _, last = wanted.seeds.partition(":")
    if wanted.child:
        print("\n".join(run_all(int(first), int(last))))
        return 0
    started_s = time.perf_counter()
    processes = [elsewhere(wanted.seeds, hash_seed) for hash_seed in HASH_SEEDS]
    printed = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        print("a process has failed", file=sys.stderr)
        return 1
    found = differences(printed)
    runs = sum(len(each.splitlines()) for each in printed)
    print("\n".join([*found, f"{runs} runs in {time.perf_counter() - started_s:.0f} s, {len(found)} seeds differ"]))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
