"""What a known bug is: a wrong idea, the part that has it, and what must find it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from csisim.cluster.parts import Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A known bug.

    Attributes:
        name: such as M-NOLOCK.
        origin: where it was seen: a report, a review, a client.
        idea: what its author believed, one sentence.
        oracle: the checks of which one must fire, by their names in a report.
        change: puts the wrong part in.
        plan: members of a run's plan (`csisim.runs.plan.RunPlan`) under which it shows; as usual where nothing is said.
        seed: of a run of that plan in which it shows.
        race: whether it does harm only where two things go on at a time; else one call, or one fault, is enough.
    """

    name: str
    origin: str
    idea: str
    oracle: tuple[str, ...]
    change: Callable[[Parts], Parts]
    plan: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    race: bool = False

    @property
    def reproduction(self) -> str:
        """One line that shows it."""
        return f"csisim run --mutant {self.name} --seed {self.seed}"
