"""Cutting, cloning, rolling back and destroying snapshots: what each does to the store."""

from typing import Any

import pytest

from fake_truenas import Nas, Pool, snapshot_ops
from fake_truenas.context import Ctx
from fake_truenas.errors import CallError, ValidationErrors
from fake_truenas.registry import DatasetHooks
from tests.fake_truenas.objects import create, names, snap, volume, write
from tests.fake_truenas.rpc import GIB, Client, make_nas


async def test_a_recursive_snapshot_is_one_instant_and_leaves_excluded_trees_out(client: Client, dial: Any) -> None:
    await create(client, "tank/g")
    for name in ("a", "b", "b/in", "c", "bb"):
        await create(client, f"tank/g/{name}")
    listener = await dial()
    await listener.call("core.subscribe", "pool.snapshot.query")
    await snap(client, "tank/g", "now", recursive=True, exclude=["tank/g/b"])
    rows = await client.call("pool.snapshot.query", [["snapshot_name", "=", "now"]])
    assert [row["dataset"] for row in rows] == ["tank/g/a", "tank/g/bb", "tank/g/c", "tank/g"]
    assert len({row["createtxg"] for row in rows}) == 1
    later = await snap(client, "tank/g/a", "later")
    assert int(later["createtxg"]) > int(rows[0]["createtxg"])
    first, second = [(await listener.events.get())["params"] for _ in range(2)]
    assert (first["msg"], first["id"], first["fields"]["id"]) == ("added", "tank/g@now", "tank/g@now")
    assert (second["id"], "extra" in second) == ("tank/g/a@later", False)


async def test_a_recursive_snapshot_is_all_or_nothing(client: Client) -> None:
    await create(client, "tank/g")
    await create(client, "tank/g/a")
    await snap(client, "tank/g/a", "now")
    error = await client.refused("pool.snapshot.create", {"dataset": "tank/g", "name": "now", "recursive": True})
    assert (error.data["errname"], "tank/g/a@now" in error.reason) == ("EEXIST", True)
    assert await names(client) == ["tank/g/a@now"]
    await client.call("pool.snapshot.delete", "tank/g/a@now")
    await snap(client, "tank/g", "now", recursive=True)
    assert await client.call("pool.snapshot.delete", "tank/g@now", {"recursive": True}) is True
    assert await names(client) == []


async def test_a_clone_shares_and_inherits_from_its_new_parent_only(nas: Nas, client: Client) -> None:
    await create(client, "tank/p", user_properties=[{"key": "p:x", "value": "p"}])
    await volume(
        client, "tank/src", volblocksize="64K", user_properties=[{"key": "s:x", "value": "s"}], refreservation=GIB
    )
    write(nas, "tank/src", 1 << 20)
    await snap(client, "tank/src", "s")
    await client.call("pool.dataset.update", "tank/src", {"volsize": 2 * GIB})
    data = {
        "snapshot": "tank/src@s",
        "dataset_dst": "tank/p/c",
        "dataset_properties": {"c:x": "c", "sync": "always", "refreservation": "8192"},
    }
    assert await client.call("pool.snapshot.clone", data) is True
    entry = await client.call("pool.dataset.get_instance", "tank/p/c")
    users = {key: (item["value"], item["source"]) for key, item in entry["user_properties"].items()}
    assert users == {"p:x": ("p", "INHERITED"), "c:x": ("c", "LOCAL")}
    assert (entry["type"], entry["volsize"]["parsed"], entry["volblocksize"]["value"]) == ("VOLUME", GIB, "64K")
    assert (entry["origin"]["value"], entry["refreservation"]["parsed"], entry["sync"]["value"]) == (
        "tank/src@s",
        8192,
        "ALWAYS",
    )
    assert entry["usedbydataset"]["parsed"] == 0
    snapshot = await client.call("pool.snapshot.get_instance", "tank/src@s")
    assert (snapshot["properties"]["clones"]["value"], snapshot["properties"]["referenced"]["parsed"]) == (
        "tank/p/c",
        1 << 20,
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"snapshot": "tank/fs@no", "dataset_dst": "tank/c"}, "Snapshot tank/fs@no not found"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/fs"}, "cannot create 'tank/fs': dataset already exists"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/no/c"}, "cannot create 'tank/no/c': parent does not exist"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "c"}, "cannot create 'c': missing dataset delimiter"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/c", "dataset_properties": {"bogus": "1"}}, "invalid property 'bogus'"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/c", "dataset_properties": {"refquota": "lots"}}, "bad numeric value 'lots'"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/c", "dataset_properties": {"quota": "99E"}}, "bad numeric value '99E'"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/c", "dataset_properties": {"recordsize": "17"}}, "invalid value '17'"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/c", "dataset_properties": {"copies": "9"}}, "invalid value '9'"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/c", "dataset_properties": {"sync": "maybe"}}, "'sync' must be one of"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/c", "dataset_properties": {"reservation": "5T"}}, "cannot create 'tank/c': out of space"),
    ],
)  # fmt: skip
async def test_clone_refusals(client: Client, data: Any, text: str) -> None:
    await create(client, "tank/fs")
    await snap(client, "tank/fs", "s")
    error = await client.refused("pool.snapshot.clone", data)
    assert (error.code, error.data["errname"]) == (-32001, "EFAULT")
    assert error.reason.startswith(f"[EFAULT] Failed to clone snapshot: {text}")
    assert await client.call("pool.dataset.query", [], {"count": True}) == 2


