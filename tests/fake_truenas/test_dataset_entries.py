"""Datasets as a query shows them: filters, shapes, and what is built."""

import errno
from typing import Any

import pytest

from fake_truenas import Nas, dataset_entries
from fake_truenas.errors import CallError
from tests.fake_truenas.objects import add_referenced, create, volume
from tests.fake_truenas.rpc import GIB, Client

NATIVE_ONLY = {"retrieve_children": False, "properties": []}


async def test_query_shapes_flat_children_and_chosen_properties(client: Client) -> None:
    await create(client, "tank/a")
    await volume(client, "tank/a/v", user_properties=[{"key": "x:y", "value": "1"}])
    everything = await client.call("pool.dataset.query")
    assert [row["id"] for row in everything] == ["tank", "tank/a", "tank/a/v"]
    assert [row["id"] for row in everything[0]["children"]] == ["tank/a"]
    assert everything[0]["children"][0]["children"] == [everything[2]]
    (bare,) = await client.call(
        "pool.dataset.query",
        [["id", "=", "tank/a/v"]],
        {"extra": {"properties": ["volsize", "refquota", "nope"], "retrieve_children": False}},
    )
    assert set(bare) == {"id", "type", "name", "pool", "encrypted", "encryption_root", "key_loaded", "locked", "children",
                         "mountpoint", "user_properties", "volsize"}  # fmt: skip
    (nothing,) = await client.call(
        "pool.dataset.query", [["id", "=", "tank/a/v"]], {"extra": {"properties": [], "retrieve_user_props": False}}
    )
    assert (nothing["user_properties"], "volsize" in nothing) == ({}, False)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([["id", "=", "tank/csi/b"]], ["b"]),
        ([["id", "in", ["tank/csi/b", "tank/csi/c", "x"]]], ["b", "c"]),
        ([["id", "^", "tank/csi/"], ["id", ">", "tank/csi/a"]], ["b", "c"]),
        ([["name", "^", "tank/csi/"], ["type", "=", "VOLUME"]], ["c"]),
        ([[r"user_properties.x:k\.ey.value", "=", "one"]], ["a", "b"]),
        ([["user_properties.x:plain.rawvalue", "=", "p"]], ["b"]),
        ([["user_properties.x:plain.value", "!=", "p"]], []),
        ([["id", "$", "/c"], ["volsize.parsed", ">", 5]], ["c"]),
        ([["OR", [["id", "=", "tank/csi/a"], ["mountpoint", "=", "/mnt/tank/csi/b"]]]], ["a", "b"]),
        ([["mountpoint", "=", "/mnt/tank/csi/c"]], []),
        ([["mountpoint", "^", "/mnt/tank/csi/"]], ["a", "b"]),
        ([["id", "~", ".*/[ab]$"]], ["a", "b"]),
        ([["id", "=", 5]], []),
        ([["id", "C=", "TANK/CSI/A"]], ["a"]),
    ],
)
async def test_filters_answered_by_sql_and_by_evaluation_agree(
    client: Client, filters: Any, expected: list[str]
) -> None:
    await create(client, "tank/csi")
    one = {"key": "x:k.ey", "value": "one"}
    await create(client, "tank/csi/a", user_properties=[one])
    await create(client, "tank/csi/b", user_properties=[one, {"key": "x:plain", "value": "p"}])
    await volume(client, "tank/csi/c", user_properties=[{"key": "x:k.ey", "value": "two"}])
    found = await client.call("pool.dataset.query", filters, {"select": ["id"]})
    assert [row["id"] for row in found] == [f"tank/csi/{name}" for name in expected]
    assert await client.call("pool.dataset.query", filters, {"count": True}) == len(expected)
    reverse = await client.call("pool.dataset.query", filters, {"select": ["id"], "order_by": ["-id"], "limit": 1})
    assert [row["id"] for row in reverse] == [f"tank/csi/{name}" for name in expected[-1:]]


async def test_query_refuses_unknown_options_null_filters_and_wrong_extra(client: Client) -> None:
    error = await client.refused("pool.dataset.query", [], {"sort": "x"})
    assert error.items == [("options.sort", "Extra inputs are not permitted", 22)]
    error = await client.refused("pool.dataset.query", None)
    assert error.items == [("filters", "Input should be a valid list", 22)]
    error = await client.refused("pool.dataset.query", [], {"extra": {"properties": "all"}})
    assert error.items[0][0] == "options.extra.properties"
    error = await client.refused("pool.dataset.query", [["id", "=", "tank/none"]], {"get": True})
    assert error.code == -32001
    assert (await client.call("pool.dataset.query", [["id", "=", "tank"]], {"get": True}))["id"] == "tank"


