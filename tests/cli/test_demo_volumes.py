from csisim.cli.demo_volumes import (
    BLOCK_SNAPSHOT,
    BLOCK_VOLUME,
    GROUP_VOLUMES,
    NFS_SNAPSHOT,
    SNAPSHOTS,
    copies,
    originals,
)

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
