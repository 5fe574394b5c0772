"""What a worker does: functions over plain data, each of which can be called in any process."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from csisim.explore.code import check, version
from csisim.explore.firings import firings
from csisim.explore.mix import Mix
from csisim.explore.records import MODULUS, VERDICTS, Chunk, Failure, Shrunk, weight
from csisim.explore.shrink import Bounds, NotReproduced, Smallest, deviations_of, shrink
from csisim.explore.signature import signatures
from csisim.runs.plan import RunPlan
from csisim.runs.replay import parse_token
from csisim.runs.report import RunResult
from csisim.runs.run import run_plan

# A simulated run replaces what its process shares, such as random: a worker with several threads takes turns.
_TURN: Final = threading.Lock()
_REPLAY: Final = "csisim replay "


def run_chunk(mix: Mapping[str, Any], start: int, stop: int, code: str) -> tuple[Chunk, list[Failure]]:
    """Run some seeds.

    Args:
        mix: `Mix.to_json()`.
        start: the first seed.
        stop: the one after the last.
        code: which code is to run them, see `csisim.explore.code`.

    Raises:
        ValueError: the mix gives no runs, a rule in it cannot be honoured, or this is other code.
    """
    check(code, "the campaign was begun by")
    with _TURN:
        return _chunk(Mix.from_json(mix), range(start, stop))


def _chunk(mix: Mix, seeds: range) -> tuple[Chunk, list[Failure]]:
    verdicts = dict.fromkeys(VERDICTS, 0)
    failures = []
    digest = steps = calls = faults_fired = 0
    virtual_s = 0.0
    begun_s = time.thread_time()
    for seed in seeds:
        result = run_plan(mix.plan_of(seed))
        report = result.report
        verdicts[report.verdict] += 1
        digest += weight(seed, report.trace_hash, report.verdict)
        steps += report.steps
        calls += report.calls
        faults_fired += report.faults_fired
        virtual_s += report.virtual_s
        if report.verdict != "ok":
            failures.append(failure_of(result))
    return Chunk(
        start=seeds.start, stop=seeds.stop, verdicts=verdicts, digest=f"{digest % MODULUS:032x}",
        cpu_ms=round(1000 * (time.thread_time() - begun_s), 1), steps=steps, calls=calls, faults_fired=faults_fired,
        virtual_s=round(virtual_s, 3),
    ), failures  # fmt: skip


def failure_of(result: RunResult) -> Failure:
    """The record of a run that was not ok."""
    report = result.report.to_json()
    found = [each["summary"] for each in report["violations"]] or list(report["unknown"].values())
    return Failure(
        seed=report["seed"], verdict=report["verdict"], signature=signatures(report)[0], summary=found[0][:500],
        plan=RunPlan.from_json(report["plan"]).to_short_json(), trace_hash=report["trace_hash"],
        replay=report["replay"].removeprefix(_REPLAY), version=version(),
    )  # fmt: skip


def shrink_failure(replay: str, signature: str, runs: int, cpu_s: float, *, loosely: bool = False) -> Shrunk | None:
    """Shrink a run; None: it does not fail in this way here.

    Args:
        replay: its token.
        signature: what it is to go on failing with.
        runs: at most so many.
        cpu_s: at most so much processor time.
        loosely: see `csisim.explore.shrink.shrink`.

    Raises:
        ValueError: it is no token.
    """
    with _TURN:
        try:
            return shrunk_of(
                shrink(parse_token(replay).plan, signature, Bounds(runs=runs, cpu_s=cpu_s), loosely=loosely)
            )
        except NotReproduced:
            return None


def shrunk_of(smallest: Smallest) -> Shrunk:
    """The record of what was found."""
    plan, report = smallest.plan, smallest.result.report
    return Shrunk(
        signature=smallest.signature, seed=plan.seed, deviations=smallest.deviations,
        operations=len(plan.only) or plan.clients * plan.operations, rules=len(plan.rules),
        firings=len(firings(smallest.result.events)), runs=smallest.runs, cpu_ms=round(smallest.cpu_ms, 1),
        replay=report.replay.removeprefix(_REPLAY), finished=smallest.finished,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hit:
    """A run in which a check fired: what for, how large it was, and the token that does it again."""

    seed: int
    signature: str
    replay: str
    deviations: int
    operations: int


@dataclass(frozen=True, slots=True)
class Search:
    """Some seeds, up to the first hit if there was one: how many runs it took, and how much time."""

    runs: int
    cpu_ms: float
    wall_ms: float
    hit: Hit | None


def first_hit(mix: Mapping[str, Any], oracle: Sequence[str], start: int, stop: int, code: str) -> Search:
    """Run seeds until one of some checks fires.

    Args:
        mix: `Mix.to_json()`.
        oracle: names of the checks.
        start: the first seed.
        stop: the one after the last.
        code: as for `run_chunk`.

    Raises:
        ValueError: as `run_chunk`.
    """
    check(code, "the hunt was begun by")
    with _TURN:
        runs, hit, drawn = 0, None, Mix.from_json(mix)
        # Real sockets have threads of their own.
        cpu_clock = time.process_time if drawn.fixed.get("real") else time.thread_time
        begun_s, cpu_s = time.perf_counter(), cpu_clock()
        for seed in range(start, stop):
            runs += 1
            plan = drawn.plan_of(seed)
            result = run_plan(plan)
            report = result.report
            if any(report.invariants.get(name) == "violation" for name in oracle):
                fired = [each for each in signatures(report.to_json()) if each.partition(":")[0] in oracle]
                size = plan.clients * plan.operations
                hit = Hit(seed, fired[0], report.replay.removeprefix(_REPLAY), deviations_of(result), size)
                break
        return Search(runs, 1000 * (cpu_clock() - cpu_s), 1000 * (time.perf_counter() - begun_s), hit)


def fails_so(replay: str, signature: str) -> bool:
    """Whether a run is the same as before, and fails in the same way.

    Args:
        replay: its token.
        signature: the kind of failure.

    Raises:
        ValueError: it is no token.
    """
    with _TURN:
        known = parse_token(replay)
        report = run_plan(known.plan).report
        return report.trace_hash == known.trace_hash and signature in signatures(report.to_json())
