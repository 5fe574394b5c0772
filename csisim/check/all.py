"""Every check by its name, and all of them over one history."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from csisim.check.cost import check_cost
from csisim.check.index import Index, index
from csisim.check.invariants.answers import i7, i8, i12
from csisim.check.invariants.confidential import i15
from csisim.check.invariants.data import i1, i13
from csisim.check.invariants.lifecycle import i4, i5, i6
from csisim.check.invariants.liveness import i11, i16
from csisim.check.invariants.nas_calls import i9, i18
from csisim.check.invariants.objects import i2, i3, i17
from csisim.check.invariants.serial import i10
from csisim.check.lists import check_lists
from csisim.check.verdicts import Result
from csisim.check.volume_model import check_volumes
from csisim.events import Event

Check = Callable[[Index], Result]

INVARIANTS: Final[Mapping[str, Check]] = {
    "I1": i1, "I2": i2, "I3": i3, "I4": i4, "I5": i5, "I6": i6, "I7": i7, "I8": i8, "I9": i9, "I10": i10,
    "I11": i11, "I12": i12, "I13": i13, "I14": check_lists, "I15": i15, "I16": i16, "I17": i17, "I18": i18,
}  # fmt: skip
CHECKS: Final[Mapping[str, Check]] = {**INVARIANTS, "linearizability": check_volumes, "cost": check_cost}
"""Everything that is judged by the history alone."""


def check_history(
    events: Sequence[Event], *, secrets: Iterable[str] = (), only: Iterable[str] | None = None
) -> list[Result]:
    """What every check says, in the order of their names.

    Args:
        events: of one run, in order.
        secrets: texts that must not be in the history, for I15.
        only: names of the checks to do; all by default.

    Raises:
        ValueError: there is no check of such a name, or a secret is too short to be looked for.
    """
    wanted = list(CHECKS) if only is None else list(only)
    if unknown := [name for name in wanted if name not in CHECKS]:
        raise ValueError(f"{unknown[0]!r} is no check; there are {', '.join(CHECKS)}")
    ordered = index(events)
    checks: dict[str, Check] = {**CHECKS, "I15": partial(i15, secrets=tuple(secrets))}
    return [checks[name](ordered) for name in wanted]
