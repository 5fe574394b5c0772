"""The phases of a run: safety under faults, heal, liveness, end. None of them hangs."""

from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

from csisim.check.verdicts import Result, Violation
from csisim.co.orchestrator import NotConverged
from csisim.events import History
from csisim.runs.pace import Pace
from csisim.runs.report import TERMINATION
from csisim.runs.stuck import Stuck, watched


class Workload(Protocol):
    """What goes on in a run."""

    async def safety(self) -> None:
        """Do things while faults happen; ends on its own."""

    async def liveness(self) -> None:
        """Nothing goes wrong any more: bring everything to its end, and take all of it away. Ends when that is done."""

    def expected(self, left: list[str]) -> list[str]:
        """What of that which is left, in the words of `Testbed.leftovers`, is to be left."""


class Bed(Protocol):
    """Where it goes on; a `csisim.runs.testbed.Testbed` is one."""

    @property
    def history(self) -> History:
        """Everything that has happened."""

    def phase(self, name: str) -> None:
        """Note that a phase begins."""

    async def heal(self) -> None:
        """Nothing goes wrong any more."""

    async def look(self, expected: Callable[[list[str]], Collection[str]]) -> None:
        """Note what is left, once nothing goes on any more."""


async def run_phases(testbed: Bed, workload: Workload, pace: Pace) -> Result:
    """From the first phase to the last; what did not end in time is in the result, and the next phase goes on.

    Args:
        testbed: where.
        workload: what.
        pace: how long the phases may take.

    Raises:
        Exception: what the program itself raised; the run is over.
    """
    found: list[Violation] = []
    phases: list[tuple[str, Callable[[], Awaitable[object]], float]] = [
        ("safety", workload.safety, pace.safety_s),
        ("heal", testbed.heal, pace.heal_s),
        ("liveness", workload.liveness, pace.liveness_s),
        ("end", lambda: testbed.look(workload.expected), pace.heal_s),
    ]
    for name, phase, limit_s in phases:
        testbed.phase(name)
        try:
            await watched(f"the phase {name}", phase(), limit_s)  # type: ignore[arg-type] # they are coroutines
        except Stuck as stuck:
            found.append(_stuck(str(stuck), stuck.report, testbed))
        except NotConverged as error:
            first, _, waiting = str(error).partition("\n")
            found.append(_stuck(f"the phase {name} has not converged: {first}", waiting, testbed))
    return Result(TERMINATION, len(phases), tuple(found))


def _stuck(summary: str, detail: str, testbed: Bed) -> Violation:
    last = testbed.history.since(max(0, testbed.history.last_seq - 10))
    return Violation(
        TERMINATION,
        summary,
        "every phase of a run ends: nothing waits for ever, and without faults everything converges",
        tuple(event.seq for event in last),
        last[-1].at_s if last else 0.0,
        detail,
    )