async def test_keyset_pages_cover_everything_once(client: Client) -> None:
    await create(client, "tank/csi")
    names = [f"tank/csi/n{number:02}" for number in range(25)]
    for name in names:
        await create(client, name)
    seen: list[str] = []
    while page := await client.call(
        "pool.dataset.query",
        [["id", "^", "tank/csi/"], *([["id", ">", seen[-1]]] if seen else [])],
        {"order_by": ["id"], "limit": 10, "select": ["id"], "extra": NATIVE_ONLY},
    ):
        seen += [row["id"] for row in page]
    assert seen == names


def made(nas: Nas, name: str, **data: Any) -> None:
    nas.call_direct("pool.dataset.create", {"name": name, **data})


def shown(nas: Nas, name: str, **extra: Any) -> Any:
    return nas.call_direct("pool.dataset.get_instance", name, {"extra": extra})


def test_asked_properties_equal_those_of_a_full_entry_under_either_name(nas: Nas) -> None:
    made(nas, "tank/p", compression="ZSTD", recordsize="1M", quota=4 * GIB)
    made(nas, "tank/p/v", type="VOLUME", volsize=GIB, deduplication="ON", reservation=GIB)
    for name in ("tank/p", "tank/p/v"):
        full = shown(nas, name)
        native = {key: item for key, item in full.items() if isinstance(item, dict) and "rawvalue" in item}
        assert len(native) > 20
        some = shown(nas, name, properties=list(native))
        assert {key: some[key] for key in native} == native
        assert set(some) == set(full)
    zfs_names = shown(nas, "tank/p/v", properties=["dedup", "special_small_blocks", "keyformat", "atime", "used"])
    assert (zfs_names["deduplication"]["value"], "atime" in zfs_names) == ("ON", False)
    assert {"special_small_block_size", "key_format"} <= set(zfs_names)


def test_usage_adds_up_along_the_tree(nas: Nas) -> None:
    made(nas, "tank/p", quota=10 * GIB)
    made(nas, "tank/p/v", type="VOLUME", volsize=GIB, sparse=True)
    pk = nas.db.value("select pk from dataset where name = 'tank/p/v'")
    with nas.db.transaction():
        add_referenced(nas.db, pk, 1 << 20)
    nas.call_direct("pool.snapshot.create", {"dataset": "tank/p/v", "name": "s"})
    with nas.db.transaction():
        add_referenced(nas.db, pk, 1 << 20, snapshot_bytes=1 << 19)
    entry = shown(nas, "tank/p/v")
    parts = ("usedbydataset", "usedbysnapshots", "usedbychildren", "usedbyrefreservation")
    assert [entry[key]["parsed"] for key in ("used", *parts)] == [5 << 19, 1 << 21, 1 << 19, 0, 0]
    above = shown(nas, "tank/p")
    assert (above["usedbychildren"]["parsed"], above["usedbydataset"]["parsed"]) == (5 << 19, 0)
    assert above["available"]["parsed"] == entry["available"]["parsed"] == 10 * GIB - (5 << 19)


def test_snapshots_are_counted_and_listed_on_request_oldest_first(nas: Nas) -> None:
    made(nas, "tank/a")
    for name in ("z", "b"):
        nas.call_direct("pool.snapshot.create", {"dataset": "tank/a", "name": name})
    assert not {"snapshot_count", "snapshots"} & set(shown(nas, "tank/a"))
    entry = shown(nas, "tank/a", snapshots_count=True, snapshots=True)
    assert entry["snapshot_count"] == 2
    assert [one["snapshot_name"] for one in entry["snapshots"]] == ["z", "b"]
    assert entry["snapshots"][0]["id"] == entry["snapshots"][0]["name"] == "tank/a@z"
    assert shown(nas, "tank", snapshots_count=True)["snapshot_count"] == 0


def test_a_sibling_whose_name_continues_anothers_is_not_its_child(nas: Nas) -> None:
    for name in ("tank/a", "tank/a/x", "tank/a-b", "tank/a0", "tank/a/x/y"):
        made(nas, name)
    entry = shown(nas, "tank/a")
    assert [child["id"] for child in entry["children"]] == ["tank/a/x"]
    assert [child["id"] for child in entry["children"][0]["children"]] == ["tank/a/x/y"]
    assert [child["id"] for child in shown(nas, "tank")["children"]] == ["tank/a", "tank/a-b", "tank/a0"]


