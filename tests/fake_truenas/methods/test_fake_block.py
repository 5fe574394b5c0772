"""fake.block.*: the block data plane, over pool.dataset.* and pool.snapshot.*."""

import base64
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fake_truenas.errors import ApiError
from fake_truenas.methods.fake_block import FILE_BLOCK_BYTES
from tests.fake_truenas.methods.conftest import GIB, Box
from tests.fake_truenas.rpc import make_nas

BLOCK = 512
BLOCKS = 8
SIZE = BLOCK * BLOCKS


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def read(box, name: str, offset: int, length: int) -> bytes:
    return base64.b64decode(box("fake.block.read", name, offset, length))


def prop(box, name: str, key: str) -> int:
    return box("pool.dataset.get_instance", name)[key]["parsed"]


def test_bytes_are_kept_and_zeros_are_read_elsewhere(box):
    box.zvol("tank/v")
    assert box("fake.block.write", "tank/v", 5, b64(b"hello")) is None
    assert read(box, "tank/v", 3, 9) == b"\0\0hello\0\0"
    assert box("fake.block.read", "tank/v", 0, 0) == ""
    assert box("fake.block.unmap", "tank/v", 6, 2) is None
    assert read(box, "tank/v", 5, 5) == b"h\0\0lo"


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_nothing_is_written_read_or_freed_beyond_the_end(box, shift):
    box.zvol("tank/v")
    calls = [
        ("fake.block.write", "tank/v", GIB - 4 + shift, b64(b"abcd")),
        ("fake.block.read", "tank/v", GIB - 4 + shift, 4),
        ("fake.block.unmap", "tank/v", GIB - 4 + shift, 4),
    ]
    for call in calls:
        if shift > 0:
            text = f"4 bytes at {GIB - 3} do not lie within tank/v, which has {GIB} bytes"
            assert box.refused(*call) == [("offset", text, 22)]
        else:
            box(*call)


def test_what_does_not_fit_is_refused(box):
    box.zvol("tank/v")
    box.filesystem("tank/fs")
    box("pool.snapshot.create", {"dataset": "tank/v", "name": "s"})
    box("pool.snapshot.create", {"dataset": "tank/fs", "name": "s"})
    assert box.refused("fake.block.write", "tank/v", 0, "a?") == [("data", "Not valid base64", 22)]
    assert box.refused("fake.block.write", "tank/v", -1, "") == [
        ("offset", "Input should be greater than or equal to 0", 22)
    ]
    assert box.refused("fake.block.write", "tank/x", 0, "") == [(None, "PoolDataset tank/x does not exist", 2)]
    assert box.refused("fake.block.read", "tank/v@x", 0, 1) == [(None, "PoolSnapshot tank/v@x does not exist", 2)]
    assert box.refused("fake.block.write", "tank/fs", 1 << 40, "eA==")[0][0] == "offset"
    assert box.failed("fake.block.write", "tank/fs@s", 0, "")[0] == 30
    assert box.refused("fake.block.read", "tank/v", 0, (1 << 20) + 1)[0][0] == "length"
    assert box.failed("fake.block.write", "tank/v@s", 0, "")[0] == 30
    assert box.refused("fake.block.changed", "tank/v", "tank/v@s")[0] == ("base", "tank/v is not a snapshot", 22)
    assert box.refused("fake.block.allocated", "tank/v", 0, 0)[0][0] == "limit"


