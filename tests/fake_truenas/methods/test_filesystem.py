"""filesystem.*: directories, their permissions and what datasets and snapshots do to them."""

import stat as modes
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_truenas import acls
from fake_truenas.errors import ApiError, CallError, ValidationErrors
from tests.fake_truenas.methods.conftest import GIB, Box

ALL = {"recursive": True}
EVERYONE_FULL = {
    "tag": "everyone@", "type": "ALLOW", "perms": {"BASIC": "FULL_CONTROL"}, "flags": {"BASIC": "INHERIT"},
}  # fmt: skip


def posix(tag, bits, *, default=False, **who):
    perms = {"READ": "r" in bits, "WRITE": "w" in bits, "EXECUTE": "x" in bits}
    return {"tag": tag, "perms": perms, "default": default, **who}


BASE = [posix("USER_OBJ", "rwx"), posix("GROUP_OBJ", "rx"), posix("OTHER", "")]
NAMED = [*BASE, posix("USER", "rwx", who="apps"), posix("MASK", "rx")]


@pytest.fixture
def path(box):
    return box.filesystem("tank/fs")


def mkdir(box, path, **options):
    return box("filesystem.mkdir", {"path": path, "options": options})


def nfs4(box, name="tank/fs", aclmode="PASSTHROUGH"):
    box("pool.dataset.update", name, {"acltype": "NFSV4", "aclmode": aclmode})


def bits(box, path):
    return modes.S_IMODE(box("filesystem.stat", path)["mode"])


def listed(box, path):
    return [entry["name"] for entry in box("filesystem.listdir", path)]


async def job(box, name, data):
    return await box.nas.call(f"filesystem.{name}", data)


async def job_refused(box, name, data):
    with pytest.raises(ValidationErrors) as caught:
        await job(box, name, data)
    return [tuple(item) for item in caught.value.items]


def test_the_root_of_a_file_system_has_the_real_entry(box, path):
    made = box.time
    assert box("filesystem.stat", path) == {
        "realpath": path, "type": "DIRECTORY", "size": 2, "allocation_size": 512, "mode": 0o40755, "mount_id": 102,
        "uid": 0, "gid": 0, "atime": made, "mtime": made, "ctime": made, "btime": made, "dev": 42, "inode": 34,
        "nlink": 2, "acl": False, "is_mountpoint": True, "is_ctldir": False, "attributes": ["MOUNT_ROOT"],
        "user": "root", "group": "root",
    }  # fmt: skip


def test_what_does_not_exist_is_not_found(box, path):
    box.zvol("tank/v")
    for missing in ("/mnt/tank/none", "/mnt/other", "/etc", "/", "/mnt/tank/v", path + "/d/e"):
        assert box.failed("filesystem.stat", missing) == (2, f"[ENOENT] Path {missing} not found")
        assert box.failed("filesystem.statfs", missing) == (2, "[ENOENT] Path not found.")
        assert box.failed("filesystem.getacl", missing) == (2, "[ENOENT] Path not found.")
        assert box.failed("filesystem.listdir", missing) == (2, f"[ENOENT] Directory {missing} does not exist")


def test_a_path_must_be_absolute(box):
    assert box.failed("filesystem.stat", "tank") == (22, "[EINVAL] tank: path must be absolute")
    assert box.failed("filesystem.mkdir", {"path": "tank/d"}) == (22, "[EINVAL] tank/d: not an absolute path.")
    for method in ("statfs", "getacl", "listdir"):
        assert box.failed(f"filesystem.{method}", "tank")[0] == 2


def test_what_the_system_cannot_look_at_is_answered_with_its_text(box):
    assert box.failed("filesystem.stat", "/mnt/tank/a\0b") == (22, "embedded null byte")
    long = "/mnt/tank/" + "a" * 256
    assert box.failed("filesystem.stat", long) == (22, f"[Errno 36] File name too long: '{long}'")
    assert box.refused("filesystem.stat", "") == [("path", "String should have at least 1 character", 22)]


