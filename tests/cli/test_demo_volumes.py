from csisim.cli.demo_volumes import (
    BLOCK_SNAPSHOT,
    BLOCK_VOLUME,
    GIB,
    GROUP_VOLUMES,
    NFS_SNAPSHOT,
    SNAPSHOTS,
    copies,
    originals,
)
from csisim.pb import csi_pb2 as csi

NODES = ("node-1", "node-2")


def test_twenty_volumes_of_all_kinds_on_both_nodes():
    plans = [*originals(NODES), *copies(NODES)]

    assert len({plan.name for plan in plans}) == len(plans) == 20
    assert {(plan.protocol, plan.block) for plan in plans} == {
        ("nfs", False),
        ("iscsi", False),
        ("iscsi", True),
        ("nvmeof", False),
        ("nvmeof", True),
    }
    assert {plan.nodes for plan in plans} == {NODES, ("node-1",), ("node-2",)}


def test_what_copies_and_snapshots_come_from_is_there():
    names = {plan.name for plan in originals(NODES)}
    snapshots = {name for name, _ in SNAPSHOTS}

    assert {source for _, source in SNAPSHOTS} | set(GROUP_VOLUMES) | {BLOCK_VOLUME} <= names
    assert {plan.source_volume for plan in copies(NODES)} - {""} <= names
    assert {plan.source_snapshot for plan in copies(NODES)} - {""} == {BLOCK_SNAPSHOT, NFS_SNAPSHOT} <= snapshots


def test_a_copy_is_at_least_as_large_as_what_it_comes_from_after_growing():
    grown = {plan.name: plan.grown_bytes for plan in originals(NODES)}
    sources = dict(SNAPSHOTS)

    for plan in copies(NODES):
        assert plan.size_bytes >= grown[plan.source_volume or sources[plan.source_snapshot]]


def test_requests_say_how_the_volume_is_used():
    plans = {plan.name: plan for plan in [*originals(NODES), *copies(NODES)]}

    shared = plans["pvc-nfs-1"].create_request()
    assert shared.volume_capabilities[0].access_mode.mode == csi.VolumeCapability.AccessMode.MULTI_NODE_MULTI_WRITER
    assert shared.parameters == {"protocol": "nfs"}
    assert shared.capacity_range.required_bytes == GIB
    assert not shared.HasField("volume_content_source")
    raw = plans[BLOCK_VOLUME].create_request()
    assert raw.volume_capabilities[0].WhichOneof("access_type") == "block"
    restored = plans["pvc-restored-block"].create_request("id@snap")
    assert restored.volume_content_source.snapshot.snapshot_id == "id@snap"
    cloned = plans["pvc-cloned-nfs"].create_request("id")
    assert cloned.volume_content_source.volume.volume_id == "id"
