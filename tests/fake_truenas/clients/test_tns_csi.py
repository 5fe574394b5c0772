"""tns-csi against the fake: its volumes of four protocols, its snapshots, and what it does wrong on a real system."""

from typing import Any

import pytest

from fake_truenas import Nas
from tests.fake_truenas.clients.conftest import OpenWire
from tests.fake_truenas.clients.tns_csi import (
    DATASET,
    GIB,
    MANAGED_BY,
    NAMESPACE,
    NFS_SHARE,
    SMB_SHARE,
    SNAPSHOT,
    SUBSYSTEM,
    TnsCsi,
    is_not_found,
)
from tests.fake_truenas.clients.wire import Refused, Wire, always, code_of, decimals


@pytest.fixture
async def wire(wires: OpenWire) -> Wire:
    wire = await wires(decimals(), always)
    assert isinstance(wire, Wire)
    return wire


@pytest.fixture(params=["nfs", "smb", "iscsi", "nvmeof"])
async def driver(request: pytest.FixtureRequest, wire: Wire, key: str) -> TnsCsi:
    driver = TnsCsi(wire, request.param)
    await driver.login(key)
    return driver


@pytest.fixture
async def nfs(wire: Wire, key: str) -> TnsCsi:
    driver = TnsCsi(wire)
    await driver.login(key)
    return driver


async def test_ids_are_strings_and_no_params_are_no_params(nfs: TnsCsi) -> None:
    await nfs.call("sharing.nfs.query")
    assert nfs.wire.sent[0]["id"] == "1"
    assert nfs.wire.sent[1] == {"jsonrpc": "2.0", "id": "2", "method": "sharing.nfs.query"}


async def test_volume_is_made_once_however_often_it_is_asked_for(driver: TnsCsi) -> None:
    volume = await driver.create_volume("vol", GIB)
    creates = sum(method.endswith(".create") for method in driver.wire.methods)
    assert await driver.create_volume("vol", GIB) == {"id": volume["id"], "capacity": GIB}
    assert sum(method.endswith(".create") for method in driver.wire.methods) == creates
    assert await code_of(driver.create_volume("vol", 2 * GIB)) == "ALREADY_EXISTS"
    assert list(await driver.list_volumes()) == ["tank/vol"]


async def test_volume_goes_with_all_its_parts(driver: TnsCsi, nas: Nas) -> None:
    await driver.create_volume("vol", GIB)
    await driver.delete_volume("tank/vol")
    await driver.delete_volume("tank/vol")
    await driver.delete_volume("reallyfakevolumeid")
    for namespace in ("sharing.nfs", "sharing.smb", "iscsi.target", "iscsi.extent", "nvmet.subsys", "nvmet.namespace"):
        assert await nas.call(f"{namespace}.query") == [], namespace
    assert await driver.list_volumes() == {}


async def test_volume_grows(driver: TnsCsi) -> None:
    await driver.create_volume("vol", GIB)
    await driver.expand_volume("tank/vol", 2 * GIB)
    dataset = await driver.dataset("tank/vol")
    assert dataset["type"] == "FILESYSTEM" or dataset["volsize"]["parsed"] == 2 * GIB


async def test_longest_names_of_the_test_suite(driver: TnsCsi) -> None:
    name = "max-" + "a" * (124 if driver.protocol in ("nfs", "nvmeof") else 56)
    assert (await driver.create_volume(name, GIB))["id"] == f"tank/{name}"
    await driver.create_volume("vol", GIB)
    assert await driver.create_snapshot("s" * 128, "tank/vol")


async def test_volume_of_a_snapshot_and_of_a_volume(driver: TnsCsi) -> None:
    await driver.create_volume("a", GIB)
    snapshot = await driver.create_snapshot("snap", "tank/a")
    assert (await driver.create_volume("b", GIB, snapshot=snapshot))["id"] == "tank/b"
    assert (await driver.create_volume("c", GIB, volume="tank/a"))["id"] == "tank/c"
    assert await code_of(driver.delete_volume("tank/a")) == "FAILED_PRECONDITION"
    await driver.delete_snapshot(snapshot)
    await driver.delete_snapshot("nfs:tank/a@csi-clone-c")
    rows = await driver.list_snapshots("tank/a")
    assert [row["properties"]["defer_destroy"]["value"] for row in rows] == ["on", "on"]
    for name in ("b", "c"):
        await driver.delete_volume(f"tank/{name}")
    assert await driver.list_snapshots("tank/a") == []
    await driver.delete_volume("tank/a")


async def test_missing_sources_are_not_found(driver: TnsCsi) -> None:
    assert await code_of(driver.create_volume("b", GIB, snapshot="nfs:tank/a@none")) == "NOT_FOUND"
    assert await code_of(driver.create_volume("b", GIB, volume="tank/none")) == "NOT_FOUND"
    assert await code_of(driver.create_snapshot("s", "tank/none")) == "NOT_FOUND"


async def test_deletes_of_what_is_gone_are_success(nfs: TnsCsi) -> None:
    await nfs.create_volume("a", GIB)
    await nfs.delete_snapshot("nfs:tank/a@none")
    await nfs.delete_snapshot("nfs:tank/none@none")
    await nfs.delete_snapshot("reallyfakesnapshotid")


# What it does wrong on a real system: the fake must not hide it.


async def test_snapshot_cannot_be_asked_for_twice(nfs: TnsCsi) -> None:
    for name in ("a", "b"):
        await nfs.create_volume(name, GIB)
    await nfs.create_snapshot("snap", "tank/a")
    assert await code_of(nfs.create_snapshot("snap", "tank/a")) == "INTERNAL"
    assert await code_of(nfs.create_snapshot("snap", "tank/b")) == "OK", "it misses the conflict, too"