def test_a_made_directory_is_listed_and_found(box, path):
    box.time += 5
    entry = mkdir(box, path + "/d", mode="750")
    assert entry == {
        "name": "d", "path": path + "/d", "realpath": path + "/d", "type": "DIRECTORY", "size": 2,
        "allocation_size": 512, "mode": 0o40750, "mount_id": 102, "acl": False, "uid": 0, "gid": 0,
        "is_mountpoint": False, "is_ctldir": False, "attributes": [], "xattrs": [], "zfs_attrs": ["ARCHIVE"],
    }  # fmt: skip
    assert box("filesystem.listdir", path) == [entry]
    found = box("filesystem.stat", path + "//./d/")
    assert (found["realpath"], found["inode"], found["btime"]) == (path + "/d", 128, box.time)
    above = box("filesystem.stat", path)
    assert (above["nlink"], above["mtime"], above["btime"]) == (3, box.time, box.time - 5)
    mkdir(box, path + "/d/e")
    assert box("filesystem.stat", path + "/d/e")["inode"] == 129


def test_what_cannot_be_made_is_refused(box, path):
    assert box.failed("filesystem.mkdir", {"path": path}) == (17, f"[EEXIST] {path}: path already exists.")
    assert box.failed("filesystem.mkdir", {"path": "/etc/d"}) == (1, "[EPERM] /etc/d: path not permitted")
    deep = path + "/a/b"
    assert box.failed("filesystem.mkdir", {"path": deep}) == (22, f"[Errno 2] No such file or directory: '{deep}'")
    box("pool.dataset.update", "tank/fs", {"readonly": "ON"})
    for read_only in (path + "/d", "/mnt/d"):
        text = f"[Errno 30] Read-only file system: '{read_only}'"
        assert box.failed("filesystem.mkdir", {"path": read_only}) == (22, text)
    mode = "filesystem_mkdir.options.mode"
    for wrong, text in (("8", "Not a valid integer. Must be between 000 and 777"), ("1777", "Please supply a value")):
        [(attribute, found, _)] = box.refused("filesystem.mkdir", {"path": path + "/d", "options": {"mode": wrong}})
        assert attribute == mode
        assert found.startswith(f"Value error, {text}")
    assert listed(box, path) == []


def test_a_listing_is_a_query_over_directories_and_mounted_file_systems(box, path):
    for name in ("b", "a"):
        mkdir(box, f"{path}/{name}")
    box.filesystem("tank/fs/c")
    box.zvol("tank/fs/v")
    assert listed(box, path) == ["a", "b", "c"]
    assert box("filesystem.listdir", path, [["is_mountpoint", "=", True]], {"select": ["name"]}) == [{"name": "c"}]
    assert box("filesystem.listdir", path, [], {"count": True}) == 3
    assert box("filesystem.stat", path)["size"] == 5


def test_a_mounted_file_system_hides_the_directory_of_its_name(box, path):
    mkdir(box, path + "/c")
    mkdir(box, path + "/c/inside")
    box.nas.db.run("update directory set mode = 448")
    [refused] = box.refused("pool.dataset.create", {"name": "tank/fs/c"})
    assert refused == ("pool_dataset_create.name", "Path /mnt/tank/fs/c already exists", 22)
    box("pool.snapshot.create", {"dataset": "tank", "name": "s"})
    box("pool.snapshot.clone", {"snapshot": "tank@s", "dataset_dst": "tank/fs/c"})
    assert listed(box, path) == ["c"]
    assert listed(box, path + "/c") == []
    assert bits(box, path + "/c") == 0o755


def test_the_directory_of_the_pools_lists_them(box):
    wanted = {"select": ["name", "is_mountpoint"]}
    assert box("filesystem.listdir", "/mnt", [], wanted) == [{"name": "tank", "is_mountpoint": True}]
    assert box.failed("filesystem.listdir", "/mnt") == (14, "[EFAULT] /mnt: ZFS attributes are not supported.")
    assert box("filesystem.stat", "/mnt")["is_mountpoint"] is False


def test_statfs_tells_the_space_that_the_dataset_has(box, path):
    box("pool.dataset.update", "tank/fs", {"refquota": 2 * GIB, "readonly": "ON"})
    mkdir_in = box("filesystem.statfs", path)
    assert (mkdir_in["source"], mkdir_in["dest"], mkdir_in["fstype"]) == ("tank/fs", path, "zfs")
    assert (mkdir_in["total_bytes"], mkdir_in["avail_bytes"], mkdir_in["blocksize"]) == (2 * GIB, 2 * GIB, 1 << 17)
    assert mkdir_in["free_blocks_str"] == str(2 * GIB >> 17)
    assert mkdir_in["flags"] == ["RO", "NOATIME", "XATTR", "POSIXACL", "CASESENSITIVE"]