async def test_clones_block_the_delete_unless_it_is_deferred_to_the_last_of_them(client: Client) -> None:
    await create(client, "tank/fs")
    await snap(client, "tank/fs", "s")
    for name in ("b", "a"):
        await client.call("pool.snapshot.clone", {"snapshot": "tank/fs@s", "dataset_dst": f"tank/{name}"})
    error = await client.refused("pool.snapshot.delete", "tank/fs@s")
    text = "Please set this attribute as 'tank/fs@s' snapshot has dependent clones: tank/a, tank/b"
    assert (error.code, error.items) == (-32602, [("options.defer", text, 22)])
    assert await client.call("pool.snapshot.delete", "tank/fs@s", {"defer": True}) is True
    assert (await client.call("pool.snapshot.get_instance", "tank/fs@s"))["properties"]["defer_destroy"][
        "value"
    ] == "on"
    error = await client.refused("pool.snapshot.clone", {"snapshot": "tank/fs@s", "dataset_dst": "tank/c"})
    assert error.code == -32001
    await client.call("pool.dataset.delete", "tank/a")
    assert await names(client) == ["tank/fs@s"]
    await client.call("pool.dataset.delete", "tank/b")
    assert await names(client) == []


async def test_rollback_needs_newer_snapshots_gone_and_restores_size_and_usage(nas: Nas, client: Client) -> None:
    await volume(client, "tank/v")
    write(nas, "tank/v", 4096)
    await snap(client, "tank/v", "s1")
    write(nas, "tank/v", 8192, snapshot_bytes=4096)
    await client.call("pool.dataset.update", "tank/v", {"volsize": 2 * GIB})
    entry = await client.call("pool.dataset.get_instance", "tank/v")
    assert [entry[key]["parsed"] for key in ("used", "usedbydataset", "usedbysnapshots")] == [16384, 12288, 4096]
    await snap(client, "tank/v", "s2")
    error = await client.refused("pool.snapshot.rollback", "tank/v@s1")
    assert "more recent snapshots or bookmarks exist" in error.reason
    await client.call("pool.snapshot.clone", {"snapshot": "tank/v@s2", "dataset_dst": "tank/c"})
    error = await client.refused("pool.snapshot.rollback", "tank/v@s1", {"recursive": True})
    assert "clones of previous snapshots exist" in error.reason
    assert await names(client) == ["tank/v@s1", "tank/v@s2"]
    await client.call("pool.snapshot.rollback", "tank/v@s1", {"recursive_clones": True})
    assert await names(client) == ["tank/v@s1"]
    entry = await client.call("pool.dataset.get_instance", "tank/v")
    assert entry["volsize"]["parsed"] == GIB
    assert (await client.call("pool.dataset.query", [["id", "=", "tank/c"]])) == []
    assert [entry[key]["parsed"] for key in ("used", "usedbysnapshots")] == [4096, 0]


