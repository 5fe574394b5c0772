"""truenas-csi against the fake: the scenarios of its own integration tests, then what the CSI test suite makes it do."""

import asyncio
import urllib.request
from typing import Any

import orjson
import pytest

from fake_truenas import Nas
from fake_truenas.server import Server
from tests.fake_truenas.clients.conftest import OpenWire
from tests.fake_truenas.clients.truenas_csi import (
    AUTH,
    EXTENT,
    GIB,
    INITIATOR,
    NFS_SHARE,
    NVME_GLOBAL,
    POOL,
    PORTAL,
    SNAPSHOT_TASK,
    TARGET,
    TARGET_EXTENT,
    TruenasClient,
    TruenasCsi,
    is_not_authenticated,
    is_not_found,
)
from tests.fake_truenas.clients.wire import Refused, Wire, code_of, integers


async def connect(wires: OpenWire, key: str) -> TruenasClient:
    """Dial as coder/websocket does and log in; only core.ping goes without `params`."""
    wire = await wires(integers(), lambda method: method == "core.ping", compression=None)
    client = TruenasClient(wire)
    assert await client.login(key)
    return client


@pytest.fixture
async def client(wires: OpenWire, key: str) -> TruenasClient:
    return await connect(wires, key)


@pytest.fixture
def wire(client: TruenasClient) -> Wire:
    return client.wire


# Its integration tests.


async def test_versions_are_read_over_http_before_the_socket_is_opened(server: Server) -> None:
    url = server.url.replace("ws://", "http://").replace("/api/current", "/api/versions")
    body = await asyncio.get_running_loop().run_in_executor(None, lambda: urllib.request.urlopen(url).read())  # noqa: S310 - own
    assert "v25.10.0" in orjson.loads(body)


async def test_connect(client: TruenasClient) -> None:
    assert client.wire.sent[0] == {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "auth.login_with_api_key",
        "params": ["1-" + "k" * 64],
    }


async def test_wrong_key_is_false_and_no_error(wires: OpenWire) -> None:
    wire = await wires(integers(), lambda method: method == "core.ping")
    assert await TruenasClient(wire).login("1-" + "z" * 64) is False


async def test_ping_has_no_params(wire: Wire) -> None:
    assert await wire.call("core.ping") == "pong"
    assert "params" not in wire.sent[-1]


async def test_dataset_crud(client: TruenasClient) -> None:
    name = "tank/csi-test-1-crud"
    created = await client.create_dataset(name=name, refquota=GIB, comments="CSI integration test dataset")
    assert created["id"] == name
    assert (await client.dataset(name))["refquota"] == GIB
    await client.wire.call("pool.dataset.update", name, {"refquota": 2 * GIB})
    assert (await client.dataset(name))["refquota"] == 2 * GIB
    await client.delete_dataset(name)
    with pytest.raises(Refused) as caught:
        await client.dataset(name)
    assert is_not_found(caught.value)
    assert (caught.value.code, caught.value.message) == (-32602, "Invalid params")


async def test_dataset_zvol(client: TruenasClient) -> None:
    zvol = await client.create_dataset(name="tank/csi-test-2-zvol", type="VOLUME", volsize=GIB)
    assert (zvol["type"], zvol["volsize"]) == ("VOLUME", GIB)


async def test_nfs_share_crud(client: TruenasClient) -> None:
    await client.create_dataset(name="tank/csi-test-3-nfs")
    path = "/mnt/tank/csi-test-3-nfs"
    data = {"path": path, "comment": "CSI integration test NFS share", "ro": False, "enabled": True}
    share = await client.wire.call("sharing.nfs.create", data, into=NFS_SHARE)
    assert share["path"] == path
    assert (await client.wire.call("sharing.nfs.get_instance", share["id"], {}, into=NFS_SHARE))["id"] == share["id"]
    assert (await client.first("sharing.nfs", "path", path, NFS_SHARE))["id"] == share["id"]
    await client.wire.call("sharing.nfs.delete", share["id"])
    assert await client.first("sharing.nfs", "path", path, NFS_SHARE) is None


