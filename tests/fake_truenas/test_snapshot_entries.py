"""Snapshots as a query shows them."""

from typing import Any

import pytest

from fake_truenas import Nas
from fake_truenas.errors import CallError, ValidationErrors
from tests.fake_truenas.objects import add_referenced, create, names, snap, volume
from tests.fake_truenas.releases import release
from tests.fake_truenas.rpc import GIB, Client


async def test_an_entry_has_the_full_name_as_name_and_all_properties(client: Client) -> None:
    await volume(client, "tank/v", user_properties=[{"key": "a:ds", "value": "1"}, {"key": "a:both", "value": "ds"}])
    entry = await snap(client, "tank/v", "s1", properties={"a:own": "2", "a:both": "snap"})
    assert (entry["id"], entry["name"], entry["snapshot_name"]) == ("tank/v@s1", "tank/v@s1", "s1")
    assert (entry["dataset"], entry["pool"], entry["type"]) == ("tank/v", "tank", "SNAPSHOT")
    assert entry["createtxg"] == entry["properties"]["createtxg"]["rawvalue"]
    properties = entry["properties"]
    assert properties["volsize"] == {"value": "1G", "rawvalue": str(GIB), "source": "NONE", "parsed": GIB}
    assert properties["creation"]["parsed"] == {"$date": 1_700_000_000_000}
    assert (
        properties["clones"]["value"],
        properties["defer_destroy"]["value"],
        properties["userrefs"]["rawvalue"],
    ) == ("", "off", "0")
    users = {key: (item["value"], item["source"]) for key, item in properties.items() if ":" in key}
    assert users == {"a:ds": ("1", "INHERITED"), "a:own": ("2", "LOCAL"), "a:both": ("snap", "LOCAL")}
    assert await client.call("pool.snapshot.get_instance", "tank/v@s1") == entry
    assert "holds" not in entry


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([["name", "=", "s1"]], []),
        ([["snapshot_name", "=", "s1"]], ["tank/a@s1", "tank/b@s1"]),
        ([["id", "=", "tank/a@s1"]], ["tank/a@s1"]),
        ([["dataset", "=", "tank/a"]], ["tank/a@s1", "tank/a@s2"]),
        ([["dataset", "in", ["tank/b", "tank/c"]]], ["tank/b@s1"]),
        ([["id", "^", "tank/a@"], ["id", ">", "tank/a@s1"]], ["tank/a@s2"]),
        ([["properties.x:y.value", "=", "ds"]], ["tank/a@s1"]),
        ([["properties.x:y.value", "=", "own"]], ["tank/a@s2"]),
        ([["properties.x:y.value", "^", "o"]], ["tank/a@s2"]),
        (
            [["OR", [["dataset", "=", "tank/b"], ["dataset", "^", "tank/b/"]]], ["snapshot_name", "=", "s1"]],
            ["tank/b@s1"],
        ),
        ([["properties.defer_destroy.value", "=", "on"]], []),
    ],
)
async def test_filters(client: Client, filters: Any, expected: list[str]) -> None:
    await create(client, "tank/a", user_properties=[{"key": "x:y", "value": "ds"}])
    await create(client, "tank/b")
    await snap(client, "tank/a", "s1")
    await snap(client, "tank/a", "s2", properties={"x:y": "own"})
    await snap(client, "tank/b", "s1")
    assert await names(client, filters) == expected
    assert await client.call("pool.snapshot.query", filters, {"count": True}) == len(expected)


async def test_extra_chooses_properties_holds_and_txg_bounds(client: Client) -> None:
    await create(client, "tank/a", user_properties=[{"key": "x:y", "value": "ds"}])
    first = await snap(client, "tank/a", "s1")
    second = await snap(client, "tank/a", "s2")
    (row,) = await client.call(
        "pool.snapshot.query", [["id", "=", "tank/a@s1"]], {"extra": {"properties": ["used", "x:y"], "holds": True}}
    )
    assert (set(row["properties"]), row["holds"]) == ({"used", "x:y"}, {})
    (row,) = await client.call(
        "pool.snapshot.query", [], {"extra": {"properties": [], "min_txg": int(second["createtxg"])}}
    )
    assert (row["id"], row["properties"]) == ("tank/a@s2", {})
    (row,) = await client.call("pool.snapshot.query", [], {"extra": {"max_txg": int(first["createtxg"])}})
    assert row["id"] == "tank/a@s1"


def shown(nas: Nas, name: str, **extra: Any) -> Any:
    return nas.call_direct("pool.snapshot.get_instance", name, {"extra": extra})


