"""What is told of a machine, whatever its operations answer."""

import asyncio
from typing import Any

import pytest

from csisim.check.races import Races
from csisim.cluster.truth import MachineTruth
from csisim.driver.node import NodeService
from csisim.events import History
from csisim.pb import csi_pb2 as csi
from csisim.sim.backend import MemoryBackend
from csisim.sim.disk import MemoryDisk
from csisim.sim.host import SimHost
from tests.support.traced import Client, Traced, traced

VOLUME = "pvc-1"
STAGING, TARGET = "/k/staging", "/k/target"


class Node:
    """The node's part of a volume's life."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.volume: dict[str, Any] = {"volume_id": VOLUME}

    async def prepare(self) -> None:
        created = await self.client(self.client.create(VOLUME))
        published = await self.client(self.client.publish(VOLUME, "a"))
        self.more = {
            "volume_capability": self.client.capability,
            "volume_context": created.volume.volume_context,
            "publish_context": published.publish_context,
        }

    async def stage(self) -> None:
        request = csi.NodeStageVolumeRequest(**self.volume, **self.more, staging_target_path=STAGING)
        await self.client(request)

    async def publish(self) -> None:
        both = {"staging_target_path": STAGING, "target_path": TARGET}
        await self.client(csi.NodePublishVolumeRequest(**self.volume, **self.more, **both))

    async def unpublish(self) -> None:
        await self.client(csi.NodeUnpublishVolumeRequest(**self.volume, target_path=TARGET))

    async def unstage(self) -> None:
        await self.client(csi.NodeUnstageVolumeRequest(**self.volume, staging_target_path=STAGING))


async def whole_life(client: Client) -> None:
    node = Node(client)
    for step in (node.prepare, node.stage, node.publish, node.unpublish, node.unstage):
        await step()


def on_node(run: Traced) -> list[tuple[str, str]]:
    """What happened on the node: operation, and path or device."""
    events = run.of("truth", process="a")
    values = [(each["f"], each.get("value", {})) for each in events]
    return [(f, value.get("path") or value.get("source", "")) for f, value in values]


def test_the_life_of_a_block_volume():
    run = traced(whole_life, protocol="iscsi")
    login = run.of("truth", "login")[0]["value"]
    device = login["source"]
    assert on_node(run) == [
        ("login", device),
        ("make_fs", device),
        ("mount", STAGING),
        ("bind", TARGET),
        ("umount", TARGET),
        ("remove", TARGET),
        ("umount", STAGING),
        ("logout", device),
        ("remove", STAGING),
    ]
    assert {each["value"]["dataset"] for each in run.of("truth", process="a") if each["f"] != "remove"} == {
        f"tank/csi/{VOLUME}"
    }
    (mount,) = run.of("truth", "mount")
    assert mount["value"] == {
        "path": STAGING,
        "source": device,
        "fs_type": "ext4",
        "options": ["rw"],
        "dataset": f"tank/csi/{VOLUME}",
    }
    (stage,) = run.of("rpc", "NodeStageVolume", type="invoke")
    assert mount["parent"] == stage["call"]


def test_the_life_of_a_share():
    run = traced(whole_life)
    assert on_node(run) == [
        ("mount", STAGING),
        ("bind", TARGET),
        ("umount", TARGET),
        ("remove", TARGET),
        ("umount", STAGING),
        ("remove", STAGING),
    ]
    assert {each["value"]["dataset"] for each in run.of("truth", process="a") if each["f"] != "remove"} == {
        f"tank/csi/{VOLUME}"
    }


def test_a_mount_that_is_only_said_to_have_happened_is_not_told():
    run = traced(whole_life, rules=["mount.mount: lie(ok)"])
    assert run.of("mount", "mount", type="ok")
    assert not run.of("truth", "mount")


def test_an_operation_that_happened_and_failed_is_told():
    run = traced(whole_life, rules=["mount.mount.after: 1*error(EIO)"])
    assert run.of("mount", "mount", type="fail")
    assert ("mount", STAGING) in on_node(run)


def test_a_lazy_umount_says_so():
    run = traced(whole_life, rules=["mount.umount: 1*lie(lazy)"])
    assert [each["value"].get("lazy", False) for each in run.of("truth", "umount")] == [True, False]


def test_a_device_that_vanishes_is_a_logout():
    async def stage(client: Client) -> None:
        node = Node(client)
        await node.prepare()
        await node.stage()

    run = traced(stage, protocol="nvmeof", rules=["device.present: 1*lie(gone)"])
    assert [f for f, _ in on_node(run)][:2] == ["login", "logout"]


def test_a_reboot_is_one_event_after_which_nothing_is_mounted():
    async def reboot(client: Client) -> None:
        node = Node(client)
        for step in (node.prepare, node.stage, node.publish):
            await step()
        await client.cluster.crash("reboot", "a")
        await node.stage()

    events = on_node(traced(reboot, protocol="iscsi"))
    assert [f for f, _ in events] == ["login", "make_fs", "mount", "bind", "reboot", "login", "mount", "resize"]


def test_what_a_machine_asks_is_told_apart_from_what_the_driver_asks():
    run = traced(whole_life, protocol="iscsi")
    (stage,) = run.of("rpc", "NodeStageVolume", type="invoke")
    asked = run.of("nas", type="invoke", parent=stage["call"])
    assert [each["f"] for each in asked if each["value"].get("by") != "host"] == ["pool.dataset.query"]
    assert "iscsi.targetextent.query" in [each["f"] for each in asked if each["value"].get("by") == "host"]


async def node_twice(client: Client) -> None:
    node = Node(client)
    await node.prepare()
    await node.stage()
    await asyncio.gather(node.publish(), node.publish())
    await asyncio.gather(node.unpublish(), node.unstage())


async def knew_it_before(service: NodeService, request: Any, _context: Any) -> Any:
    record = await service._staging._records.load(request.volume_id)
    async with service._locks.hold(*service._keys(request.volume_id, request.target_path)):
        await service._staging._records.save(record)
        await service._staging._host.mounter.bind(request.staging_target_path, request.target_path, ())
    return csi.NodePublishVolumeResponse()


async def has_no_lock(service: NodeService, request: Any, _context: Any) -> Any:
    await service._publishing.unpublish(request.volume_id, request.target_path)
    return csi.NodeUnpublishVolumeResponse()


def test_records_and_mounts_of_a_node_are_watched_for_races_too(monkeypatch):
    shipped = traced(node_twice, protocol="iscsi")
    assert shipped.races.violations == ()
    assert shipped.races.looked_at > 20
    with monkeypatch.context() as wrong:
        wrong.setattr(NodeService, "NodePublishVolume", knew_it_before)
        (violation,) = traced(node_twice, protocol="iscsi").races.violations
    assert "had read it before it held the lock" in violation.summary
    assert f" wrote record {VOLUME}" in violation.summary
    assert "test_truth.py" in violation.detail
    monkeypatch.setattr(NodeService, "NodeUnpublishVolume", has_no_lock)
    summaries = [each.summary for each in traced(node_twice, protocol="iscsi").races.violations]
    assert [summary for summary in summaries if f"wrote path {TARGET} of a without any lock" in summary]


@pytest.fixture
async def machine():
    history = History(asyncio.get_running_loop().time)
    host = SimHost(MemoryBackend(), disk=MemoryDisk())
    return host, MachineTruth("a", host, history, Races()), history


async def test_what_was_there_already_is_told_first_and_what_others_do_at_the_next_look(machine):
    host, truth, history = machine
    for path in ("/a", "/b"):
        await host.mounter.make_dir(path)
    await host.mounter.bind("/a", "/b", ())
    MachineTruth("later", host, history, Races())
    assert [event.process for event in history.since()] == ["later"]
    await truth.host.mounter.make_dir("/c")
    await truth.host.mounter.umount("/b")
    assert [(event.process, event.f) for event in history.since()] == [("later", "mount")]
    await host.mounter.bind("/a", "/b", ())
    await truth.host.mounter.bind("/a", "/c", ("ro",))
    assert [event.f for event in history.since(1)] == ["bind", "bind"]


async def test_a_file_that_is_removed_through_a_mount_is_told_with_its_path(machine):
    host, _, history = machine
    await host.mounter.make_dir("/a")
    await host.content.write("/a", "file-1", b"x")
    await host.content.remove("/a", "file-1")
    assert [(event.f, event.value) for event in history.since()] == [("remove", {"path": "/a/file-1"})]


async def test_removing_what_is_not_there_is_no_news(machine):
    _, truth, history = machine
    await truth.host.mounter.make_dir("/a")
    await truth.host.mounter.remove_path("/a")
    await truth.host.mounter.remove_path("/a")
    assert [event.f for event in history.since()] == ["remove"]