def test_a_snapshot_keeps_what_was_there(box):
    box.zvol("tank/v", volblocksize="16K")
    box("fake.block.write", "tank/v", 0, b64(b"old"))
    box("pool.snapshot.create", {"dataset": "tank/v", "name": "s"})
    box("fake.block.write", "tank/v", 0, b64(b"new"))
    box("fake.block.write", "tank/v", 1 << 20, b64(b"x"))
    assert read(box, "tank/v@s", 0, 3) == b"old"
    assert box("fake.block.allocated", "tank/v@s") == {
        "volblocksize": 16384, "volsize": GIB, "runs": [[0, 16384]], "next_offset": None,
    }  # fmt: skip
    assert box("fake.block.changed", "tank/v@s", "tank/v", 0, 1) == {
        "volblocksize": 16384, "volsize": GIB, "runs": [[0, 16384]], "next_offset": 1 << 20,
    }  # fmt: skip
    assert box("fake.block.changed", "tank/v@s", "tank/v", 1 << 20, 1)["runs"] == [[1 << 20, 16384]]
    assert box("fake.block.changed", None, "tank/v") == box("fake.block.allocated", "tank/v")


def test_a_snapshot_keeps_its_size_when_the_zvol_grows(box):
    box.zvol("tank/v")
    box("pool.snapshot.create", {"dataset": "tank/v", "name": "s"})
    box("pool.dataset.update", "tank/v", {"volsize": 2 * GIB})
    box("fake.block.write", "tank/v", GIB, b64(b"x"))
    assert box("fake.block.allocated", "tank/v@s")["volsize"] == GIB
    assert box.refused("fake.block.read", "tank/v@s", GIB, 1)[0][0] == "offset"


def test_only_one_line_of_descent_can_be_compared(box):
    for name in ("tank/a", "tank/b"):
        box.zvol(name)
        box("pool.snapshot.create", {"dataset": name, "name": "s"})
    box("pool.snapshot.create", {"dataset": "tank/a", "name": "t"})
    for base, target in (("tank/a@s", "tank/b@s"), ("tank/a@t", "tank/a@s")):
        text = f"{base} is not an earlier snapshot of {target}, nor of what it was cloned from"
        assert box.refused("fake.block.changed", base, target) == [("base", text, 22)]


def test_written_blocks_take_space_from_the_pool(box):
    box.zvol("tank/v", volblocksize="16K")
    before = prop(box, "tank", "available")
    box("fake.block.write", "tank/v", 0, b64(b"x" * 20000))
    assert prop(box, "tank/v", "usedbydataset") == prop(box, "tank/v", "used") == 32768
    assert prop(box, "tank", "available") == before - 32768
    box("fake.block.unmap", "tank/v", 0, 16384)
    assert prop(box, "tank/v", "used") == 16384
    box("pool.dataset.delete", "tank/v")
    assert prop(box, "tank", "available") == before


