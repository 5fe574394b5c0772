"""Running cases: one in a world, and many in several worlds at a time."""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence

from csisim.cluster.nas_inside import Refused
from csisim.co.callers import GaveUp
from csisim.co.kubelet import CheckFailed
from csisim.faults.grammar import parse_rule
from csisim.sweep.cases import Case
from csisim.sweep.judge import Outcome, end_state, wrong_codes
from csisim.sweep.steps import Steps
from csisim.sweep.stories import STORIES, first_plan
from csisim.sweep.world import Pace, World

WORLDS = 3
"""How many clusters one process runs side by side: most of a case is waiting."""


async def run_case(world: World, case: Case) -> Outcome:
    """Tell the story with the fault in it, heal, and look at the end.

    Raises:
        ValueError: there is no such site, or no such fault there.
    """
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    world.calls.attempts.clear()
    world.watch.findings.clear()
    world.caller.patience = world.pace.patience(loses_answers=case.loses_answers)
    (state,) = world.plane.add_all([parse_rule(case.rule)])
    found = await _tell(world, case)
    fired = state.fired > 0
    world.plane.reset()
    await world.cluster.recovered()
    found += wrong_codes(case, world.calls.attempts)
    found += await end_state(world, case.protocol)
    return Outcome(case, fired, tuple(found), len(world.calls.attempts), loop.time() - started_s)


async def _tell(world: World, case: Case) -> list[str]:
    steps = Steps(world, case.final_codes)
    try:
        async with asyncio.timeout(world.pace.limit_s):
            await STORIES[case.story](steps, first_plan(case.protocol))
    except TimeoutError:
        return [f"did not converge within {world.pace.limit_s:g} s"]
    except (GaveUp, CheckFailed, Refused) as error:
        return [str(error)]
    return []


async def record(world: World, protocol: str, story: str) -> dict[str, int]:
    """How often each site is passed by a story without faults.

    Raises:
        RuntimeError: the story goes wrong without any.
    """
    case = Case(protocol, story, "none", 0, "off")
    # What the first story of a world makes, and no later one, is made by now.
    for _ in range(2):
        before = dict(world.plane.passed)
        found = await _tell(world, case)
        passed = {site: count - before[site] for site, count in world.plane.passed.items()}
        found += await end_state(world, protocol)
        if found:
            raise RuntimeError(f"{protocol} {story} goes wrong without a fault: {'; '.join(found)}")
    return passed


async def run_cases(
    cases: Sequence[Case], seed: int, pace: Pace | None = None, on_done: Callable[[Outcome], None] | None = None
) -> list[Outcome]:
    """Run cases side by side, each in a clean world; the outcomes come in the order of the cases.

    Args:
        cases: what to run.
        seed: of names, jitter and faults.
        pace: of everybody.
        on_done: told of each as it ends.
    """
    outcomes: dict[int, Outcome] = {}
    todo = iter(enumerate(cases))

    async def lane(number: int) -> None:
        for attempt in itertools.count():
            async with World(seed + 1000 * number + attempt, pace) as world:
                if not await _until_dirty(world, todo, outcomes, on_done):
                    return

    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(min(WORLDS, len(cases))):
                tasks.create_task(lane(number))
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    return [outcomes[index] for index in sorted(outcomes)]


async def _until_dirty(
    world: World,
    todo: Iterator[tuple[int, Case]],
    outcomes: dict[int, Outcome],
    on_done: Callable[[Outcome], None] | None,
) -> bool:
    """Run cases in a world until one leaves it in a bad state; False when there are no more."""
    for index, case in todo:
        outcome = await run_case(world, case)
        outcomes[index] = outcome
        if on_done is not None:
            on_done(outcome)
        if outcome.violations:
            return True
    return False
