"""Stage records: what is written is read, and nothing else is believed."""

# tests look at the real disk

import errno
import json
from dataclasses import replace

import pytest

from csisim.driver.node_state import Attachment, Inventory, Published, Staged, StageRecords
from csisim.driver.parameters import Protocol
from csisim.driver.requests import AccessType, Capability
from csisim.errors import FailedPrecondition, Unavailable
from csisim.pb import csi_pb2 as pb
from csisim.sim.files import MemoryStateFiles

MODE = pb.VolumeCapability.AccessMode
CAPABILITY = Capability(AccessType.MOUNT, 1, "ext4", ("noatime", "é"), "1000")
RECORD = Staged(
    "pvc-1",
    "/staging",
    CAPABILITY,
    Attachment(Protocol.ISCSI, {"portal": "nas:3260", "iqn": "iqn.x", "lun": "0"}),
    "/dev/disk/by-path/x",
    made_directory=True,
    readonly=True,
    growing=True,
    published=(Published("/target", CAPABILITY, readonly=True),),
)


async def test_a_record_comes_back_as_it_was_written() -> None:
    records = StageRecords(MemoryStateFiles())
    assert await records.load("pvc-1") is None
    await records.save(RECORD)
    assert await records.load("pvc-1") == RECORD
    assert await records.all() == Inventory((RECORD,))
    await records.forget("pvc-1")
    await records.forget("pvc-1")
    assert await records.all() == Inventory(())


def test_targets_are_added_replaced_and_taken_out_of_copies() -> None:
    other = Published("/target", CAPABILITY, readonly=False)
    assert RECORD.with_published(other).published == (other,)
    assert RECORD.without("/target").published == ()
    assert RECORD.at("/target") is RECORD.published[0]
    assert RECORD.at("/nowhere") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda row: row | {"volume_id": "pvc-2"},
        lambda row: row | {"staging_path": 7},
        lambda row: row | {"attachment": []},
        lambda row: row | {"published": [None]},
        lambda row: row | {"capability": row["capability"] | {"mode": "x"}},
        lambda row: {key: value for key, value in row.items() if key != "source"},
        lambda row: {key: value for key, value in row.items() if key != "readonly"},
        lambda _: [],
        lambda _: None,
    ],
)
async def test_a_damaged_record_is_named_and_not_believed(damage) -> None:
    files = MemoryStateFiles()
    await StageRecords(files).save(RECORD)
    row = json.loads(await files.read("pvc-1") or b"")
    await files.write("pvc-1", json.dumps(damage(row)).encode())
    with pytest.raises(FailedPrecondition, match="pvc-1"):
        await StageRecords(files).load("pvc-1")


async def test_a_record_cut_short_is_named_and_not_believed() -> None:
    files = MemoryStateFiles()
    await files.write("pvc-1", b'{"volume_id": "pvc-1", "stag')
    with pytest.raises(FailedPrecondition, match="damaged"):
        await StageRecords(files).load("pvc-1")


@pytest.mark.parametrize("damage", [b"{", b"[" * 100_000, b"\xff", b'{"volume_id": "pvc-1"}'])
async def test_a_damaged_record_is_told_of_and_does_not_hide_the_others(
    damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    files = MemoryStateFiles()
    records = StageRecords(files)
    await records.save(RECORD)
    await files.write("pvc-0", damage)
    assert await records.all() == Inventory((RECORD,), ("pvc-0",))
    assert "the record of volume pvc-0 is damaged" in caplog.text
    with pytest.raises(FailedPrecondition, match="pvc-0"):
        await records.load("pvc-0")


async def test_a_record_that_cannot_be_read_now_is_not_taken_for_damaged() -> None:
    class Failing(MemoryStateFiles):
        async def read(self, name: str) -> bytes | None:
            raise OSError(errno.EIO, "injected", name)

    files = Failing()
    await files.write("pvc-1", b"{}")
    with pytest.raises(Unavailable):
        await StageRecords(files).all()


@pytest.mark.parametrize(
    ("flags", "readonly", "mode"), [((), True, 1), (("ro",), False, 1), ((), False, MODE.MULTI_NODE_READER_ONLY)]
)
def test_a_volume_is_read_only_for_any_of_three_reasons(flags: tuple[str, ...], readonly: bool, mode: int) -> None:
    writable = replace(RECORD, readonly=False)
    assert not writable.read_only
    assert replace(writable, readonly=readonly, capability=Capability(AccessType.MOUNT, mode, "", flags)).read_only


async def test_a_record_from_before_growing_was_noted_has_grown() -> None:
    files = MemoryStateFiles()
    records = StageRecords(files)
    await records.save(RECORD)
    row = json.loads(await files.read("pvc-1") or b"")
    del row["growing"]
    await files.write("pvc-1", json.dumps(row).encode())

    assert await records.load("pvc-1") == replace(RECORD, growing=False)
