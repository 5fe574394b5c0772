"""Growing volumes."""

import pytest

GIB = 1 << 30


@pytest.mark.parametrize("storage_class", ["iscsi", "nvmeof"])
async def test_a_grown_disk_whose_answer_was_lost_still_gets_its_file_system_grown(cluster, storage_class):
    """The disk has grown on the NAS, and the answer is lost.

    A repeat that finds nothing left to do, and says that the node has nothing to do either, leaves a small file
    system on a large disk for ever.

    E02; openebs/lvm-localpv#481
    """
    cluster.co.create_claim("data", GIB, storage_class=storage_class)
    cluster.co.create_pod("web", "data")
    await cluster.settled()

    lost = cluster.faults.add("rpc.ControllerExpandVolume.after: 1*error(UNAVAILABLE)")
    cluster.co.expand("data", 2 * GIB)
    await cluster.fired(lost)
    await cluster.settled()
    assert await cluster.size_bytes("web") == 2 * GIB
    assert cluster.co.get("PersistentVolumeClaim", "data").capacity == 2 * GIB
    await cluster.teardown()
    await cluster.check()
