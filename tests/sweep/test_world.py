"""A world is empty, says what is in it, and comes to rest."""

from dataclasses import replace

from csisim.co.callers import Patience
from csisim.faults.grammar import parse_rule
from csisim.sweep.steps import Steps
from csisim.sweep.stories import first_plan
from csisim.sweep.world import NODE, Pace
from csisim.truenas.settings import NasSettings


async def test_what_a_volume_consists_of_is_left_until_it_is_deleted(world):
    steps, plan = Steps(world), first_plan("iscsi")
    await steps.create(plan)
    await steps.mount(plan)

    left = await world.leftovers()

    kinds = {what.rpartition(" ")[0] for what in left}
    assert {"NAS: dataset", "NAS: iscsi target", "NAS: iscsi extent", "NAS: iscsi target-extent"} <= kinds
    assert {f"{NODE}: mount", f"{NODE}: session", f"{NODE}: record", f"{NODE}: path"} <= kinds
    await steps.unmount(plan)
    await steps.delete(plan)
    assert await world.leftovers() == []
    assert world.held() == []


async def test_a_lost_answer_keeps_it_from_being_calm_until_its_connection_is_ended(world):
    world.caller.patience = world.pace.patience(loses_answers=True)
    world.plane.add(parse_rule("nas.pool.dataset.query.reply: #1 drop"))
    steps, plan = Steps(world), first_plan("nfs")
    await steps.create(plan)
    await steps.delete(plan)

    assert await world.calm(5.0)

    assert world.cluster.nas_client.tasks.count() == 0


async def test_a_held_lock_is_told_and_is_not_calm(world):
    async with world.cluster.locks[NODE].hold("volume x"):
        assert world.held() == [f"{NODE}: volume x"]
        assert not await world.calm(0.05)
    assert await world.calm(1.0)


def test_the_driver_of_a_world_keeps_its_pace(world):
    assert world.cluster.nas_settings.overdue_s == Pace().overdue_s


def test_the_pace_shortens_waits_and_changes_nothing_else():
    settings = NasSettings(url="ws://127.0.0.1:80/api/current", api_key="1-" + "k" * 64)
    tuned = Pace().tune(settings)

    assert (tuned.overdue_s, tuned.landing_s) == (Pace().overdue_s, Pace().landing_s)
    assert tuned.overdue_s < settings.overdue_s
    assert replace(tuned, **{name: getattr(settings, name) for name in (
        "overdue_s", "landing_s", "backoff_s", "backoff_max_s", "backoff_refused_s", "stable_s", "job_poll_s",
        "close_timeout_s")}) == settings  # fmt: skip
    assert isinstance(Pace().patience(loses_answers=True), Patience)
    assert Pace().patience(loses_answers=True).timeout_s == Pace().lost_timeout_s