def test_a_trivial_list_says_what_the_mode_says(box, path):
    acl = box("filesystem.getacl", path)
    assert {key: acl[key] for key in acl if key != "acl"} == {
        "path": path, "user": None, "group": None, "uid": 0, "gid": 0, "acltype": "POSIX1E", "trivial": True,
    }  # fmt: skip
    assert [(ace["tag"], ace["id"], ace["perms"]["WRITE"]) for ace in acl["acl"]] == [
        ("USER_OBJ", -1, True),
        ("GROUP_OBJ", -1, False),
        ("OTHER", -1, False),
    ]
    nfs4(box)
    shown = box("filesystem.getacl", path, True, True)
    assert (shown["acltype"], shown["user"], shown["aclflags"]["protected"]) == ("NFS4", "root", False)
    assert [(ace["tag"], ace["who"]) for ace in shown["acl"]] == [
        ("owner@", "root"),
        ("group@", "root"),
        ("everyone@", None),
    ]
    assert shown["acl"][1]["perms"] == {"BASIC": "READ"}
    assert box("filesystem.getacl", path, False)["acl"][1]["perms"]["READ_DATA"] is True
    box("pool.dataset.update", "tank/fs", {"acltype": "OFF", "aclmode": "DISCARD"})
    off = box("filesystem.getacl", path)
    assert (off["acltype"], off["acl"], off["trivial"]) == ("DISABLED", None, True)


async def test_setperm_is_a_job_that_sets_mode_and_owner(box, path):
    box.time += 7
    assert await job(box, "setperm", {"path": path, "mode": "770", "user": "apps", "gid": 100}) is None
    found = box("filesystem.stat", path)
    assert (found["mode"], found["uid"], found["user"], found["gid"]) == (0o40770, 568, "apps", 100)
    assert (found["group"], found["ctime"], found["btime"]) == ("users", box.time, box.time - 7)
    [entry] = box.nas.jobs.entries()
    assert (entry["method"], entry["state"], entry["result"]) == ("filesystem.setperm", "SUCCESS", None)


async def test_recursion_stops_at_other_file_systems_unless_it_may_traverse(box, path):
    mkdir(box, path + "/d")
    mkdir(box, path + "/d/e")
    box.filesystem("tank/fs/c")
    await job(box, "setperm", {"path": path, "mode": "700"})
    assert [bits(box, path + end) for end in ("", "/d", "/d/e", "/c")] == [0o700, 0o755, 0o755, 0o755]
    await job(box, "setperm", {"path": path, "mode": "711", "options": ALL})
    assert [bits(box, path + end) for end in ("", "/d", "/d/e", "/c")] == [0o711, 0o711, 0o711, 0o755]
    await job(box, "chown", {"path": path, "uid": 7, "options": {**ALL, "traverse": True}})
    owners = [box("filesystem.stat", path + end)["uid"] for end in ("", "/d", "/d/e", "/c")]
    assert owners == [7, 7, 7, 7]


@pytest.mark.parametrize("method", ["setperm", "chown", "setacl"])
async def test_permissions_of_missing_paths_and_pools_stay(box, method):
    more = {"setperm": {"mode": "700"}, "chown": {"uid": 1}, "setacl": {"dacl": BASE}}[method]
    with pytest.raises(CallError) as caught:
        await job(box, method, {"path": "/mnt/tank/none", **more})
    assert (caught.value.errno, caught.value.reason) == (2, "[ENOENT] Path /mnt/tank/none not found")
    attribute = f"filesystem.{method}.path"
    for path, named, text in (
        ("/mnt/tank", attribute, 'The specified path is a ZFS pool mountpoint "(/mnt/tank)" '),
        (
            "/mnt",
            attribute,
            "Changes to permissions on paths that are not beneath the directory /mnt are not permitted: /mnt",
        ),
        ("tank", "f{schema}.path", "Must be an absolute path"),
    ):
        assert await job_refused(box, method, {"path": path, **more}) == [(named, text, 22)]


