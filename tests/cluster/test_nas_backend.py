"""The backend over a NAS with real objects, made as the driver makes them."""

import base64
import errno
import random

import pytest

from csisim.cluster.nas_backend import NasBackend
from csisim.sim.backend import Area, Superblock
from csisim.sim.disk import MemoryDisk
from csisim.sim.host import SimHost
from csisim.truenas.client import NasClient
from csisim.truenas.settings import NasSettings
from fake_truenas import Nas, NasConfig

GIB = 1 << 30
KEY = "1-" + "k" * 64
ZVOL = "tank/csi/pvc-1"
ISCSI = {"portal": "127.0.0.1:3260", "iqn": "iqn.2005-10.org.freenas.ctl:pvc-1", "lun": "0"}


@pytest.fixture
async def nas():
    nas = Nas(NasConfig(api_key=KEY), rng=random.Random(1), clock=lambda: 1_700_000_000.0)
    server = await nas.serve("127.0.0.1", 0)
    nas.url = server.url
    await nas.call("pool.dataset.create", {"name": "tank/csi"})
    yield nas
    await server.close()
    nas.close()


@pytest.fixture
async def backend(nas):
    client = NasClient(NasSettings(url=nas.url, api_key=KEY, wait_connected_s=0.2), rng=random.Random(2))
    await client.start()
    yield NasBackend(client, "127.0.0.1")
    await client.close()


@pytest.fixture
async def zvol(nas):
    await nas.call("pool.dataset.create", {"name": ZVOL, "type": "VOLUME", "volsize": GIB, "sparse": True})
    return ZVOL


@pytest.fixture
async def target(nas, zvol):
    return await offer(nas)


async def offer(nas):
    """Have the zvol behind a target."""
    extent = await nas.call("iscsi.extent.create", {"name": "pvc-1", "type": "DISK", "disk": f"zvol/{ZVOL}"})
    portal = (await nas.call("iscsi.portal.query", [], {}))[0]
    group = {"portal": portal["id"], "initiator": None, "authmethod": "NONE", "auth": None}
    found = await nas.call("iscsi.target.query", [["name", "=", "pvc-1"]], {})
    target = found[0] if found else await nas.call("iscsi.target.create", {"name": "pvc-1", "groups": [group]})
    await nas.call("iscsi.targetextent.create", {"target": target["id"], "extent": extent["id"], "lunid": 0})
    return target


@pytest.fixture
async def nvme(nas, zvol):
    port = (await nas.call("nvmet.port.query", [], {}))[0]
    subsystem = await nas.call("nvmet.subsys.create", {"name": "pvc-1", "allow_any_host": True})
    await nas.call(
        "nvmet.namespace.create",
        {"subsys_id": subsystem["id"], "nsid": 1, "device_type": "ZVOL", "device_path": f"zvol/{zvol}"},
    )
    await nas.call("nvmet.port_subsys.create", {"port_id": port["id"], "subsys_id": subsystem["id"]})
    return {"address": "127.0.0.1", "port": str(port["addr_trsvcid"]), "nqn": subsystem["subnqn"], "nsid": "1"}


async def fails(awaitable):
    with pytest.raises(OSError, match="Errno") as caught:
        await awaitable
    return errno.errorcode[caught.value.errno]


async def test_an_export_is_there_while_its_share_is_enabled(nas, backend):
    await nas.call("pool.dataset.create", {"name": "tank/csi/pvc-2", "refquota": 2 * GIB})
    source = "127.0.0.1:/mnt/tank/csi/pvc-2"
    assert await fails(backend.check_export(source, "nfs")) == "ENOENT"

    share = await nas.call("sharing.nfs.create", {"path": "/mnt/tank/csi/pvc-2"})
    await backend.check_export(source, "nfs")
    assert await fails(backend.check_export("10.0.0.9:/mnt/tank/csi/pvc-2", "nfs")) == "ECONNREFUSED"

    await nas.call("sharing.nfs.update", share["id"], {"enabled": False})
    assert await fails(backend.check_export(source, "nfs")) == "ENOENT"


