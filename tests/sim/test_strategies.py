"""Strategies: their chances, their bounds, and which planted bug each of them finds and misses."""

import asyncio

import pytest

from csisim.sim.lanes import lane, prompt, subject
from csisim.sim.run import simulate
from csisim.sim.strategies import Fifo, Pct, Pos, RandomWalk, Stalls, pct, portfolio, replay, stalls
from csisim.sim.streams import Streams
from csisim.sim.tape import Tape
from tests.sim.programs import count_race, hits, is_found, late_cache, lost_wake_up, stale_read


def test_fifo_finds_the_window_within_an_instant_and_pct_misses_it() -> None:
    assert hits(count_race, Fifo, 20) == 20
    assert hits(count_race, pct(1), 60) == 0


def test_pct_finds_the_long_odd_order_that_fifo_and_the_walk_miss() -> None:
    program = lost_wake_up(16)
    assert hits(program, Fifo, 60) == 0
    assert hits(program, RandomWalk, 60) == 0
    assert hits(program, pct(1), 60) > 20
    assert hits(program, Pos, 60) > 0


def test_only_stalls_let_time_overtake_a_ready_task() -> None:
    for strategy in (Fifo, RandomWalk, pct(3, picks=40), Pos):
        assert hits(late_cache, strategy, 60) == 0
    assert hits(late_cache, stalls(0.1, longest_s=0.1), 100) > 3


def test_random_latency_alone_finds_a_race_over_the_network() -> None:
    found = hits(stale_read, Fifo, 60)
    assert 0 < found < 60


def test_the_portfolio_finds_every_one() -> None:
    for program in (count_race, lost_wake_up(16), late_cache, stale_read):
        assert hits(program, portfolio, 150) > 0


async def three_lanes() -> list[str]:
    log: list[str] = []

    async def halves(name: str) -> None:
        with lane(name):
            async with asyncio.TaskGroup() as group:
                group.create_task(noted_inside(name))
                group.create_task(noted_inside(name))

    async def noted_inside(name: str) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
            log.append(name)

    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(halves(name))
    return log


def test_pct_of_depth_one_runs_a_lane_to_its_end() -> None:
    orders = set()
    for seed in range(30):
        outcome = simulate(three_lanes, seed=seed, strategy=pct(1))
        assert outcome.error is None
        assert outcome.result is not None
        order = "".join(outcome.result)
        runs = [name for at, name in enumerate(order) if at == 0 or order[at - 1] != name]
        assert len(runs) == 3, order
        orders.add("".join(runs))
    assert len(orders) == 6


def test_pct_by_task_takes_the_tasks_of_a_lane_apart() -> None:
    def switches(seed: int) -> int:
        by_task = simulate(three_lanes, seed=seed, strategy=lambda streams: Pct(streams, depth=1, by_task=True))
        order = by_task.result or []
        return sum(1 for at in range(1, len(order)) if order[at] != order[at - 1])

    assert max(switches(seed) for seed in range(20)) > 2


def test_pct_lets_others_run_beside_a_task_that_polls() -> None:
    async def program() -> int:
        flag = False
        polls = 0

        async def poll() -> None:
            nonlocal polls
            while not flag:
                polls += 1
                await asyncio.sleep(0)

        async def work() -> None:
            nonlocal flag
            await asyncio.sleep(0)
            flag = True

        async with asyncio.TaskGroup() as group:
            group.create_task(poll())
            group.create_task(work())
        return polls

    for seed in range(20):
        outcome = simulate(program, seed=seed, strategy=pct(3), steps_per_instant=5000)
        assert outcome.error is None


def test_pos_draws_again_for_steps_of_the_same_subject() -> None:
    async def program() -> list[str]:
        log: list[str] = []

        async def touch(name: str, what: str) -> None:
            with subject(what):
                await asyncio.create_task(steps(name))

        async def steps(name: str) -> None:
            for _ in range(4):
                await asyncio.sleep(0)
                log.append(name)

        async with asyncio.TaskGroup() as group:
            group.create_task(touch("a", "volume 1"))
            group.create_task(touch("b", "volume 1"))
        return log

    orders = {"".join(simulate(program, seed=seed, strategy=Pos).result or []) for seed in range(40)}
    assert len(orders) > 8


def test_a_stall_puts_a_step_off_once_and_is_on_the_tape() -> None:
    outcome = simulate(late_cache, seed=2, strategy=stalls(0.5, longest_s=0.01))
    assert outcome.tape.stalls
    assert all(0.0001 <= delay_s <= 0.01 for delay_s in outcome.tape.stalls.values())
    assert outcome.tape.picks == {}
    assert outcome.virtual_s > simulate(late_cache, seed=2).virtual_s


def test_what_is_prompt_is_put_off_only_for_a_moment() -> None:
    async def program() -> None:
        async def steps() -> None:
            for _ in range(200):
                await asyncio.sleep(0)

        with prompt(0.001):
            task = asyncio.create_task(steps())
        await task

    outcome = simulate(program, seed=2, strategy=stalls(0.5, longest_s=10.0))
    delays_s = list(outcome.tape.stalls.values())
    assert len(delays_s) > 50
    assert delays_s.count(0.001) > 20
    assert len([each for each in delays_s if each > 0.001]) <= 4  # of those that wait for it, and for the end


def test_a_tape_with_one_deviation_is_a_bug_report() -> None:
    found = next(
        outcome
        for seed in range(50)
        if is_found(outcome := simulate(lost_wake_up(1), seed=seed, strategy=RandomWalk)) and outcome.tape.picks
    )
    again = simulate(lost_wake_up(1), seed="any other", strategy=replay(found.tape))
    assert is_found(again)


def test_a_tape_says_the_newest_where_there_is_less_to_choose_from() -> None:
    outcome = simulate(three_lanes, strategy=replay(Tape({0: 99})))
    assert outcome.error is None
    assert outcome.tape.picks[0] == outcome.choices[0] - 1


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"picks": 0}])
def test_pct_refuses_what_it_cannot_do(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Pct(Streams(0), **wrong)


@pytest.mark.parametrize("wrong", [{"share": 0.0}, {"share": 1.0}, {"longest_s": 0.0}])
def test_stalls_refuse_what_they_cannot_do(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="share between 0 and 1"):
        Stalls(Streams(0), **wrong)


def test_the_portfolio_mixes() -> None:
    kinds = [type(portfolio(Streams(seed))).__name__ for seed in range(1000)]
    shares = {kind: kinds.count(kind) / 1000 for kind in sorted(set(kinds))}
    assert shares == {
        "Fifo": pytest.approx(0.30, abs=0.05),
        "Pct": pytest.approx(0.20, abs=0.05),
        "Pos": pytest.approx(0.15, abs=0.05),
        "RandomWalk": pytest.approx(0.20, abs=0.05),
        "Stalls": pytest.approx(0.15, abs=0.05),
    }
