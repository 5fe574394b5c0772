"""Marks on volumes, against a real NAS."""

import pytest

from csisim.cluster.nas_inside import Refused
from csisim.sweep.cases import Case
from csisim.sweep.run import run_case
from csisim.sweep.steps import Steps
from csisim.sweep.stories import first_plan


@pytest.mark.parametrize("protocol", ["nfs", "iscsi"])
async def test_marks_are_found_and_lost_ones_are_missed(world, protocol):
    steps, plan = Steps(world), first_plan(protocol)
    await steps.create(plan)
    assert await world.content.marks(plan) == []

    await world.content.write(plan, 0)
    await world.content.write(plan, 2)

    assert await world.content.marks(plan) == [0, 2]
    if protocol == "iscsi":
        await world.cluster.nas.call("fake.block.write", f"tank/csi/{plan.name}", (3 << 20) + 100, "AAAA")
        assert await world.content.marks(plan) == [0]
    await steps.delete(plan)


@pytest.mark.parametrize("protocol", ["nfs", "iscsi"])
async def test_a_volume_that_is_gone_is_a_violation_and_not_the_end_of_the_sweep(monkeypatch, world, protocol):
    plan = first_plan(protocol)
    with pytest.raises(Refused, match=r"(filesystem\.listdir|fake\.block\.read): "):
        await world.content.marks(plan)

    async def vanished(_self, _plan, _mark):
        raise Refused("gone")

    monkeypatch.setattr("csisim.sweep.content.Content.write", vanished)
    outcome = await run_case(world, Case(protocol, "mount", "mount.bind", 1, "error(EIO)"))
    assert outcome.violations[0] == "gone"