def test_comments_have_a_member_of_their_own_and_inherit(nas: Nas) -> None:
    made(nas, "tank/a", comments="mine", user_properties=[{"key": "x:y", "value": "1"}])
    made(nas, "tank/a/b")
    entry = shown(nas, "tank/a/b")
    assert (entry["comments"]["value"], entry["comments"]["source"], entry["comments"]["source_info"]) == (
        "mine", "INHERITED", "tank/a",
    )  # fmt: skip
    assert list(entry["user_properties"]) == ["x:y"]
    plain = shown(nas, "tank/a/b", retrieve_user_props=False)
    assert (plain["user_properties"], "comments" in plain) == ({}, False)


def test_user_properties_that_are_not_retrieved_match_no_filter(nas: Nas) -> None:
    made(nas, "tank/a", user_properties=[{"key": "x:y", "value": "1"}])
    filters = [["user_properties.x:y.value", "=", "1"]]
    assert nas.call_direct("pool.dataset.query", filters, {"count": True}) == 1
    hidden = {"count": True, "extra": {"retrieve_user_props": False}}
    assert nas.call_direct("pool.dataset.query", filters, hidden) == 0


def test_each_setting_says_where_it_was_set(nas: Nas) -> None:
    made(nas, "tank/a", sync="ALWAYS", casesensitivity="INSENSITIVE")
    made(nas, "tank/a/b", sync="DISABLED")
    made(nas, "tank/a/b/c")
    made(nas, "tank/a/d")
    found = {name: shown(nas, name)["sync"] for name in ("tank", "tank/a", "tank/a/b", "tank/a/b/c", "tank/a/d")}
    assert {name: (item["value"], item["source"], item["source_info"]) for name, item in found.items()} == {
        "tank": ("STANDARD", "DEFAULT", None),
        "tank/a": ("ALWAYS", "LOCAL", None),
        "tank/a/b": ("DISABLED", "LOCAL", None),
        "tank/a/b/c": ("DISABLED", "INHERITED", "tank/a/b"),
        "tank/a/d": ("ALWAYS", "INHERITED", "tank/a"),
    }
    fixed = [shown(nas, name)["casesensitivity"]["source"] for name in ("tank/a", "tank/a/b")]
    assert fixed == ["LOCAL", "DEFAULT"]  # it is fixed at creation and never inherited


def test_entries_read_together_are_those_read_one_by_one(nas: Nas) -> None:
    user = [{"key": "x:y", "value": "1"}]
    made(nas, "tank/a", user_properties=user, sync="ALWAYS", quota=8 * GIB, comments="above")
    made(nas, "tank/a/quota", quota=2 * GIB, reservation=GIB, user_properties=[{"key": "x:y", "value": "2"}])
    made(nas, "tank/a/quota/deep", refquota=GIB, refreservation=GIB >> 1, comments="deep")
    made(nas, "tank/a/plain")
    made(nas, "tank/a/sync", sync="DISABLED")
    made(nas, "tank/a/v", type="VOLUME", volsize=GIB, sparse=True)
    made(nas, "tank/b", type="VOLUME", volsize=GIB)
    together = nas.call_direct("pool.dataset.query", [], {"order_by": ["id"]})
    assert len(together) == 8
    for entry in together:
        assert nas.call_direct("pool.dataset.query", [["id", "=", entry["id"]]]) == [entry]


def test_a_family_that_is_too_large_is_refused_and_can_be_left_out(nas: Nas, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        nas.call_direct("pool.dataset.create", {"name": f"tank/{number}"})
    monkeypatch.setattr(dataset_entries, "MAX_NESTED", 4)
    assert len(nas.call_direct("pool.dataset.get_instance", "tank")["children"]) == 4
    nas.call_direct("pool.dataset.create", {"name": "tank/4"})
    with pytest.raises(CallError, match="More than 4 datasets below tank: ask with") as caught:
        nas.call_direct("pool.dataset.query")
    assert caught.value.errno == errno.E2BIG
    assert len(nas.call_direct("pool.dataset.query", [], {"extra": NATIVE_ONLY | {"flat": True}})) == 1
    assert len(nas.call_direct("pool.dataset.query", [["id", "^", "tank"]], {"extra": NATIVE_ONLY})) == 6