async def test_iscsi_full_workflow(client: TruenasClient, portal: int) -> None:
    await client.create_dataset(name="tank/csi-test-4-iscsi", type="VOLUME", volsize=GIB)
    disk = "zvol/tank/csi-test-4-iscsi"
    target = await client.create_target("csi-test-4", "test-alias", portal=portal)
    extent = await client.create_extent("csi-test-4-extent", disk)
    assert (target["name"], extent["disk"]) == ("csi-test-4", disk)
    data = {"target": target["id"], "extent": extent["id"], "lunid": 0}
    link = await client.wire.call("iscsi.targetextent.create", data, into=TARGET_EXTENT)
    assert (link["target"], link["extent"]) == (target["id"], extent["id"])
    assert (await client.first("iscsi.target", "name", "csi-test-4", TARGET))["id"] == target["id"]
    assert (await client.first("iscsi.extent", "disk", disk, EXTENT))["id"] == extent["id"]
    assert (await client.first("iscsi.targetextent", "extent", extent["id"], TARGET_EXTENT))["id"] == link["id"]
    await client.wire.call("iscsi.targetextent.delete", link["id"], False)
    await client.wire.call("iscsi.extent.delete", extent["id"], False, False)
    await client.delete_target(target["id"])
    await client.delete_dataset("tank/csi-test-4-iscsi")


async def test_snapshot_workflow(client: TruenasClient) -> None:
    dataset, clone = "tank/csi-test-5-snap", "tank/csi-test-6-clone"
    await client.create_dataset(name=dataset)
    snapshot = await client.create_snapshot(dataset, "test-snap")
    assert snapshot["id"] == f"{dataset}@test-snap"
    assert len(await client.snapshots(["dataset", "=", dataset])) == 1
    assert (await client.clone(snapshot["id"], clone))["id"] == clone
    await client.delete_dataset(clone, recursive=False)
    await client.delete_snapshot(snapshot["id"])
    assert await client.snapshots(["dataset", "=", dataset]) == []
    await client.delete_dataset(dataset)


async def test_list_pools(client: TruenasClient) -> None:
    pools = {pool["name"]: pool for pool in await client.all("pool", POOL)}
    assert pools["tank"]["status"] == "ONLINE"


async def test_get_pool(client: TruenasClient) -> None:
    pool = await client.first("pool", "name", "tank", POOL)
    assert (pool["name"], pool["status"], pool["path"]) == ("tank", "ONLINE", "/mnt/tank")


async def test_get_available_space(client: TruenasClient) -> None:
    assert await client.available("tank") > 0


async def test_iscsi_auth(client: TruenasClient) -> None:
    tag = max((row["tag"] for row in await client.all("iscsi.auth", AUTH)), default=0) + 1
    data = {"tag": tag, "user": f"testuser{tag}", "secret": "testsecret123"}
    auth = await client.wire.call("iscsi.auth.create", data, into=AUTH)
    assert auth["tag"] == tag
    assert (await client.first("iscsi.auth", "tag", tag, AUTH))["id"] == auth["id"]
    await client.wire.call("iscsi.auth.delete", auth["id"])


async def test_iscsi_initiator(client: TruenasClient) -> None:
    data = {"initiators": ["iqn.1993-08.org.debian:01:test*"], "comment": "CSI integration test initiator"}
    initiator = await client.wire.call("iscsi.initiator.create", data, into=INITIATOR)
    assert len(initiator["initiators"]) == 1
    await client.wire.call("iscsi.initiator.delete", initiator["id"])


# Its controller.


async def test_start_up_reads_portals_and_base_names(client: TruenasClient, portal: int) -> None:
    assert [row["id"] for row in await client.all("iscsi.portal", PORTAL)] == [portal]
    assert (await client.wire.call("nvmet.global.config", into=NVME_GLOBAL))["basenqn"].startswith("nqn.")
    assert client.wire.sent[-1]["params"] == []


@pytest.fixture(params=["nfs", "iscsi"])
def driver(request: pytest.FixtureRequest, wire: Wire, portal: int) -> TruenasCsi:
    return TruenasCsi(wire, request.param)


async def test_volume_is_made_once_however_often_it_is_asked_for(driver: TruenasCsi) -> None:
    first = await driver.create_volume("vol", GIB)
    creates = sum(method.endswith(".create") for method in driver.client.wire.methods)
    again = await driver.create_volume("vol", GIB)
    assert (again["id"], again["capacity"]) == (first["id"], GIB)
    assert sum(method.endswith(".create") for method in driver.client.wire.methods) == creates
    assert again.get("targetIQN") == first.get("targetIQN")
    assert "nfsPath" not in again, "the second answer has no path: a pod cannot mount after a repeated create"
    assert await code_of(driver.create_volume("vol", 2 * GIB)) == "ALREADY_EXISTS"


