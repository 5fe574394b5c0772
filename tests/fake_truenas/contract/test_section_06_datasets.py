"""Pools and datasets, row by row, over a real socket."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from fake_truenas import Nas
from tests.fake_truenas.objects import create, get, names, snap, used, volume
from tests.fake_truenas.releases import release
from tests.fake_truenas.rpc import GIB, Client, RpcError


@pytest.fixture(params=["25.04", "25.10", "26.0"])
async def each(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Client, str]]:
    """(client, release) for the releases that speak JSON-RPC."""
    async with release(request.param) as client:
        yield client, request.param


async def ids(client: Client, filters: Any = None, **extra: Any) -> list[str]:
    rows = await client.call("pool.dataset.query", filters or [], {"select": ["id"], "extra": extra})
    return [row["id"] for row in rows]


async def wrong(client: Client, data: Any, method: str = "create", *name: str) -> list[tuple[Any, ...]]:
    """The triples of a validation error."""
    error = await client.refused(f"pool.dataset.{method}", *name, data)
    assert (error.code, error.message, error.data["error"], error.data["errname"]) == (
        -32602, "Invalid params", 22, "EINVAL",
    )  # fmt: skip
    return error.items


def refusal(error: RpcError) -> tuple[int, str]:
    """Name of the errno and text of a call error."""
    assert (error.code, error.message) == (-32001, "Method call error")
    name, _, text = error.reason.partition("] ")
    assert name == f"[{error.data['errname']}"
    return error.data["error"], text


POOL_KEYS = {
    "id", "name", "guid", "status", "path", "scan", "expand", "is_upgraded", "healthy", "warning", "status_code",
    "status_detail", "size", "allocated", "free", "freeing", "dedup_table_size", "dedup_table_quota", "fragmentation",
    "size_str", "allocated_str", "free_str", "freeing_str", "autotrim", "topology",
}  # fmt: skip


async def test_a_pool_has_these_members_and_no_other(each: tuple[Client, str]) -> None:
    client, _ = each
    (entry,) = await client.call("pool.query")
    assert set(entry) == POOL_KEYS
    assert (entry["path"], entry["status"], type(entry["guid"]), type(entry["fragmentation"])) == (
        "/mnt/tank", "ONLINE", str, str,
    )  # fmt: skip
    assert set(entry["autotrim"]) == {"parsed", "rawvalue", "source", "value"}
    assert set(entry["topology"]) == {"data", "log", "cache", "spare", "special", "dedup"}
    stats = entry["topology"]["data"][0]["stats"]
    assert [stats[key] for key in ("size", "allocated", "free")] == [1 << 40, 0, 1 << 40]
    assert [entry[key] for key in ("size", "free", "size_str", "freeing_str")] == [1 << 40, 1 << 40, "1T", "0"]


async def test_entries_have_property_objects_and_plain_members(client: Client) -> None:
    entry = await create(client, "tank/fs", quota=2 * GIB, recordsize="1M", readonly="ON", quota_warning=80)
    wide = {"parsed", "rawvalue", "value", "source", "source_info"}
    plain = {"id", "type", "name", "pool", "encrypted", "encryption_root", "key_loaded", "children", "user_properties",
             "locked", "mountpoint"}  # fmt: skip
    assert all(set(item) == wide for key, item in entry.items() if key not in plain)
    assert plain < set(entry)
    assert (entry["id"], entry["name"], entry["mountpoint"]) == ("tank/fs", "tank/fs", "/mnt/tank/fs")
    assert entry["quota"] == {
        "parsed": 2 * GIB, "rawvalue": str(2 * GIB), "value": "2G", "source": "LOCAL", "source_info": None,
    }  # fmt: skip
    for key in ("refquota", "reservation", "refreservation"):
        assert (entry[key]["rawvalue"], entry[key]["parsed"], entry[key]["value"]) == ("0", None, None)
    assert (entry["recordsize"]["value"], entry["recordsize"]["parsed"]) == ("1M", 1 << 20)
    assert [entry["readonly"][key] for key in ("rawvalue", "parsed", "value")] == ["on", True, "ON"]
    assert [entry["origin"][key] for key in ("parsed", "value", "rawvalue")] == ["", "", ""]
    assert (entry["creation"]["parsed"], entry["creation"]["value"]) == (
        {"$date": 1_700_000_000_000}, "Tue Nov 14 22:13 2023",
    )  # fmt: skip
    assert (entry["quota_warning"]["value"], entry["compression"]["source"], entry["sync"]["source"]) == (
        "80", "INHERITED", "DEFAULT",
    )  # fmt: skip
    assert not {"volsize", "volblocksize"} & set(entry)
    zvol = await volume(client, "tank/v")
    assert (zvol["mountpoint"], zvol["volblocksize"]["value"]) == (None, "16K")
    assert not {"quota", "refquota", "acltype", "aclmode", "recordsize"} & set(zvol)


async def test_comments_and_the_like_are_moved_and_user_properties_inherit(client: Client) -> None:
    pairs = [
        ("org.freenas:description", "c"),
        ("org.truenas:managedby", "me"),
        ("org.freenas:other", "o"),
        ("a:b", "1"),
    ]
    await create(client, "tank/p", user_properties=[{"key": key, "value": value} for key, value in pairs])
    entry = await create(client, "tank/p/c")
    assert {key: entry[key]["value"] for key in ("comments", "managedby")} == {"comments": "c", "managedby": "me"}
    assert {key: (item["value"], item["source"], item["source_info"]) for key, item in entry["user_properties"].items()} == {
        "a:b": ("1", "INHERITED", "tank/p"), "org.freenas:other": ("o", "INHERITED", "tank/p"),
    }  # fmt: skip
    cut = await snap(client, "tank/p/c", "s")
    assert cut["properties"]["a:b"]["source"] == "INHERITED"
    by_value = [["user_properties.a:b.value", "=", "1"]]
    assert await ids(client, by_value) == ["tank/p", "tank/p/c"]
    assert await ids(client, by_value, retrieve_user_props=False) == []


async def test_extra_says_what_is_listed_and_how_much_of_each_is_shown(client: Client) -> None:
    await create(client, "tank/a")
    await volume(client, "tank/a/v")
    flat = await client.call("pool.dataset.query")
    assert [row["id"] for row in flat] == ["tank", "tank/a", "tank/a/v"]
    assert flat[0]["children"] == [flat[1]]
    assert await client.call("pool.dataset.query", [], {"extra": {"flat": False}}) == flat[:1]
    # Without filters nothing below the roots is looked at for a query that wants no children.
    assert await ids(client, retrieve_children=False) == ["tank"]
    assert await ids(client, [["id", "^", "tank/"]], retrieve_children=False, flat=False) == ["tank/a", "tank/a/v"]
    (bare,) = await client.call(
        "pool.dataset.query", [["id", "=", "tank/a/v"]],
        {"extra": {"retrieve_children": False, "properties": ["refquota", "volsize", "used"]}},
    )  # fmt: skip
    assert (bare["children"], "refquota" in bare, {"volsize", "used"} <= set(bare)) == ([], False, True)
    for name in ("s1", "s2"):
        await snap(client, "tank/a/v", name)
    extra: dict[str, Any] = {"properties": [], "snapshots": True, "snapshots_count": True, "retrieve_user_props": False}
    entry = await client.call("pool.dataset.get_instance", "tank/a/v", {"extra": extra})
    assert (entry["snapshot_count"], entry["user_properties"]) == (2, {})
    assert [one["name"] for one in entry["snapshots"]] == ["tank/a/v@s1", "tank/a/v@s2"]
    assert set(entry["snapshots"][0]) == {"pool", "name", "type", "snapshot_name", "dataset", "id", "createtxg"}
    extra["snapshots_properties"] = ["used", "creation"]
    entry = await client.call("pool.dataset.get_instance", "tank/a/v", {"extra": extra})
    assert set(entry["snapshots"][0]["properties"]) == {"used", "creation"}
    (page,) = await client.call(
        "pool.dataset.query", [], {"order_by": ["-id"], "limit": 1, "offset": 1, "select": ["id"]}
    )
    assert page == {"id": "tank/a"}


@pytest.mark.parametrize("name", ["tank/.system", "tank/ix-apps", "tank/ix-applications", "tank/a/.system/x"])
async def test_what_truenas_keeps_for_itself_is_hidden_and_its_names_are_refused(client: Client, name: str) -> None:
    await create(client, "tank/a")
    text = f"'{name}' is using system internal managed dataset. Please specify a different parent."
    assert await wrong(client, {"name": name, "create_ancestors": True}) == [("pool_dataset_create.name", text, 22)]
    await snap(client, "tank/a", "s")
    if name.count("/") == 1:  # ZFS's own verbs do not look at names
        await client.call("pool.snapshot.clone", {"snapshot": "tank/a@s", "dataset_dst": name})
        await client.call("pool.snapshot.clone", {"snapshot": "tank/a@s", "dataset_dst": name + "/below"})
    assert await ids(client) == ["tank", "tank/a"]
    assert await client.call("pool.dataset.query", [], {"count": True}) == 2
    assert [child["id"] for child in (await get(client, "tank"))["children"]] == ["tank/a"]
    error = await client.refused("pool.dataset.get_instance", name)
    assert error.items == [(None, f"PoolDataset {name} does not exist", 2)]


@pytest.mark.row("6.3 name", "6.3 parent missing")
async def test_a_name_needs_a_parent_unless_ancestors_are_to_be_made(client: Client) -> None:
    assert await wrong(client, {}) == [("data.name", "Field required", 22)]
    for name, text in [
        ("tank/no/x", "Parent dataset (tank/no) does not exist."), ("other/x", "zpool (other) does not exist."),
    ]:  # fmt: skip
        assert await wrong(client, {"name": name}) == [("pool_dataset_create.name", text, 22)]
    entry = await create(client, "tank/no/x/y", create_ancestors=True)
    assert (entry["id"], await ids(client)) == ("tank/no/x/y", ["tank", "tank/no", "tank/no/x", "tank/no/x/y"])
    text = "Please specify a pool which exists for the dataset/volume to be created"
    assert await wrong(client, {"name": "other/x", "create_ancestors": True}) == [
        ("pool_dataset_create.name", text, 22)
    ]


@pytest.mark.row("6.3 bad name")
@pytest.mark.parametrize(
    ("name", "text"),
    [("nopool", "You need a full name, e.g. pool/newdataset"), ("tank/a//b", "Invalid dataset name"),
     ("tank/ä", "Invalid dataset name"), ("tank/a@b", "Invalid dataset name"), ("tank/", "Invalid dataset name"),
     ("tank/" + "x" * 251, "Invalid dataset name"), ("tank/a ", "Trailing spaces are not permitted in dataset names")],
)  # fmt: skip
async def test_a_bad_name_is_refused_under_the_name_of_the_schema(client: Client, name: str, text: str) -> None:
    assert await wrong(client, {"name": name}) == [("pool_dataset_create.name", text, 22)]


@pytest.mark.row("6.3 type", "6.3 volsize")
async def test_a_dataset_is_a_file_system_unless_it_is_to_be_a_volume_of_a_size(client: Client) -> None:
    assert (await create(client, "tank/fs"))["type"] == "FILESYSTEM"
    assert (await wrong(client, {"name": "tank/x", "type": "SNAPSHOT"}))[0][0] == "data.type"
    required = ("pool_dataset_create.volsize", "This field is required for VOLUME", 22)
    assert await wrong(client, {"name": "tank/v", "type": "VOLUME"}) == [required]
    plain = await create(client, "tank/v", type="VOLUME", volsize=GIB)
    assert (plain["type"], plain["volsize"]["parsed"], plain["volblocksize"]["parsed"]) == ("VOLUME", GIB, 16384)
    assert GIB < plain["refreservation"]["parsed"] < 1.02 * GIB
    for size in ("512", "128K"):
        entry = await volume(client, f"tank/v{size}", volblocksize=size)
        assert (entry["volblocksize"]["value"], entry["refreservation"]["parsed"]) == (size, None)
    assert (await wrong(client, {"name": "tank/w", "type": "VOLUME", "volsize": GIB, "volblocksize": "256K"}))[0][
        0
    ] == ("data.volblocksize")
    huge: dict[str, Any] = {"name": "tank/huge", "type": "VOLUME", "volsize": 900 * GIB, "sparse": True}
    assert len(await wrong(client, huge)) == 1
    assert (await create(client, **{**huge, "force_size": True}))["volsize"]["parsed"] == 900 * GIB
    given = {"volsize": GIB, "volblocksize": "16K", "sparse": True, "force_size": True}
    assert await wrong(client, {"name": "tank/x", **given}) == [
        (f"pool_dataset_create.{field}", "This field is not valid for FILESYSTEM", 22)
        for field in ("force_size", "sparse", "volsize", "volblocksize")
    ]


@pytest.mark.row("6.3 quota", "6.3 reservation")
async def test_quotas_start_at_a_gibibyte_and_reservations_are_numbers(client: Client) -> None:
    for field in ("quota", "refquota"):
        for value in (0, None, GIB):
            entry = await create(client, f"tank/{field}{value}", **{field: value})
            assert entry[field]["parsed"] == (value or None)
        for value in (1, GIB - 1):
            text = f"Input should be greater than or equal to {GIB}"
            assert await wrong(client, {"name": "tank/x", field: value}) == [(f"data.{field}", text, 22)]
        data = {"name": "tank/x", "type": "VOLUME", "volsize": GIB, field: GIB}
        text = "This field is not valid for VOLUME"
        assert await wrong(client, data) == [(f"pool_dataset_create.{field}", text, 22)]
    for field in ("reservation", "refreservation"):
        entry = await create(client, f"tank/{field}", **{field: 5})
        assert (entry[field]["parsed"], entry["used"]["parsed"]) == (5, 5 if field == "refreservation" else 0)
        for odd in (None, "5", True):
            assert await wrong(client, {"name": "tank/x", field: odd}) == [
                (f"data.{field}", "Input should be a valid integer", 22)
            ]
    assert await used(client) == 10


@pytest.mark.row("6.3 compression")
async def test_settings_are_upper_case_words_or_inherit(client: Client) -> None:
    settings = {
        "compression": "ZSTD-3", "sync": "ALWAYS", "atime": "ON", "exec": "OFF", "readonly": "OFF",
        "deduplication": "VERIFY", "checksum": "SHA512", "snapdir": "VISIBLE", "acltype": "NFSV4",
        "aclmode": "PASSTHROUGH", "casesensitivity": "INSENSITIVE", "recordsize": "64K", "copies": 2, "snapdev": "VISIBLE",
    }  # fmt: skip
    entry = await create(client, "tank/set", **settings)
    assert {key: entry[key]["value"] for key in settings} == {key: str(value) for key, value in settings.items()}
    assert {entry[key]["source"] for key in settings} == {"LOCAL"}
    assert all(entry[key]["rawvalue"] == entry[key]["value"].lower() for key in settings if key != "recordsize")
    inherited = await create(client, "tank/set/in", **dict.fromkeys(settings, "INHERIT"))
    assert {inherited[key]["source"] for key in settings if key != "casesensitivity"} == {"INHERITED"}
    for key in settings:
        if key not in {"copies", "recordsize"}:
            ((attribute, text, _),) = await wrong(client, {"name": "tank/x", key: "zstd"})
            assert (attribute, text.startswith("Input should be '")) == (f"data.{key}", True)
    refused: list[tuple[dict[str, Any], tuple[str, str]]] = [
        ({"recordsize": "3K"}, ("recordsize", "'3K' is an invalid recordsize.")),
        ({"acltype": "NFSV4"}, ("aclmode", "DISCARD aclmode may not be set for NFSv4 acl type")),
        ({"aclmode": "RESTRICTED"}, ("aclmode", "Must be set to DISCARD when acltype is POSIX or OFF")),
        ({"special_small_block_size": 600},
         ("special_small_block_size", "This field must be zero or a power of 2 from 512B to 1M")),
    ]  # fmt: skip
    for data, item in refused:
        assert await wrong(client, {"name": "tank/x", **data}) == [(f"pool_dataset_create.{item[0]}", item[1], 22)]
    entry = await client.call(
        "pool.dataset.update", "tank/set", dict.fromkeys(("compression", "acltype", "aclmode"), "INHERIT")
    )
    assert [entry[key]["value"] for key in ("compression", "acltype", "aclmode")] == ["LZ4", "POSIX", "DISCARD"]


@pytest.mark.row("6.3 share_type")
async def test_a_share_type_presets_access_lists_and_case(client: Client) -> None:
    keys = ("acltype", "aclmode", "casesensitivity")
    for kind, expected in [
        ("SMB", ["NFSV4", "RESTRICTED", "INSENSITIVE"]),
        *((kind, ["NFSV4", "PASSTHROUGH", "SENSITIVE"]) for kind in ("MULTIPROTOCOL", "NFS", "APPS")),
        ("GENERIC", ["POSIX", "DISCARD", "SENSITIVE"]),
    ]:
        entry = await create(client, f"tank/{kind}", share_type=kind)
        assert [entry[key]["value"] for key in keys] == expected
    assert (await wrong(client, {"name": "tank/x", "share_type": "smb"}))[0][0] == "data.share_type"


@pytest.mark.row("6.3 user_properties", "6.3 comments")
async def test_user_properties_have_a_colon_and_at_most_1024_characters(client: Client) -> None:
    longest = "v" * 1024
    entry = await create(
        client, "tank/u", user_properties=[{"key": "a:b", "value": longest}], comments="mine", managedby="csi",
        quota_warning=0, quota_critical=100, refquota_warning="INHERIT", encryption=False, encryption_options={},
        inherit_encryption=True, create_ancestors=False,
    )  # fmt: skip
    assert entry["user_properties"]["a:b"]["value"] == longest
    shown = {key: entry[key]["value"] for key in ("comments", "managedby", "quota_warning", "quota_critical")}
    assert shown == {"comments": "mine", "managedby": "csi", "quota_warning": "0", "quota_critical": "100"}
    assert "refquota_warning" not in entry
    for item, attribute in [
        ({"key": "nocolon", "value": "v"}, "key"), ({"key": "a:b", "value": longest + "v"}, "value"), ({"key": "a:b"}, "value"),
    ]:  # fmt: skip
        items = await wrong(client, {"name": "tank/x", "user_properties": [item]})
        assert [item[0] for item in items] == [f"data.user_properties.0.{attribute}"]
    assert (await wrong(client, {"name": "tank/x", "quota_warning": 101}))[0][0] == "data.quota_warning"
    # Encryption itself is not offered.
    assert await wrong(client, {"name": "tank/x", "encryption": True, "inherit_encryption": False}) == [
        ("pool_dataset_create.encryption", "Encrypted datasets are not offered by this server", 22)
    ]
    text = "Must be disabled when encryption is enabled."
    assert (await wrong(client, {"name": "tank/x", "encryption": True}))[0] == (
        "pool_dataset_create.inherit_encryption", text, 22,
    )  # fmt: skip


@pytest.mark.row("6.3 FILESYSTEM exists", "6.3 VOLUME exists")
async def test_an_existing_file_system_is_found_by_its_path_and_an_existing_volume_by_zfs(client: Client) -> None:
    await create(client, "tank/fs")
    await volume(client, "tank/v")
    await client.call("filesystem.mkdir", {"path": "/mnt/tank/dir"})
    for name in ("fs", "dir"):
        for more in ({}, {"type": "VOLUME", "volsize": GIB}):
            assert await wrong(client, {"name": f"tank/{name}", **more}) == [
                ("pool_dataset_create.name", f"Path /mnt/tank/{name} already exists", 22)
            ]
    for more in ({}, {"type": "VOLUME", "volsize": GIB}):
        error = await client.refused("pool.dataset.create", {"name": "tank/v", **more})
        assert refusal(error) == (14, "Failed to create dataset: cannot create 'tank/v': dataset already exists")


@pytest.mark.row("6.3 wrong size or field")
async def test_sizes_and_fields_that_do_not_fit_are_validation_errors(client: Client) -> None:
    data = {"name": "tank/v", "type": "VOLUME", "volsize": GIB, "sparse": True}
    too_big = "It is not recommended to use more than 80% of your available space for VOLUME"
    refused: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
        ({"volsize": 900 * GIB}, [("volsize", too_big)]),
        ({"volsize": GIB + 512}, [("volsize", "Volume size should be a multiple of volume block size")]),
        ({"volsize": 900 * GIB + 1}, [("volsize", too_big), ("volsize", "Volume size should be a multiple of volume block size")]),
        ({"recordsize": "1M", "atime": "ON"}, [(key, "This field is not valid for VOLUME") for key in ("atime", "recordsize")]),
    ]  # fmt: skip
    for more, items in refused:
        assert await wrong(client, {**data, **more}) == [
            (f"pool_dataset_create.{field}", text, 22) for field, text in items
        ]
    await volume(client, "tank/v", volsize=900 * GIB, force_size=True)
    text = "tank/v: parent may not be a ZFS volume"
    assert await wrong(client, {"name": "tank/v/x"}) == [("pool_dataset_create.name", text, 22)]
    await create(client, "tank/ro", readonly="ON")
    text = "Turn off readonly mode on tank/ro to create tank"
    assert await wrong(client, {"name": "tank/ro/x"}) == [("pool_dataset_create.readonly", text, 22)]


@pytest.mark.row("6.3 no space")
async def test_a_reservation_without_space_is_a_call_error(client: Client) -> None:
    await create(client, "tank/big", type="VOLUME", volsize=700 * GIB)
    data = {"name": "tank/b2", "type": "VOLUME", "volsize": 700 * GIB, "force_size": True}
    error = await client.refused("pool.dataset.create", data)
    assert refusal(error) == (14, "Failed to create dataset: cannot create 'tank/b2': out of space")
    assert await ids(client) == ["tank", "tank/big"]


CREATE_ONLY = ("name", "type", "casesensitivity", "share_type", "sparse", "volblocksize", "encryption",
               "encryption_options", "inherit_encryption")  # fmt: skip


@pytest.mark.row("6.4 pool.dataset.update")
async def test_update_changes_what_is_not_fixed_at_creation(client: Client) -> None:
    await create(client, "tank/fs", comments="old", user_properties=[{"key": "a:x", "value": "1"}])
    await volume(client, "tank/v")
    entry = await client.call(
        "pool.dataset.update", "tank/fs",
        {"refquota": GIB, "compression": "OFF", "comments": "new",
         "user_properties_update": [{"key": "a:x", "remove": True}, {"key": "a:y", "value": "2"}]},
    )  # fmt: skip
    assert entry == await get(client, "tank/fs")
    assert (entry["refquota"]["parsed"], entry["compression"]["value"], entry["comments"]["value"]) == (
        GIB,
        "OFF",
        "new",
    )
    assert {key: item["value"] for key, item in entry["user_properties"].items()} == {"a:y": "2"}
    entry = await client.call("pool.dataset.update", "tank/fs", {"user_properties": [{"key": "a:z", "value": "3"}]})
    assert list(entry["user_properties"]) == ["a:z"]
    for field in CREATE_ONLY:
        assert await wrong(client, {field: "x"}, "update", "tank/fs") == [
            (f"data.{field}", "Extra inputs are not permitted", 22)
        ]
    assert await wrong(client, {}, "update", "tank/no") == [("id", "tank/no does not exist", 2)]
    shrunk = "You cannot shrink a zvol from GUI, this may lead to data loss."
    assert await wrong(client, {"volsize": GIB // 2}, "update", "tank/v") == [
        ("pool_dataset_update.volsize", shrunk, 22)
    ]
    assert (await client.call("pool.dataset.update", "tank/v", {"volsize": 2 * GIB}))["volsize"]["parsed"] == 2 * GIB
    at = "pool_dataset_update.user_properties_update"
    refused: list[tuple[dict[str, Any], str, str]] = [
        ({"value": "1", "remove": True}, f"{at}.0.remove", 'When "value" is specified, this cannot be set'),
        ({}, f"{at}.0.value", 'Either "value" or "remove" must be specified'),
        ({"remove": True}, "properties.a:b", "Property does not exist and cannot be inherited"),
    ]
    for change, attribute, text in refused:
        data = {"user_properties_update": [{"key": "a:b", **change}]}
        assert await wrong(client, data, "update", "tank/fs") == [(attribute, text, 22)]
    both = {"user_properties": [{"key": "a:b", "value": "1"}], "user_properties_update": [{"key": "a:b", "value": "1"}]}
    text = 'Should not be specified when "user_properties" are explicitly specified'
    assert await wrong(client, both, "update", "tank/fs") == [(at, text, 22)]


@pytest.mark.row("6.4 pool.dataset.delete")
async def test_delete_gives_true_and_refuses_in_zfss_words(each: tuple[Client, str]) -> None:
    client, version = each
    space = "zfs.snapshot" if version == "25.04" else "pool.snapshot"
    failed = "Failed to delete dataset: cannot destroy 'tank/d'"
    error = await client.refused("pool.dataset.delete", "tank/d")
    assert (error.code, error.items) == (-32602, [(None, "PoolDataset tank/d does not exist", 2)])
    await create(client, "tank/d")
    await create(client, "tank/d/c")
    error = await client.refused("pool.dataset.delete", "tank/d", {"recursive": False, "force": True})
    assert (refusal(error), error.data["errname"]) == ((39, f"{failed}: filesystem has children"), "ENOTEMPTY")
    assert await client.call("pool.dataset.delete", "tank/d/c", {"recursive": False, "force": False}) is True
    await client.call(f"{space}.create", {"dataset": "tank/d", "name": "s"})
    error = await client.refused("pool.dataset.delete", "tank/d")
    text = f"{failed}: filesystem has children\nuse '-r' to destroy the following datasets:\ntank/d@s"
    assert refusal(error) == (14, text)
    assert await client.call("pool.dataset.delete", "tank/d", {"recursive": True}) is True
    assert await ids(client) == ["tank"]


@pytest.mark.row("12 recursive delete", "6.4 pool.dataset.delete")
async def test_from_26_on_a_recursive_delete_takes_clones_elsewhere_and_releases_holds(
    each: tuple[Client, str],
) -> None:
    client, version = each
    space = "zfs.snapshot" if version == "25.04" else "pool.snapshot"

    async def snapshot_and_clone(dataset: str, clone: str) -> None:
        await client.call(f"{space}.create", {"dataset": dataset, "name": "s"})
        await client.call(f"{space}.clone", {"snapshot": f"{dataset}@s", "dataset_dst": clone})

    await create(client, "tank/d")
    await snapshot_and_clone("tank/d", "tank/clone")
    await create(client, "tank/clone/below")
    await snapshot_and_clone("tank/clone/below", "tank/second")
    await create(client, "tank/h")
    await client.call(f"{space}.create", {"dataset": "tank/h", "name": "s"})
    await client.call(f"{space}.hold", "tank/h@s")
    if version == "26.0":
        assert await client.call("pool.dataset.delete", "tank/h", {"recursive": True}) is True
        assert await client.call("pool.dataset.delete", "tank/d", {"recursive": True}) is True
        assert (await ids(client), await used(client)) == (["tank"], 0)
        return
    error = await client.refused("pool.dataset.delete", "tank/d", {"recursive": True, "force": True})
    text = "filesystem has dependent clones\nuse '-R' to destroy the following datasets:\ntank/clone"
    assert refusal(error) == (14, f"Failed to delete dataset: cannot destroy 'tank/d': {text}")
    error = await client.refused("pool.dataset.delete", "tank/h", {"recursive": True})
    text = "Failed to delete dataset: cannot destroy snapshot tank/h@s: dataset is busy"
    assert (refusal(error), error.data["errname"]) == ((16, text), "EBUSY")
    assert len(await ids(client)) == 6


@pytest.mark.row("6.4 pool.dataset.delete")
async def test_what_shares_a_dataset_goes_first_and_stays_gone_when_zfs_refuses(client: Client, nas: Nas) -> None:
    for name in ("fs", "fs/in", "other"):
        await create(client, f"tank/{name}")
    for name in ("u", "v"):
        await volume(client, f"tank/fs/{name}")
    await snap(client, "tank/fs", "s", recursive=True)
    await client.call("pool.snapshot.hold", "tank/fs@s")
    for path in ("fs", "fs/in", "other"):
        await client.call("sharing.nfs.create", {"path": f"/mnt/tank/{path}"})
    await client.call("sharing.smb.create", {"name": "off", "path": "/mnt/tank/fs", "enabled": False})
    await client.call("sharing.smb.create", {"name": "in", "path": "/mnt/tank/fs/in"})
    await volume(client, "tank/w")
    for name, zvol, target in (("e", "fs/v", "alone"), ("f", "fs/u", "shared"), ("w", "w", "shared")):
        extent = await client.call("iscsi.extent.create", {"name": name, "disk": f"zvol/tank/{zvol}"})
        known = await client.call("iscsi.target.query", [["name", "=", target]])
        shown = known[0] if known else await client.call("iscsi.target.create", {"name": target})
        await client.call("iscsi.targetextent.create", {"target": shown["id"], "extent": extent["id"]})

    async def left() -> dict[str, list[Any]]:
        kinds = {"sharing.nfs": "path", "sharing.smb": "name", "iscsi.extent": "name", "iscsi.target": "name"}
        return {kind: [row[key] for row in await client.call(f"{kind}.query")] for kind, key in kinds.items()}

    # Child datasets are seen before anything is removed.
    before = await left()
    assert refusal(await client.refused("pool.dataset.delete", "tank/fs"))[0] == 39
    assert await left() == before
    # A held snapshot is seen by ZFS, which comes last. What is disabled is no attachment.
    assert refusal(await client.refused("pool.dataset.delete", "tank/fs", {"recursive": True}))[0] == 16
    after = {
        "sharing.nfs": ["/mnt/tank/other"], "sharing.smb": ["off"], "iscsi.extent": ["w"], "iscsi.target": ["shared"],
    }  # fmt: skip
    assert await left() == after
    assert (await ids(client), len(await names(client))) == (
        ["tank", "tank/fs", "tank/fs/in", "tank/fs/u", "tank/fs/v", "tank/other", "tank/w"], 4,
    )  # fmt: skip
    assert not nas.db.connection.in_transaction


@pytest.mark.row("6.4 pool.dataset.delete")
@pytest.mark.parametrize("protocol", ["iscsi", "nvmet"])
async def test_a_zvol_with_a_session_is_busy_until_what_exports_it_is_gone(client: Client, protocol: str) -> None:
    await volume(client, "tank/v")
    if protocol == "iscsi":
        await client.call("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/v"})
        await client.call("iscsi.target.create", {"name": "t", "groups": [{"portal": 1}]})
        await client.call("iscsi.targetextent.create", {"target": 1, "extent": 1})
        await client.call("service.control", "START", "iscsitarget")
        name = "iqn.2005-10.org.freenas.ctl:t"
    else:
        subsys = await client.call("nvmet.subsys.create", {"name": "s", "allow_any_host": True})
        data = {"subsys_id": subsys["id"], "device_type": "ZVOL", "device_path": "zvol/tank/v"}
        await client.call("nvmet.namespace.create", data)
        await client.call("service.control", "START", "nvmet")
        name = subsys["subnqn"]
    initiator = (
        "iqn.1993-08.org.debian:01:x"
        if protocol == "iscsi"
        else "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555"
    )
    await client.call("fake.block.connect", {"protocol": protocol, "name": name, "initiator": initiator})
    error = await client.refused("pool.dataset.delete", "tank/v")
    text = "Failed to delete dataset: cannot destroy 'tank/v': dataset is busy"
    assert (refusal(error), error.data["errname"]) == ((16, text), "EBUSY")
    assert await client.call("pool.dataset.delete", "tank/v") is True
    assert [await client.call(f"{kind}.query") for kind in ("iscsi.extent", "iscsi.target", "nvmet.namespace")] == [
        []
    ] * 3


async def test_of_a_pool_only_what_is_below_its_root_can_be_deleted(each: tuple[Client, str]) -> None:
    client, version = each
    space = "zfs.snapshot" if version == "25.04" else "pool.snapshot"
    await create(client, "tank/a/b", create_ancestors=True)
    await client.call(f"{space}.create", {"dataset": "tank", "name": "s", "recursive": True})
    if version == "26.0":
        error = await client.refused("pool.dataset.delete", "tank", {"recursive": True})
        assert error.items == [("zfs.resource.destroy", "Destroying the root filesystem is not allowed.", 22)]
        return
    assert await client.call("pool.dataset.delete", "tank", {"recursive": True}) is True
    assert (await ids(client), await client.call(f"{space}.query", [], {"count": True})) == (["tank"], 0)
    error = await client.refused("pool.dataset.delete", "tank")
    assert "cannot destroy 'tank': operation does not apply to pools" in error.reason


@pytest.mark.row("6.4 pool.dataset.promote")
async def test_promote_takes_over_earlier_snapshots_and_what_depends_on_them(client: Client) -> None:
    await volume(client, "tank/src")
    for name in ("s1", "s2", "s3"):
        await snap(client, "tank/src", name)
    for name, origin in (("clone", "s2"), ("other", "s1")):
        await client.call("pool.snapshot.clone", {"snapshot": f"tank/src@{origin}", "dataset_dst": f"tank/{name}"})
    assert await client.call("pool.dataset.promote", "tank/clone") is None
    assert await names(client) == ["tank/clone@s1", "tank/clone@s2", "tank/src@s3"]
    origins = {name: (await get(client, f"tank/{name}"))["origin"]["value"] for name in ("src", "clone", "other")}
    assert origins == {"src": "tank/clone@s2", "clone": "", "other": "tank/clone@s1"}
    for name, expected in [
        ("tank/no", (2, 'Dataset "tank/no" does not exist.')),
        ("tank/clone", (74, "Only cloned datasets can be promoted.")),
    ]:
        assert refusal(await client.refused("pool.dataset.promote", name)) == expected
    assert (await client.refused("pool.dataset.promote", "tank/clone")).data["errname"] == "EBADMSG"


@pytest.mark.row("6.4 pool.dataset.rename")
async def test_rename_wants_force_and_tells_nobody(each: tuple[Client, str]) -> None:
    client, version = each
    await create(client, "tank/a/b", create_ancestors=True)
    await client.call("sharing.nfs.create", {"path": "/mnt/tank/a"})
    await client.call("core.subscribe", "pool.dataset.query")
    if version != "25.04":
        items = await wrong(client, {"new_name": "tank/z"}, "rename", "tank/a")
        assert (items[0][0], items[0][1][:35]) == ("pool.dataset.rename.force", "No safety checks are performed when")
    options = {"new_name": "tank/z", "recursive": False, "force": True}
    assert await client.call("pool.dataset.rename", "tank/a", options) is None
    assert await ids(client) == ["tank", "tank/z", "tank/z/b"]
    assert [share["path"] for share in await client.call("sharing.nfs.query")] == ["/mnt/tank/a"]
    error = await client.refused("pool.dataset.rename", "tank/a", options)
    assert refusal(error) == (2, "Dataset 'tank/a' not found")
    error = await client.refused("pool.dataset.rename", "tank/z", {**options, "new_name": "tank/y", "recursive": True})
    assert "recursive rename must be a snapshot" in error.reason
    await client.call("pool.dataset.delete", "tank/z", {"recursive": True})
    told = [(await client.events.get())["params"] for _ in range(2)]
    assert [(one["msg"], one["id"]) for one in told] == [("removed", "tank/z/b"), ("removed", "tank/z")]


@pytest.mark.row("6.4 pool.dataset.destroy_snapshots")
async def test_snapshots_are_destroyed_by_a_job_until_26(each: tuple[Client, str]) -> None:
    client, version = each
    space = "zfs.snapshot" if version == "25.04" else "pool.snapshot"
    await create(client, "tank/a/b", create_ancestors=True)
    for name in ("s1", "s2", "s3", "s4"):
        await client.call(f"{space}.create", {"dataset": "tank/a", "name": name, "recursive": True})
    if version == "26.0":
        error = await client.refused("pool.dataset.destroy_snapshots", "tank/a", {"all": True})
        assert (error.code, error.message) == (-32601, "Method does not exist")
        return

    async def destroyed(name: str, **spec: Any) -> Any:
        try:
            return await client.call("pool.dataset.destroy_snapshots", name, spec)
        except RpcError as error:
            return error.reason.rstrip("\n")

    await client.call("core.set_options", {"legacy_jobs": True})
    assert type(await client.call("pool.dataset.destroy_snapshots", "tank", {"all": True})) is int
    await client.call("core.set_options", {"legacy_jobs": False})
    assert await destroyed("tank/a", snapshots=["s1", {"start": "s3", "end": None}]) == [
        "tank/a@s1", "tank/a@s3", "tank/a@s4",
    ]  # fmt: skip
    assert await destroyed("tank/a", recursive=True, snapshots=[{"end": "s2"}]) == [
        "tank/a@s2", "tank/a/b@s1", "tank/a/b@s2",
    ]  # fmt: skip
    assert await destroyed("tank/a/b", all=True) == ["tank/a/b@s3", "tank/a/b@s4"]
    assert await destroyed("tank/a/b", all=True) == []
    both = "Must not be specified when all snapshots are specified for removal"
    assert await destroyed("tank/a", all=True, snapshots=["s"]) == f"[EINVAL] destroy_snapshots.snapshots: {both}"
    assert 'Either "start" or "end" must be specified' in await destroyed("tank/a", snapshots=[{}])
    assert await destroyed("tank/no", all=True) == "[ENOENT] None: PoolDataset tank/no does not exist"


@pytest.mark.row("6.4 pool.dataset.details")
async def test_the_rest_answers_too(client: Client) -> None:
    await create(client, "tank/fs")
    await volume(client, "tank/v")
    await client.call("sharing.nfs.create", {"path": "/mnt/tank/fs"})
    await client.call("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/v"})
    (root,) = await client.call("pool.dataset.details")
    assert (root["id"], [child["id"] for child in root["children"]]) == ("tank", ["tank/fs", "tank/v"])
    assert (root["nfs_shares"], root["children"][0]["nfs_shares"]) == ([], [{"enabled": True, "path": "/mnt/tank/fs"}])
    found = {kind["type"]: kind["attachments"] for kind in await client.call("pool.dataset.attachments", "tank")}
    assert found == {"NFS Share": ["/mnt/tank/fs"], "iSCSI Extent": ["e"]}
    assert await client.call("pool.dataset.processes", "tank/fs") == []
    assert await client.call("pool.dataset.set_quota", "tank/fs", [
        {"quota_type": "USER", "id": "apps", "quota_value": GIB}, {"quota_type": "DATASET", "id": "REFQUOTA", "quota_value": 5},
    ]) is None  # fmt: skip
    assert await client.call("pool.dataset.get_quota", "tank/fs", "USER") == [
        {"quota_type": "USER", "id": 568, "name": "apps", "used_bytes": 0, "obj_used": 0, "quota": GIB}
    ]
    (own,) = await client.call("pool.dataset.get_quota", "tank/fs", "DATASET")
    assert (own["id"], own["quota"], own["refquota"], own["used_bytes"]) == ("tank/fs", 0, 5, 0)
    choices = {
        kind: await client.call(f"pool.dataset.{kind}_choices")
        for kind in ("checksum", "compression", "recordsize", "encryption_algorithm")
    }
    assert ("OFF" in choices["checksum"], choices["checksum"]["BLAKE3"], choices["compression"]["LZ4"]) == (
        False,
        "BLAKE3",
        "LZ4",
    )
    assert (choices["recordsize"][0], choices["recordsize"][-1], len(choices["encryption_algorithm"])) == (
        "512",
        "16M",
        6,
    )
    assert await client.call("pool.dataset.recommended_zvol_blocksize", "tank") == "16K"
    jobs = {}
    for verb in ("lock", "unlock"):
        job = await client.call(f"pool.dataset.{verb}", "tank/fs")
        await client.call("core.job_wait", job)
        ((jobs[verb]),) = await client.call("core.get_jobs", [["id", "=", job]])
    assert (jobs["lock"]["state"], jobs["lock"]["error"]) == ("FAILED", "[EFAULT] tank/fs is not encrypted")
    assert jobs["unlock"]["result"] == {"unlocked": [], "failed": {}}
