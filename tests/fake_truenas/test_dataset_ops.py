"""Destroying, promoting and renaming datasets: ZFS's refusals, and what each leaves behind."""

from collections.abc import Sequence
from typing import Any

import pytest

from fake_truenas import Nas
from fake_truenas.context import Ctx
from fake_truenas.errors import CallError
from fake_truenas.registry import DatasetHooks
from tests.fake_truenas.objects import add_referenced, create, get, used, volume
from tests.fake_truenas.rpc import GIB, Client


async def test_delete_refuses_children_snapshots_and_foreign_clones(client: Client) -> None:
    await create(client, "tank/d")
    await create(client, "tank/d/c")
    error = await client.refused("pool.dataset.delete", "tank/d")
    assert (error.code, error.data["errname"]) == (-32001, "ENOTEMPTY")
    assert error.reason == "[ENOTEMPTY] Failed to delete dataset: cannot destroy 'tank/d': filesystem has children"
    await client.call("pool.snapshot.create", {"dataset": "tank/d/c", "name": "s"})
    error = await client.refused("pool.dataset.delete", "tank/d/c")
    assert (error.code, error.data["errname"]) == (-32001, "EFAULT")
    assert "filesystem has children\nuse '-r'" in error.reason
    await client.call("pool.snapshot.clone", {"snapshot": "tank/d/c@s", "dataset_dst": "tank/clone"})
    for options in ({"recursive": True}, {"recursive": True, "force": True}):
        error = await client.refused("pool.dataset.delete", "tank/d", options)
        assert (error.data["errname"], "dependent clones\nuse '-R'" in error.reason) == ("EFAULT", True)
    assert await client.call("pool.dataset.delete", "tank/clone") is True
    assert await client.call("pool.dataset.delete", "tank/d", {"recursive": True}) is True
    assert await client.call("pool.dataset.query", [], {"count": True}) == 1
    assert await client.call("pool.snapshot.query", [], {"count": True}) == 0
    error = await client.refused("pool.dataset.delete", "tank")
    assert "operation does not apply to pools\nuse 'zfs destroy -r tank'" in error.reason


async def test_clones_within_a_tree_go_with_it(client: Client) -> None:
    await create(client, "tank/t")
    await create(client, "tank/t/a")
    await client.call("pool.snapshot.create", {"dataset": "tank/t/a", "name": "s"})
    await client.call("pool.snapshot.clone", {"snapshot": "tank/t/a@s", "dataset_dst": "tank/t/b"})
    assert await client.call("pool.dataset.delete", "tank/t", {"recursive": True}) is True
    assert await client.call("pool.dataset.query", [], {"count": True}) == 1


