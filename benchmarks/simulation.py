"""How many schedules a second of CPU time does in the simulation, beside the same work on real sockets."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import lock_program, pure_loop
from benchmarks.measure import say
from benchmarks.schedules import KINDS, LARGE, SMALL, Schedule, Size
from benchmarks.statistics import Spread, ratios, spread

REFERENCE_LOOP_S = 0.01
"""What the loop of `benchmarks.pure_loop` takes on the machine that the bars are for."""

LEAST_CPU_RATIO = 5.0
_LOOPS = 5
SIMLOOM_PYTHON = "CSISIM_BENCH_SIMLOOM"
"""Names a Python interpreter that has simloom and orjson, where this one cannot have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationPlan:
    """How much to measure.

    Attributes:
        sizes: of schedules.
        rounds: how often everything gets its turn.
        simulated_s: CPU seconds of one turn of simulated schedules, about.
        real: schedules on real sockets in one turn.
        lock_rounds: of the program that simloom runs too.
    """

    sizes: tuple[Size, ...] = (SMALL, LARGE)
    rounds: int = 8
    simulated_s: float = 1.0
    real: int = 3
    lock_rounds: int = 5


QUICK = SimulationPlan(sizes=(SMALL,), rounds=2, simulated_s=0.1, real=1, lock_rounds=1)


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """One kind of schedule at one size; spreads are over the rounds.

    Attributes:
        per_s: schedules in a second of CPU time.
        scaled_per_s: the same with that of the bare loop set to `REFERENCE_LOOP_S`, round by round.
        steps_per_s: steps of the loop.
        cpu_ratio: CPU time of a schedule on real sockets over that of a simulated one, round by round.
    """

    kind: str
    size: Size
    per_s: Spread
    scaled_per_s: Spread
    steps_per_s: Spread
    cpu_ratio: Spread

    @property
    def is_fast(self) -> bool:
        """Whether the median keeps the size's bar."""
        return self.scaled_per_s.median >= self.size.bar_per_s

    @property
    def is_cheap(self) -> bool:
        """Whether the median keeps the bar for the ratio."""
        return self.cpu_ratio.median >= LEAST_CPU_RATIO


@dataclass(frozen=True, slots=True)
class LockResult:
    """Milliseconds of CPU time for the program in `benchmarks.lock_program`, by who ran it; empty without simloom."""

    ms: dict[str, float]
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class SimulationResults:
    """What was measured; `loop_s` is what the bare loop took."""

    plan: SimulationPlan
    loop_s: Spread
    results: Sequence[SimulationResult]
    locks: LockResult


def loop_s() -> float:
    """CPU seconds of the bare loop, what this machine is worth at this moment: the best of a few."""
    return min(pure_loop.seconds(time.process_time) for _ in range(_LOOPS))


def measure_simulation(plan: SimulationPlan) -> SimulationResults:
    """All kinds at all sizes, in turns; blocks, outside of any event loop."""
    loops: list[float] = []
    results = []
    for kind, (simulated, real) in KINDS.items():
        for size in plan.sizes:
            say(f"schedules of {size.name}: {kind}")
            results.append(_measure(plan, kind, size, simulated, real, loops))
    return SimulationResults(plan, spread(loops), results, measure_locks(plan.lock_rounds))


def _measure(
    plan: SimulationPlan, kind: str, size: Size, simulated: Schedule, real: Schedule, loops: list[float]
) -> SimulationResult:
    for warm_up in (simulated, real):
        warm_up(size, 0)
    per_s, scaled, steps_per_s, real_s = [], [], [], []
    for turn in range(plan.rounds):
        bare_s = loop_s()
        done, steps, taken_s = _for_a_while(simulated, size, turn, plan.simulated_s)
        began = time.process_time()
        for number in range(plan.real):
            real(size, turn * plan.real + number)
        real_s.append((time.process_time() - began) / plan.real)
        loops.append(bare_s)
        per_s.append(done / taken_s)
        scaled.append(done / taken_s * bare_s / REFERENCE_LOOP_S)
        steps_per_s.append(steps / taken_s)
    cpu_ratio = ratios(real_s, [1 / each for each in per_s])
    return SimulationResult(kind, size, spread(per_s), spread(scaled), spread(steps_per_s), cpu_ratio)


def _for_a_while(simulated: Schedule, size: Size, turn: int, least_s: float) -> tuple[int, int, float]:
    """Schedules of one seed after the other: how many, their steps, their CPU seconds."""
    done = steps = 0
    began = time.process_time()
    while (taken_s := time.process_time() - began) < least_s:
        steps += simulated(size, 10_000 * turn + done)
        done += 1
    return done, steps, taken_s


def measure_locks(rounds: int) -> LockResult:
    """The same program in simloom and in this simulation, in one interpreter that has both."""
    python = os.environ.get(SIMLOOM_PYTHON, sys.executable)
    root = Path(__file__).parent.parent
    done = subprocess.run(  # noqa: S603 - an interpreter that the operator names, and our own file
        [python, str(Path(lock_program.__file__)), str(rounds)],
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return LockResult({}, f"{python}: {last}; {SIMLOOM_PYTHON} may name a Python >= 3.12 with simloom and orjson")
    return LockResult(json.loads(done.stdout))