async def test_accounts_must_exist(box, path):
    call = {"path": path, "user": "eve", "group": "eve"}
    users = [f"filesystem.{name}.{key}" for name in ("chown", "setperm") for key in ("user", "group")]
    found = await job_refused(box, "chown", call) + await job_refused(box, "setperm", {**call, "mode": "700"})
    assert [item[0] for item in found] == users
    assert await job_refused(box, "setacl", {**call, "dacl": BASE, "group": None, "uid": 5}) == [
        ("filesystem.setacl.user", "User and uid may not be specified simultaneously.", 22),
        ("filesystem.setacl.user", "eve: user does not exist.", 22),
    ]
    assert box("filesystem.stat", path)["uid"] == 0


@pytest.mark.parametrize(
    ("method", "data", "refusal"),
    [
        ("chown", {}, ("filesystem_chown", "Value error, At least one of uid, gid, user, and group")),
        ("chown", {"uid": -1}, ("filesystem_chown", "Value error, At least one of uid, gid, user, and group")),
        ("chown", {"uid": "1"}, ("filesystem_chown.uid", "Input should be a valid integer")),
        ("setperm", {}, ("filesystem_setperm", "Value error, Payload must either explicitly")),
        ("setperm", {"mode": 0o755}, ("filesystem_setperm.mode", "Input should be a valid string")),
        ("setperm", {"mode": "755", "x": 1}, ("filesystem_setperm.x", "Extra inputs are not permitted")),
        ("setacl", {}, ("filesystem_acl.dacl", "Field required")),
        (
            "setacl",
            {"dacl": BASE, "options": {"stripacl": True}},
            ("filesystem_acl", "Value error, Simultaneosuly setting and removing"),
        ),
        (
            "setacl",
            {"dacl": [{**EVERYONE_FULL, "id": 5}]},
            ("filesystem_acl.dacl.0", "Value error, 5: id may not be specified for"),
        ),
        (
            "setacl",
            {"dacl": [{**EVERYONE_FULL, "tag": "USER"}]},
            ("filesystem_acl.dacl.0", 'Value error, Numeric ID "id" or account name "who" must'),
        ),
        (
            "setacl",
            {"dacl": [{**EVERYONE_FULL, "flags": {"INHERIT_ONLY": True}}]},
            ("filesystem_acl.dacl.0.flags", "Value error, At least one of FILE_INHERIT or"),
        ),
    ],
)
async def test_malformed_calls_are_refused_before_there_is_a_job(box, path, method, data, refusal):
    [(attribute, text, _)] = await job_refused(box, method, {"path": path, **data})
    assert attribute == refusal[0]
    assert text.startswith(refusal[1])
    assert box.nas.jobs.entries() == []


async def test_a_posix_list_is_kept_in_order_and_makes_the_mode(box, path):
    acl = await job(box, "setacl", {"path": path, "dacl": NAMED, "gid": 100})
    assert [(ace["tag"], ace["id"]) for ace in acl["acl"]] == [
        ("USER_OBJ", -1), ("USER", 568), ("GROUP_OBJ", -1), ("MASK", -1), ("OTHER", -1),
    ]  # fmt: skip
    assert (acl["trivial"], acl["gid"], bits(box, path)) == (False, 100, 0o750)
    assert box("filesystem.stat", path)["acl"] is True
    assert [ace["who"] for ace in box("filesystem.getacl", path, True, True)["acl"]] == [
        "root",
        "apps",
        "users",
        None,
        None,
    ]
    text = f'Non-trivial ACL present on [{path}]. Option "stripacl" required to change permission.'
    assert await job_refused(box, "setperm", {"path": path, "mode": "700"}) == [("filesystem.setperm.mode", text, 22)]
    await job(box, "setperm", {"path": path, "options": {"stripacl": True}})
    assert (box("filesystem.getacl", path)["trivial"], bits(box, path)) == (True, 0o750)
    assert (await job(box, "setacl", {"path": path, "dacl": BASE}))["trivial"] is True