async def test_usage_follows_the_quota_and_a_deleted_dataset_is_stale(nas, backend):
    await nas.call("pool.dataset.create", {"name": "tank/csi/pvc-2", "refquota": 2 * GIB})
    source = "127.0.0.1:/mnt/tank/csi/pvc-2"

    stats = await backend.fs_stats(source)
    assert stats.total_bytes == 2 * GIB
    assert stats.used_bytes + stats.available_bytes == stats.total_bytes

    await nas.call("pool.dataset.delete", "tank/csi/pvc-2", {})
    assert await fails(backend.fs_stats(source)) == "ESTALE"


async def test_an_iscsi_login_reaches_the_zvol_behind_the_lun(backend, target):
    device = await backend.login("iscsi", ISCSI)

    assert device.identity.endswith(f"#{ZVOL}")
    assert device.size_bytes == GIB == await backend.capacity_bytes(device.identity)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"portal": "127.0.0.1:3261"}, "ECONNREFUSED"),
        ({"portal": "10.0.0.9:3260"}, "ECONNREFUSED"),
        ({"iqn": "iqn.2005-10.org.freenas.ctl:pvc-2"}, "ENOENT"),
        ({"iqn": "iqn.1999-01.com.example:pvc-1"}, "ENOENT"),
        ({"lun": "1"}, "ENOENT"),
    ],
)
async def test_an_iscsi_login_to_something_else_fails(backend, target, wrong, code):
    assert await fails(backend.login("iscsi", ISCSI | wrong)) == code


async def test_an_nvmeof_login_reaches_the_zvol_behind_the_namespace(backend, nvme):
    device = await backend.login("nvmeof", nvme)

    assert device.identity.endswith(f"#{ZVOL}")
    assert device.size_bytes == GIB


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"address": "10.0.0.9"}, "ECONNREFUSED"),
        ({"port": "1"}, "ECONNREFUSED"),
        ({"nqn": "nqn.2011-06.com.truenas:x"}, "ENOENT"),
        ({"nsid": "2"}, "ENOENT"),
    ],
)
async def test_an_nvmeof_login_to_something_else_fails(backend, nvme, wrong, code):
    assert await fails(backend.login("nvmeof", nvme | wrong)) == code


async def test_the_size_is_the_one_of_now(nas, backend, target):
    device = await backend.login("iscsi", ISCSI)
    await nas.call("pool.dataset.update", ZVOL, {"volsize": 2 * GIB})

    assert await backend.capacity_bytes(device.identity) == 2 * GIB


async def test_a_new_zvol_of_the_same_name_is_another_device(nas, backend, target):
    extent = (await nas.call("iscsi.extent.query", [], {}))[0]
    device = await backend.login("iscsi", ISCSI)
    await backend.write_superblock(device.identity, Superblock("ext4", "uuid", GIB))
    await nas.call("pool.dataset.delete", ZVOL, {})
    assert await fails(backend.capacity_bytes(device.identity)) == "ENODEV"

    await nas.call("pool.dataset.create", {"name": ZVOL, "type": "VOLUME", "volsize": GIB, "sparse": True})
    await nas.call("iscsi.extent.create", {"name": "pvc-1", "type": "DISK", "disk": extent["disk"]})

    assert await fails(backend.capacity_bytes(device.identity)) == "ENODEV"
    assert await fails(backend.superblock(device.identity)) == "ENODEV"
    assert await fails(backend.write_superblock(device.identity, Superblock("ext4", "uuid", GIB))) == "ENODEV"


