"""Finds for each known bug a seed that shows it at little cost, and writes it into its module.

Run it when the workload, the simulation or the driver has changed so that the old seeds show nothing any more:

    python tools/renew_mutant_seeds.py [NAME...]
"""

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path

from csisim.cli.run_output import prepare
from csisim.mutants.mutant import Mutant
from csisim.mutants.registry import NAMES, find
from csisim.runs.plan import RunPlan
from csisim.runs.run import run_plan

_MOST_RUNS = 1000
_CANDIDATES = 5


def cheapest(mutant: Mutant) -> int | None:
    """The seed of the shortest among the first runs that show it; None where none does."""
    hits: list[tuple[int, int]] = []
    for seed in range(_MOST_RUNS):
        report = run_plan(RunPlan(seed=seed, mutant=mutant.name, **mutant.plan)).report
        if any(report.invariants[check] == "violation" for check in mutant.oracle):
            hits.append((report.steps, seed))
        if len(hits) == _CANDIDATES or (hits and seed > _MOST_RUNS / 5):
            break
    return min(hits)[1] if hits else None


def main(names: list[str]) -> int:
    """How many of them no run has shown."""
    prepare(verbose=False)
    missing = 0
    for name in names or NAMES:
        mutant = find(name)
        seed = cheapest(mutant)
        print(name, "not found" if seed is None else seed, flush=True)
        if seed is None:
            missing += 1
            continue
        path = Path(inspect.getfile(import_module(mutant.change.__module__)))
        text = re.sub(r"^    seed=\d+,\n", "", path.read_text(), flags=re.MULTILINE)
        path.write_text(re.sub(r"^    change=", f"    seed={seed},\n    change=", text, flags=re.MULTILINE))
    return missing


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