async def test_entries_that_do_not_fit_the_file_system_are_refused(box, path):
    wrong = [("filesystem.setacl.dacl.acltype", "ACL type is invalid for selected path", 22)]
    assert await job_refused(box, "setacl", {"path": path, "dacl": [EVERYONE_FULL]}) == wrong
    assert await job_refused(box, "setacl", {"path": path, "dacl": BASE, "acltype": "NFS4"}) == wrong
    named = [*BASE, posix("USER", "r", id=5)]
    [(attribute, text, _)] = await job_refused(box, "setacl", {"path": path, "dacl": named})
    assert (attribute, text[:9]) == ("filesystem_acl.dacl", "Named (us")
    both = [*NAMED[:3], posix("USER", "r", id=5, who="apps"), NAMED[4]]
    assert (await job_refused(box, "setacl", {"path": path, "dacl": both}))[0][0] == "filesystem_acl.dacl.3.who"
    nobody = [*NAMED[:3], posix("USER", "r", who="eve"), NAMED[4]]
    assert await job_refused(box, "setacl", {"path": path, "dacl": nobody}) == [
        ("filesystem.setacl.3.who", "eve: account does not exist", 22)
    ]
    nfs4(box)
    denied = {**EVERYONE_FULL, "type": "DENY"}
    [(attribute, text, _)] = await job_refused(box, "setacl", {"path": path, "dacl": [EVERYONE_FULL, denied]})
    assert (attribute, text[:15]) == ("filesystem.setacl.dacl.1", "everyone@: DENY")
    assert (await job_refused(box, "setacl", {"path": path, "dacl": []}))[0][0] == "filesystem_acl.dacl"
    box("pool.dataset.update", "tank/fs", {"acltype": "OFF", "aclmode": "DISCARD"})
    with pytest.raises(CallError) as caught:
        await job(box, "setacl", {"path": path, "dacl": [EVERYONE_FULL]})
    assert caught.value.reason == f"[ENOTSUP] {path}: ACLs disabled on path."


async def test_an_nfsv4_list_is_canonical_and_shown_simplified(box, path):
    nfs4(box)
    deny = {
        "tag": "USER",
        "who": "apps",
        "type": "DENY",
        "perms": {"WRITE_DATA": True},
        "flags": {"BASIC": "NOINHERIT"},
    }
    acl = await job(box, "setacl", {"path": path, "dacl": [EVERYONE_FULL, deny], "nfs41_flags": {"protected": True}})
    assert [(ace["tag"], ace["type"], ace["flags"]) for ace in acl["acl"]] == [
        ("USER", "DENY", {"BASIC": "NOINHERIT"}),
        ("everyone@", "ALLOW", {"BASIC": "INHERIT"}),
    ]
    assert acl["acl"][1]["perms"] == {"BASIC": "FULL_CONTROL"}
    assert (acl["aclflags"]["protected"], bits(box, path)) == (True, 0o777)
    await job(box, "setacl", {"path": path, "dacl": [], "options": {"stripacl": True}})
    shown = box("filesystem.getacl", path)
    assert (shown["trivial"], shown["aclflags"]["protected"], bits(box, path)) == (True, False, 0o777)


async def test_a_recursive_list_reaches_what_is_below_as_inherited(box, path):
    nfs4(box)
    mkdir(box, path + "/d")
    box.filesystem("tank/fs/c")
    await job(box, "setacl", {"path": path, "dacl": [EVERYONE_FULL], "uid": 9, "options": ALL})
    [ace] = box("filesystem.getacl", path + "/d", False)["acl"]
    assert (ace["flags"]["INHERITED"], box("filesystem.stat", path + "/d")["uid"]) == (True, 9)
    assert box("filesystem.getacl", path + "/c")["trivial"] is True
    await job(box, "setacl", {"path": path, "dacl": [EVERYONE_FULL], "options": {**ALL, "traverse": True}})
    assert box("filesystem.getacl", path + "/c")["trivial"] is False


@pytest.mark.parametrize(("aclmode", "entries"), [("PASSTHROUGH", 4), ("DISCARD", 3)])
async def test_a_new_directory_inherits_and_gets_its_mode(box, path, aclmode, entries):
    nfs4(box)
    box.nas.db.run(
        "update dataset set local = json_set(local, '$.aclmode', ?) where name = 'tank/fs'", (aclmode.lower(),)
    )
    user = {**EVERYONE_FULL, "tag": "USER", "id": 5}
    await job(box, "setacl", {"path": path, "dacl": [user, EVERYONE_FULL]})
    mkdir(box, path + "/d", mode="700")
    assert (bits(box, path + "/d"), len(box("filesystem.getacl", path + "/d")["acl"])) == (0o700, entries)


