"""What a scenario is: a failure that was seen somewhere, as something that can be done again."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from csisim.cluster.parts import Parts
from csisim.runs.script import Script

EXPECTATION: Final = "expectation"
"""In `Scenario.caught_by`: the body's own expectation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A failure of the field, and the driver that must not have it.

    Attributes:
        name: its id, such as N01.
        title: one line.
        story: what happens, and what a wrong driver does then; one to four sentences.
        faults: the rules that it puts in, as text where they are fixed, else in words.
        expectation: what must be seen.
        invariants: the ones that it is about, such as I1; all are judged.
        source: where it was seen.
        body: does it, given the testbed and the variant, and says what is not as it must be. Then all is taken down,
            and everything judged: that is not its business.
        variants: what it is done with, one after the other, such as names of storage classes; "" where there is only
            one way.
        settings: of the testbed, as `csisim.runs.under_test.testbed_of` takes them.
        left: what is left at the end, since it is somebody else's; as `Testbed.leftovers` has it.
        real: it can be done by the real clock too.
        wrong: the driver that must fail: the name of a mutant, or the change that makes one of the shipped.
        wrong_idea: what its author believed; one sentence.
        caught_by: what must fire then, all of it: names of checks, and EXPECTATION for the body's own.
    """

    name: str
    title: str
    story: str
    faults: tuple[str, ...]
    expectation: str
    invariants: tuple[str, ...]
    source: str
    body: Callable[[Script, str], Awaitable[None]]
    variants: tuple[str, ...] = ("",)
    settings: Mapping[str, Any] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    real: bool = True
    wrong: str | Callable[[Parts], Parts]
    wrong_idea: str
    caught_by: tuple[str, ...]