async def test_volume_without_capacity_needs_a_filesystem(driver: TruenasCsi) -> None:
    assert await code_of(driver.create_volume("vol")) == ("OK" if driver.protocol == "nfs" else "INTERNAL")


async def test_longest_name_of_the_test_suite_is_accepted(driver: TruenasCsi) -> None:
    name = "max-length-" + "a" * 117
    assert (await driver.create_volume(name, GIB))["id"] == f"tank/{name}"
    await driver.delete_volume(f"tank/{name}")
    await driver.create_volume("vol", GIB)
    assert await driver.create_snapshot("s" * 128, "tank/vol") == f"tank/vol@{'s' * 128}"


async def test_half_made_iscsi_volume_is_completed(wire: Wire, portal: int) -> None:
    driver = TruenasCsi(wire, "iscsi")
    await driver.client.create_dataset(name="tank/vol", type="VOLUME", volsize=GIB)
    volume = await driver.create_volume("vol", GIB)
    assert volume["targetIQN"].endswith(":csi-tank-vol")
    assert (await driver.create_volume("vol", GIB))["targetIQN"] == volume["targetIQN"]


async def test_nvme_volume_lives_and_goes_children_first(wire: Wire, nas: Nas) -> None:
    driver = TruenasCsi(wire, "nvmeof", portal="10.0.0.1")
    volume = await driver.create_volume("vol", GIB)
    assert volume["subNQN"].endswith(":csi-tank-vol")
    assert len(volume["nsUUID"]) == 36
    await driver.create_volume("other", GIB)
    assert wire.methods.count("nvmet.port.create") == 1
    await driver.delete_volume("tank/vol")
    assert [row["name"] for row in await nas.call("nvmet.subsys.query")] == ["csi-tank-other"]


async def test_snapshot_repeats_and_conflicts(driver: TruenasCsi) -> None:
    for name in ("a", "b"):
        await driver.create_volume(name, GIB)
    snapshot = await driver.create_snapshot("snap", "tank/a")
    assert await driver.create_snapshot("snap", "tank/a") == snapshot == "tank/a@snap"
    assert await code_of(driver.create_snapshot("snap", "tank/b")) == "ALREADY_EXISTS"
    assert await code_of(driver.create_snapshot("snap", "tank/none")) == "NOT_FOUND"
    assert await code_of(driver.create_snapshot("snap", "none")) == "NOT_FOUND"
    assert await driver.list_snapshots(snapshot_id=snapshot) == [snapshot]
    assert await driver.list_snapshots(source="tank/b") == []
    assert await driver.list_snapshots(source="none") == []
    await driver.delete_snapshot(snapshot)
    await driver.delete_snapshot(snapshot)
    await driver.delete_snapshot("reallyfakesnapshotid")
    assert await driver.list_snapshots() == []


async def test_clone_of_a_snapshot_lets_the_snapshot_go_with_it(driver: TruenasCsi) -> None:
    await driver.create_volume("a", GIB)
    snapshot = await driver.create_snapshot("snap", "tank/a")
    clone = await driver.create_volume("b", 2 * GIB, snapshot=snapshot)
    assert clone["capacity"] == 2 * GIB
    await driver.delete_snapshot(snapshot)
    assert await driver.list_snapshots(source="tank/a") == [snapshot], "deferred until the clone goes"
    assert await code_of(driver.delete_volume("tank/a")) == "INTERNAL"
    await driver.delete_volume("tank/b")
    assert await driver.list_snapshots(source="tank/a") == []
    await driver.delete_volume("tank/a")
    assert await driver.list_volumes() == []


async def test_clone_of_a_volume_cleans_its_snapshot_up_with_the_clone(driver: TruenasCsi) -> None:
    await driver.create_volume("a", GIB)
    await driver.create_volume("b", GIB, volume="tank/a")
    assert len(await driver.list_snapshots(source="tank/a")) == 1
    await driver.delete_volume("tank/b")
    assert await driver.list_snapshots() == []


async def test_missing_sources_are_not_found(driver: TruenasCsi) -> None:
    assert await code_of(driver.create_volume("b", GIB, snapshot="non-existing-snapshot-id")) == "NOT_FOUND"
    assert await code_of(driver.create_volume("b", GIB, snapshot="tank/a@none")) == "NOT_FOUND"
    assert await code_of(driver.create_volume("b", GIB, volume="tank/none")) == "NOT_FOUND"