async def test_capacity_is_zero(nfs: TnsCsi) -> None:
    assert await nfs.capacity() == 0


async def test_size_in_the_list_is_free_space(nfs: TnsCsi) -> None:
    await nfs.create_volume("vol", GIB)
    await nfs.create_volume("big", 4 * GIB)
    assert (await nfs.list_volumes())["tank/big"] == 4 * GIB, "an empty file system has its quota free"


async def test_child_inherits_the_mark_of_ownership(nfs: TnsCsi, nas: Nas) -> None:
    await nfs.set_properties("tank", {MANAGED_BY: "tns-csi"})
    await nas.call("pool.dataset.create", {"name": "tank/somebody-elses"})
    dataset = await nfs.dataset("tank/somebody-elses")
    assert dataset["user_properties"][MANAGED_BY]["value"] == "tns-csi"
    await nfs.delete_volume("tank/somebody-elses")
    assert await nfs.dataset("tank/somebody-elses") is None


async def test_snapshot_inherits_the_mark_of_ownership(nfs: TnsCsi, nas: Nas) -> None:
    await nfs.create_volume("vol", GIB)
    await nas.call("pool.snapshot.create", {"dataset": "tank/vol", "name": "by-hand"})
    (snapshot,) = await nfs.list_snapshots("tank/vol")
    assert snapshot["properties"][MANAGED_BY] == snapshot["properties"][MANAGED_BY] | {
        "value": "tns-csi",
        "source": "INHERITED",
    }


async def test_null_for_filters_is_refused(nfs: TnsCsi) -> None:
    with pytest.raises(Refused) as caught:
        await nfs.call("pool.snapshot.query", None)
    assert (caught.value.code, caught.value.errname) == (-32602, "EINVAL")
    assert "Input should be a valid list" in caught.value.data["reason"]


# The rest of its calls.


async def test_session_lost_on_a_live_socket_is_taken_up_again(nfs: TnsCsi, nas: Nas) -> None:
    await nfs.create_volume("vol", GIB)
    nas.invalidate_sessions()
    assert list(await nfs.list_volumes()) == ["tank/vol"]
    assert nfs.wire.methods[-2:] == ["auth.login_with_api_key", "pool.dataset.query"]


async def test_user_properties_are_removed_one_by_one(nfs: TnsCsi) -> None:
    await nfs.create_volume("vol", GIB)
    await nfs.remove_property("tank/vol", "tns-csi:nfs_share_id")
    assert "tns-csi:nfs_share_id" not in (await nfs.dataset("tank/vol"))["user_properties"]


async def test_queries_of_whole_namespaces_decode(driver: TnsCsi) -> None:
    await driver.create_volume("vol", GIB)
    await driver.create_snapshot("snap", "tank/vol")
    shapes = {"sharing.nfs": NFS_SHARE, "sharing.smb": SMB_SHARE, "nvmet.subsys": SUBSYSTEM}
    shapes |= {"nvmet.namespace": NAMESPACE, "pool.dataset": DATASET, "pool.snapshot": SNAPSHOT}
    for namespace, shape in shapes.items():
        await driver.call(f"{namespace}.query", into=[shape])


async def test_detached_snapshot_is_a_copy_by_replication(nfs: TnsCsi) -> None:
    await nfs.create_volume("vol", GIB)
    await nfs.call("pool.dataset.create", {"name": "tank/csi-detached-snapshots", "type": "FILESYSTEM"}, into=DATASET)
    await nfs.call("pool.snapshot.create", {"dataset": "tank/vol", "name": "csi-detached-temp-1"}, into=SNAPSHOT)
    target = "tank/csi-detached-snapshots/snap"
    params: dict[str, Any] = {
        "direction": "PUSH",
        "transport": "LOCAL",
        "source_datasets": ["tank/vol"],
        "target_dataset": target,
    }
    params |= {"recursive": False, "properties": True, "properties_exclude": ["mountpoint", "sharenfs", "sharesmb"]}
    params |= {"replicate": False, "encryption": False, "name_regex": "csi-detached-temp-1", "naming_schema": []}
    params |= {"also_include_naming_schema": [], "retention_policy": "NONE", "readonly": "IGNORE"}
    job = await nfs.call("replication.run_onetime", params | {"allow_from_scratch": True}, into=int)
    await nfs.wait_for_job(job)
    await nfs.call("pool.snapshot.delete", f"{target}@csi-detached-temp-1", {"defer": True}, into=bool)
    assert (await nfs.dataset(target))["user_properties"][MANAGED_BY]["value"] == "tns-csi"
    await nfs.set_properties(target, {"tns-csi:detached_snapshot": "true"})
    await nfs.delete_dataset(target)


async def test_promoted_clone_lets_its_source_go(nfs: TnsCsi) -> None:
    await nfs.create_volume("a", GIB)
    snapshot = await nfs.create_snapshot("snap", "tank/a")
    await nfs.create_volume("b", GIB, snapshot=snapshot)
    await nfs.call("pool.dataset.promote", "tank/b")
    assert await nfs.list_snapshots("tank/a") == []
    await nfs.delete_volume("tank/a")


async def test_stat_of_a_missing_path_is_not_found(nfs: TnsCsi) -> None:
    with pytest.raises(Refused) as caught:
        await nfs.call("filesystem.stat", "/mnt/tank/none")
    assert is_not_found(caught.value)


async def test_subsystem_gets_the_base_name_of_the_nas(wire: Wire, key: str) -> None:
    driver = TnsCsi(wire, "nvmeof")
    await driver.login(key)
    nqn = (await driver.create_volume("vol", GIB))["nvmeof_subsystem_nqn"]
    assert nqn.startswith("nqn.2011-06.com.truenas:uuid:")
    assert nqn.endswith(":nqn.2137.csi.tns:vol")
