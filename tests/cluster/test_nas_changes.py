"""What the log of changes tells of a NAS, against what its calls do to it."""

import random

import pytest

from csisim.cluster.nas_changes import Change, ChangeLog
from fake_truenas import Nas, NasConfig
from fake_truenas.errors import ApiError

CSI = "tank/csi"
A, B = f"{CSI}/a", f"{CSI}/b"


class Watched:
    def __init__(self) -> None:
        config = NasConfig(api_key="1-" + "k" * 64)
        self.nas = Nas(config, rng=random.Random(1), clock=lambda: 1_700_000_000.0)
        self.changes: list[Change] = []
        self.commits = 0
        self.watch()

    def watch(self) -> None:
        ChangeLog(self.nas.db, self._tell)

    def _tell(self, changes: list[Change]) -> None:
        self.commits += 1
        self.changes += changes

    async def __call__(self, method, *params):
        """The changes of one call, as (how, object, more)."""
        self.changes.clear()
        try:
            await self.nas.call(method, *params)
        except ApiError as error:
            return error
        return [(each.how, each.object, each.more) for each in self.changes]


@pytest.fixture
async def nas():
    watched = Watched()
    await watched("pool.dataset.create", {"name": CSI})
    await watched("pool.dataset.create", {"name": A, "user_properties": [{"key": "csisim:x", "value": "1"}]})
    yield watched
    watched.nas.close()


def properties(**values):
    return {"user_properties_update": [{"key": f"csisim:{key}", "value": value} for key, value in values.items()]}


async def test_a_new_dataset_with_its_properties(nas):
    create = {"name": B, "type": "VOLUME", "volsize": 1 << 30, "sparse": True, "user_properties": []}
    assert await nas("pool.dataset.create", create) == [("created", f"dataset {B}", "")]
    assert await nas("pool.dataset.create", create | {"name": f"{CSI}/c", "user_properties": [{"key": "csisim:k", "value": "v"}]}) == [
        ("created", f"dataset {CSI}/c", ""),
        ("changed", f"dataset {CSI}/c", "csisim:k"),
    ]  # fmt: skip


async def test_an_update_tells_what_it_changed_and_nothing_else(nas):
    assert await nas("pool.dataset.update", A, properties(x="1")) == []
    found = await nas("pool.dataset.update", A, properties(x="2", y="3") | {"refquota": 2 << 30, "compression": "LZ4"})
    assert sorted(found) == [
        ("changed", f"dataset {A}", part) for part in ("csisim:x", "csisim:y", "local", "refquota")
    ]
    assert await nas("pool.dataset.update", A, {"user_properties_update": [{"key": "csisim:y", "remove": True}]}) == [
        ("changed", f"dataset {A}", "csisim:y")
    ]


async def test_what_is_inherited_changes_the_parent_alone(nas):
    assert await nas("pool.dataset.update", CSI, properties(z="1")) == [("changed", f"dataset {CSI}", "csisim:z")]
    assert await nas("pool.dataset.update", A, properties(z="1")) == [("changed", f"dataset {A}", "csisim:z")]
    removed = {"user_properties_update": [{"key": "csisim:z", "remove": True}]}
    assert await nas("pool.dataset.update", A, removed) == [("changed", f"dataset {A}", "csisim:z")]


async def test_a_refused_call_and_a_rehearsal_tell_nothing(nas):
    refused = await nas("pool.dataset.create", {"name": A})
    assert isinstance(refused, ApiError)
    assert nas.changes == []
    nas.nas.rehearse(nas.nas._inside, "pool.dataset.create", [{"name": B}])
    await nas("pool.dataset.query", [], {})
    assert nas.changes == []


async def snapshot(nas, name="s"):
    return await nas("pool.snapshot.create", {"dataset": A, "name": name, "properties": {"csisim:n": "1"}})


async def test_snapshots_their_properties_and_their_clones(nas):
    assert await snapshot(nas) == [("created", f"snapshot {A}@s", ""), ("changed", f"snapshot {A}@s", "csisim:n")]
    assert await nas("pool.snapshot.update", f"{A}@s", properties(n="1")) == []
    assert await nas("pool.snapshot.update", f"{A}@s", properties(n="2")) == [
        ("changed", f"snapshot {A}@s", "csisim:n")
    ]
    clone = {"snapshot": f"{A}@s", "dataset_dst": B, "dataset_properties": {}}
    assert await nas("pool.snapshot.clone", clone) == [
        ("created", f"dataset {B}", ""),
        ("changed", f"snapshot {A}@s", "clones"),
    ]
    assert await nas("pool.snapshot.delete", f"{A}@s", {"defer": True}) == [("changed", f"snapshot {A}@s", "deferred")]
    # The last clone takes the snapshot along that was only waiting for it.
    found = await nas("pool.dataset.delete", B)
    assert ("destroyed", f"dataset {B}", "") in found
    assert ("destroyed", f"snapshot {A}@s", "") in found


