"""The bounds against the shipped driver: they hold, they are exact, and they do not depend on how much there is."""

from typing import Any

import pytest

from csisim.check.cost import Cost, Costs, check_cost, table
from csisim.check.cost_bounds import MOUNTS, bound
from csisim.check.index import index
from csisim.events import Event, Kind, Type
from csisim.pb import csi_pb2 as csi
from tests.support.traced import GIB, Client, Traced, traced

STAGING, TARGET = "/k/staging", "/k/target"


async def everything(client: Client, others: int) -> int:
    """Every RPC that costs anything, most of them twice, beside other volumes and snapshots; when it began."""
    for number in range(others):
        await client(client.create(f"other-{number}"))
        await client(csi.CreateSnapshotRequest(name=f"other-s-{number}", source_volume_id=f"other-{number}"))
    await client(client.create("first"))  # with the root dataset, which is there from now on
    assert client.cluster.injection is not None
    began = client.cluster.injection.history.last_seq
    volume = (await twice(client, client.create("v"))).volume
    published = await twice(client, client.publish("v", "a"))
    await on_node(client, volume, published)
    await twice(client, csi.ControllerExpandVolumeRequest(volume_id="v", capacity_range=size(2)))
    await twice(client, csi.ControllerModifyVolumeRequest(volume_id="v", mutable_parameters={"compression": "zstd"}))
    await client(csi.ControllerGetVolumeRequest(volume_id="v"))
    await client(csi.ControllerGetVolumeHealthRequest(volume_id="v"))
    await client(
        csi.ValidateVolumeCapabilitiesRequest(
            volume_id="v", volume_capabilities=[client.capability], volume_context=volume.volume_context
        )
    )
    await client(csi.GetCapacityRequest())
    await twice(client, csi.CreateSnapshotRequest(name="s", source_volume_id="v"))
    await client(csi.GetSnapshotRequest(snapshot_id="v@s"))
    await twice(client, client.create("restored", snapshot="v@s", gib=3))
    await twice(client, client.create("clone", volume="v", gib=3))
    for entries in (0, 2):
        await client(csi.ListVolumesRequest(max_entries=entries))
        await client(csi.ListSnapshotsRequest(max_entries=entries))
    await client(csi.ListSnapshotsRequest(snapshot_id="v@s"))
    await client(csi.ListSnapshotsRequest(source_volume_id="v"))
    group = csi.CreateVolumeGroupSnapshotRequest(name="g", source_volume_ids=["v", "restored"])
    group_id = (await twice(client, group)).group_snapshot.group_snapshot_id
    await client(csi.GetVolumeGroupSnapshotRequest(group_snapshot_id=group_id))
    await twice(client, csi.DeleteVolumeGroupSnapshotRequest(group_snapshot_id=group_id))
    await twice(client, csi.ControllerUnpublishVolumeRequest(volume_id="v", node_id="a"))
    await twice(client, csi.DeleteVolumeRequest(volume_id="restored"))
    await twice(client, csi.DeleteSnapshotRequest(snapshot_id="v@s"))
    await client(csi.DeleteVolumeRequest(volume_id="v"))  # its clone takes its snapshot over
    await client(csi.DeleteVolumeRequest(volume_id="clone"))
    assert set(client.codes) == {"OK"}
    return began


async def on_node(client: Client, volume: csi.Volume, published: Any) -> None:
    more = {
        "volume_id": "v",
        "volume_capability": client.capability,
        "volume_context": volume.volume_context,
        "publish_context": published.publish_context,
        "staging_target_path": STAGING,
    }
    await twice(client, csi.NodeStageVolumeRequest(**more))
    await twice(client, csi.NodePublishVolumeRequest(**more, target_path=TARGET))
    await client(csi.NodeGetVolumeStatsRequest(volume_id="v", volume_path=TARGET))
    await twice(client, csi.NodeExpandVolumeRequest(volume_id="v", volume_path=TARGET, staging_target_path=STAGING))
    await twice(client, csi.NodeUnpublishVolumeRequest(volume_id="v", target_path=TARGET))
    await twice(client, csi.NodeUnstageVolumeRequest(volume_id="v", staging_target_path=STAGING))


async def twice(client: Client, request: Any) -> Any:
    await client(request)
    return await client(request)


def size(gib: int) -> csi.CapacityRange:
    return csi.CapacityRange(required_bytes=gib * GIB)