async def test_a_file_system_is_part_of_the_zvol_and_of_its_clones(nas, backend, target):
    device = await backend.login("iscsi", ISCSI)
    assert await backend.superblock(device.identity) is None

    made = Superblock("ext4", "uuid-1", GIB)
    await backend.write_superblock(device.identity, made)
    assert await backend.superblock(device.identity) == made

    await nas.call("pool.snapshot.create", {"dataset": ZVOL, "name": "s"})
    await nas.call("pool.snapshot.clone", {"snapshot": f"{ZVOL}@s", "dataset_dst": "tank/csi/pvc-9"})
    extent = (await nas.call("iscsi.extent.query", [], {}))[0]
    await nas.call("iscsi.extent.update", extent["id"], {"disk": "zvol/tank/csi/pvc-9"})
    clone = await backend.login("iscsi", ISCSI)
    assert clone.identity.endswith("#tank/csi/pvc-9")
    assert await backend.superblock(clone.identity) == made


async def test_other_content_is_no_file_system_and_a_damaged_one_is_not_blank(nas, backend, target):
    device = await backend.login("iscsi", ISCSI)
    await nas.call("fake.block.write", ZVOL, 1024, base64.b64encode(b"raw data").decode())
    assert await backend.superblock(device.identity) is None

    await nas.call("fake.block.write", ZVOL, 1024, base64.b64encode(b"csisim-fs {not json").decode())
    assert await fails(backend.superblock(device.identity)) == "EIO"


async def test_a_nas_that_is_away_times_out(nas, backend, target):
    device = await backend.login("iscsi", ISCSI)
    for server in nas.servers:
        await server.close()

    assert await fails(backend.login("iscsi", ISCSI)) == "ETIMEDOUT"
    assert await fails(backend.capacity_bytes(device.identity)) == "ETIMEDOUT"
    assert await fails(backend.check_export("127.0.0.1:/mnt/tank/csi/x", "nfs")) == "ETIMEDOUT"


async def test_a_target_with_chap_wants_the_right_credentials(nas, backend, target):
    auth = await nas.call("iscsi.auth.create", {"tag": 7, "user": "chap", "secret": "secretsecret"})
    group = {**target["groups"][0], "authmethod": "CHAP", "auth": auth["tag"]}
    await nas.call("iscsi.target.update", target["id"], {"groups": [group]})
    given = {"node.session.auth.username": "chap", "node.session.auth.password": "secretsecret"}

    assert await fails(backend.login("iscsi", ISCSI)) == "EACCES"
    assert await fails(backend.login("iscsi", ISCSI | given | {"node.session.auth.password": "wrong"})) == "EACCES"
    assert (await backend.login("iscsi", ISCSI | given)).size_bytes == GIB


SHARED = "127.0.0.1:/mnt/tank/csi/pvc-1"


async def nfs_pod(nas, backend):
    """A machine that has a share mounted on /v."""
    await nas.call("pool.dataset.create", {"name": ZVOL})
    await nas.call("sharing.nfs.create", {"path": f"/mnt/{ZVOL}"})
    host = SimHost(backend, disk=MemoryDisk())
    host.disk.make_dir("/v")
    await host.mounter.mount(SHARED, "/v", "nfs", ())
    return host


async def iscsi_pod(nas, backend):
    """A machine that has an ext4 on a device mounted on /v."""
    await nas.call("pool.dataset.create", {"name": ZVOL, "type": "VOLUME", "volsize": GIB, "sparse": True})
    await offer(nas)
    host = SimHost(backend, disk=MemoryDisk())
    host.disk.make_dir("/v")
    device = await host.devices.connect("iscsi", ISCSI)
    await host.devices.make_fs(device, "ext4")
    await host.mounter.mount(device, "/v", "ext4", ())
    return host


PODS = pytest.mark.parametrize("make", [nfs_pod, iscsi_pod])


