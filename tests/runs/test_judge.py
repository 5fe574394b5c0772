"""From results to a verdict."""

import pytest

from csisim.check.verdicts import Result, Violation
from csisim.events import Event, History
from csisim.runs import judge
from csisim.runs.plan import RunPlan
from csisim.sim.errors import Deadlock
from csisim.sim.run import Outcome
from csisim.sim.tape import Tape

BAD = Violation("I4", "two writers", "one writer", (1, 2), 0.5)


def outcome(result=None, error=None, leaked=()):
    return Outcome(result, error, "ab" * 16, 10, 1.5, Tape(), (), leaked)


def test_the_worst_verdict_is_that_of_the_run():
    measured = judge.Measured(("rule",), 3, 4, "ab" * 16, 10, 1.5)
    results = [Result("I1", 2), Result("I4", 1, (BAD,)), Result("linearizability", 3, unknown="budget")]
    report = judge.report(RunPlan(seed=1), results, measured)
    assert report.verdict == "violation"
    assert report.invariants == {"I1": "ok", "I4": "violation", "linearizability": "unknown"}
    assert (report.violations, report.unknown) == ((BAD,), {"linearizability": "budget"})
    assert (report.faults, report.faults_fired, report.calls, report.steps) == (("rule",), 3, 4, 10)
    assert judge.report(RunPlan(seed=1), results[::2], measured).verdict == "unknown"
    assert judge.report(RunPlan(seed=1), results[:1], measured).verdict == "ok"


@pytest.mark.parametrize(
    ("ended", "said", "detail"),
    [
        (outcome(error=Deadlock("nothing can run\nmain:\n  waits")), "deadlock: nothing can run", "main:\n  waits"),
        (outcome(error=KeyError("x")), "error of the program: KeyError: 'x'", "KeyError: 'x'"),
        (outcome(error=ExceptionGroup("two", [OSError("a"), KeyError("b")])), "two", "OSError: a\nKeyError: 'b'"),
        (outcome(Result("termination", 1), leaked=("a", "b")), "2 tasks were left behind: a, b", ""),
    ],
)
def test_a_program_that_does_not_end_in_order_is_a_violation(ended, said, detail):
    result = judge.termination(ended, [Event(7, 0.0, "info", "world", "phase")])
    assert result.verdict == "violation"
    assert said in result.violations[0].summary
    assert detail in result.violations[0].detail
    assert result.violations[0].events == (7,)


def test_values_become_plain_data():
    history = History(lambda: 0.0)
    history.describe = lambda value: {"shown": value}
    history.add("info", "world", "x", value=("raw",))
    history.add("info", "world", "y", value={"plain": 1})
    assert [judge.plain(event).value for event in history.since()] == [{"shown": ("raw",)}, {"plain": 1}]


def test_every_check_is_asked_also_for_secrets():
    history = History(lambda: 0.0)
    history.add("info", "world", "phase", value={"phase": "safety 1-sEcReTkEy"})
    found = {each.check: each.verdict for each in judge.check_events(history.since(), ["1-sEcReTkEy"])}
    assert found["I15"] == "violation"
    assert set(found.values()) == {"ok", "violation"}
    assert {"I1", "I14", "I18", "linearizability", "cost"} <= set(found)
