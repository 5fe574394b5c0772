"""The typed verbs, against the fake NAS over a real websocket: shapes, paging, and which refusal means what."""

import pytest

from csisim.errors import NasRefused
from csisim.truenas.storage import Storage, is_existing, is_missing, is_out_of_space, lacks_base
from tests.support.rig import running

GIB = 1 << 30


@pytest.fixture
async def storage(tmp_path):
    async with running(tmp_path / "csi.sock") as rig:
        made = Storage(rig.client)
        await made.create_parents("tank/csi")
        rig.methods()
        made.rig = rig
        yield made


async def refusal(awaitable):
    with pytest.raises(NasRefused) as caught:
        await awaitable
    return caught.value


async def make(storage, name, **options):
    return await storage.create_dataset(f"tank/csi/{name}", user_properties={"x:y": name}, settings={}, **options)


async def test_a_dataset_comes_back_as_it_was_made(storage):
    made = await make(storage, "v", refquota_bytes=2 * GIB)

    assert await storage.dataset("tank/csi/v") == made
    assert (made.component, made.is_volume, made.size_bytes, made.origin) == ("v", False, 2 * GIB, "")
    assert made.user_properties == {"x:y": "v"}
    assert made.settings["sync"] == "STANDARD"


async def test_a_zvol_has_a_volsize_and_inherited_properties_do_not_count(storage):
    await storage.update_dataset("tank/csi", set_properties={"from:parent": "yes"})
    made = await make(storage, "z", volsize_bytes=GIB)

    assert (made.is_volume, made.size_bytes) == (True, GIB)
    assert made.user_properties == {"x:y": "z"}


async def test_what_is_not_there_is_none(storage):
    assert await storage.dataset("tank/csi/none") is None
    assert await storage.snapshot("tank/csi@none") is None
    assert await storage.pool("none") is None


async def test_both_ways_of_saying_that_a_name_is_taken_are_understood(storage):
    await make(storage, "v")
    await make(storage, "z", volsize_bytes=GIB)

    for error in (await refusal(make(storage, "v")), await refusal(make(storage, "z", volsize_bytes=GIB))):
        assert is_existing(error)
        assert not is_out_of_space(error)


async def test_a_missing_parent_and_a_missing_dataset_are_told_from_other_refusals(storage):
    assert lacks_base(await refusal(make(storage, "none/v")))
    assert is_missing(await refusal(storage.update_dataset("tank/csi/none", refquota_bytes=GIB)))
    assert not lacks_base(await refusal(make(storage, "v", refquota_bytes=5)))


@pytest.mark.parametrize(
    ("code", "errno", "reason"),
    [
        (-32601, 201, "Method does not exist"),
        (-32001, 5, "[EIO] device not found"),
        (-32001, 14, "[EFAULT] no such thing"),
    ],
)
def test_only_the_number_makes_a_deletion_done(code, errno, reason):
    assert not is_missing(NasRefused("pool.dataset.delete", reason, code=code, errno=errno))


async def test_lack_of_space_is_recognised(storage):
    assert is_out_of_space(await refusal(make(storage, "z", volsize_bytes=5000 * GIB)))


async def test_deleting_what_is_gone_is_fine(storage):
    await storage.delete_dataset("tank/csi/none")
    await storage.delete_snapshot("tank/csi@none")


async def test_changes_go_in_one_call_and_can_be_taken_back(storage):
    await make(storage, "v", refquota_bytes=GIB)
    storage.rig.methods()
    changed = await storage.update_dataset(
        "tank/csi/v", refquota_bytes=3 * GIB, set_properties={"a:b": "c"}, remove_properties=["x:y"]
    )

    assert storage.rig.methods() == ["pool.dataset.update"]
    assert (changed.size_bytes, changed.user_properties) == (3 * GIB, {"a:b": "c"})


async def test_long_lists_come_in_pages_by_key(storage, monkeypatch):
    monkeypatch.setattr("csisim.truenas.storage._PAGE", 2)
    for number in range(5):
        await make(storage, f"v{number}")
    storage.rig.methods()

    assert await storage.dataset_names("tank/csi") == [f"tank/csi/v{number}" for number in range(5)]
    assert len(storage.rig.methods()) == 3
    rows = await storage.datasets_after("tank/csi", "tank/csi/v0", 3)
    assert [row.component for row in rows] == ["v1", "v2", "v3"]


async def test_counting_by_property_fetches_no_rows(storage):
    for number in range(3):
        await storage.create_dataset(f"tank/csi/v{number}", user_properties={"a.b:c": str(number % 2)}, settings={})

    assert await storage.count_with_property("tank/csi", "a.b:c", "0") == 2


async def test_snapshots_are_found_by_id_name_and_dataset(storage):
    for name in ("v", "w"):
        await make(storage, name, volsize_bytes=GIB)
        await storage.create_snapshot(f"tank/csi/{name}", "s", {"own:key": name})
    await storage.clone("tank/csi/v@s", "tank/csi/copy", {"own:clone": "1"})
    snapshot = await storage.snapshot("tank/csi/v@s")

    assert (snapshot.dataset, snapshot.name, snapshot.volsize_bytes) == ("tank/csi/v", "s", GIB)
    assert snapshot.clones == ("tank/csi/copy",)
    assert snapshot.user_properties == {"own:key": "v"}
    assert [each.id for each in await storage.snapshots_named("tank/csi", "s")] == ["tank/csi/v@s", "tank/csi/w@s"]
    assert [each.id for each in await storage.snapshots_of("tank/csi/w")] == ["tank/csi/w@s"]
    assert [each.id for each in await storage.snapshots_after("tank/csi/", "tank/csi/v@s", 5)] == ["tank/csi/w@s"]
    assert (await storage.dataset("tank/csi/copy")).origin == "tank/csi/v@s"


async def test_a_deferred_snapshot_goes_with_its_last_clone(storage):
    await make(storage, "v")
    await storage.create_snapshot("tank/csi/v", "s", {})
    await storage.clone("tank/csi/v@s", "tank/csi/copy", {})
    await storage.delete_snapshot("tank/csi/v@s", defer=True)
    assert (await storage.snapshot("tank/csi/v@s")).deferred

    await storage.delete_dataset("tank/csi/copy")
    assert await storage.snapshot("tank/csi/v@s") is None