@PODS
async def test_files_are_carried_by_snapshots_rollbacks_and_clones(nas, backend, make):
    host = await make(nas, backend)
    await host.content.write("/v", "data", b"old")
    await nas.call("pool.snapshot.create", {"dataset": ZVOL, "name": "s"})
    await host.content.write("/v", "data", b"new")
    await host.content.write("/v", "more", b"x")
    assert await host.content.names("/v") == ["data", "more"]
    await nas.call("pool.snapshot.clone", {"snapshot": f"{ZVOL}@s", "dataset_dst": "tank/csi/pvc-2"})
    await nas.call("pool.dataset.promote", "tank/csi/pvc-2")
    assert await host.content.read("/v", "data") == b"new"
    found = await backend._data.read("tank/csi/pvc-2", 0, 1 << 20)
    assert b"old" in found
    assert b"new" not in found
    await nas.call("pool.snapshot.create", {"dataset": ZVOL, "name": "t"})
    await host.content.remove("/v", "data")
    await nas.call("pool.snapshot.rollback", f"{ZVOL}@t")
    assert await host.content.names("/v") == ["data", "more"]


@PODS
async def test_files_go_with_the_volume_and_a_new_one_of_its_name_has_none(nas, backend, make):
    host = await make(nas, backend)
    await host.content.write("/v", "data", b"x")
    await nas.call("pool.dataset.delete", ZVOL, {})
    for call in (host.content.read("/v", "data"), host.content.write("/v", "data", b"x")):
        assert await fails(call) == ("ESTALE" if make is nfs_pod else "EIO")
    host = await make(nas, backend)
    assert await host.content.names("/v") == []


@PODS
async def test_a_volume_that_is_no_longer_offered_cannot_be_read(nas, backend, make):
    host = await make(nas, backend)
    await host.content.write("/v", "data", b"x")
    namespace = "sharing.nfs" if make is nfs_pod else "iscsi.extent"
    row = (await nas.call(f"{namespace}.query", [], {}))[0]
    await nas.call(f"{namespace}.delete", row["id"], *([] if make is nfs_pod else [False, True]))
    assert await fails(host.content.read("/v", "data")) == ("ESTALE" if make is nfs_pod else "EIO")


@PODS
async def test_the_servers_refusals_are_seen_as_a_kernel_shows_them(nas, backend, make):
    host = await make(nas, backend)
    await nas.call("pool.dataset.update", ZVOL, {"readonly": "ON"})
    assert await fails(host.content.write("/v", "data", b"x")) == "EROFS"
    await nas.call("pool.dataset.update", ZVOL, {"readonly": "OFF"})
    for server in nas.servers:
        await server.close()
    assert await fails(host.content.write("/v", "data", b"x")) == "ETIMEDOUT"


async def test_a_full_pool_is_told_to_who_writes(nas, backend):
    host = await nfs_pod(nas, backend)
    await nas.call("pool.dataset.update", "tank/csi", {"quota": GIB})
    free = (await nas.call("pool.dataset.get_instance", "tank/csi"))["available"]["parsed"]
    await nas.call("pool.dataset.create", {"name": "tank/csi/rest", "refreservation": free - 4096})
    await host.content.write("/v", "data", b"x")
    assert await fails(host.content.write("/v", "more", b"x")) == "ENOSPC"
    assert await host.content.names("/v") == ["data"]


async def test_nothing_is_read_or_written_beyond_the_end_of_a_device(backend, target):
    area = Area("device", (await backend.login("iscsi", ISCSI)).identity)
    for length in (8, 1 << 20):
        assert await backend.read(area, GIB - length, length) == bytes(length)
        assert await fails(backend.read(area, GIB - length + 1, length)) == "EIO"
        assert await fails(backend.write(area, GIB - length + 1, b"x" * length)) == "EIO"


async def test_mkfs_frees_what_was_on_the_device(nas, backend, target):
    device = await backend.login("iscsi", ISCSI)
    await backend.write(Area("device", device.identity), 1 << 20, b"x")
    await backend.discard(device.identity, device.size_bytes)
    assert await backend.read(Area("device", device.identity), 1 << 20, 1) == b"\0"
    assert (await nas.call("fake.block.allocated", ZVOL))["runs"] == []
