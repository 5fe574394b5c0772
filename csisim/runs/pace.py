"""How long a workload waits: as Kubernetes does, or shorter, which real runs do if they are not patient. Seconds."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from csisim.cluster.settings import as_they_are, impatient
from csisim.co.callers import Patience
from csisim.truenas.settings import NasSettings

_CALLERS: Final = Patience(backoff_s=0.5, backoff_max_s=8.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient everybody is.

    Attributes:
        controller_s, node_s: time-outs of calls.
        hasty_s: the same for some calls, whose callers are in a hurry, shortest and longest.
        leave_s: after so long some callers hang up, shortest and longest.
        think_s: between the operations of a client, shortest and longest.
        settle_s: how long a call whose outcome nobody knows may still take effect.
        backoff_s, backoff_max_s: first and longest pause between repeats.
        safety_s, heal_s, liveness_s: how long the phases may take; heal_s is also for the end.
        calm_s: how long what a fault has left behind may go on.
        wait_s: how long a script waits for one thing.
        grace_s: how long a server that stops lets its calls go on.
        times: what the times in rules of faults are multiplied by.
        co_times: what the orchestrator's times are multiplied by.
        callers: how they repeat what failed, where nothing else is said.
        tune: what the driver's client of the NAS waits for.
    """

    controller_s: float = 15.0
    node_s: float = 60.0
    hasty_s: tuple[float, float] = (0.005, 1.0)
    leave_s: tuple[float, float] = (0.001, 0.5)
    think_s: tuple[float, float] = (0.0, 0.1)
    settle_s: float = 3.0
    backoff_s: float = 0.5
    backoff_max_s: float = 60.0
    safety_s: float = 10_000.0
    heal_s: float = 300.0
    liveness_s: float = 1800.0
    calm_s: float = 60.0
    wait_s: float = 1800.0
    grace_s: float = 5.0
    times: float = 1.0
    co_times: float = 1.0
    callers: Patience = _CALLERS
    tune: Callable[[NasSettings], NasSettings] = as_they_are

    @property
    def whole_s(self) -> float:
        """How long a run may take, its start included."""
        return self.safety_s + 3 * self.heal_s + self.liveness_s


UNHURRIED = Pace()
# What hangs for ever is found out by waiting; of 300 runs that went well the longest took 273 s.
PATIENT = replace(UNHURRIED, safety_s=600.0, heal_s=120.0, liveness_s=600.0)
HURRIED = Pace(
    controller_s=3.0,
    node_s=3.0,
    hasty_s=(0.005, 0.1),
    leave_s=(0.001, 0.05),
    think_s=(0.0, 0.02),
    settle_s=0.3,
    backoff_s=0.02,
    backoff_max_s=0.5,
    safety_s=120.0,
    heal_s=30.0,
    liveness_s=60.0,
    calm_s=10.0,
    wait_s=30.0,
    grace_s=0.5,
    times=0.05,
    co_times=0.02,
    callers=Patience(backoff_s=0.02, backoff_max_s=0.5, reconnect_s=0.05),
    tune=partial(impatient, overdue_s=0.2, landing_s=0.05),
)


def pace_of(*, real: bool, patient: bool) -> Pace:
    """That of a run."""
    if not real:
        return UNHURRIED
    return PATIENT if patient else HURRIED