@pytest.fixture
def volume_nas(nas: Nas) -> Nas:
    """A zvol with a user property, snapshot s1, 3 MiB of which 1 MiB was rewritten later, and snapshot s2."""
    data = {"name": "tank/v", "type": "VOLUME", "volsize": GIB, "sparse": True}
    nas.call_direct("pool.dataset.create", {**data, "user_properties": [{"key": "x:y", "value": "ds"}]})
    pk = nas.db.value("select pk from dataset where name = 'tank/v'")
    with nas.db.transaction():
        add_referenced(nas.db, pk, 3 << 20)
    nas.call_direct("pool.snapshot.create", {"dataset": "tank/v", "name": "s1"})
    with nas.db.transaction():
        add_referenced(nas.db, pk, 0, snapshot_bytes=1 << 20)
    nas.call_direct("pool.snapshot.create", {"dataset": "tank/v", "name": "s2"})
    return nas


def test_sizes_say_what_is_seen_and_what_would_be_freed(volume_nas: Nas) -> None:
    def sizes(name: str) -> list[int]:
        properties = shown(volume_nas, name)["properties"]
        return [properties[key]["parsed"] >> 20 for key in ("referenced", "used", "written")]

    assert sizes("tank/v@s1") == [3, 1, 3]
    assert sizes("tank/v@s2") == [3, 0, 1]


def test_a_full_entry_and_one_of_asked_properties_agree(volume_nas: Nas) -> None:
    full = shown(volume_nas, "tank/v@s1")["properties"]
    for name in full:
        assert shown(volume_nas, "tank/v@s1", properties=[name])["properties"] == {name: full[name]}
    assert shown(volume_nas, "tank/v@s1", properties=["nope", "no:pe"])["properties"] == {}


def test_a_property_of_the_dataset_changes_on_its_snapshots_too(volume_nas: Nas) -> None:
    volume_nas.call_direct(
        "pool.snapshot.update", "tank/v@s2", {"user_properties_update": [{"key": "x:y", "value": "own"}]}
    )
    volume_nas.call_direct(
        "pool.dataset.update", "tank/v", {"user_properties_update": [{"key": "x:y", "value": "new"}]}
    )
    found = [shown(volume_nas, f"tank/v@{name}")["properties"]["x:y"] for name in ("s1", "s2")]
    assert [(item["value"], item["source"]) for item in found] == [("new", "INHERITED"), ("own", "LOCAL")]


def test_a_filter_on_a_user_property_sees_only_what_was_asked_for(volume_nas: Nas) -> None:
    filters = [["properties.x:y.value", "=", "ds"]]

    def count(**extra: Any) -> Any:
        return volume_nas.call_direct("pool.snapshot.query", filters, {"count": True, "extra": extra})

    assert [count(), count(properties=["x:y"]), count(properties=["used"]), count(properties=[])] == [2, 2, 0, 0]


def test_clones_and_holds_are_named_and_counted(volume_nas: Nas) -> None:
    for name in ("tank/d", "tank/c"):
        volume_nas.call_direct("pool.snapshot.clone", {"snapshot": "tank/v@s1", "dataset_dst": name})
    volume_nas.call_direct("pool.snapshot.hold", "tank/v@s1")
    properties = shown(volume_nas, "tank/v@s1")["properties"]
    assert (properties["clones"]["value"], properties["userrefs"]["parsed"]) == ("tank/c,tank/d", 1)
    assert shown(volume_nas, "tank/v@s1", holds=True, retention=True)["retention"] is None


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ((0, 0), "12"),
        ((1, 1), "1"),
        ((2, 2), "2"),
        ((2, 1), ""),
        ((True, "1"), "12"),
        ((0, 1 << 63), "12"),
        ((-5, 0), "12"),
    ],
)
def test_transaction_groups_bound_a_query_on_both_sides(volume_nas: Nas, bounds: Any, expected: str) -> None:
    txgs = [0, *(int(shown(volume_nas, f"tank/v@{name}")["createtxg"]) for name in ("s1", "s2"))]
    low, high = (txgs[bound] if bound in (1, 2) and type(bound) is int else bound for bound in bounds)
    rows = volume_nas.call_direct("pool.snapshot.query", [], {"extra": {"min_txg": low, "max_txg": high}})
    assert [row["id"] for row in rows] == [f"tank/v@s{number}" for number in expected]


def test_a_list_of_properties_must_be_a_list(volume_nas: Nas) -> None:
    with pytest.raises(ValidationErrors, match=r"options\.extra\.properties: Input should be a valid list"):
        shown(volume_nas, "tank/v@s1", properties="used")