async def test_a_snapshot_of_a_full_thick_volume_needs_room_for_its_blocks(nas: Nas, client: Client) -> None:
    await create(client, "tank/q", quota=2 * GIB)
    await create(client, "tank/q/v", type="VOLUME", volsize=GIB, force_size=True)
    write(nas, "tank/q/v", GIB)
    error = await client.refused("pool.snapshot.create", {"dataset": "tank/q/v", "name": "s"})
    assert error.reason.endswith("cannot create snapshot 'tank/q/v@s': out of space")
    assert await names(client) == []


def tree(nas: Nas, *datasets: str) -> None:
    for name in datasets:
        nas.call_direct("pool.dataset.create", {"name": name})


def cut(nas: Nas, dataset: str, *shorts: str, **data: Any) -> None:
    for short in shorts:
        nas.call_direct("pool.snapshot.create", {"dataset": dataset, "name": short, **data})


def clone(nas: Nas, snapshot: str, name: str, **properties: str) -> None:
    data = {"snapshot": snapshot, "dataset_dst": name, "dataset_properties": properties}
    nas.call_direct("pool.snapshot.clone", data)


def ids(nas: Nas, kind: str) -> list[str]:
    return [row["id"] for row in nas.call_direct(f"pool.{kind}.query", [], {"order_by": ["id"]})]


@pytest.mark.parametrize(
    ("exclude", "covered"),
    [
        ([], ["", "/a", "/a/in", "/ab"]),
        (["tank/g/a"], ["", "/ab"]),
        (["tank/g/a/in"], ["", "/a", "/ab"]),
        (["tank/g/a*"], [""]),
        (["*/in"], ["", "/a", "/ab"]),
        (["tank/g"], ["", "/a", "/a/in", "/ab"]),
        (["a"], ["", "/a", "/a/in", "/ab"]),
    ],
)
def test_excluded_names_take_what_is_below_and_patterns_what_they_match(nas: Nas, exclude: Any, covered: Any) -> None:
    tree(nas, "tank/g", "tank/g/a", "tank/g/a/in", "tank/g/ab", "tank/h")
    cut(nas, "tank/g", "s", recursive=True, exclude=exclude)
    assert ids(nas, "snapshot") == sorted(f"tank/g{name}@s" for name in covered)


def test_a_recursive_snapshot_sets_its_properties_on_every_member(nas: Nas) -> None:
    tree(nas, "tank/g", "tank/g/a", "tank/g/a/in")
    cut(nas, "tank/g", "s", recursive=True, properties={"g:id": "7"})
    rows = nas.call_direct("pool.snapshot.query")
    assert [(row["properties"]["g:id"]["value"], row["properties"]["g:id"]["source"]) for row in rows] == [
        ("7", "LOCAL")
    ] * 3


def test_a_clone_sets_sizes_settings_and_properties_of_its_own(nas: Nas) -> None:
    tree(nas, "tank/p")
    nas.call_direct("pool.dataset.create", {"name": "tank/fs", "casesensitivity": "INSENSITIVE", "sync": "ALWAYS"})
    cut(nas, "tank/fs", "s")
    clone(
        nas,
        "tank/fs@s",
        "tank/p/c",
        quota="2G",
        recordsize="16K",
        copies="2",
        atime="ON",
        mountpoint="/x",
        **{"a:b": "1"},
    )
    entry = nas.call_direct("pool.dataset.get_instance", "tank/p/c")
    assert {key: entry[key]["rawvalue"] for key in ("quota", "recordsize", "copies", "atime", "sync")} == {
        "quota": str(2 * GIB), "recordsize": "16384", "copies": "2", "atime": "on", "sync": "standard",
    }  # fmt: skip
    assert entry["casesensitivity"]["value"] == "INSENSITIVE"  # fixed when its origin was created
    assert (entry["mountpoint"], entry["user_properties"]["a:b"]["source"]) == ("/mnt/tank/p/c", "LOCAL")


