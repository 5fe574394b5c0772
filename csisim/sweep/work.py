"""What a worker process does: functions over plain data, each with an event loop of its own."""

import asyncio
from collections.abc import Mapping, Sequence

from csisim.sweep.cases import Case
from csisim.sweep.judge import Outcome
from csisim.sweep.run import record, run_cases
from csisim.sweep.stories import stories_of
from csisim.sweep.world import World

Passes = dict[str, dict[str, int]]
"""How often each site was passed, by story."""


def record_stories(protocol: str, seed: int) -> Passes:
    """Tell every story of a protocol without faults.

    Raises:
        RuntimeError: one goes wrong without any.
    """

    async def tell() -> Passes:
        async with World(seed) as world:
            return {story: await record(world, protocol, story) for story in stories_of(protocol)}

    return asyncio.run(tell())


def run_batch(cases: Sequence[Case], seed: int) -> list[Outcome]:
    """Run some cases.

    Raises:
        ValueError: a case has a site or a fault that does not exist.
    """
    return asyncio.run(run_cases(cases, seed))


def passed_beyond(protocol: str, story: str, known: Mapping[str, int], seed: int) -> dict[str, int]:
    """Tell a story once more without faults; gives the sites that were passed more often than is known, and how often.

    A fault beyond what is known cannot happen where this gives nothing.
    """

    async def tell() -> dict[str, int]:
        async with World(seed) as world:
            return await record(world, protocol, story)

    found = asyncio.run(tell())
    return {site: found[site] for site, count in known.items() if found[site] > count}
