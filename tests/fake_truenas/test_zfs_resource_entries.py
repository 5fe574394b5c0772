"""Datasets and snapshots as zfs.resource.* shows them."""

from typing import Any

from fake_truenas import Nas, space
from fake_truenas.context import Ctx
from fake_truenas.zfs_resource_entries import dataset_resources, snapshot_resource
from tests.fake_truenas.rpc import GIB

OPTIONS = {"properties": [], "get_user_properties": False, "get_source": True}


def shown(nas: Nas, name: str, **options: Any) -> Any:
    row = space.find(nas.db, name)
    assert row is not None
    return dataset_resources(Ctx(nas), [row], {**OPTIONS, **options})[0]


def test_an_empty_list_asks_for_space_and_null_for_nothing(nas: Nas) -> None:
    assert sorted(shown(nas, "tank")["properties"]) == [
        "available", "used", "usedbychildren", "usedbydataset", "usedbyrefreservation", "usedbysnapshots",
    ]  # fmt: skip
    assert shown(nas, "tank", properties=None)["properties"] == {}


def test_values_have_their_type_and_say_where_they_were_set(nas: Nas) -> None:
    nas.call_direct("pool.dataset.create", {"name": "tank/a", "quota": GIB, "sync": "ALWAYS", "recordsize": "64K"})
    nas.call_direct("pool.dataset.create", {"name": "tank/a/b"})
    names = [
        "quota",
        "sync",
        "RECORDSIZE",
        "dedup",
        "origin",
        "creation",
        "mounted",
        "mountpoint",
        "type",
        "createtxg",
        "guid",
        "referenced",
    ]
    top, below = (shown(nas, name, properties=names)["properties"] for name in ("tank/a", "tank/a/b"))
    assert top["quota"] == {"raw": str(GIB), "value": GIB, "source": {"type": "LOCAL", "value": None}}
    assert below["quota"]["value"] == 0
    assert below["sync"] == {"raw": "always", "value": "always", "source": {"type": "INHERITED", "value": "tank/a"}}
    assert (top["recordsize"]["value"], top["dedup"]["source"]["type"], top["origin"]["value"]) == (
        65536,
        "DEFAULT",
        None,
    )
    assert (top["creation"]["value"], top["mounted"]["raw"], top["mountpoint"]["raw"]) == (
        1_700_000_000,
        "yes",
        "/mnt/tank/a",
    )
    assert (top["type"]["value"], top["referenced"]["value"], type(top["guid"]["value"])) == ("filesystem", 0, int)


def test_a_volume_has_no_mount_point_and_a_clone_an_origin(nas: Nas) -> None:
    nas.call_direct("pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": GIB, "sparse": True})
    nas.call_direct("pool.snapshot.create", {"dataset": "tank/v", "name": "s"})
    nas.call_direct("pool.snapshot.clone", {"snapshot": "tank/v@s", "dataset_dst": "tank/c"})
    found = shown(
        nas, "tank/c", properties=["mounted", "mountpoint", "quota", "volsize", "origin", "keystatus"], get_source=False
    )
    assert sorted(found["properties"]) == [
        "encryption", "encryptionroot", "keyformat", "keylocation", "keystatus", "origin", "volsize",
    ]  # fmt: skip
    assert found["properties"]["origin"] == {"raw": "tank/v@s", "value": "tank/v@s", "source": None}


def test_user_properties_are_texts_inherited_ones_too(nas: Nas) -> None:
    nas.call_direct(
        "pool.dataset.create", {"name": "tank/a", "user_properties": [{"key": "x:y", "value": "1"}], "comments": "c"}
    )
    nas.call_direct("pool.dataset.create", {"name": "tank/a/b"})
    assert shown(nas, "tank/a/b", get_user_properties=True)["user_properties"] == {"x:y": "1", "comments": "c"}
    assert shown(nas, "tank/a/b")["user_properties"] is None


def test_a_snapshot_shows_its_own_user_properties_only(nas: Nas) -> None:
    nas.call_direct("pool.dataset.create", {"name": "tank/a", "user_properties": [{"key": "x:y", "value": "1"}]})
    nas.call_direct("pool.snapshot.create", {"dataset": "tank/a", "name": "s", "properties": {"s:s": "2"}})
    nas.call_direct("pool.snapshot.hold", "tank/a@s")
    row = nas.db.one("select * from snapshot")
    assert row is not None
    bare = snapshot_resource(Ctx(nas), row, {})
    assert [bare[key] for key in ("holds", "properties", "user_properties")] == [None, None, None]
    assert (bare["name"], bare["dataset"], bare["snapshot_name"], bare["type"]) == (
        "tank/a@s",
        "tank/a",
        "s",
        "SNAPSHOT",
    )
    full = snapshot_resource(Ctx(nas), row, {"get_holds": True, "get_user_properties": True, "properties": ["used"]})
    assert (full["holds"], full["user_properties"], list(full["properties"])) == (["truenas"], {"s:s": "2"}, ["used"])
