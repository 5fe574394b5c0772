"""Kinds of fault of a node's machine, seen in its mount table, its devices and its files."""

import asyncio

import grpc
import pytest

from csisim.pb import csi_pb2 as csi
from tests.features.world import OK, until, world

Code = grpc.StatusCode


def unstage(staged):
    return csi.NodeUnstageVolumeRequest(volume_id=staged.volume_id, staging_target_path=staged.staging_target_path)


@pytest.mark.parametrize("errno", ["EBUSY", "EIO", "ESTALE", "ENOSPC", "EROFS"])
async def test_errno_on_mount_and_umount_chaos_mesh_iochaos(tmp_path, errno):
    async with world(tmp_path) as w:
        staged = await w.staged()
        w.add(f"mount.mount: error({errno})")
        code, details = await w.first.ask(w.first.node.NodeStageVolume, staged)
        assert code is not OK
        assert errno in details
        assert w.mounted() == []
        w.plane.reset()
        await w.first.retried(w.first.node.NodeStageVolume, staged)
        w.add(f"mount.umount: error({errno})")
        code, details = await w.first.ask(w.first.node.NodeUnstageVolume, unstage(staged))
        assert code is not OK
        assert errno in details
        assert w.mounted() == ["staging-pvc-1"]
        w.plane.reset()
        await w.first.retried(w.first.node.NodeUnstageVolume, unstage(staged))
        assert w.mounted() == []


async def test_an_error_after_the_effect_leaves_the_mount_there(tmp_path):
    async with world(tmp_path, "mount.mount.after: 1*error(EIO)", "mount.umount: error(EBUSY)") as w:
        staged = await w.staged()
        assert await w.first.code(w.first.node.NodeStageVolume, staged) is not OK
        assert w.mounted() == ["staging-pvc-1"]
        w.plane.reset()
        await w.first.retried(w.first.node.NodeStageVolume, staged)
        assert w.mounted() == ["staging-pvc-1"]


async def test_errno_on_rmdir_and_stat_fail_function(tmp_path):
    async with world(tmp_path) as w:
        staged = await w.staged()
        await w.first.retried(w.first.node.NodeStageVolume, staged)
        stats = csi.NodeGetVolumeStatsRequest(volume_id="pvc-1", volume_path=staged.staging_target_path)
        w.add("mount.statfs: 1*error(ESTALE)")
        code, details = await w.first.ask(w.first.node.NodeGetVolumeStats, stats)
        assert code is not OK or "ESTALE" in str(details)  # told as an error, or as an unhealthy volume
        assert await w.first.code(w.first.node.NodeGetVolumeStats, stats) is OK
        w.add("mount.exists: 1*error(EIO)")
        target = str(tmp_path / "target")
        publish = csi.NodePublishVolumeRequest(
            volume_id="pvc-1", staging_target_path=staged.staging_target_path, target_path=target,
            volume_capability=staged.volume_capability, volume_context=staged.volume_context,
        )  # fmt: skip
        await w.first.retried(w.first.node.NodePublishVolume, publish)
        w.add("mount.remove_path: 1*error(ENOTEMPTY)")
        gone = csi.NodeUnpublishVolumeRequest(volume_id="pvc-1", target_path=target)
        assert await w.first.code(w.first.node.NodeUnpublishVolume, gone) is not OK
        assert (tmp_path / "target").exists()
        await w.first.retried(w.first.node.NodeUnpublishVolume, gone)
        assert not (tmp_path / "target").exists()


async def test_umount_says_done_but_is_not_and_read_only_flip_chaos_mesh_mistake(tmp_path):
    async with world(tmp_path) as w:
        staged = await w.staged()
        w.add("mount.mount: 1*lie(ro)")
        await w.first.ask(w.first.node.NodeStageVolume, staged)
        (host, *_) = w.cluster.hosts.values()
        assert all(point.readonly for point in host.mounter.all_mounts())
        w.plane.reset()
        await w.first.retried(w.first.node.NodeStageVolume, staged)
        w.add("mount.umount: lie(ok)")
        code = await w.first.code(w.first.node.NodeUnstageVolume, unstage(staged))
        assert w.mounted() == ["staging-pvc-1"]  # and the driver, which looks again, does not say OK
        assert code is not OK
        w.plane.reset()
        await w.first.retried(w.first.node.NodeUnstageVolume, unstage(staged))
        assert w.mounted() == []


