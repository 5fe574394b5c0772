"""The stories without faults: each ends with nothing, and together they make every call of a life cycle."""

import pytest

from csisim.sweep.cases import PROTOCOLS
from csisim.sweep.run import record
from csisim.sweep.stories import stories_of

LIFE_CYCLE = {
    "CreateVolume", "DeleteVolume", "ControllerPublishVolume", "ControllerUnpublishVolume", "ControllerExpandVolume",
    "CreateSnapshot", "DeleteSnapshot", "CreateVolumeGroupSnapshot", "DeleteVolumeGroupSnapshot", "ListVolumes",
    "ListSnapshots", "ControllerGetVolume", "GetCapacity", "NodeStageVolume", "NodeUnstageVolume",
    "NodePublishVolume", "NodeUnpublishVolume", "NodeGetVolumeStats",
}  # fmt: skip
OF_BLOCKS = {"NodeExpandVolume", "GetMetadataAllocated"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_every_story_ends_with_nothing_and_together_they_make_every_call(world, protocol):
    passed: set[str] = set()
    for story in stories_of(protocol):
        found = await record(world, protocol, story)
        passed |= {site for site, count in found.items() if count}

    calls = {site.split(".")[1] for site in passed if site.startswith("rpc.") and site.endswith(".after")}
    assert calls == LIFE_CYCLE | (OF_BLOCKS if protocol != "nfs" else set())
    host = {"mount.mount", "mount.bind", "mount.umount", "mount.remove_path", "file.write", "file.remove"}
    assert host <= passed
    assert protocol == "nfs" or {"device.connect", "device.make_fs", "device.disconnect", "mount.resize_fs"} <= passed


def test_only_block_volumes_are_raw():
    assert stories_of("nfs") == ("mount", "copies", "group")
    assert stories_of("iscsi") == ("mount", "block", "copies", "group")