async def test_a_restricted_list_forbids_another_mode(box, path):
    nfs4(box, aclmode="RESTRICTED")
    await job(box, "setacl", {"path": path, "dacl": [EVERYONE_FULL]})
    assert box.failed("filesystem.mkdir", {"path": path + "/d"}) == (
        22,
        f"[Errno 1] Operation not permitted: '{path}/d'",
    )
    assert listed(box, path) == []
    mkdir(box, path + "/d", raise_chmod_error=False)
    assert bits(box, path + "/d") == 0o777


def test_directories_follow_a_rename_and_go_with_their_dataset(box, path):
    mkdir(box, path + "/d")
    box("pool.snapshot.create", {"dataset": "tank/fs", "name": "s"})
    box("pool.dataset.rename", "tank/fs", {"new_name": "tank/z", "force": True})
    assert listed(box, "/mnt/tank/z") == ["d"]
    assert box.failed("filesystem.stat", path + "/d")[0] == 2
    box("pool.dataset.delete", "tank/z", {"recursive": True})
    assert box.nas.db.value("select count(*) from directory") == 0
    assert listed(box, box.filesystem("tank/z")) == []


async def test_rollback_brings_directories_and_permissions_back(box, path):
    mkdir(box, path + "/old")
    box("pool.snapshot.create", {"dataset": "tank/fs", "name": "s"})
    mkdir(box, path + "/new")
    await job(box, "setperm", {"path": path + "/old", "mode": "700"})
    box("pool.snapshot.rollback", "tank/fs@s")
    assert (listed(box, path), bits(box, path + "/old")) == (["old"], 0o755)
    box("pool.snapshot.delete", "tank/fs@s")
    assert box.nas.db.value("select count(*) from directory where snapshot <> 0") == 0


def test_a_clone_starts_with_the_snapshots_directories(box, path):
    mkdir(box, path + "/old")
    box("pool.snapshot.create", {"dataset": "tank/fs", "name": "s"})
    mkdir(box, path + "/new")
    box("pool.snapshot.clone", {"snapshot": "tank/fs@s", "dataset_dst": "tank/c"})
    mkdir(box, "/mnt/tank/c/own")
    assert (listed(box, "/mnt/tank/c"), listed(box, path)) == (["old", "own"], ["new", "old"])
    box("pool.dataset.promote", "tank/c")
    box("pool.dataset.delete", "tank/fs")
    box("pool.snapshot.rollback", "tank/c@s")
    assert listed(box, "/mnt/tank/c") == ["old"]


def test_a_directory_can_be_exported_until_its_dataset_goes(box, path):
    mkdir(box, path + "/d")
    assert box("sharing.nfs.create", {"path": path + "/d/"})["path"] == path + "/d"
    for other in ("/mnt", path + "/none", path + "/../fs", path + "//d"):
        assert box.refused("sharing.nfs.create", {"path": other})[0][0] == "sharingnfs_create.path"
    box("pool.dataset.delete", "tank/fs")
    assert box("sharing.nfs.query") == []


@pytest.mark.parametrize("acltype", ["NFSV4", "OFF"])
async def test_a_list_of_another_kind_is_not_seen(box, path, acltype):
    default = [{**ace, "default": True} for ace in BASE]
    await job(box, "setacl", {"path": path, "dacl": [*NAMED, *default]})
    aclmode = "DISCARD" if acltype == "OFF" else "RESTRICTED"
    box("pool.dataset.update", "tank/fs", {"acltype": acltype, "aclmode": aclmode})
    assert box("filesystem.getacl", path)["trivial"] is True
    assert box("filesystem.stat", path)["acl"] is False
    mkdir(box, path + "/d")
    assert box("filesystem.getacl", path + "/d")["trivial"] is True
    box("pool.dataset.update", "tank/fs", {"acltype": "POSIX", "aclmode": "DISCARD"})
    assert box("filesystem.getacl", path)["trivial"] is False
    mkdir(box, path + "/e", mode="700")
    assert (bits(box, path + "/e"), len(box("filesystem.getacl", path + "/e")["acl"])) == (0o700, 6)


def test_changes_of_permissions_wait_for_each_other(box):
    methods = [box.nas.registry.methods[f"filesystem.{name}"] for name in ("setacl", "setperm", "chown")]
    assert [method.job.lock({}) for method in methods] == ["perm_change"] * 3


