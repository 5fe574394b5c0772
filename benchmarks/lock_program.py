"""A program that simloom can run too: eight tasks take one of four locks twenty times each. Prints JSON.

Run as a file, by an interpreter that has simloom: `python benchmarks/lock_program.py ROUNDS`.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable

TASKS = 8
TURNS = 20
LOCKS = 4
_SCHEDULES = 40
_HELD_S = 0.001
_PAUSE_S = 0.002


async def program() -> int:
    """The program; gives how often a lock was held."""
    locks = [asyncio.Lock() for _ in range(LOCKS)]
    held = 0

    async def worker(number: int) -> None:
        nonlocal held
        for turn in range(TURNS):
            async with locks[(number * 7 + turn) % LOCKS]:
                await asyncio.sleep(_HELD_S)
                held += 1
            await asyncio.sleep(_PAUSE_S)

    async with asyncio.TaskGroup() as tasks:
        for number in range(TASKS):
            tasks.create_task(worker(number))
    return held


def ours(seed: int) -> None:
    """One schedule in this project's simulation."""
    from csisim.sim.run import simulate  # noqa: PLC0415 - timed without what the other one imports
    from csisim.sim.strategies import RandomWalk  # noqa: PLC0415

    outcome = simulate(program, seed=seed, strategy=RandomWalk)
    if outcome.error is not None:
        raise outcome.error


def simlooms(seed: int) -> None:
    """One schedule in simloom, with its defaults."""
    import simloom  # type: ignore[import-not-found] # noqa: PLC0415 - wants a later Python than this project

    simloom.run(program, seed=seed)


def cpu_ms(schedule: Callable[[int], None], rounds: int) -> float:
    """CPU milliseconds of one schedule, in the best of the rounds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for seed in range(_SCHEDULES):
            schedule(seed)
        best = min(best, (time.process_time() - began) / _SCHEDULES)
    return best * 1000


if __name__ == "__main__":
    for each in (simlooms, ours):
        each(0)
    taken = int(sys.argv[1])
    print(json.dumps({"simloom": cpu_ms(simlooms, taken), "csisim": cpu_ms(ours, taken)}))
