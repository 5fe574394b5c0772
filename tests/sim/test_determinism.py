"""Equal seeds, equal runs: in one process, in several, and whatever ran before. Every leak has a test that shows it open."""

import asyncio
import gc
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from csisim.sim import closed_world
from csisim.sim.closed_world import ClosedWorld
from csisim.sim.loop import SimLoop
from csisim.sim.run import simulate
from csisim.sim.steps import SimFuture, SimTask
from csisim.sim.strategies import Fifo, Pct, Pos, RandomWalk, portfolio, replay, stalls
from tests.sim.programs import everything, hashes

ROOT = Path(__file__).parent.parent.parent


@contextmanager
def nothing(*_args: Any) -> Iterator[None]:
    yield


@pytest.mark.parametrize("strategy", [Fifo, RandomWalk, Pct, Pos, stalls()])
def test_a_seed_gives_the_same_run_twice_and_another_one_another(strategy: Any) -> None:
    first, second, other = (simulate(everything, seed=seed, strategy=strategy) for seed in (3, 3, 4))
    assert first.error is second.error is other.error is None
    assert first.result == second.result
    assert (first.trace_hash, first.steps, first.virtual_s) == (second.trace_hash, second.steps, second.virtual_s)
    assert first.trace_hash != other.trace_hash


@pytest.mark.parametrize("strategy", [RandomWalk, Pct, Pos, stalls(), portfolio])
def test_the_tape_of_a_run_is_the_run(strategy: Any) -> None:
    drawn = simulate(everything, seed=8, strategy=strategy)
    again = simulate(everything, seed=8, strategy=replay(drawn.tape))
    assert again.trace_hash == drawn.trace_hash
    assert again.tape == drawn.tape


def test_processes_with_other_hashes_of_str_agree() -> None:
    def elsewhere(seed: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "tests.sim.programs", "3"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )

    processes = [elsewhere(seed) for seed in ("0", "1", "4711")]
    printed = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert printed == [hashes(3)] * 3


# Leaks: each is looked at with its protection, and without


async def cancelled_group() -> list[str]:
    """A TaskGroup keeps its tasks in a set and cancels them in its order."""
    log: list[str] = []

    async def member(name: str) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            log.append(name)

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(member(str(number)))
            await asyncio.sleep(1)
            raise ValueError
    except* ValueError:
        pass
    return log


async def waited_futures() -> list[int]:
    """asyncio.wait gives futures in a set."""
    loop = asyncio.get_running_loop()
    futures = {loop.create_future(): number for number in range(20)}
    for future in futures:
        future.set_result(None)
    done, _ = await asyncio.wait(futures)
    return [futures[future] for future in done]


async def all_of_them() -> list[str]:
    """asyncio.all_tasks reads a table of the whole process."""
    loop = asyncio.get_running_loop()
    tasks = []
    for _ in range(40):
        for _ in range(63):
            loop.create_future()  # so that hashes collide, and the set shows the order in which it was filled
        tasks.append(asyncio.create_task(asyncio.sleep(1)))
    names = [task.get_name() for task in asyncio.all_tasks()]
    await asyncio.wait(tasks)
    return names


async def begun_generators() -> AsyncGenerator[int, None]:
    yield 1


async def generators_left_over() -> list[int]:
    """Generators that were begun and not ended are closed at the end, out of a set of weak references."""
    log: list[int] = []

    async def generate(number: int) -> AsyncGenerator[int, None]:
        try:
            yield number
        finally:
            log.append(number)

    loop = asyncio.get_running_loop()
    loop.__dict__["kept"] = [generate(number) for number in range(20)]
    for each in loop.__dict__["kept"]:
        await anext(each)
    return log


async def entropy() -> list[str]:
    return [uuid.uuid4().hex, os.urandom(8).hex(), str(random.SystemRandom().random())]  # noqa: TID251


async def module_random() -> list[float]:
    return [random.random(), random.uniform(0, 1)]  # noqa: TID251


async def clocks() -> list[float]:
    await asyncio.sleep(1)
    return [time.time(), time.monotonic(), time.perf_counter(), float(time.time_ns())]  # noqa: TID251


async def garbage() -> list[str]:
    """A task that waits in a cycle of garbage is finalized when the collector runs."""
    log: list[str] = []

    async def abandoned() -> None:
        cycle: list[Any] = []
        future = asyncio.get_running_loop().create_future()
        cycle.append((cycle, future))
        try:
            await future
        finally:
            log.append("finalized")

    coroutine: Any = abandoned()
    coroutine.send(None)
    coroutine.cr_frame.f_locals["cycle"].append(coroutine)
    del coroutine
    kept = [[number] for number in range(3000)]
    log.append("after" if kept else "")
    return log


