"""From a history to a report: every check, and what became of the program itself."""

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from csisim.check.all import check_history
from csisim.check.verdicts import Result, Violation, worst
from csisim.events import Event
from csisim.runs.plan import RunPlan
from csisim.runs.replay import Replay
from csisim.runs.report import TERMINATION, RunReport
from csisim.runs.stuck import Stuck
from csisim.sim.errors import Deadlock, Livelock
from csisim.sim.run import Outcome

_ENDS = "a run ends by itself, with every task of it"
_MOST_NAMES = 10


def plain(event: Event) -> Event:
    """The event with its value as plain data."""
    if not callable(event.value):
        return event
    value = dict(event.value())  # not by `replace`, which takes five times as long
    return Event(event.seq, event.at_s, event.type, event.kind, event.f, event.call, event.process, event.parent, value)


def check_events(events: Sequence[Event], secrets: Sequence[str] = ()) -> list[Result]:
    """What every check says about a history.

    Args:
        events: of one run, in order.
        secrets: texts that must not be in it.
    """
    return check_history(events, secrets=secrets)


def termination(outcome: Outcome[Result] | Outcome[None], events: Sequence[Event]) -> Result:
    """Whether the program came to its end in order."""
    at = (events[-1].seq,) if events else ()
    found = [] if outcome.result is None else list(outcome.result.violations)
    if outcome.error is not None:
        summary, detail = _ended(outcome.error)
        found.append(Violation(TERMINATION, summary, _ENDS, at, outcome.virtual_s, detail))
    if outcome.leaked:
        left = ", ".join(outcome.leaked[:_MOST_NAMES])
        summary = f"{len(outcome.leaked)} tasks were left behind: {left}"
        found.append(Violation(TERMINATION, summary, _ENDS, at, outcome.virtual_s))
    return Result(TERMINATION, 1, tuple(found))


def _ended(error: BaseException) -> tuple[str, str]:
    """What a run was ended by, and more about it."""
    if isinstance(error, Deadlock | Livelock):
        first, _, more = str(error).partition("\n")
        return f"{type(error).__name__.lower()}: {first}", more
    if isinstance(error, Stuck):
        return str(error), error.report
    return f"error of the program: {type(error).__name__}: {error}", _stack(error)


def _stack(error: BaseException) -> str:
    """The stack of an error, without the paths of this machine."""
    lines = [f"{type(error).__name__}: {error}"]
    frames = traceback.extract_tb(error.__traceback__)
    lines += [f"  {PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    if isinstance(error, BaseExceptionGroup):
        lines += [_stack(part) for part in error.exceptions]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run was, beside its verdicts: see `RunReport`."""

    rules: tuple[str, ...]
    faults_fired: int
    calls: int
    trace_hash: str = ""
    steps: int = 0
    virtual_s: float = 0.0


def report(plan: RunPlan, results: Sequence[Result], measured: Measured) -> RunReport:
    """Everything about a run in one place."""
    verdict = worst([each.verdict for each in results])
    token = Replay(plan, measured.trace_hash, verdict).token()
    strategy = "tape" if plan.tape else plan.strategy
    return report_of(plan.to_json(), results, measured, strategy=strategy, replay=f"csisim replay {token}")


def report_of(
    plan: Mapping[str, Any], results: Sequence[Result], measured: Measured, *, strategy: str, replay: str
) -> RunReport:
    """The same for anything that has a plan as plain data, with the members `seed` and `real`.

    Args:
        plan: what was run.
        results: of all checks.
        measured: what it was.
        strategy: how schedules were made.
        replay: the command that does it again.
    """
    return RunReport(
        seed=plan["seed"],
        strategy=strategy,
        verdict=worst([each.verdict for each in results]),
        invariants={each.check: each.verdict for each in results},
        violations=tuple(found for each in results for found in each.violations),
        trace_hash=measured.trace_hash,
        steps=measured.steps,
        virtual_s=measured.virtual_s,
        replay=replay,
        looked_at={each.check: each.looked_at for each in results},
        unknown={each.check: each.unknown for each in results if each.unknown},
        plan=plan,
        faults=measured.rules,
        faults_fired=measured.faults_fired,
        calls=measured.calls,
        real=plan["real"],
    )