class Recorder(DatasetHooks):
    """Remembers what it was told; may keep a dataset busy."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.busy_name = ""

    def busy(self, ctx: Ctx, name: str) -> str | None:
        return "in use" if name == self.busy_name else None

    def dataset_deleted(self, ctx: Ctx, pk: int, name: str) -> None:
        self.told.append(("deleted", name))
        assert ctx.db.value("select name from dataset where pk = ?", (pk,)) == name

    def dataset_renamed(self, ctx: Ctx, pk: int, old: str, new: str) -> None:
        self.told.append(("renamed", old, new))

    def dataset_resized(self, ctx: Ctx, pk: int, volsize_bytes: int) -> None:
        self.told.append(("resized", volsize_bytes))


async def test_hooks_hear_of_changes_and_can_keep_a_dataset_busy(nas: Nas, client: Client) -> None:
    recorder = Recorder()
    nas.hooks = [*nas.hooks, recorder]
    await create(client, "tank/h")
    await volume(client, "tank/h/v")
    recorder.busy_name = "tank/h/v"
    error = await client.refused("pool.dataset.delete", "tank/h", {"recursive": True})
    assert error.reason == "[EBUSY] Failed to delete dataset: cannot destroy 'tank/h/v': dataset is busy"
    error = await client.refused("pool.dataset.rename", "tank/h", {"new_name": "tank/i", "force": True})
    assert (error.code, error.data["errname"]) == (-32001, "EBUSY")
    assert recorder.told == []
    recorder.busy_name = ""
    await client.call("pool.dataset.update", "tank/h/v", {"volsize": 2 * GIB})
    assert await client.call("pool.dataset.rename", "tank/h", {"new_name": "tank/i", "force": True}) is None
    await client.call("pool.dataset.delete", "tank/i", {"recursive": True})
    assert recorder.told == [
        ("resized", 2 * GIB), ("renamed", "tank/h", "tank/i"), ("renamed", "tank/h/v", "tank/i/v"),
        ("deleted", "tank/i/v"), ("deleted", "tank/i"),
    ]  # fmt: skip


async def test_promote_swaps_the_dependency_and_renames_snapshots(client: Client) -> None:
    await volume(client, "tank/src")
    for name in ("s1", "s2", "s3"):
        await client.call("pool.snapshot.create", {"dataset": "tank/src", "name": name})
    await client.call("pool.snapshot.clone", {"snapshot": "tank/src@s2", "dataset_dst": "tank/clone"})
    await client.call("pool.snapshot.clone", {"snapshot": "tank/src@s1", "dataset_dst": "tank/other"})
    assert await client.call("pool.dataset.promote", "tank/clone") is None
    names = await client.call("pool.snapshot.query", [], {"select": ["name"]})
    assert [row["name"] for row in names] == ["tank/clone@s1", "tank/clone@s2", "tank/src@s3"]
    origins = {name: (await get(client, f"tank/{name}"))["origin"]["value"] for name in ("src", "clone", "other")}
    assert origins == {"src": "tank/clone@s2", "clone": "", "other": "tank/clone@s1"}
    error = await client.refused("pool.dataset.promote", "tank/clone")
    assert (error.data["errname"], error.reason) == ("EBADMSG", "[EBADMSG] Only cloned datasets can be promoted.")
    await client.call("pool.snapshot.delete", "tank/src@s3")
    assert await client.call("pool.dataset.delete", "tank/src") is True


async def test_promote_refuses_colliding_snapshot_names(client: Client) -> None:
    await volume(client, "tank/src")
    await client.call("pool.snapshot.create", {"dataset": "tank/src", "name": "s"})
    await client.call("pool.snapshot.clone", {"snapshot": "tank/src@s", "dataset_dst": "tank/clone"})
    await client.call("pool.snapshot.create", {"dataset": "tank/clone", "name": "s"})
    error = await client.refused("pool.dataset.promote", "tank/clone")
    assert (error.data["errname"], "conflicts" in error.reason) == ("EEXIST", True)


async def test_rename_moves_the_tree_its_snapshots_charges_and_inheritance(client: Client) -> None:
    await create(client, "tank/a", user_properties=[{"key": "x:y", "value": "a"}])
    await create(client, "tank/b", user_properties=[{"key": "x:y", "value": "b"}])
    await create(client, "tank/a/m")
    await create(client, "tank/a/m/v", type="VOLUME", volsize=GIB)
    await client.call("pool.snapshot.create", {"dataset": "tank/a/m/v", "name": "s"})
    before = await used(client)
    await client.call("pool.dataset.rename", "tank/a/m", {"new_name": "tank/b/n", "force": True})
    assert (await get(client, "tank/b/n/v"))["user_properties"]["x:y"]["value"] == "b"
    assert (await client.call("pool.snapshot.query", [["id", "=", "tank/b/n/v@s"]]))[0]["dataset"] == "tank/b/n/v"
    assert [await used(client, name) for name in ("tank/a", "tank/b", "tank")] == [0, before, before]
    for new, text in [
        ("tank/b/n/v/in", "parent does not exist"), ("tank/b/n/x", "descendant"), ("tank/a", "already exists"),
        ("other/x", "parent does not exist"),
    ]:  # fmt: skip
        error = await client.refused("pool.dataset.rename", "tank/b/n", {"new_name": new, "force": True})
        assert (error.code, text in error.reason) == (-32001, True), new


MIB = 1 << 20


class Box:
    """A NAS called directly, with thin zvols that can be written to."""

    def __init__(self, nas: Nas) -> None:
        self.nas = nas
        self.call = nas.call_direct

    def zvol(self, name: str) -> None:
        self.call("pool.dataset.create", {"name": name, "type": "VOLUME", "volsize": GIB, "sparse": True})

    def snap(self, dataset: str, *names: str) -> None:
        for name in names:
            self.call("pool.snapshot.create", {"dataset": dataset, "name": name})

    def clone(self, snapshot: str, name: str, **properties: str) -> None:
        data = {"snapshot": snapshot, "dataset_dst": name, "dataset_properties": properties}
        self.call("pool.snapshot.clone", data)

    def write(self, name: str, new: int, rewritten: int = 0) -> None:
        with self.nas.db.transaction():
            pk = self.nas.db.value("select pk from dataset where name = ?", (name,))
            add_referenced(self.nas.db, pk, new, snapshot_bytes=rewritten)

    def numbers(self, name: str, *keys: str) -> list[int]:
        entry = self.call("pool.dataset.get_instance", name)
        return [entry[key]["parsed"] // MIB for key in keys]

    def allocated(self) -> int:
        return int(self.call("pool.query")[0]["allocated"]) // MIB

    def ids(self, kind: str) -> list[str]:
        return [row["id"] for row in self.call(f"pool.{kind}.query", [], {"order_by": ["id"]})]


@pytest.fixture
def box(nas: Nas) -> Box:
    return Box(nas)


def test_what_a_destroyed_snapshot_alone_held_is_free_again(box: Box) -> None:
    box.zvol("tank/v")
    box.write("tank/v", 8 * MIB)
    box.snap("tank/v", "s1")
    box.write("tank/v", 0, rewritten=3 * MIB)
    assert box.numbers("tank/v", "used", "usedbysnapshots") == [11, 3]
    box.snap("tank/v", "s2")
    box.call("pool.snapshot.delete", "tank/v@s1")
    assert box.numbers("tank/v", "used", "usedbysnapshots") == [8, 0]
    assert box.allocated() == 8
    written = box.call("pool.snapshot.get_instance", "tank/v@s2")["properties"]["written"]["parsed"]
    assert written == 8 * MIB  # the newer one now stands for all that was written before it


def test_without_its_newest_snapshot_a_dataset_has_what_was_written_before_it_to_itself_again(box: Box) -> None:
    box.zvol("tank/v")
    box.write("tank/v", 8 * MIB)
    box.snap("tank/v", "s1")
    box.write("tank/v", 2 * MIB)
    box.snap("tank/v", "s2")
    box.call("pool.snapshot.delete", "tank/v@s2")
    box.snap("tank/v", "s3")
    properties = box.call("pool.snapshot.get_instance", "tank/v@s3")["properties"]
    assert properties["written"]["parsed"] == 2 * MIB


def test_a_tree_gives_back_its_space_and_its_reservations(box: Box) -> None:
    box.call("pool.dataset.create", {"name": "tank/t", "reservation": 2 * GIB})
    box.zvol("tank/t/v")
    box.write("tank/t/v", 5 * MIB)
    box.snap("tank/t/v", "s")
    box.write("tank/t/v", MIB, rewritten=MIB)
    assert (box.numbers("tank", "used"), box.allocated()) == ([2048], 7)
    box.call("pool.dataset.delete", "tank/t", {"recursive": True})
    assert (box.numbers("tank", "used"), box.allocated(), box.ids("snapshot")) == ([0], 0, [])


def test_a_deferred_snapshot_goes_when_the_tree_with_its_last_clone_goes(box: Box) -> None:
    box.zvol("tank/v")
    box.write("tank/v", MIB)
    box.snap("tank/v", "s")
    box.call("pool.dataset.create", {"name": "tank/t"})
    box.clone("tank/v@s", "tank/t/c1")
    box.clone("tank/v@s", "tank/t/c2")
    box.call("pool.snapshot.delete", "tank/v@s", {"defer": True})
    box.call("pool.dataset.delete", "tank/t/c1")
    assert box.ids("snapshot") == ["tank/v@s"]
    box.call("pool.dataset.delete", "tank/t", {"recursive": True})
    assert (box.ids("snapshot"), box.numbers("tank/v", "used"), box.allocated()) == ([], [1], 1)


def test_a_refused_destroy_leaves_the_whole_tree(box: Box) -> None:
    box.call("pool.dataset.create", {"name": "tank/t"})
    for name in ("a", "b"):
        box.zvol(f"tank/t/{name}")
        box.snap(f"tank/t/{name}", "s")
    box.call("pool.snapshot.hold", "tank/t/b@s")
    before = box.ids("dataset"), box.ids("snapshot")
    with pytest.raises(CallError, match="cannot destroy snapshot tank/t/b@s: dataset is busy"):
        box.call("pool.dataset.delete", "tank/t", {"recursive": True})
    assert (box.ids("dataset"), box.ids("snapshot")) == before


def test_a_promoted_clone_pays_for_what_it_shared(box: Box) -> None:
    box.zvol("tank/v")
    box.write("tank/v", 6 * MIB)
    box.snap("tank/v", "s")
    box.write("tank/v", 2 * MIB, rewritten=MIB)
    box.clone("tank/v@s", "tank/c")
    box.write("tank/c", MIB)
    parts = ("usedbydataset", "usedbysnapshots")
    assert (box.numbers("tank/v", *parts), box.numbers("tank/c", *parts)) == ([8, 1], [1, 0])
    box.call("pool.dataset.promote", "tank/c")
    assert (box.numbers("tank/v", *parts), box.numbers("tank/c", *parts)) == ([3, 0], [6, 1])
    assert (box.numbers("tank", "used"), box.allocated()) == ([10], 10)
    box.call("pool.dataset.promote", "tank/v")
    assert (box.numbers("tank/v", *parts), box.numbers("tank/c", *parts)) == ([8, 1], [1, 0])


def test_a_promoted_clone_of_a_clone_descends_from_the_first_one(box: Box) -> None:
    box.zvol("tank/v")
    box.snap("tank/v", "s")
    box.clone("tank/v@s", "tank/c")
    box.snap("tank/c", "t")
    box.clone("tank/c@t", "tank/d")
    box.call("pool.dataset.promote", "tank/d")
    origins = {name: box.call("pool.dataset.get_instance", f"tank/{name}")["origin"]["value"] for name in "vcd"}
    assert origins == {"v": "", "c": "tank/d@t", "d": "tank/v@s"}


def test_names_that_a_rename_would_make_too_long_are_refused(box: Box) -> None:
    box.call("pool.dataset.create", {"name": "tank/a/" + "c" * 100, "create_ancestors": True})
    box.snap("tank/a/" + "c" * 100, "s" * 100)
    longest = "tank/a/" + "c" * 100 + "@" + "s" * 100
    room = 255 - len(longest)
    with pytest.raises(CallError, match="cannot rename 'tank/a': dataset name is too long"):
        box.call("pool.dataset.rename", "tank/a", {"new_name": "tank/a" + "x" * (room + 1), "force": True})
    assert box.ids("dataset") == ["tank", "tank/a", "tank/a/" + "c" * 100]
    box.call("pool.dataset.rename", "tank/a", {"new_name": "tank/a" + "x" * room, "force": True})
    assert [len(name) for name in box.ids("snapshot")] == [255]


class SnapshotsSeen(DatasetHooks):
    """Notes which snapshots go and come, and whether they were still there when told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def snapshot_deleted(self, ctx: Ctx, dataset_pk: int, snapshot_pk: int) -> None:
        self.told.append(("deleted", ctx.db.value("select name from snapshot where pk = ?", (snapshot_pk,))))

    def promoted(self, ctx: Ctx, clone_pk: int, origin_dataset_pk: int, snapshot_pks: Sequence[int]) -> None:
        names = [ctx.db.value("select name from snapshot where pk = ?", (pk,)) for pk in snapshot_pks]
        self.told.append(("promoted", names))


def test_hooks_are_told_of_snapshots_that_go_or_change_hands(box: Box) -> None:
    seen = SnapshotsSeen()
    box.nas.hooks = [*box.nas.hooks, seen]
    box.zvol("tank/v")
    box.snap("tank/v", "s1", "s2", "s3")
    box.clone("tank/v@s2", "tank/c")
    box.call("pool.dataset.promote", "tank/c")
    box.call("pool.dataset.delete", "tank/v", {"recursive": True})
    assert seen.told == [("promoted", ["tank/c@s1", "tank/c@s2"]), ("deleted", "tank/v@s3")]
