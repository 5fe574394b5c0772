"""Mounts and objects over time."""

import pytest

from csisim.check.truth import done_for, mounts_of, objects_of, volume_of
from tests.support.told import STAGED, TARGET, Told


@pytest.mark.parametrize(
    ("value", "volume"),
    [
        ({"source": "nas:/mnt/t/csi/v"}, "v"),
        ({"source": "nas:/mnt/t/csi/v[/sub/dir]"}, "v"),
        ({"source": "/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.2005-10.org.x:v-lun-0"}, "v"),
        ({"source": "/dev/disk/by-id/nvme-10.0.0.1:4420-nqn.2011-06.com.x:uuid:1:v-1"}, "v"),
        ({"source": "/dev/sda", "dataset": "t/csi/v"}, "v"),
        ({"source": "/var/lib/plain"}, ""),
        ({}, ""),
    ],
)
def test_sources_tell_their_volume(value: dict[str, str], volume: str) -> None:
    assert volume_of(value, {"v"}) == volume


def test_mounts_stack_and_come_off() -> None:
    told = Told()
    told.create()
    told.mount("v", "node-1", STAGED)
    told.mount("w", "node-1", STAGED)
    told.truth("umount", path=STAGED, source="nas:/mnt/t/w")
    told.truth("umount", path=STAGED, source="nas:/mnt/t/v")
    mounts = mounts_of(told.index)
    shown = [mounts.top("node-1", STAGED, at) for at in range(3, 8)]
    assert [mount and mount.volume for mount in shown] == [None, "v", "w", "v", None]
    assert mounts.top("node-2", STAGED, 4) is None


def test_a_reboot_ends_the_mounts_of_its_node() -> None:
    told = Told()
    told.create()
    for node in ("node-1", "node-2"):
        told.mount("v", node, TARGET, options=("ro",))
    told.truth("reboot")
    one, other = mounts_of(told.index).all
    assert (one.end, one.readonly) == (5, True)
    assert other.gone is None


def test_objects_live_more_than_once() -> None:
    told = Told()
    told.made("nfs share /mnt/t/v")
    told.gone("nfs share /mnt/t/v")
    told.made("nfs share /mnt/t/v")
    told.truth("destroyed", "nas", object="nfs share /mnt/t/v", moved_to="nfs share /mnt/t/w")
    told.gone("dataset t/before")
    first, second = objects_of(told.index)
    assert (first.kind, first.id, first.begin, first.end, first.moved) == ("nfs share", "/mnt/t/v", 1, 2, False)
    assert (second.begin, second.end, second.moved) == (3, 4, True)


def test_what_was_done_for_a_call_is_found_by_it_and_the_nas_has_no_part_in_it():
    told = Told()
    call = told.begin("rpc", "NodeStageVolume", "node-1", volume_id="v")
    told.truth("login", "node-1", call, source="/dev/v", dataset="t/v")
    told.made("dataset t/v", call)
    told.mount("v", "node-1", "/p", call)
    told.truth("vanish", "node-1", source="/dev/w")
    found = {call_id: [event.f for event in events] for call_id, events in done_for(told.index).items()}
    assert found == {call: ["login", "mount"], "": ["vanish"]}