def outcomes(program: Callable[[], Awaitable[Any]]) -> set[str]:
    """Different results in one process, with other things in memory and other runs before."""
    found, junk = set(), []
    for turn in range(8):
        junk.append([object() for _ in range(1000 + 37 * turn)])
        found.add(repr(simulate(program, seed=1).result))  # type: ignore[arg-type]
        for _ in range(turn):
            simulate(all_of_them, seed=turn)
        del junk[:: turn % 2 + 1]
    return found


def open_task_hash(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SimTask, "__hash__", asyncio.Task.__hash__)


def open_future_hash(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SimFuture, "__hash__", asyncio.Future.__hash__)


def open_entropy(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClosedWorld, "_stand_ins", lambda _world: [])


def open_module_random(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClosedWorld, "_own_random_state", nothing)


def open_garbage(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(closed_world, "own_garbage", nothing)


LEAKS = {
    "task hash": (cancelled_group, open_task_hash),
    "future hash": (waited_futures, open_future_hash),
    "entropy": (entropy, open_entropy),
    "module-level random": (module_random, open_module_random),
    "clocks": (clocks, open_entropy),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_closed(leak: str) -> None:
    assert len(outcomes(LEAKS[leak][0])) == 1


@pytest.mark.parametrize("leak", LEAKS)
def test_without_its_protection_the_leak_shows(leak: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program, open_leak = LEAKS[leak]
    open_leak(monkeypatch)
    assert len(outcomes(program)) > 1


def test_all_tasks_come_in_an_order_that_no_other_loop_has_a_part_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(outcomes(all_of_them)) == 1
    # Without the protection the set is filled in the order of the table that all loops share.
    monkeypatch.setattr(closed_world, "_ordered", lambda _real: reversed_order)
    (backwards,) = outcomes(all_of_them)
    monkeypatch.undo()
    assert outcomes(all_of_them) != {backwards}


def reversed_order(loop: Any = None) -> set[Any]:
    found = {task for task in asyncio.tasks._all_tasks if task.get_loop() is asyncio.get_running_loop()}  # type: ignore[attr-defined]
    backwards = sorted((task for task in found if not task.done()), key=lambda task: -task.seq)
    return set(backwards)


def test_garbage_is_collected_between_runs_and_not_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    threshold = gc.get_threshold()
    gc.set_threshold(100, 1, 1)
    try:
        closed = simulate(garbage).result
        open_garbage(monkeypatch)
        opened = simulate(garbage).result
    finally:
        gc.set_threshold(*threshold)
    assert closed == ["after", "finalized"]  # by close(), not later
    assert opened == ["finalized", "after"]


def test_generators_are_closed_in_the_order_in_which_they_were_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    assert simulate(generators_left_over).result == list(range(20))
    base = asyncio.BaseEventLoop
    monkeypatch.setattr(SimLoop, "_asyncgen_firstiter_hook", base._asyncgen_firstiter_hook)  # type: ignore[attr-defined]
    monkeypatch.setattr(SimLoop, "shutdown_asyncgens", base.shutdown_asyncgens)
    monkeypatch.setattr(SimLoop, "has_ended", False)
    assert len(outcomes(generators_left_over)) > 1


def cancelled_by_runner() -> list[str]:
    log: list[str] = []

    async def left_over(name: str) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            log.append(name)

    async def main() -> None:
        for number in range(60):
            asyncio.get_running_loop().__dict__.setdefault("kept", []).append(
                asyncio.create_task(left_over(str(number)))
            )
        await asyncio.sleep(1)

    with asyncio.Runner(loop_factory=lambda: SimLoop(1)) as runner:
        runner.run(main())
    return log


def test_what_asyncio_runner_cancels_ends_in_the_order_of_its_creation(monkeypatch: pytest.MonkeyPatch) -> None:
    order = [str(number) for number in range(60)]
    assert cancelled_by_runner() == order
    monkeypatch.setattr(SimTask, "cancel", asyncio.Task.cancel)
    monkeypatch.setattr(SimTask, "__hash__", lambda task: -task.seq * 7919)
    assert cancelled_by_runner() != order


def test_names_of_tasks_count_by_loop() -> None:
    async def names() -> list[str]:
        return [asyncio.create_task(asyncio.sleep(0)).get_name() for _ in range(3)]

    assert simulate(names).result == simulate(names).result
