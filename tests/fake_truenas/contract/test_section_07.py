"""Shares and paths, as clients see them over a connection (TrueNAS API 25.10)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fake_truenas.rpc import GIB, Client
from tests.fake_truenas.transport import dialled, serving


async def made(client: Client, name: str = "tank/fs", **data: Any) -> str:
    await client.call("pool.dataset.create", {"name": name, **data})
    return f"/mnt/{name}"


async def job(client: Client, method: str, data: dict[str, Any]) -> Any:
    """Run a job to its end; gives its result."""
    number = await client.call(method, data)
    assert isinstance(number, int)
    return await finished(client, number)


async def finished(client: Client, number: int) -> Any:
    await client.call("core.set_options", {"legacy_jobs": False})
    try:
        return await client.call("core.job_wait", number)
    finally:
        await client.call("core.set_options", {"legacy_jobs": True})


@pytest.fixture
async def of_2504() -> AsyncIterator[Client]:
    async with serving(version="25.04") as (_, server), dialled(server.url) as client:
        yield client


@pytest.mark.row("7 sharing.nfs.create")
async def test_an_nfs_share_has_its_fields_and_defaults(client: Client) -> None:
    path = await made(client)
    entry = await client.call("sharing.nfs.create", {"path": path + "/"})
    assert entry == {
        "id": 1, "path": path, "aliases": [], "comment": "", "networks": [], "hosts": [], "ro": False,
        "maproot_user": None, "maproot_group": None, "mapall_user": None, "mapall_group": None, "security": [],
        "enabled": True, "locked": False, "expose_snapshots": False,
    }  # fmt: skip
    full = {
        "path": await made(client, "tank/other"), "comment": "c", "networks": ["10.1.0.0/16"], "hosts": ["10.2.0.1", "node-1"], "ro": True,
        "maproot_user": "root", "maproot_group": "wheel", "security": ["SYS", "KRB5", "KRB5I", "KRB5P"],
        "enabled": False, "aliases": ["x"],
    }  # fmt: skip
    assert await client.call("sharing.nfs.create", full) == {**entry, **full, "id": 2, "aliases": []}


NFS_REFUSALS: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"path": "/mnt/tank/none"}, ("path", "The path does not exist: /mnt/tank/none")),
    ({"path": "/etc"}, ("path", "The path must reside within a pool mount point")),
    ({"maproot_user": "nobody-here"}, ("maproot_user", "User not found: nobody-here")),
    ({"mapall_user": "root", "mapall_group": "no-group"}, ("mapall_group", "Group not found: no-group")),
    ({"maproot_group": "wheel"}, ("maproot_user", "This field is required when map group is specified")),
    ({"maproot_user": "root", "mapall_user": "root"}, ("mapall_user", "maproot_user disqualifies mapall_user")),
    (
        {"networks": ["10.1.0.0/16"]},
        ("networks", "ERROR - Another NFS share already exports /mnt/tank/fs for network 10.1.0.0/16"),
    ),
    ({"hosts": ["node-1"]}, ("hosts", "ERROR - Another NFS share already exports /mnt/tank/fs for host node-1")),
]


@pytest.mark.row("7 sharing.nfs.create")
@pytest.mark.parametrize(("data", "refusal"), NFS_REFUSALS)
async def test_an_nfs_share_must_fit(client: Client, data: dict[str, Any], refusal: tuple[str, str]) -> None:
    path = await made(client)
    await client.call("sharing.nfs.create", {"path": path, "networks": ["10.1.0.0/16"], "hosts": ["node-1"]})
    error = await client.refused("sharing.nfs.create", {"path": path, **data})
    assert error.code == -32602
    items = [(attribute, text) for attribute, text, _ in error.items]
    assert items[0] == (f"sharingnfs_create.{refusal[0]}", refusal[1])


@pytest.mark.row("7 sharing.nfs.create")
async def test_two_nfs_shares_for_everybody_pass_and_paths_is_no_field(client: Client) -> None:
    path = await made(client)
    for number in (1, 2):
        assert (await client.call("sharing.nfs.create", {"path": path}))["id"] == number
    error = await client.refused("sharing.nfs.create", {"path": path, "paths": [path]})
    assert error.items == [("data.paths", "Extra inputs are not permitted", 22)]


@pytest.mark.row("7 sharing.nfs.update")
async def test_nfs_shares_are_changed_found_and_deleted(client: Client) -> None:
    path = await made(client)
    await client.call("sharing.nfs.create", {"path": path, "comment": "c"})
    changed = await client.call("sharing.nfs.update", 1, {"ro": True, "path": path + "/"})
    assert (changed["ro"], changed["comment"], changed["path"]) == (True, "c", path)
    assert await client.call("sharing.nfs.query", [["path", "=", path]]) == [changed]
    assert await client.call("sharing.nfs.get_instance", 1) == changed
    assert await client.call("sharing.nfs.delete", 1) is True
    for method, *more in (("get_instance",), ("update", {}), ("delete",)):
        error = await client.refused(f"sharing.nfs.{method}", 1, *more)
        assert (error.code, error.items) == (-32602, [(None, "SharingNFS 1 does not exist", 2)])
        assert error.reason == "[ENOENT] None: SharingNFS 1 does not exist"


@pytest.mark.row("7 nfs.config")
async def test_the_nfs_service_is_configured(client: Client) -> None:
    config = await client.call("nfs.config")
    assert config == {
        "id": 1, "servers": 4, "allow_nonroot": False, "protocols": ["NFSV3", "NFSV4"], "v4_krb": False,
        "v4_domain": "", "bindip": [], "mountd_port": None, "rpcstatd_port": None, "rpclockd_port": None,
        "mountd_log": True, "statd_lockd_log": False, "v4_krb_enabled": False, "userd_manage_gids": False,
        "keytab_has_nfs_spn": False, "managed_nfsd": True, "rdma": False,
    }  # fmt: skip
    changed = await client.call("nfs.update", {"servers": 8, "allow_nonroot": True})
    assert changed == {**config, "servers": 8, "allow_nonroot": True, "managed_nfsd": False}
    assert await client.call("nfs.config") == changed
    error = await client.refused("nfs.update", {"protocols": []})
    text = 'Must specify at least one value ("NFSV3", "NFSV4") in the "protocols" list.'
    assert error.items == [("nfs_update.protocols", text, 22)]
    assert (await client.refused("nfs.update", {"managed_nfsd": True})).items == [
        ("nfs_update.managed_nfsd", "Extra inputs are not permitted", 22)
    ]


@pytest.mark.row("7 sharing.smb.create")
async def test_an_smb_share_has_its_fields_and_the_options_of_its_purpose(client: Client) -> None:
    path = await made(client, share_type="SMB")
    entry = await client.call("sharing.smb.create", {"name": "docs", "path": path})
    assert entry == {
        "id": 1, "purpose": "DEFAULT_SHARE", "name": "docs", "path": path, "enabled": True, "comment": "",
        "readonly": False, "browsable": True, "access_based_share_enumeration": False,
        "audit": {"enable": False, "watch_list": [], "ignore_list": []}, "options": {"aapl_name_mangling": False},
        "locked": False,
    }  # fmt: skip
    legacy = {"name": "old", "path": path, "purpose": "LEGACY_SHARE", "options": {"guestok": True}}
    options = (await client.call("sharing.smb.create", legacy))["options"]
    assert (options["guestok"], options["streams"], options["acl"]) == (True, True, True)


@pytest.mark.row("7 sharing.smb.create")
async def test_an_smb_share_has_a_name_of_its_own_and_a_path(client: Client) -> None:
    path = await made(client)
    await client.call("sharing.smb.create", {"name": "Docs", "path": path})
    error = await client.refused("sharing.smb.create", {"name": "dOCS", "path": path})
    text = "Share names are case-insensitive and must be unique"
    assert (error.code, error.items) == (-32602, [("sharingsmb_create.name", text, 22)])
    error = await client.refused("sharing.smb.create", {"name": "n" * 81, "path": path})
    text = f"Value error, {'n' * 81}: share name must not exceed 80 characters in length"
    assert error.items == [("data.name", text, 22)]
    assert (await client.call("sharing.smb.create", {"name": "n" * 80, "path": path}))["id"] == 2
    error = await client.refused("sharing.smb.create", {"name": "x", "path": "/mnt/tank/none"})
    assert (error.code, error.reason) == (-32001, "[ENOENT] Path /mnt/tank/none not found")
    for missing in ("name", "path"):
        given = {"name": "x", "path": path}
        del given[missing]
        error = await client.refused("sharing.smb.create", given)
        assert error.items == [(f"data.{missing}", "Field required", 22)]


@pytest.mark.row("7 sharing.smb.update")
async def test_smb_shares_are_changed_found_and_deleted(client: Client) -> None:
    path = await made(client)
    await client.call("sharing.smb.create", {"name": "docs", "path": path})
    changed = await client.call("sharing.smb.update", 1, {"comment": "c", "readonly": True})
    assert (changed["comment"], changed["readonly"], changed["name"]) == ("c", True, "docs")
    assert await client.call("sharing.smb.query", [["name", "C=", "DOCS"]]) == [changed]
    everybody = await client.call("sharing.smb.getacl", {"share_name": "docs"})
    assert [ace["ae_who_sid"] for ace in everybody["share_acl"]] == ["S-1-1-0"]
    ace = {"ae_who_sid": "S-1-5-32-545", "ae_perm": "READ", "ae_type": "ALLOWED"}
    await client.call("sharing.smb.setacl", {"share_name": "docs", "share_acl": [ace]})
    [kept] = (await client.call("sharing.smb.getacl", {"share_name": "docs"}))["share_acl"]
    assert (kept["ae_who_sid"], kept["ae_perm"], kept["ae_who_str"]) == ("S-1-5-32-545", "READ", "builtin_users")
    assert await client.call("sharing.smb.delete", 1) is True
    assert (await client.refused("sharing.smb.delete", 1)).items == [(None, "SharingSMB 1 does not exist", 2)]


@pytest.mark.row("7 sharing.smb.update")
async def test_earlier_releases_have_flat_smb_shares(of_2504: Client) -> None:
    path = await made(of_2504)
    entry = await of_2504.call(
        "sharing.smb.create", {"name": "docs", "path": path, "purpose": "NO_PRESET", "home": True}
    )
    assert len(entry.pop("vuid")) == 36
    assert entry == {
        "id": 1, "purpose": "NO_PRESET", "path": path, "path_local": path, "path_suffix": "", "home": True,
        "name": "docs", "comment": "", "ro": False, "browsable": True, "timemachine": False, "timemachine_quota": 0,
        "recyclebin": False, "guestok": False, "abe": False, "hostsallow": [], "hostsdeny": [],
        "aapl_name_mangling": False, "acl": True, "durablehandle": True, "shadowcopy": True, "streams": True,
        "fsrvp": False, "auxsmbconf": "", "enabled": True, "afp": False, "locked": False,
        "audit": {"enable": False, "watch_list": [], "ignore_list": []},
    }  # fmt: skip
    assert (await of_2504.call("sharing.smb.update", 1, {"guestok": True, "ro": True}))["guestok"] is True
    error = await of_2504.refused(
        "sharing.smb.create", {"name": "h", "path": path, "purpose": "NO_PRESET", "home": True}
    )
    assert error.items == [("sharingsmb_create.home", "Only one share is allowed to be a home share.", 22)]
    error = await of_2504.refused("sharing.smb.create", {"name": "h", "path": path, "readonly": True})
    assert error.items == [("sharingsmb_create.readonly", "Extra inputs are not permitted", 22)]


@pytest.mark.row("7 filesystem.stat")
async def test_stat_tells_of_directories_and_files(client: Client) -> None:
    path = await made(client)
    found = await client.call("filesystem.stat", path)
    assert set(found) == {
        "realpath", "type", "size", "allocation_size", "mode", "mount_id", "uid", "gid", "atime", "mtime", "ctime",
        "btime", "dev", "inode", "nlink", "acl", "is_mountpoint", "is_ctldir", "attributes", "user", "group",
    }  # fmt: skip
    assert (found["realpath"], found["type"], found["is_mountpoint"], found["is_ctldir"]) == (
        path,
        "DIRECTORY",
        True,
        False,
    )
    assert (found["uid"], found["user"], found["gid"], found["group"], found["acl"]) == (0, "root", 0, "root", False)
    assert (found["mode"], found["attributes"]) == (0o40755, ["MOUNT_ROOT"])
    await client.call("iscsi.extent.create", {"name": "f", "type": "FILE", "path": path + "/f", "filesize": 1 << 20})
    file = await client.call("filesystem.stat", path + "/f")
    assert (file["type"], file["size"], file["is_mountpoint"]) == ("FILE", 1 << 20, False)
    error = await client.refused("filesystem.stat", path + "/none")
    assert (error.code, error.reason) == (-32001, f"[ENOENT] Path {path}/none not found")


@pytest.mark.row("7 filesystem.getacl")
async def test_getacl_has_the_form_of_the_file_system(client: Client) -> None:
    for name, acltype, aclmode in (("n", "NFSV4", "PASSTHROUGH"), ("p", "POSIX", "DISCARD"), ("o", "OFF", "DISCARD")):
        await made(client, f"tank/{name}", acltype=acltype, aclmode=aclmode)
    acl = await client.call("filesystem.getacl", "/mnt/tank/n")
    assert set(acl) == {"path", "user", "group", "uid", "gid", "acltype", "acl", "aclflags", "trivial"}
    assert (acl["acltype"], acl["trivial"], acl["user"], acl["uid"]) == ("NFS4", True, None, 0)
    assert [ace["tag"] for ace in acl["acl"]] == ["owner@", "group@", "everyone@"]
    whole = {"tag": "owner@", "type": "ALLOW", "perms": {"BASIC": "FULL_CONTROL"}, "flags": {"BASIC": "INHERIT"}}
    await job(client, "filesystem.setacl", {"path": "/mnt/tank/n", "dacl": [whole]})
    (short,) = (await client.call("filesystem.getacl", "/mnt/tank/n"))["acl"]
    (full,) = (await client.call("filesystem.getacl", "/mnt/tank/n", False))["acl"]
    assert (short["perms"], full["perms"]["READ_DATA"], len(full["perms"])) == ({"BASIC": "FULL_CONTROL"}, True, 14)
    resolved = await client.call("filesystem.getacl", "/mnt/tank/p", True, True)
    assert (resolved["acltype"], resolved["user"], resolved["group"]) == ("POSIX1E", "root", "root")
    assert [(ace["tag"], ace["who"]) for ace in resolved["acl"]] == [
        ("USER_OBJ", "root"), ("GROUP_OBJ", "root"), ("OTHER", None),
    ]  # fmt: skip
    disabled = await client.call("filesystem.getacl", "/mnt/tank/o")
    assert (disabled["acltype"], disabled["acl"]) == ("DISABLED", None)


@pytest.mark.row("7 filesystem.setacl")
async def test_permissions_are_changed_by_jobs(client: Client) -> None:
    path = await made(client, acltype="NFSV4", aclmode="PASSTHROUGH")
    ace = {"tag": "everyone@", "type": "ALLOW", "perms": {"BASIC": "FULL_CONTROL"}, "flags": {"BASIC": "INHERIT"}}
    answer = await job(client, "filesystem.setacl", {"path": path, "dacl": [ace], "options": {"recursive": True}})
    assert answer["acl"] == [{**ace, "id": -1}]
    assert (await client.call("filesystem.getacl", path))["trivial"] is False
    assert await job(client, "filesystem.chown", {"path": path, "uid": 568, "gid": 568}) is None
    data = {"path": path, "mode": "750", "user": "root", "options": {"stripacl": True, "recursive": True}}
    assert await job(client, "filesystem.setperm", data) is None
    found = await client.call("filesystem.stat", path)
    assert (found["mode"], found["uid"], found["gid"], found["acl"]) == (0o40750, 0, 568, False)
    number = await client.call("filesystem.chown", {"path": path + "/none", "uid": 0})
    with pytest.raises(Exception, match="not found"):
        await finished(client, number)
    [entry] = await client.call("core.get_jobs", [["id", "=", number]])
    assert (entry["state"], entry["exc_info"]["errno"]) == ("FAILED", 2)


@pytest.mark.row("7 filesystem.statfs")
async def test_paths_are_listed_made_and_measured(client: Client) -> None:
    path = await made(client, refquota=10 * GIB)
    entry = await client.call("filesystem.mkdir", {"path": path + "/d", "options": {"mode": "700"}})
    assert (entry["name"], entry["path"], entry["mode"]) == ("d", path + "/d", 0o40700)
    listed = await client.call("filesystem.listdir", path, [["type", "=", "DIRECTORY"]], {"select": ["name"]})
    assert listed == [{"name": "d"}]
    room = await client.call("filesystem.statfs", path + "/d")
    assert (room["fstype"], room["source"], room["dest"], room["total_bytes"]) == ("zfs", "tank/fs", path, 10 * GIB)
    assert room["free_bytes"] == room["avail_bytes"] <= room["total_bytes"]
    await client.call("iscsi.extent.create", {"name": "f", "type": "FILE", "path": path + "/f", "filesize": 512})
    for wrong, text in (
        ("/x", f"[ENOENT] Directory {path}/x does not exist"),
        ("/f", f"[ENOTDIR] Path {path}/f is not a directory"),
    ):
        assert (await client.refused("filesystem.listdir", path + wrong)).reason == text


async def test_a_share_keeps_its_path_when_its_dataset_is_renamed(client: Client) -> None:
    path = await made(client)
    await asyncio.gather(
        client.call("sharing.nfs.create", {"path": path}),
        client.call("sharing.smb.create", {"name": "s", "path": path}),
    )
    await client.call("pool.dataset.rename", "tank/fs", {"new_name": "tank/new", "force": True})
    for kind in ("nfs", "smb"):
        assert (await client.call(f"sharing.{kind}.query", [], {"get": True}))["path"] == path
    await client.call("pool.dataset.delete", "tank/new")  # no share is at or under its path
    assert await client.call("sharing.nfs.query", [], {"count": True}) == 1