def test_deleted_snapshots_give_back_what_only_they_saw(box):
    box.zvol("tank/v", volblocksize="16K")
    for letter in b"abc":
        box("fake.block.write", "tank/v", 0, b64(bytes([letter]) * 16384))
        box("fake.block.write", "tank/v", 1 << 20, b64(b"x" * 16384 if letter == ord("a") else b""))
        box("pool.snapshot.create", {"dataset": "tank/v", "name": chr(letter)})
    box("fake.block.write", "tank/v", 0, b64(b"d" * 32768))
    box("fake.block.unmap", "tank/v", 1 << 20, 16384)
    used = [prop(box, "tank/v", "used") // 16384]
    for name in "bca":
        box("pool.snapshot.delete", f"tank/v@{name}")
        used.append(prop(box, "tank/v", "used") // 16384)
    # a, b, c and d versions of the first block, the second one, and the one that all three snapshots share
    assert used == [6, 5, 4, 2]


def test_a_full_quota_refuses_the_write_and_keeps_nothing_of_it(box):
    box("pool.dataset.create", {"name": "tank/fs", "quota": GIB})
    box("pool.dataset.create", {"name": "tank/fs/thick", "type": "VOLUME", "volsize": 1000 << 20, "force_size": True})
    box.zvol("tank/fs/v", 512 << 20, force_size=True, volblocksize="128K")
    fitting = prop(box, "tank/fs/v", "available") >> 20
    assert 4 < fitting < 20
    data = b64(b"x" * (1 << 20))
    for number in range(fitting):
        box("fake.block.write", "tank/fs/v", number << 20, data)
    errno, reason = box.failed("fake.block.write", "tank/fs/v", fitting << 20, data)
    assert errno == 28
    assert "out of space" in reason
    assert read(box, "tank/fs/v", fitting << 20, 4) == bytes(4)
    assert prop(box, "tank/fs/v", "used") == fitting << 20
    box("fake.block.write", "tank/fs/v", 0, b64(b"y" * (1 << 20)))  # a rewrite needs no more


def test_bytes_of_a_file_system_take_space_and_go_with_it(box):
    box.filesystem("tank/fs")
    before = prop(box, "tank", "available")
    box("fake.block.write", "tank/fs", 100, b64(b"x" * 4096))
    assert prop(box, "tank/fs", "used") == 8192
    box("fake.block.write", "tank/fs", 1 << 30, b64(b"x" * (1 << 20)))  # as much as is written counts, not up to where
    assert prop(box, "tank/fs", "used") == (1 << 20) + 8192
    box("pool.dataset.delete", "tank/fs")
    assert prop(box, "tank", "available") == before


def test_a_target_lets_only_its_initiators_in(box):
    group = box("iscsi.initiator.create", {"initiators": ["iqn.1993-08.org:good"]})["id"]
    box("iscsi.target.create", {"name": "t", "groups": [{"portal": 1, "initiator": group}]})
    session = {"protocol": "iscsi", "name": "iqn.2005-10.org.freenas.ctl:t", "initiator": "iqn.1993-08.org:bad"}
    assert box.failed("fake.block.connect", session)[0] == 13
    assert box.failed("fake.block.connect", {**session, "name": "iqn.2005-10.org.freenas.ctl:u"})[0] == 2
    number = box("fake.block.connect", {**session, "initiator": "iqn.1993-08.org:good"})
    assert [box("fake.block.disconnect", number) for _ in range(2)] == [True, False]


def test_a_subsystem_lets_only_its_hosts_in(box):
    subsys = box("nvmet.subsys.create", {"name": "s"})
    session = {
        "protocol": "nvmet",
        "name": subsys["subnqn"],
        "initiator": "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555",
    }
    assert box.failed("fake.block.connect", session)[0] == 13
    assert box.failed("fake.block.connect", {**session, "name": "nqn.x"})[0] == 2
    host = box("nvmet.host.create", {"hostnqn": session["initiator"]})["id"]
    assert box.failed("fake.block.connect", session)[0] == 13
    box("nvmet.host_subsys.create", {"host_id": host, "subsys_id": subsys["id"]})
    assert box("fake.block.connect", session) == 1


async def test_it_works_over_a_real_connection_within_the_message_limit(client):
    await client.call("pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": GIB})
    data = bytes(range(256)) * 180
    await client.call("fake.block.write", "tank/v", 1000, b64(data))
    assert await client.call("fake.block.read", "tank/v", 1000, len(data)) == b64(data)
    error = await client.refused("fake.block.write", "tank/none", 0, "")
    assert (error.code, error.items) == (-32602, [(None, "PoolDataset tank/none does not exist", 2)])


@dataclass
class Model:
    """One zvol as plain bytes; its snapshots in the order they were cut."""

    name: str
    content: bytearray
    snapshots: dict[str, bytes] = field(default_factory=dict)


ANY = st.integers(0, 59)
"""Which of the zvols or snapshots that are there."""


class Plane(RuleBasedStateMachine):
    """Random use of the whole API: contents follow the model, and the space used follows the blocks.

    Attributes:
        scale: how many times longer blocks, offsets and lengths are than in the rules.
    """

    scale = 1

    def __init__(self) -> None:
        super().__init__()
        self.box = Box()
        self.numbers = 0
        self.size = SIZE * self.scale
        self.make("tank/v")
        self.zvols = [Model("tank/v", bytearray(self.size))]

    def make(self, name: str) -> None:
        self.box.zvol(name, SIZE, volblocksize="512")

    def teardown(self) -> None:
        self.box.nas.close()

    def new(self, letter: str) -> str:
        self.numbers += 1
        return f"{letter}{self.numbers}"

    def tried(self, method: str, *params) -> bool:
        """Call; False if the NAS refuses, which must change nothing."""
        try:
            self.box(method, *params)
        except ApiError:
            return False
        return True

    def zvol(self, which: int) -> Model:
        return self.zvols[which % len(self.zvols)]

    def cut(self) -> list[tuple[Model, str]]:
        return [(zvol, short) for zvol in self.zvols for short in zvol.snapshots]

    def snapshot_of(self, which: int) -> tuple[Model, str]:
        return self.cut()[which % len(self.cut())]

    @rule(which=ANY, offset=st.integers(0, SIZE - 1), letter=st.sampled_from(b"abc"), length=st.integers(1, SIZE))
    def write(self, which: int, offset: int, letter: int, length: int):
        zvol, data = self.zvol(which), bytes([letter]) * min(length, SIZE - offset) * self.scale
        offset *= self.scale
        self.box("fake.block.write", zvol.name, offset, b64(data))
        zvol.content[offset : offset + len(data)] = data

    @rule(which=ANY, offset=st.integers(0, SIZE - 1), length=st.integers(1, SIZE))
    def unmap(self, which: int, offset: int, length: int):
        zvol, length, offset = self.zvol(which), min(length, SIZE - offset) * self.scale, offset * self.scale
        self.box("fake.block.unmap", zvol.name, offset, length)
        zvol.content[offset : offset + length] = bytes(length)

    @rule(which=ANY)
    def snapshot(self, which: int):
        zvol, short = self.zvol(which), self.new("s")
        self.box("pool.snapshot.create", {"dataset": zvol.name, "name": short})
        zvol.snapshots[short] = bytes(zvol.content)

    @rule(which=ANY)
    def rewrite_and_snapshot(self, which: int):
        self.write(which, 0, b"xyz"[which % 3], SIZE // 2)
        self.snapshot(which)

    @precondition(lambda self: self.cut() and len(self.zvols) < 5)
    @rule(which=ANY)
    def clone(self, which: int):
        zvol, short = self.snapshot_of(which)
        name = f"tank/{self.new('c')}"
        self.box("pool.snapshot.clone", {"snapshot": f"{zvol.name}@{short}", "dataset_dst": name})
        self.zvols.append(Model(name, bytearray(zvol.snapshots[short])))

    @precondition(lambda self: self.cut())
    @rule(which=ANY)
    def delete_snapshot(self, which: int):
        zvol, short = self.snapshot_of(which)
        if self.tried("pool.snapshot.delete", f"{zvol.name}@{short}"):
            del zvol.snapshots[short]

    @precondition(lambda self: self.cut())
    @rule(which=ANY)
    def roll_back(self, which: int):
        zvol, short = self.snapshot_of(which)
        if self.tried("pool.snapshot.rollback", f"{zvol.name}@{short}", {"recursive": True}):
            zvol.content[:] = zvol.snapshots[short]
            names = list(zvol.snapshots)
            for newer in names[names.index(short) + 1 :]:
                del zvol.snapshots[newer]

    @precondition(lambda self: len(self.zvols) > 1)
    @rule(which=ANY)
    def promote(self, which: int):
        zvol = self.zvol(which)
        if self.tried("pool.dataset.promote", zvol.name):
            here = {entry["snapshot_name"] for entry in self.box("pool.snapshot.query", [["dataset", "=", zvol.name]])}
            for other, short in self.cut():
                if other is not zvol and short in here:
                    zvol.snapshots[short] = other.snapshots.pop(short)
            zvol.snapshots = dict(sorted(zvol.snapshots.items(), key=lambda item: int(item[0][1:])))

    @rule(which=ANY)
    def rename(self, which: int):
        zvol, name = self.zvol(which), f"tank/{self.new('r')}"
        self.box("pool.dataset.rename", zvol.name, {"new_name": name, "force": True})
        zvol.name = name

    @precondition(lambda self: len(self.zvols) > 1)
    @rule(which=ANY)
    def destroy(self, which: int):
        zvol = self.zvol(which)
        if self.tried("pool.dataset.delete", zvol.name, {"recursive": True}):
            self.zvols.remove(zvol)

    @invariant()
    def contents_follow_the_model(self):
        for zvol in self.zvols:
            assert read(self.box, zvol.name, 0, self.size) == zvol.content
            for short, content in zvol.snapshots.items():
                assert read(self.box, f"{zvol.name}@{short}", 0, self.size) == content

    @invariant()
    def differences_leave_nothing_out(self):
        for zvol in self.zvols:
            for base, target in pairwise(zvol.snapshots):
                runs = self.box("fake.block.changed", f"{zvol.name}@{base}", f"{zvol.name}@{target}")["runs"]
                patched = bytearray(zvol.snapshots[base])
                for start, length in runs:
                    patched[start : start + length] = zvol.snapshots[target][start : start + length]
                assert patched == zvol.snapshots[target]

    @invariant()
    def space_follows_the_blocks(self):
        db = self.box.nas.db
        for row in db.rows("select * from dataset where name like 'tank/%'"):
            held = (
                db.value("select count(*) from zvol_block where dataset = ? and hole = 0", (row["pk"],))
                * BLOCK
                * self.scale
            )
            assert row["head"] + row["snaps"] == held
            runs = self.box("fake.block.allocated", row["name"])["runs"]
            assert row["referenced"] == sum(length for _, length in runs)
            newest = db.value("select max(createtxg) from snapshot where dataset = ?", (row["pk"],)) or 0
            sql = "select count(*) from zvol_block where dataset = ? and hole = 0 and death = 1 << 62 and birth > ?"
            assert row["uniq"] == db.value(sql, (row["pk"], newest)) * BLOCK * self.scale
            self.check_snapshots(row["pk"])
        total = db.value("select count(*) from zvol_block where hole = 0") * BLOCK * self.scale
        assert db.value("select child from dataset where name = 'tank'") == total

    def check_snapshots(self, dataset: int) -> None:
        """Each snapshot is charged with what it alone sees."""
        db = self.box.nas.db
        snapshots = db.rows("select createtxg, uniq from snapshot where dataset = ? order by createtxg", (dataset,))
        seen = [0] * len(snapshots)
        for row in db.rows("select birth, death from zvol_block where dataset = ? and hole = 0", (dataset,)):
            by = [place for place, one in enumerate(snapshots) if row["birth"] <= one["createtxg"] < row["death"]]
            if len(by) == 1 and row["death"] != 1 << 62:
                seen[by[0]] += BLOCK * self.scale
        assert [one["uniq"] for one in snapshots] == seen


class FilePlane(Plane):
    """The same on file systems."""

    scale = FILE_BLOCK_BYTES // BLOCK

    def make(self, name: str) -> None:
        self.box.filesystem(name)


TestPlane = Plane.TestCase
TestPlane.settings = settings(max_examples=15, stateful_step_count=40)
TestFilePlane = FilePlane.TestCase
TestFilePlane.settings = settings(max_examples=10, stateful_step_count=30)


def test_contents_and_shares_survive_a_restart(tmp_path):
    for boot in range(2):
        nas = make_nas(tmp_path)
        if boot == 0:
            nas.call_direct("pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": GIB})
            nas.call_direct("fake.block.write", "tank/v", 0, b64(b"before"))
            nas.call_direct("pool.snapshot.create", {"dataset": "tank/v", "name": "s"})
            nas.call_direct("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/v"})
        else:
            nas.call_direct("fake.block.write", "tank/v", 0, b64(b"after!"))
            assert nas.call_direct("fake.block.read", "tank/v@s", 0, 6) == b64(b"before")
            assert nas.call_direct("iscsi.extent.query", [], {"count": True}) == 1
        nas.close()