def test_a_file_systems_snapshot_has_no_size_of_a_volume(volume_nas: Nas) -> None:
    volume_nas.call_direct("pool.snapshot.create", {"dataset": "tank", "name": "s"})
    volsizes = ["volsize" in shown(volume_nas, name)["properties"] for name in ("tank@s", "tank/v@s1")]
    assert volsizes == [False, True]


def test_select_picks_members_of_the_entry_and_not_what_is_in_them(volume_nas: Nas) -> None:
    def selected(*select: Any) -> Any:
        return volume_nas.call_direct("pool.snapshot.query", [["id", "=", "tank/v@s1"]], {"select": list(select)})

    assert selected("id", "pool") == [{"id": "tank/v@s1", "pool": "tank"}]
    assert selected("id", "properties.used.parsed", ["name", "alias"]) == [{"id": "tank/v@s1"}]
    options = {"select": ["snapshot_name"], "get": True}
    assert volume_nas.call_direct("pool.snapshot.query", [["id", "=", "tank/v@s1"]], options) == {"snapshot_name": "s1"}


def statements(nas: Nas, *params: Any) -> int:
    """How many SQL statements a query of snapshots takes."""
    seen: list[str] = []
    nas.db.connection.set_trace_callback(seen.append)
    nas.call_direct("pool.snapshot.query", *params)
    nas.db.connection.set_trace_callback(None)
    return len(seen)


@pytest.mark.parametrize(
    "filters", [[], [["dataset", "=", "tank/v"]], [["OR", [["pool", "=", "tank"], ["name", "~", "x"]]]]]
)
def test_names_are_listed_and_counted_without_reading_anything_else(volume_nas: Nas, filters: Any) -> None:
    for options in ({"select": ["name"]}, {"count": True}):
        assert statements(volume_nas, filters, options) == 1
    assert statements(volume_nas, filters, {"select": ["id"]}) > 1
    ordered = {
        "select": ["name"],
        "order_by": ["-properties.used.parsed", "-name"],
    }  # there are no properties to order by
    assert [row["name"] for row in volume_nas.call_direct("pool.snapshot.query", [], ordered)] == [
        "tank/v@s2",
        "tank/v@s1",
    ]


def test_retention_is_for_few_snapshots_at_a_time(volume_nas: Nas) -> None:
    retention = {"extra": {"retention": True}}
    with pytest.raises(CallError, match="`id` or `limit` is required if `retention` is requested") as caught:
        volume_nas.call_direct("pool.snapshot.query", [["dataset", "=", "tank/v"]], retention)
    assert caught.value.errno == 22
    rows = volume_nas.call_direct("pool.snapshot.query", [], {**retention, "limit": 9, "order_by": ["id"]})
    assert [row["retention"] for row in rows] == [None, None]
    (row,) = volume_nas.call_direct("pool.snapshot.query", [["OR", [["id", "=", "tank/v@s1"]]]], retention)
    assert row["retention"] is None


@pytest.mark.parametrize("depth", [3, 500])
def test_filters_that_are_nested_too_deeply_are_refused(nas: Nas, depth: int) -> None:
    filters: Any = [["id", "=", "x"]]
    for _ in range(depth):
        filters = [["OR", filters]]
    with pytest.raises(ValidationErrors, match="filter"):
        nas.call_direct("pool.snapshot.query", filters)


async def test_an_entry_of_26_has_properties_only_if_some_are_asked_for() -> None:
    async with release("26.0") as client:
        await volume(client, "tank/v")
        created = await snap(client, "tank/v", "s", properties={"a:b": "1"})
        assert (sorted(created["properties"]), "holds" in created) == (["createtxg", "creation"], False)
        for asked in ([], ["name"], ["name", "createtxg"]):
            row = await client.call("pool.snapshot.get_instance", "tank/v@s", {"extra": {"properties": asked}})
            assert "properties" not in row
        asked = ["name", "createtxg", "volsize", "clones", "a:b", "creation"]
        row = await client.call("pool.snapshot.get_instance", "tank/v@s", {"extra": {"properties": asked}})
        assert sorted(row["properties"]) == ["createtxg", "creation", "name", "volsize"]
        assert row["properties"]["volsize"] == {
            "value": str(GIB),
            "rawvalue": str(GIB),
            "source": "NONE",
            "parsed": GIB,
        }
        assert row["properties"]["creation"]["parsed"] == 1_700_000_000
