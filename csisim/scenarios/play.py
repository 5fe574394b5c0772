"""Doing a scenario: the body, then everything taken down and judged, whatever has become of the body."""

import asyncio
import gc
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from csisim.check.verdicts import Result, Violation
from csisim.cluster.parts import SHIPPED
from csisim.co.callers import CallFailed
from csisim.co.orchestrator import NotConverged
from csisim.reports.story import story
from csisim.runs import judge
from csisim.runs.report import RunReport
from csisim.runs.run import in_real_time
from csisim.runs.schedules import strategy
from csisim.runs.script import Script
from csisim.runs.stuck import watched
from csisim.runs.under_test import REAL_LIMIT_S, SIMULATED_LIMIT_S, testbed_of
from csisim.scenarios.scenario import EXPECTATION, Scenario
from csisim.sim.run import Outcome, simulate

FIRST_SEED: Final = 1
_MOST_LINES: Final = 4
# What has failed is no longer waited for so long.
_HURRY: Final = 6.0
# What is not as a body wants it: its own word, a wait in vain, a call that must succeed, a file that must be readable.
_UNEXPECTED: Final = (AssertionError, NotConverged, CallFailed, OSError)


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a scenario; can be pickled.

    Attributes:
        name, variant: which one it was.
        seed: of every choice.
        wrong: it was the wrong driver.
        report: the verdicts; the body's own is that of the check `EXPECTATION`.
        caught: the scenario's `caught_by`, as far as it has fired.
        missed: the rest of it.
        unexpected: what was not as the body expects; "" where everything was.
        story: what happened, in order, and why it is wrong; "" where it is as it should be.
    """

    name: str
    variant: str
    seed: int
    wrong: bool
    report: RunReport
    caught: tuple[str, ...]
    missed: tuple[str, ...]
    unexpected: str
    story: str

    @property
    def label(self) -> str:
        """Name and variant, as the command line takes them."""
        return f"{self.name}/{self.variant}" if self.variant else self.name

    @property
    def passed(self) -> bool:
        """Whether everything held and could be decided."""
        return self.report.verdict == "ok"

    @property
    def as_it_should(self) -> bool:
        """The shipped driver passes; the wrong one fails, by all that must notice."""
        return not self.missed if self.wrong else self.passed

    @property
    def broken(self) -> tuple[str, ...]:
        """The checks that found something."""
        return tuple(name for name, verdict in self.report.invariants.items() if verdict == "violation")

    @property
    def again(self) -> str:
        """The command that does it again; on real sockets the interleaving is no part of it."""
        flags = [*(["--real"] if self.report.real else []), *(["--wrong"] if self.wrong else [])]
        return " ".join(["csisim scenarios run", self.label, f"--seed {self.seed}", *flags])

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "variant": self.variant,
            "wrong": self.wrong,
            "passed": self.passed,
            "caught_by": list(self.caught),
            "missed": list(self.missed),
            "unexpected": self.unexpected,
            "replay": self.again,
            **{name: value for name, value in self.report.to_json().items() if name not in {"replay", "plan"}},
        }


def play(
    scenario: Scenario, variant: str = "", *, seed: int = FIRST_SEED, real: bool = False, wrong: bool = False
) -> Played:
    """Do a scenario to its end and judge it. Blocks; nothing may be running in this thread's event loop.

    Args:
        scenario: which one.
        variant: one of its own.
        seed: of every choice.
        real: on real sockets by the real clock; else simulated.
        wrong: with the driver that must fail.

    Raises:
        ValueError: the scenario has no such variant, cannot be done by the real clock, or its settings are wrong.
    """
    if variant not in scenario.variants:
        raise ValueError(f"{variant[:80]!r} is no variant of {scenario.name}: there are {', '.join(scenario.variants)}")
    if real and not scenario.real:
        raise ValueError(f"{scenario.name} needs virtual time: it cannot be done by the real clock")
    gc.collect(1)  # as before every run: nothing is collected while one goes on
    options = {**scenario.settings, **(_wrong(scenario) if wrong else {})}
    cluster = testbed_of(seed, simulated=not real, options=options)
    said: list[Violation] = []
    program = partial(_program, cluster, scenario, variant, said)
    if real:
        outcome = in_real_time(program)
    else:
        outcome = simulate(program, seed=seed, strategy=strategy(options.get("strategy", "portfolio")))
    return _played(cluster, scenario, variant, outcome, said, wrong=wrong)


def _wrong(scenario: Scenario) -> dict[str, Any]:
    """What makes the driver of a testbed the wrong one."""
    if isinstance(scenario.wrong, str):
        return {"mutant": scenario.wrong}
    return {"parts": scenario.wrong(SHIPPED)}


async def _program(cluster: Script, scenario: Scenario, variant: str, said: list[Violation]) -> None:
    limit_s = SIMULATED_LIMIT_S if cluster.simulated else REAL_LIMIT_S
    async with cluster:
        cluster.note_errors()
        await watched("the scenario", _acts(cluster, scenario, variant, said), limit_s)


async def _acts(cluster: Script, scenario: Scenario, variant: str, said: list[Violation]) -> None:
    try:
        await scenario.body(cluster, variant)
    except _UNEXPECTED as error:
        said.append(_violation(cluster, scenario, error))
        cluster.patience_s /= _HURRY
    try:
        if not cluster.taken_down:
            await cluster.teardown()
    except NotConverged as error:
        said.append(_violation(cluster, scenario, error))
    await cluster.finish(scenario.left if cluster.taken_down else None)


def _violation(cluster: Script, scenario: Scenario, error: Exception) -> Violation:
    at = (cluster.history.last_seq,)
    text = str(error) if isinstance(error, AssertionError | NotConverged) else f"{type(error).__name__}: {error}"
    lines = [line.strip() for line in text.splitlines()]
    summary = " ".join(lines[:_MOST_LINES])
    at_s = asyncio.get_running_loop().time()
    return Violation(EXPECTATION, summary, scenario.expectation, at, at_s, "\n".join(lines[_MOST_LINES:]))


def _played(
    cluster: Script, scenario: Scenario, variant: str, outcome: "Outcome[None]", said: list[Violation], *, wrong: bool
) -> Played:
    rules = cluster.settings.rules
    measured = judge.Measured(
        rules, cluster.faults_fired, cluster.call_count, outcome.trace_hash, outcome.steps, outcome.virtual_s
    )
    events = tuple(map(judge.plain, cluster.events()))
    more = [Result(EXPECTATION, 1, tuple(said)), judge.termination(outcome, events)]
    report = cluster.judged(measured, more)
    caught = tuple(name for name in scenario.caught_by if report.invariants.get(name) == "violation")
    missed = tuple(name for name in scenario.caught_by if name not in caught)
    as_it_should = not missed if wrong else report.verdict == "ok"
    return Played(
        name=scenario.name,
        variant=variant,
        seed=cluster.seed,
        wrong=wrong,
        report=report,
        caught=caught if wrong else (),
        missed=missed if wrong else (),
        unexpected="; ".join(each.summary for each in said),
        story="" if as_it_should else story({**report.to_json(), "replay": ""}, events),
    )
