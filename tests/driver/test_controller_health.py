"""Volume health (CSI 1.13): what is wrong is found where it is, and only that."""

import pytest

from csisim.pb import csi_pb2 as pb
from tests.support.rig import create


async def health(rig, volume_id):
    answer = await rig.rpc(pb.ControllerGetVolumeHealthRequest(volume_id=volume_id))
    return [(each.status, each.reason) for each in answer.volume_health.health_statuses]


async def abnormal(rig, **fields):
    answer = await rig.rpc(pb.ControllerListVolumeHealthRequest(**fields))
    return [each.volume_id for each in answer.entries], answer.next_token


async def remove(rig, namespace, *params):
    row = (await rig.ask(f"{namespace}.query", [], {}))[0]
    await rig.client.call(f"{namespace}.delete", row["id"], *params)


@pytest.mark.parametrize(
    ("protocol", "namespace", "params", "reason"),
    [
        ("nfs", "sharing.nfs", (), "ShareMissing"),
        ("iscsi", "iscsi.target", (True,), "TargetMissing"),
        ("iscsi", "iscsi.extent", (False, True), "ExtentMissing"),
        ("iscsi", "iscsi.targetextent", (True,), "LunMissing"),
        ("nvmeof", "nvmet.namespace", (), "NamespaceMissing"),
        ("nvmeof", "nvmet.port_subsys", (), "PortMissing"),
    ],
)
async def test_a_part_that_is_gone_makes_the_volume_inaccessible_until_it_is_completed(
    rig, protocol, namespace, params, reason
):
    await rig.rpc(create("v", protocol))
    assert await health(rig, "v") == []

    await remove(rig, namespace, *params)
    assert await health(rig, "v") == [(pb.INACCESSIBLE, reason)]

    await rig.rpc(create("v", protocol))
    assert await health(rig, "v") == []


async def test_only_abnormal_volumes_are_listed_by_pages(rig):
    for number in range(5):
        await rig.rpc(create(f"v{number}"))
    for row in await rig.ask("sharing.nfs.query", [["path", "nin", ["/mnt/tank/csi/v2"]]], {}):
        await rig.client.call("sharing.nfs.delete", row["id"])
    first, token = await abnormal(rig, max_entries=3)
    rest, end = await abnormal(rig, max_entries=3, starting_token=token)

    assert first + rest == ["v0", "v1", "v3", "v4"]
    assert end == ""


async def test_a_pool_in_trouble_makes_every_volume_abnormal(rig):
    await rig.rpc(create("v"))
    status = "DEGRADED"

    async def troubled(_call, proceed):
        return [{**row, "status": status} for row in await proceed()]

    rig.on_call("pool.query", troubled, times=2)
    assert await health(rig, "v") == [(pb.DEGRADED, "PoolDegraded")]
    status = "FAULTED"
    assert await health(rig, "v") == [(pb.INACCESSIBLE, "PoolUnavailable")]
