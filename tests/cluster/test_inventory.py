import random

import pytest

from csisim.cluster.inventory import host_leftovers, nas_leftovers
from csisim.sim.backend import MemoryBackend
from csisim.sim.host import SimHost
from csisim.truenas.client import NasClient
from csisim.truenas.settings import NasSettings
from fake_truenas import Nas, NasConfig

KEY = "1-" + "k" * 64


@pytest.fixture
async def nas():
    nas = Nas(NasConfig(api_key=KEY), rng=random.Random(1), clock=lambda: 1_700_000_000.0)
    server = await nas.serve("127.0.0.1", 0)
    nas.url = server.url
    yield nas
    await server.close()
    nas.close()


@pytest.fixture
async def client(nas):
    client = NasClient(NasSettings(url=nas.url, api_key=KEY), rng=random.Random(2))
    await client.start()
    yield client
    await client.close()


async def test_every_kind_of_object_is_found_and_the_root_is_not(nas, client):
    await nas.call("pool.dataset.create", {"name": "tank/csi"})
    assert await nas_leftovers(client, "tank/csi") == []

    await nas.call("pool.dataset.create", {"name": "tank/csi/a"})
    await nas.call("pool.snapshot.create", {"dataset": "tank/csi/a", "name": "s"})
    await nas.call("pool.snapshot.create", {"dataset": "tank/csi", "name": "group"})
    await nas.call("sharing.nfs.create", {"path": "/mnt/tank/csi/a"})
    for name in ("b", "c"):
        volume = {"name": f"tank/csi/{name}", "type": "VOLUME", "volsize": 1 << 30, "sparse": True}
        await nas.call("pool.dataset.create", volume)
    extent = await nas.call("iscsi.extent.create", {"name": "b", "type": "DISK", "disk": "zvol/tank/csi/b"})
    target = await nas.call("iscsi.target.create", {"name": "b", "groups": []})
    await nas.call("iscsi.targetextent.create", {"target": target["id"], "extent": extent["id"]})
    subsystem = await nas.call("nvmet.subsys.create", {"name": "c", "allow_any_host": True})
    namespace = {"subsys_id": subsystem["id"], "device_type": "ZVOL", "device_path": "zvol/tank/csi/c"}
    await nas.call("nvmet.namespace.create", namespace)
    port = (await nas.call("nvmet.port.query", [], {}))[0]
    await nas.call("nvmet.port_subsys.create", {"port_id": port["id"], "subsys_id": subsystem["id"]})

    assert await nas_leftovers(client, "tank/csi") == [
        "dataset tank/csi/a",
        "dataset tank/csi/b",
        "dataset tank/csi/c",
        "snapshot tank/csi/a@s",
        "snapshot tank/csi@group",
        "nfs share /mnt/tank/csi/a",
        "iscsi target b",
        "iscsi extent b",
        "iscsi target-extent 1",
        "nvmet subsystem c",
        "nvmet namespace zvol/tank/csi/c",
        "nvmet port-subsystem 1",
    ]


async def test_what_is_beside_the_root_is_not_counted(nas, client):
    for name in ("tank/csi", "tank/csi2", "tank/csi2/a"):
        await nas.call("pool.dataset.create", {"name": name})
        await nas.call("pool.snapshot.create", {"dataset": name, "name": "s"})

    assert await nas_leftovers(client, "tank/csi") == ["snapshot tank/csi@s"]


async def test_mounts_sessions_and_records_of_hosts_are_found(tmp_path):
    backend = MemoryBackend()
    backend.export("nas:/mnt/a", 1 << 30)
    attributes = {"portal": "nas:3260", "iqn": "iqn.x:b", "lun": "0"}
    backend.offer("iscsi", attributes, "b", 1 << 30)
    host, idle = SimHost(backend), SimHost(backend)
    await host.mounter.mount("nas:/mnt/a", str(tmp_path), "nfs", ())
    device = await host.devices.connect("iscsi", attributes)
    await host.files.write("pvc-1", b"{}")

    assert await host_leftovers({"node-1": host, "node-2": idle}) == [
        f"node-1: mount {tmp_path}",
        f"node-1: session {device}",
        "node-1: record pvc-1",
    ]