@pytest.mark.parametrize(
    ("properties", "text"),
    [({"atime": "on"}, "'atime' does not apply to datasets of this type"), ({"quota": "2G"}, "invalid property 'quota'"),
     ({"recordsize": "16K"}, "'recordsize' does not apply")],
)  # fmt: skip
def test_a_clone_of_a_zvol_takes_no_properties_of_file_systems(nas: Nas, properties: Any, text: str) -> None:
    nas.call_direct("pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": GIB, "sparse": True})
    cut(nas, "tank/v", "s")
    with pytest.raises(CallError, match=f"Failed to clone snapshot: {text}"):
        clone(nas, "tank/v@s", "tank/c", **properties)
    assert ids(nas, "dataset") == ["tank", "tank/v"]


def test_a_clone_stays_in_its_pool_and_below_a_file_system() -> None:
    nas = make_nas(pools=(Pool("tank", 10 * GIB), Pool("flash", 10 * GIB)))
    nas.call_direct("pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": GIB, "sparse": True})
    cut(nas, "tank/v", "s")
    for name, text in (("flash/c", "source and target pools differ"), ("tank/v/c", "parent does not exist")):
        with pytest.raises(CallError, match=f"cannot create '{name}': {text}"):
            clone(nas, "tank/v@s", name)
    nas.close()


