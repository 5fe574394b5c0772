"""The limit of one atomic cut, and records that are not ours."""

import pytest

from csisim.driver.groups import Groups
from csisim.driver.volume_id import component_for
from csisim.errors import AlreadyExists, FailedPrecondition
from tests.support.rig import create


@pytest.fixture
async def groups(rig):
    await rig.rpc(create("a"))
    return Groups(rig.volumes)


async def test_more_volumes_than_can_be_left_out_by_name_is_a_failed_precondition(rig, groups, monkeypatch):
    await rig.rpc(create("b"))
    monkeypatch.setattr("csisim.driver.groups._EXCLUDE_BYTES", len("tank/csi/b"))
    volume = await rig.volumes.get("a", "a")

    with pytest.raises(FailedPrecondition, match="1 others"):
        await groups.create("g", [volume], "")
    assert await rig.names("pool.snapshot.query") == []


async def test_a_snapshot_of_the_root_that_is_no_group_is_left_alone(rig, groups):
    await rig.client.call("pool.snapshot.create", {"dataset": "tank/csi", "name": "g_g"})
    volume = await rig.volumes.get("a", "a")

    assert await groups.find("g") is None
    with pytest.raises(AlreadyExists):
        await groups.create("g", [volume], "")
    assert await rig.names("pool.snapshot.query") == ["tank/csi@g_g"]


async def test_a_name_that_zfs_cannot_carry_is_kept_and_compared(rig, groups):
    volume = await rig.volumes.get("a", "a")
    made = await groups.create("Group/One", [volume], "p")
    await groups.complete(made)

    assert made.id == component_for("Group/One")
    assert await groups.find(made.id) == made
    assert (made.name, made.sizes) == ("Group/One", {"a": volume.capacity_bytes})
