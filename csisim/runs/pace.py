"""How long a workload waits: as Kubernetes does, or shorter, which real runs do if they are not patient. Seconds."""

from dataclasses import dataclass, replace


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
        times: what the times in rules of faults are multiplied by.
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
    times: float = 1.0

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
    times=0.05,
)


def pace_of(*, real: bool, patient: bool) -> Pace:
    """That of a run."""
    if not real:
        return UNHURRIED
    return PATIENT if patient else HURRIED