class Told(DatasetHooks):
    """Notes what happens to snapshots; may keep a dataset busy."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.busy_name = ""

    def busy(self, ctx: Ctx, name: str) -> str | None:
        return "in use" if name == self.busy_name else None

    def snapshot_created(self, ctx: Ctx, dataset_pk: int, snapshot_pk: int, txg: int) -> None:
        name = ctx.db.value("select name from snapshot where pk = ? and createtxg = ?", (snapshot_pk, txg))
        self.told.append(f"created {name}")

    def snapshot_deleted(self, ctx: Ctx, dataset_pk: int, snapshot_pk: int) -> None:
        name = ctx.db.value("select name from snapshot where pk = ?", (snapshot_pk,))
        self.told.append(f"deleted {name}")

    def cloned(self, ctx: Ctx, snapshot_pk: int, dataset_pk: int) -> None:
        name = ctx.db.value("select name from dataset where pk = ?", (dataset_pk,))
        self.told.append(f"cloned {name}")

    def rolled_back(self, ctx: Ctx, dataset_pk: int, snapshot_pk: int) -> None:
        self.told.append("rolled back")


@pytest.fixture
def told(nas: Nas) -> Told:
    made = Told()
    nas.hooks = [*nas.hooks, made]
    return made


def test_hooks_hear_of_every_snapshot_once_and_while_it_is_there(nas: Nas, told: Told) -> None:
    tree(nas, "tank/f")
    cut(nas, "tank/f", "a", "b", "c")
    clone(nas, "tank/f@a", "tank/x")
    nas.call_direct("pool.snapshot.rollback", "tank/f@a", {"recursive": True})
    assert told.told == [
        "created tank/f@a", "created tank/f@b", "created tank/f@c", "cloned tank/x",
        "deleted tank/f@c", "deleted tank/f@b", "rolled back",
    ]  # fmt: skip


def test_a_rollback_takes_a_clone_below_another_clone_with_it_once(nas: Nas) -> None:
    tree(nas, "tank/f")
    cut(nas, "tank/f", "a", "b")
    clone(nas, "tank/f@b", "tank/c", reservation="1G")
    clone(nas, "tank/f@b", "tank/c/d", reservation="1G")
    nas.call_direct("pool.snapshot.rollback", "tank/f@a", {"recursive_clones": True})
    assert (ids(nas, "dataset"), ids(nas, "snapshot")) == (["tank", "tank/f"], ["tank/f@a"])
    assert nas.call_direct("pool.dataset.get_instance", "tank")["used"]["parsed"] == 0


def test_a_rollback_over_a_deferred_snapshot_destroys_it_once(nas: Nas, told: Told) -> None:
    tree(nas, "tank/f")
    cut(nas, "tank/f", "a", "b")
    clone(nas, "tank/f@b", "tank/c")
    nas.call_direct("pool.snapshot.delete", "tank/f@b", {"defer": True})
    told.told.clear()
    nas.call_direct("pool.snapshot.rollback", "tank/f@a", {"recursive_clones": True})
    assert told.told == ["deleted tank/f@b", "rolled back"]


def test_a_rollback_is_refused_while_a_newer_snapshot_is_held_or_the_dataset_in_use(nas: Nas, told: Told) -> None:
    tree(nas, "tank/f")
    cut(nas, "tank/f", "a", "b")
    nas.call_direct("pool.snapshot.hold", "tank/f@b")
    with pytest.raises(CallError, match="cannot destroy snapshot tank/f@b: dataset is busy"):
        nas.call_direct("pool.snapshot.rollback", "tank/f@a", {"recursive": True})
    nas.call_direct("pool.snapshot.release", "tank/f@b")
    told.busy_name = "tank/f"
    with pytest.raises(CallError, match="cannot rollback to 'tank/f@a': dataset is busy"):
        nas.call_direct("pool.snapshot.rollback", "tank/f@a", {"recursive": True})
    assert ids(nas, "snapshot") == ["tank/f@a", "tank/f@b"]


def test_a_rollback_to_the_newest_snapshot_drops_what_was_written_since(nas: Nas) -> None:
    nas.call_direct("pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": GIB, "sparse": True})
    write(nas, "tank/v", 4 << 20)
    cut(nas, "tank/v", "s")
    write(nas, "tank/v", 2 << 20, snapshot_bytes=1 << 20)
    nas.call_direct("pool.snapshot.rollback", "tank/v@s")
    entry = nas.call_direct("pool.dataset.get_instance", "tank/v")
    assert [entry[key]["parsed"] >> 20 for key in ("used", "usedbydataset", "usedbysnapshots")] == [4, 4, 0]
    assert nas.call_direct("pool.query")[0]["allocated"] == 4 << 20
    assert nas.call_direct("pool.snapshot.get_instance", "tank/v@s")["properties"]["used"]["parsed"] == 0
    nas.call_direct("pool.snapshot.delete", "tank/v@s")
    assert nas.call_direct("pool.query")[0]["allocated"] == 4 << 20


def test_a_held_snapshot_with_clones_can_only_be_deferred_and_waits_for_both(nas: Nas) -> None:
    tree(nas, "tank/f")
    cut(nas, "tank/f", "s")
    clone(nas, "tank/f@s", "tank/c")
    nas.call_direct("pool.snapshot.hold", "tank/f@s")
    with pytest.raises(ValidationErrors, match="dependent clones: tank/c"):
        nas.call_direct("pool.snapshot.delete", "tank/f@s")
    nas.call_direct("pool.snapshot.delete", "tank/f@s", {"defer": True})
    nas.call_direct("pool.dataset.delete", "tank/c")
    assert ids(nas, "snapshot") == ["tank/f@s"]
    nas.call_direct("pool.snapshot.release", "tank/f@s")
    assert ids(nas, "snapshot") == []


def test_names_that_would_be_too_long_below_are_refused(nas: Nas) -> None:
    tree(nas, "tank/f", f"tank/f/{'d' * 200}")
    with pytest.raises(CallError, match="name is too long"):
        cut(nas, "tank/f", "s" * 60, recursive=True)
    assert ids(nas, "snapshot") == []
    cut(nas, "tank/f", "s", recursive=True)
    rows = nas.db.rows("select * from snapshot order by name")
    with nas.db.transaction(), pytest.raises(CallError, match="dataset name is too long"):
        snapshot_ops.rename(Ctx(nas), rows, "s" * 60)


def test_families_clones_and_holds_are_found_by_snapshot(nas: Nas) -> None:
    tree(nas, "tank/f", "tank/f/in", "tank/fx")
    cut(nas, "tank", "s", recursive=True)
    clone(nas, "tank/f@s", "tank/c")
    nas.call_direct("pool.snapshot.hold", "tank/f@s")
    ctx = Ctx(nas)
    top = snapshot_ops.find(ctx, "tank/f@s")
    assert top is not None
    assert [row["name"] for row in snapshot_ops.family(ctx, top, recursive=True)] == ["tank/f@s", "tank/f/in@s"]
    assert [row["name"] for row in snapshot_ops.family(ctx, top, recursive=False)] == ["tank/f@s"]
    assert (snapshot_ops.clones(ctx, top), snapshot_ops.holds(ctx, top)) == (["tank/c"], ["truenas"])
