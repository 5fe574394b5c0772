"""What makes a dataset reachable: completed where half-made, compared where it exists, never taken from others."""

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as pb
from tests.support.rig import create

PROTOCOLS = ("nfs", "iscsi", "nvmeof")


async def contexts(rig):
    listed = await rig.rpc(pb.ListVolumesRequest())
    return {entry.volume.volume_id: dict(entry.volume.volume_context) for entry in listed.entries}


async def test_contexts_are_the_same_in_every_answer(rig):
    made = {name: (await rig.rpc(create(name, name))).volume for name in PROTOCOLS}

    assert await contexts(rig) == {name: dict(volume.volume_context) for name, volume in made.items()}


async def test_a_listing_of_many_volumes_asks_for_each_protocol_once(rig):
    for number in range(3):
        for protocol in PROTOCOLS:
            await rig.rpc(create(f"{protocol}{number}", protocol))
    rig.methods()
    await rig.rpc(pb.ListVolumesRequest())

    expected = ["iscsi.global.config", "nvmet.global.config", "nvmet.port.query", "pool.dataset.query"]
    assert sorted(rig.methods()) == expected


async def test_the_context_names_what_the_nas_has(rig):
    for protocol in PROTOCOLS:
        await rig.rpc(create(protocol, protocol))
    known = await contexts(rig)
    subsystem = (await rig.ask("nvmet.subsys.query", [], {}))[0]
    namespace = (await rig.ask("nvmet.namespace.query", [], {}))[0]
    pair = (await rig.ask("iscsi.targetextent.query", [], {}))[0]
    basename = (await rig.ask("iscsi.global.config"))["basename"]

    assert known["nfs"]["share"] == (await rig.ask("sharing.nfs.query", [], {}))[0]["path"]
    assert (known["nvmeof"]["nqn"], known["nvmeof"]["nsid"]) == (subsystem["subnqn"], str(namespace["nsid"]))
    assert (known["iscsi"]["iqn"], known["iscsi"]["lun"]) == (f"{basename}:iscsi", str(pair["lunid"]))


@pytest.mark.parametrize(
    ("protocol", "method", "fields"),
    [
        ("iscsi", "iscsi.extent.create", {"name": "v", "type": "DISK", "disk": "zvol/tank/other"}),
        ("iscsi", "iscsi.target.create", {"name": "v", "groups": [{"portal": 1, "initiator": 1}]}),
        ("nvmeof", "nvmet.subsys.create", {"name": "v", "allow_any_host": True}),
    ],
)
async def test_an_object_of_somebody_else_under_our_name_is_left_alone(rig, protocol, method, fields):
    await rig.client.call(
        "pool.dataset.create", {"name": "tank/other", "type": "VOLUME", "volsize": 1 << 30, "sparse": True}
    )
    theirs = await rig.client.call(method, fields)
    if protocol == "nvmeof":
        other = {"subsys_id": theirs["id"], "device_type": "ZVOL", "device_path": "zvol/tank/other"}
        await rig.client.call("nvmet.namespace.create", other)

    assert await rig.rpc.code(create("v", protocol)) is StatusCode.ALREADY_EXISTS
    assert "tank/csi/v" not in await rig.names("pool.dataset.query")  # a definite error leaves nothing
    await rig.rpc(pb.DeleteVolumeRequest(volume_id="v"))
    kind = method.removesuffix(".create")
    assert [row["id"] for row in await rig.ask(f"{kind}.query", [], {})] == [theirs["id"]]


async def test_a_share_that_landed_twice_is_one_again_after_the_repeat(rig):
    await rig.rpc(create("v"))
    await rig.client.call("sharing.nfs.create", {"path": "/mnt/tank/csi/v", "comment": "v"})
    assert len(await rig.ask("sharing.nfs.query", [], {})) == 2

    await rig.rpc(create("v"))

    assert len(await rig.ask("sharing.nfs.query", [], {})) == 1


async def test_shares_of_somebody_else_are_neither_taken_for_ours_nor_removed(rig):
    await rig.rpc(create("v"))
    ours = (await rig.ask("sharing.nfs.query", [], {}))[0]
    theirs = await rig.client.call("sharing.nfs.create", {"path": "/mnt/tank/csi/v", "comment": "backup", "ro": True})
    await rig.client.call("sharing.nfs.delete", ours["id"])

    await rig.rpc(create("v"))

    shares = await rig.ask("sharing.nfs.query", [], {"order_by": ["id"]})
    assert [row["comment"] for row in shares] == ["backup", "v"]
    assert shares[0]["id"] == theirs["id"]


async def test_a_share_that_the_nas_allows_only_once_refuses_the_volume(rig):
    await rig.rpc(create("v"))
    ours = (await rig.ask("sharing.nfs.query", [], {}))[0]
    await rig.client.call("sharing.nfs.update", ours["id"], {"comment": "mine now", "hosts": ["10.0.0.1"]})

    assert await rig.rpc.code(create("v")) in (StatusCode.OK, StatusCode.ALREADY_EXISTS)
    assert "mine now" in [row["comment"] for row in await rig.ask("sharing.nfs.query", [], {})]


@pytest.mark.parametrize("change", [{"enabled": False}, {"ro": True}])
async def test_a_share_that_was_switched_off_is_not_called_ready(rig, change):
    await rig.rpc(create("v"))
    share = (await rig.ask("sharing.nfs.query", [], {}))[0]
    await rig.client.call("sharing.nfs.update", share["id"], change)

    assert await rig.rpc.code(create("v")) is StatusCode.FAILED_PRECONDITION