def costs_of(run: Traced) -> list[Cost]:
    return [cost for cost in run.index.derived(Costs).all if cost.rpc.begin > run.result]


@pytest.mark.parametrize("protocol", ["nfs", "iscsi", "nvmeof"])
def test_the_shipped_driver_keeps_them_exactly_however_many_others_there_are(protocol):
    few, many = (
        traced(lambda client, n=n: everything(client, n), protocol=protocol, latency_s=(0.01, 0.01)) for n in (0, 6)
    )
    for run in (few, many):
        result = check_cost(run.index)
        assert [violation.summary for violation in result.violations] == []
        assert result.looked_at == len(run.index.calls["rpc"])
        assert run.races.violations == ()
    pairs = list(zip(costs_of(few), costs_of(many), strict=True))
    for one, other in pairs:
        limit = bound(one.rpc, one.case, one.protocol)
        assert limit is not None, one.rpc.f
        if one.rpc.f not in ("ListVolumes", "DeleteVolumeGroupSnapshot"):  # mixed protocols; an intent left behind
            assert one.counted == limit, (one.rpc.f, one.case)
        assert (other.counted, other.mounts, len(other.nas)) == (one.counted, one.mounts, len(one.nas)), one.rpc.f
        if "List" not in one.rpc.f and one.rpc.f != "CreateVolumeGroupSnapshot":
            assert abs(other.received_bytes - one.received_bytes) < 64, one.rpc.f  # numbers with more digits
        assert other.objects == one.objects + 12
    assert {one.rpc.f for one, _ in pairs} >= {"CreateVolume", "NodeStageVolume", "DeleteVolumeGroupSnapshot"}
    assert max(one.mounts - MOUNTS.get(one.rpc.f, 0) for one, _ in pairs) <= 0


def test_the_table_tells_what_each_rpc_costs():
    run = traced(lambda client: everything(client, 2), latency_s=(0.01, 0.01))
    rows = {(row["rpc"], row["code"], row["case"]): row for row in table(run.index)}
    create = rows["CreateVolume", "OK", "new"]
    assert create["nas_calls"][0] == 2
    assert create["latency_s"][0] >= 0.02
    assert create["received_bytes"][0] > create["sent_bytes"][0] > 100
    assert rows["DeleteSnapshot", "OK", "changed"]["nas_calls"] == [2, 2, 2]
    stage = rows["NodeStageVolume", "OK", "same"]
    assert (stage["count"], stage["host_calls"], stage["mounts"]) == (2, [1, 1, 1], [2, 2, 5])


@pytest.mark.parametrize(
    ("left", "unpublished", "asked", "due"), [(1, 0, 8, 8), (1, 0, 9, 8), (2, 0, 9, 11), (2, 0, 12, 11), (1, 5, 9, 8)]
)
def test_what_an_unstage_may_ask_grows_with_the_paths_that_interrupted_calls_have_left(left, unpublished, asked, due):
    events: list[Event] = []

    def note(type_: Type, kind: Kind, f: str, call: str, parent: str = "", **value: str) -> None:
        events.append(Event(len(events) + 1, 1.0, type_, kind, f, call, "node-1", parent, value))

    for number in range(left + unpublished):
        at = {"volume_id": "v", "target_path": f"/pods/{number}/v"}
        note("invoke", "rpc", "NodePublishVolume", f"p{number}", **at)
        note("info", "rpc", "NodePublishVolume", f"p{number}", code="CANCELLED")
        if number < unpublished:
            note("invoke", "rpc", "NodeUnpublishVolume", f"u{number}", **at)
            note("ok", "rpc", "NodeUnpublishVolume", f"u{number}")
    note("invoke", "nas", "pool.dataset.query", "n", "p0")
    note("ok", "nas", "pool.dataset.query", "n", "p0")
    note("invoke", "rpc", "NodeUnstageVolume", "u", volume_id="v")
    for number in range(asked):
        note("invoke", "mount", "mounts", f"m{number}", "u", path="/pods/0/v")
        note("ok", "mount", "mounts", f"m{number}", "u")
    note("ok", "rpc", "NodeUnstageVolume", "u")
    found = [each.summary for each in check_cost(index(events)).violations if "NodeUnstageVolume" in each.summary]
    text = f"asked {asked} things of the machine's paths and mounts, at most {due} were due"
    assert found == ([] if asked <= due else [f"NodeUnstageVolume(v), same: {text}"])