async def test_over_the_wire_a_job_has_a_number_and_a_missing_path_its_errno(client):
    await client.call("pool.dataset.create", {"name": "tank/fs"})
    error = await client.refused("filesystem.stat", "/mnt/tank/none")
    assert (error.code, error.data["error"], error.data["errname"]) == (-32001, 2, "ENOENT")
    data = {"path": "/mnt/tank/fs", "dacl": NAMED}
    number = await client.call("filesystem.setacl", data)
    assert type(number) is int
    waiting = await client.call("core.job_wait", number)
    await client.call("core.job_wait", waiting)
    [job] = await client.call("core.get_jobs", [["id", "=", number]])
    assert (job["state"], job["result"]["acl"]) == (
        "SUCCESS",
        (await client.call("filesystem.getacl", data["path"]))["acl"],
    )


def test_finding_a_directory_costs_the_same_however_many_there_are():
    def cost(count: int) -> list[int]:
        box = Box()
        box.filesystem("tank/fs")
        box.filesystem("tank/other")
        for n in range(count):
            mkdir(box, f"/mnt/tank/fs/d{n}")
        steps = [
            box.steps("filesystem.stat", "/mnt/tank/fs/d7"),
            box.steps("filesystem.mkdir", {"path": "/mnt/tank/fs/d7/e"}),
            box.steps("filesystem.getacl", "/mnt/tank/fs/d7"),
            box.steps("filesystem.statfs", "/mnt/tank/fs/d7"),
            box.steps("filesystem.listdir", "/mnt/tank/fs/d7"),
            box.steps("pool.dataset.delete", "tank/other"),
        ]
        box.nas.close()
        return steps

    assert all(many <= few + 2 for few, many in zip(cost(20), cost(800), strict=True))


PATHS = st.sampled_from(
    ["/mnt", "/mnt/tank", "/mnt/tank/fs", "/mnt/tank/fs/d", "/mnt/tank/fs/../x", "x", "/", "\0", ""]
)
VALUES = st.none() | st.booleans() | st.integers(-2, 600) | PATHS | st.sampled_from(["755", "000", "apps", "9"])


@settings(max_examples=80)
@given(method=st.sampled_from(["stat", "statfs", "listdir", "getacl"]), path=PATHS | VALUES, made=PATHS, mode=VALUES)
def test_whatever_is_asked_ends_with_a_result_or_a_refusal(method, path, made, mode):
    box = Box()
    box.filesystem("tank/fs")
    for call in (("mkdir", {"path": made, "options": {"mode": mode}}), ("mkdir", {"path": made}), (method, path)):
        with suppress(ApiError):
            box(f"filesystem.{call[0]}", call[1])
        assert not box.nas.db.connection.in_transaction
    box.nas.close()


def test_basic_sets_are_read_back_as_they_were_written():
    for name in acls.BASIC_PERMS:
        ace = {"tag": "everyone@", "type": "ALLOW", "perms": {"BASIC": name}, "flags": {"BASIC": "INHERIT"}, "id": -1}
        assert acls.simplified(acls.full_nfs4(ace)) == ace


async def test_a_list_for_somebody_who_cannot_reach_the_path_is_refused(box, path):
    nfs4(box)
    mkdir(box, path + "/d", mode="700")
    mkdir(box, path + "/d/e")
    apps = {**EVERYONE_FULL, "tag": "USER", "id": 568}
    data = {"path": path + "/d/e", "dacl": [apps]}
    text = (
        f'Filesystem permissions on path {path}/d prevent access for user "apps" to the path {path}/d/e. This may be'
        f" fixed by granting the aforementioned user execute permissions on the path: {path}/d."
    )
    with pytest.raises(CallError, match="prevent access") as caught:
        await job(box, "setacl", data)
    assert (caught.value.errno, caught.value.text) == (1, text)
    assert box("filesystem.getacl", path + "/d/e")["trivial"] is True
    await job(box, "setacl", {**data, "options": {"validate_effective_acl": False}})
    await job(box, "setacl", {"path": path + "/d", "dacl": [EVERYONE_FULL, apps]})
    await job(box, "setacl", data)
    mkdir(box, path + "/f", mode="700")
    mkdir(box, path + "/f/g")
    with pytest.raises(CallError, match='group "users"'):
        await job(box, "setacl", {"path": path + "/f/g", "dacl": [{**apps, "tag": "GROUP", "id": 100}]})