async def test_volume_grows(driver: TruenasCsi) -> None:
    await driver.create_volume("a", GIB)
    assert await driver.expand_volume("tank/a", 2 * GIB) == 2 * GIB
    dataset = await driver.client.dataset("tank/a")
    assert 2 * GIB in (dataset["refquota"], dataset["volsize"])
    assert await driver.expand_volume("tank/a", GIB) == 2 * GIB
    assert await code_of(driver.expand_volume("tank/none", GIB)) == "NOT_FOUND"


async def test_deletes_leave_nothing(driver: TruenasCsi, nas: Nas) -> None:
    await driver.create_volume("a", GIB)
    await driver.delete_volume("tank/a")
    await driver.delete_volume("tank/a")
    await driver.delete_volume("reallyfakevolumeid")
    for namespace in ("sharing.nfs", "iscsi.target", "iscsi.extent", "iscsi.targetextent", "pool.snapshottask"):
        assert await nas.call(f"{namespace}.query") == []
    assert await driver.list_volumes() == []


async def test_snapshot_task_of_a_storage_class(client: TruenasClient) -> None:
    await client.create_dataset(name="tank/vol")
    schedule = {"minute": "0", "hour": "*/6", "dom": "*", "month": "*", "dow": "*", "begin": "00:00", "end": "23:59"}
    data = {"dataset": "tank/vol", "lifetime_value": 2, "lifetime_unit": "WEEK", "enabled": True}
    data |= {"naming_schema": "auto-%Y-%m-%d_%H-%M", "allow_empty": True, "schedule": schedule}
    task = await client.wire.call("pool.snapshottask.create", data, into=SNAPSHOT_TASK)
    assert (task["schedule"]["hour"], task["lifetime_unit"]) == ("*/6", "WEEK")
    await TruenasCsi(client.wire).delete_volume("tank/vol")
    assert await client.all("pool.snapshottask", SNAPSHOT_TASK) == []


async def test_zfs_parameters_of_a_storage_class_are_refused(client: TruenasClient) -> None:
    with pytest.raises(Refused) as caught:
        await client.create_dataset(name="tank/vol", properties={"atime": "off"})
    assert "Extra inputs are not permitted" in caught.value.data["reason"]


async def test_lost_session_shows_in_every_call_and_its_errno_in_the_data(client: TruenasClient, nas: Nas) -> None:
    nas.invalidate_sessions()
    with pytest.raises(Refused) as caught:
        await client.dataset("tank")
    assert is_not_authenticated(caught.value)
    assert not is_not_found(caught.value)
    assert await client.wire.call("core.ping") == "pong", "pings stay green"


async def test_words_of_another_refusal_are_not_taken_for_not_found(client: TruenasClient, portal: int) -> None:
    """It searches the whole of `data`, the lines of the server's trace too."""
    for name in ("a", "b"):
        await client.create_dataset(name=f"tank/{name}")
        await client.create_dataset(name=f"tank/{name}z", type="VOLUME", volsize=GIB)
    await client.create_target("t", "alias", portal=portal)
    await client.create_extent("e", "zvol/tank/az")
    snapshot = (await client.create_snapshot("tank/a", "s"))["id"]
    await client.wire.call("pool.snapshot.clone", {"snapshot": snapshot, "dataset_dst": "tank/c"})
    share = {"path": "/mnt/tank/a", "enabled": True, "networks": ["10.0.0.0/8"]}
    await client.wire.call("sharing.nfs.create", share)
    conflicts: list[tuple[str, Any]] = [
        ("pool.dataset.create", {"name": "tank/a"}),
        ("pool.dataset.create", {"name": "tank/z", "type": "VOLUME"}),
        ("pool.snapshot.create", {"dataset": "tank/a", "name": "s"}),
        ("pool.snapshot.clone", {"snapshot": snapshot, "dataset_dst": "tank/b"}),
        ("pool.snapshot.delete", snapshot),
        ("sharing.nfs.create", share),
        ("iscsi.target.create", {"name": "t", "groups": [{"portal": portal}]}),
        ("iscsi.extent.create", {"name": "e", "type": "DISK", "disk": "zvol/tank/bz"}),
        ("iscsi.extent.create", {"name": "f", "type": "DISK", "disk": "zvol/tank/az"}),
        ("pool.dataset.delete", "tank/a"),
    ]
    for method, argument in conflicts:
        with pytest.raises(Refused) as caught:
            await client.wire.call(method, argument)
        assert not is_not_found(caught.value), caught.value