async def test_a_promotion_moves_the_snapshots(nas):
    await snapshot(nas, "old")
    await snapshot(nas)
    await nas("pool.snapshot.clone", {"snapshot": f"{A}@s", "dataset_dst": B, "dataset_properties": {}})
    found = await nas("pool.dataset.promote", B)
    assert [each for each in found if each[0] == "moved"] == [
        ("moved", f"snapshot {A}@old", f"{B}@old"),
        ("moved", f"snapshot {A}@s", f"{B}@s"),
    ]
    assert ("changed", f"dataset {A}", "origin") in found
    assert ("changed", f"dataset {B}", "origin") in found
    assert not [each for each in found if each[0] in ("created", "destroyed")]


async def test_a_rollback_destroys_the_snapshots_after_it(nas):
    for name in ("s1", "s2", "s3"):
        await snapshot(nas, name)
    found = await nas("pool.snapshot.rollback", f"{A}@s1", {"recursive": True})
    assert sorted(each for each in found if each[0] == "destroyed") == [
        ("destroyed", f"snapshot {A}@s2", ""),
        ("destroyed", f"snapshot {A}@s3", ""),
    ]


async def test_a_recursive_destroy_tells_everything_that_went(nas):
    await snapshot(nas)
    await nas("sharing.nfs.create", {"path": f"/mnt/{A}"})
    found = await nas("pool.dataset.delete", CSI, {"recursive": True})
    assert sorted(each[1] for each in found if each[0] == "destroyed") == [
        f"dataset {CSI}",
        f"dataset {A}",
        f"nfs share /mnt/{A}",
        f"snapshot {A}@s",
    ]


async def test_renaming_moves_what_is_below(nas):
    await snapshot(nas)
    assert await nas("pool.dataset.rename", A, {"new_name": B, "force": True}) is not None
    assert {(each.how, each.object, each.more) for each in nas.changes} >= {
        ("moved", f"dataset {A}", B),
        ("moved", f"snapshot {A}@s", f"{B}@s"),
    }


async def test_block_targets_and_their_parts(nas):
    await nas("pool.dataset.create", {"name": B, "type": "VOLUME", "volsize": 1 << 30, "sparse": True})
    assert await nas("iscsi.extent.create", {"name": "b", "type": "DISK", "disk": f"zvol/{B}"}) == [
        ("created", "iscsi extent b", "")
    ]
    assert await nas("iscsi.target.create", {"name": "b", "groups": []}) == [("created", "iscsi target b", "")]
    pair = {"target": 1, "extent": 1, "lunid": 0}
    assert await nas("iscsi.targetextent.create", pair) == [("created", "iscsi target-extent 1", "")]
    assert await nas("nvmet.subsys.create", {"name": "n", "allow_any_host": True}) == [
        ("created", "nvmet subsystem n", "")
    ]
    port = (await nas.nas.call("nvmet.port.query", [], {}))[0]["id"]
    assert await nas("nvmet.port_subsys.create", {"port_id": port, "subsys_id": 1}) == [
        ("created", "nvmet port-subsystem 1", "")
    ]
    assert await nas("iscsi.target.update", 1, {"alias": "other"}) == [("changed", "iscsi target b", "fields")]
    assert sorted(await nas("iscsi.target.delete", 1, True)) == [
        ("destroyed", "iscsi target b", ""),
        ("destroyed", "iscsi target-extent 1", ""),
    ]


async def test_the_nas_that_comes_after_a_crash_is_watched_too_and_once(nas):
    config = nas.nas.config
    store = nas.nas.crash()
    nas.nas = Nas(config, rng=random.Random(2), clock=lambda: 1_700_000_000.0, store=store)
    nas.watch()
    nas.commits = 0
    assert await nas("pool.dataset.create", {"name": B}) == [("created", f"dataset {B}", "")]
    assert nas.commits == 1