async def test_a_lazily_detached_mount_keeps_its_device_busy_until_healed(tmp_path):
    async with world(tmp_path) as w:
        staged = await w.staged(protocol="iscsi")
        await w.first.retried(w.first.node.NodeStageVolume, staged)
        w.add("mount.umount: lie(lazy)", "lazy")
        assert await w.first.code(w.first.node.NodeUnstageVolume, unstage(staged)) is not OK  # the log-out is refused
        assert w.mounted() == []
        (host, *_) = w.cluster.hosts.values()
        assert len(host.connected()) == 1
        w.add("mount.statfs: error(EIO)", "other")
        w.plane.remove("other")  # no matter of this one
        assert await w.first.code(w.first.node.NodeUnstageVolume, unstage(staged)) is not OK
        w.plane.remove("lazy")
        await w.first.retried(w.first.node.NodeUnstageVolume, unstage(staged))
        assert host.connected() == ()


async def test_a_mount_hangs_until_released(tmp_path):
    async with world(tmp_path, "mount.mount{vol=pvc-1}: 1*hang(nfs)") as w:
        staged = await w.staged()
        call = asyncio.ensure_future(w.first.ask(w.first.node.NodeStageVolume, staged))
        await until(lambda: w.plane.barriers.waiting() == {"nfs": 1})
        assert (w.mounted(), call.done()) == ([], False)
        w.plane.barriers.release("nfs")
        assert (await call)[0] is OK
        assert w.mounted() == ["staging-pvc-1"]


async def test_a_device_that_is_late_vanishes_or_is_the_wrong_one(tmp_path):
    async with world(tmp_path) as w:
        staged = await w.staged("a", "iscsi")
        w.add("device.present: ready(3)")
        await w.first.retried(w.first.node.NodeStageVolume, staged)
        assert w.plane.fired["device.present"] == 2
        w.plane.reset()
        await w.first.retried(w.first.node.NodeUnstageVolume, unstage(staged))
        (host, *_) = w.cluster.hosts.values()
        for lie in ("device.present: #1 lie(gone)", "device.connect: 1*lie(ok)", "device.connect: 1*lie(wrong)"):
            w.add(lie)
            await w.first.ask(w.first.node.NodeStageVolume, staged, timeout_s=0.6)
            assert sum(w.plane.fired[site] for site in ("device.present", "device.connect"))
            assert all("-other" not in point.source for point in host.mounter.all_mounts())
            w.plane.reset()
            await w.first.retried(w.first.node.NodeStageVolume, staged)
            assert w.mounted() == ["staging-a"]
            await w.first.retried(w.first.node.NodeUnstageVolume, unstage(staged))
            assert host.connected() == ()


def record(tmp_path):
    (found,) = (tmp_path / "state" / "nodes" / "n1" / "records").glob("*.record")
    return found


async def test_a_torn_record_jepsen_lazyfs(tmp_path):
    async with world(tmp_path, state=True) as w:
        staged = await w.staged()
        w.add("file.write: truncate(10B)")
        await w.first.ask(w.first.node.NodeStageVolume, staged)
        assert len(record(tmp_path).read_bytes()) == 10
        w.plane.reset()
        await w.first.ask(w.first.node.NodeStageVolume, staged)
        code = await w.first.code(w.first.node.NodeUnstageVolume, unstage(staged))
        assert code in {OK, Code.INTERNAL, Code.FAILED_PRECONDITION}
        if code is OK:  # whatever it makes of the record, it does not forget a mount
            assert w.mounted() == []


async def test_an_unsynced_record_is_lost_and_a_vanished_one_is_none_jepsen_truncate(tmp_path):
    async with world(tmp_path, state=True) as w:
        staged = await w.staged()
        w.add("file.write: lie(ok)")
        await w.first.ask(w.first.node.NodeStageVolume, staged)
        assert list((tmp_path / "state" / "nodes" / "n1" / "records").glob("*.record")) == []
        w.plane.reset()
        await w.first.retried(w.first.node.NodeStageVolume, staged)
        assert record(tmp_path).stat().st_size
        for lie in ("gone", "empty"):
            w.add(f"file.read: 1*lie({lie})")
            await w.first.retried(w.first.node.NodeStageVolume, staged)
            assert w.plane.fired["file.read"]
            assert w.mounted() == ["staging-pvc-1"]
            w.plane.reset()


async def test_a_full_disk_of_the_node_linux_fault_injection(tmp_path):
    async with world(tmp_path, "file.write: 1*error(ENOSPC)", state=True) as w:
        staged = await w.staged()
        code, details = await w.first.ask(w.first.node.NodeStageVolume, staged)
        assert code is not OK
        assert "ENOSPC" in details
        assert w.mounted() == []
        await w.first.retried(w.first.node.NodeStageVolume, staged)
        assert w.mounted() == ["staging-pvc-1"]
