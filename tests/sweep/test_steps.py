"""What a step notices when the driver's answer is right and what it did is not."""

from dataclasses import replace

import pytest

from csisim.co.callers import GaveUp
from csisim.co.kubelet import CheckFailed
from csisim.faults.grammar import parse_rule
from csisim.sweep.steps import Steps
from csisim.sweep.stories import NAMES, first_plan
from csisim.sweep.world import World

PLAN = first_plan("nfs")


@pytest.fixture
async def steps(world: World) -> Steps:
    made = Steps(world)
    await made.create(PLAN)
    return made


async def nothing(*_args):
    """What a driver does that only says that it did something."""


async def test_a_target_that_is_not_mounted_is_noticed(monkeypatch, world, steps):
    monkeypatch.setattr(world.kubelet, "mount", nothing)

    with pytest.raises(CheckFailed, match="pvc-1: published, but not mounted at its target"):
        await steps.mount(PLAN)


async def test_a_volume_that_is_still_mounted_after_its_unstaging_is_noticed(monkeypatch, world, steps):
    await steps.mount(PLAN)
    monkeypatch.setattr(world.kubelet, "unmount", nothing)

    with pytest.raises(CheckFailed, match="pvc-1: unstaged, but still mounted at "):
        await steps.unmount(PLAN)


async def test_lost_data_is_noticed(steps):
    await steps.write(PLAN, 0)
    await steps.check_content(PLAN, 0)

    with pytest.raises(CheckFailed, match=r"lost data: pvc-1 has the marks \[0\] instead of \[0, 1\]"):
        await steps.check_content(PLAN, 0, 1)


async def test_lists_that_lack_or_add_something_are_noticed(steps):
    await steps.look(PLAN, mounted=False)
    with pytest.raises(CheckFailed, match="ListVolumes says"):
        await steps.look(PLAN, mounted=True)
    await steps.snapshot("a", PLAN)
    await steps.look_at_snapshots("a")
    with pytest.raises(CheckFailed, match="ListSnapshots says"):
        await steps.look_at_snapshots()


async def test_blocks_that_are_not_reported_are_noticed(world):
    steps, plan = Steps(world), replace(first_plan("iscsi"), block=True)
    await steps.create(plan)
    await steps.write(plan, 0)
    await steps.snapshot("a", plan)

    await steps.look_at_blocks("a", 1 << 20)
    with pytest.raises(CheckFailed, match="GetMetadataAllocated says"):
        await steps.look_at_blocks("a", 600 << 20)


async def test_a_final_answer_is_begun_anew_only_where_it_is_a_right_one(world, steps):
    other = replace(PLAN, name=NAMES[1])
    world.plane.add(parse_rule("nas.pool.dataset.create.apply: 1*exhaust(pool)"))
    with pytest.raises(GaveUp, match="RESOURCE_EXHAUSTED"):
        await steps.create(other)

    world.plane.reset()
    world.plane.add(parse_rule("nas.pool.dataset.create.apply: 1*exhaust(pool)"))
    await Steps(world, {"RESOURCE_EXHAUSTED"}).create(other)


async def test_what_a_create_that_failed_for_good_leaves_is_noticed(world, steps):
    world.plane.add(parse_rule("rpc.CreateVolume.after: 1*error(RESOURCE_EXHAUSTED)"))

    with pytest.raises(CheckFailed, match=r"CreateVolume\(pvc-2\) failed for good, and left NAS: dataset"):
        await Steps(world, {"RESOURCE_EXHAUSTED"}).create(replace(PLAN, name=NAMES[1]))


async def test_a_group_has_exactly_its_volumes(world, steps):
    second = replace(PLAN, name=NAMES[1])
    await steps.create(second)
    made = await steps.snapshot_group("g", PLAN, second)

    assert set(steps.snapshots) == {"g of pvc-1", "g of pvc-2"}
    await steps.delete_group(made)
    await steps.delete(second)
    await steps.delete(PLAN)
    assert await world.leftovers() == []
