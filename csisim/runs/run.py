"""Doing a run: plain data in, plain data out, so that any process can do it."""

import asyncio
import gc
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from csisim.check.verdicts import Result
from csisim.cluster.injection import nas_methods, sites
from csisim.driver.config import DriverConfig
from csisim.faults.grammar import parse_rule
from csisim.faults.sites import Catalogue
from csisim.runs import faultmix, judge
from csisim.runs.pace import pace_of
from csisim.runs.phases import run_phases
from csisim.runs.plan import RunPlan
from csisim.runs.report import RunResult
from csisim.runs.schedules import strategy
from csisim.runs.stuck import watched
from csisim.runs.testbed import Testbed, TestbedSettings
from csisim.runs.workloads import WORKLOADS
from csisim.sim.closed_world import own_garbage
from csisim.sim.direction import Conditions
from csisim.sim.run import Outcome, simulate
from csisim.sim.streams import Streams
from csisim.sim.tape import Tape

T = TypeVar("T")

_STEPS_PER_INSTANT: Final = 20_000


def run_plan(plan: RunPlan, *, keep_events: bool = False) -> RunResult:
    """Run a plan to its end and judge it. Blocks; nothing may be running in this thread's event loop.

    Args:
        plan: what to run.
        keep_events: also give the history where nothing was found.

    Raises:
        ValueError: a rule among its faults, or a manifest, is wrong.
    """
    with own_garbage():  # to look for some now and then would be a tenth of a long run
        result = _judged(plan, keep_events=keep_events)
        gc.collect(1)  # what is left of it, now that nobody has it any more: memory would fill up
    return result


def _judged(plan: RunPlan, *, keep_events: bool) -> RunResult:
    rules = rules_of(plan)
    check_manifests(plan)
    testbed = Testbed(settings_of(plan, rules))
    deviations: list[int] = []
    outcome = in_real_time(lambda: _program(plan, testbed)) if plan.real else _simulated(plan, testbed, deviations)
    events = tuple(map(judge.plain, testbed.events()))
    results = [*judge.check_events(events, testbed.secrets), *testbed.races(), judge.termination(outcome, events)]
    measured = judge.Measured(
        rules, testbed.faults_fired, testbed.call_count, outcome.trace_hash, outcome.steps, outcome.virtual_s
    )
    report = judge.report(plan, results, measured)
    kept = events if keep_events or report.verdict != "ok" else ()
    return RunResult(report, kept, outcome.tape.dump(), tuple(deviations), outcome.choices)


def rules_of(plan: RunPlan) -> tuple[str, ...]:
    """The rules of a run, drawn by the seed where the plan does not say.

    Raises:
        ValueError: one that was given is none, or could not be honoured.
    """
    if not plan.draws_faults:
        catalogue = Catalogue(sites(nas_methods()))
        for rule in plan.rules:
            catalogue.check(parse_rule(rule))
        return plan.rules
    return faultmix.draw(Streams(plan.seed).stream("faults"), times=pace_of(real=plan.real, patient=plan.patient).times)


def check_manifests(plan: RunPlan, names: Sequence[str] = ()) -> tuple[str, ...]:
    """Whether the orchestrator will take them; gives what it leaves out, in words.

    Args:
        plan: of the run.
        names: what errors call each manifest, where they came from files.

    Raises:
        csisim.co.fields.ManifestError: it will not; a ValueError.
    """
    if not plan.manifests:
        return ()
    from csisim.runs.wanted import wanted  # noqa: PLC0415 - YAML is only read where there is some

    return wanted(plan, DriverConfig().driver_name, names).warnings


def node_ids(plan: RunPlan) -> tuple[str, ...]:
    """The nodes of a run."""
    return tuple(f"node-{number}" for number in range(1, plan.nodes + 1))


def settings_of(plan: RunPlan, rules: tuple[str, ...]) -> TestbedSettings:
    """The testbed of a run."""
    return TestbedSettings(
        seed=plan.seed,
        simulated=not plan.real,
        patient=plan.patient,
        node_ids=node_ids(plan),
        rules=rules,
        co=plan.workload == "co",
        network_s=plan.network_s,
        nas_s=plan.nas_s,
        mutant=plan.mutant,
    )


async def _program(plan: RunPlan, testbed: Testbed) -> Result:
    return await watched("the run", _phases(plan, testbed), testbed.pace.whole_s)


async def _phases(plan: RunPlan, testbed: Testbed) -> Result:
    async with testbed:
        testbed.note_errors()
        return await run_phases(testbed, WORKLOADS[plan.workload](testbed, plan), testbed.pace)


def _simulated(plan: RunPlan, testbed: Testbed, deviations: list[int]) -> "Outcome[Result]":
    def deviates() -> None:
        begun = testbed.cluster.injection is not None
        deviations.append(testbed.history.last_seq + 1 if begun else 1)

    return simulate(
        lambda: _program(plan, testbed),
        seed=plan.seed,
        strategy=strategy(plan.strategy, plan.tape, deviates),
        conditions=Conditions(latency_s=plan.network_s),
        steps_per_instant=_STEPS_PER_INSTANT,
    )


def in_real_time(program: Callable[[], Coroutine[Any, Any, T]]) -> "Outcome[T]":
    """The same as `csisim.sim.run.simulate` by the real clock: there are no steps to count, and nothing to replay.

    Args:
        program: gives the coroutine to run.
    """
    result: T | None = None
    error: BaseException | None = None
    duration_s = 0.0

    async def main() -> T:
        nonlocal duration_s
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        try:
            return await program()
        finally:
            duration_s = loop.time() - started_s

    try:
        result = asyncio.run(main())
    except Exception as raised:  # noqa: BLE001 - a verdict of the run, whatever it is
        error = raised
    return Outcome(result, error, "", 0, duration_s, Tape(), (), ())
