"""What pods do with their volumes, and how they notice that bytes are not what they were."""

import asyncio
import errno
import random

import pytest

from csisim.co.containers import Containers, Ledger, Mount, sha
from csisim.events import History
from tests.co.scripted import Files, pod, simulated

MOUNT = Mount("vol-1", "/target", read_only=False)


class Rig:
    def __init__(self, **options):
        self.files, self.ledger, self.errors = Files(), Ledger(), []
        self.history = History(asyncio.get_running_loop().time)
        self.containers = Containers(
            "n1", self.files, self.ledger, random.Random(1), self.history,
            every_s=10.0, failed=self.errors.append, **options,
        )  # fmt: skip

    def seen(self):
        return [(event.f, event.type) for event in self.history.since()]


@simulated
async def test_a_pod_writes_and_reads_in_turn_and_every_byte_is_in_the_history():
    rig = Rig()
    first = pod("p", uid="u1")
    rig.containers.start(first, (MOUNT,))
    await asyncio.sleep(25)
    assert rig.containers.runs("u1")
    await rig.containers.stop("u1")
    events = [event.to_json() for event in rig.history.since()]
    assert sorted(name for _, name in rig.files.content)[:3] == ["p.0", "p.1", "p.2"]
    assert [(each["f"], each["type"]) for each in events[:4]] == [
        ("write", "invoke"), ("write", "ok"), ("read", "invoke"), ("read", "ok"),
    ]  # fmt: skip
    written, read = events[0]["value"], events[3]["value"]
    assert written["sha"] == read["sha"] == sha(rig.files.content["/target", "p.0"])
    assert (written["volume"], written["node"], written["path"], written["file"]) == ("vol-1", "n1", "/target", "p.0")
    assert rig.ledger.wrong == []


@simulated
async def test_in_a_copy_every_file_is_looked_for_that_anybody_wrote_anywhere():
    rig = Rig()
    rig.containers.start(pod("p", uid="u1"), (MOUNT,))
    await asyncio.sleep(1)
    await rig.containers.stop("u1")
    for copy in (False, True):
        begun = rig.history.last_seq
        rig.containers.start(pod("q", uid="u2"), (Mount("vol-2", "/copy", read_only=True, copy=copy),))
        await asyncio.sleep(0.5)
        await rig.containers.stop("u2")
        looked_for = [event.to_json()["value"]["file"] for event in rig.history.since(begun) if event.type == "invoke"]
        assert ("p.0" in looked_for) is copy


@simulated
async def test_what_was_acknowledged_must_be_there_for_the_next_pod():
    rig = Rig()
    rig.containers.start(pod("p", uid="u1"), (MOUNT,))
    await asyncio.sleep(1)
    await rig.containers.stop("u1")
    kept = rig.files.content["/target", "p.0"]
    for found, complaint in ((b"other", "other content"), (None, "no such file")):
        rig.files.content["/target", "p.0"] = found
        rig.containers.start(pod("q", uid="u2"), (Mount("vol-1", "/target", read_only=True),))
        await asyncio.sleep(1)
        await rig.containers.stop("u2")
        wrong = rig.ledger.wrong.pop(0)
        assert complaint in wrong
        assert f"pod default/q reads p.0 of volume vol-1: {complaint}" in wrong
        assert f"written was {sha(kept)}" in wrong
        rig.ledger.wrong.clear()


@pytest.mark.parametrize(
    ("number", "type_", "may_be"),
    [(errno.EROFS, "fail", 1), (errno.ESTALE, "fail", 1), (errno.EIO, "info", 2), (errno.ETIMEDOUT, "info", 2)],
)
@simulated
async def test_a_write_that_failed_did_not_happen_unless_nobody_can_know(number, type_, may_be):
    rig = Rig()
    rig.files.error = number
    rig.containers.start(pod("p", uid="u1"), (MOUNT,))
    await asyncio.sleep(1)
    await rig.containers.stop("u1")
    events = [event.to_json() for event in rig.history.since()]
    assert (events[1]["type"], events[1]["value"]) == (type_, {"errno": errno.errorcode[number]})
    assert events[3]["type"] == "fail"
    assert len(rig.ledger.may_be["vol-1", "p.0"]) == may_be


@simulated
async def test_a_container_that_is_stopped_in_the_middle_knows_nothing_of_its_write():
    rig = Rig()

    async def hang(*_arguments):
        await asyncio.sleep(100)

    rig.files.write = hang
    rig.containers.start(pod("p", uid="u1"), (MOUNT,))
    await asyncio.sleep(1)
    await rig.containers.stop_all()
    assert rig.seen() == [("write", "invoke"), ("write", "info")]
    assert not rig.containers.runs("u1")
    assert rig.errors == []


@simulated
async def test_an_error_of_the_program_is_told():
    rig = Rig()
    rig.files.names = None
    rig.containers.start(pod("p", uid="u1"), (MOUNT,))
    await asyncio.sleep(1)
    assert [type(error) for error in rig.errors] == [TypeError]


def test_old_or_new_may_be_read_while_a_write_is_under_way_and_only_the_new_after_it():
    ledger = Ledger()
    ledger.begun("v", "f", "one")
    assert ledger.may_be["v", "f"] == ("", "one")
    ledger.done("v", "f", "one")
    ledger.begun("v", "f", "two")
    for found in ("one", "two", "", "three"):
        ledger.read("v", "f", found, "pod", ledger.may_be["v", "f"])
    assert len(ledger.wrong) == 2
    ledger.undone("v", "f", "two")
    assert ledger.may_be["v", "f"] == ("one",)
    before = ledger.may_be["v", "f"]
    ledger.begun("v", "f", "four")
    ledger.read("v", "f", "four", "pod", before)  # written while it was read
    assert len(ledger.wrong) == 2
