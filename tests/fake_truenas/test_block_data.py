"""Blocks against a model that keeps every zvol and snapshot as plain bytes."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from fake_truenas import block_data
from fake_truenas.block_data import ALIVE, Layer, Now, Space, View
from fake_truenas.store import Store

BLOCK = 4
BLOCKS = 8
SIZE = BLOCK * BLOCKS


@pytest.fixture
def db():
    store = Store([block_data.TABLES])
    yield store
    store.close()


def head(dataset: int, *below: Layer, volsize: int = SIZE) -> View:
    return View((Layer(dataset, ALIVE), *below), BLOCK, volsize)


def at(dataset: int, txg: int, *below: Layer) -> View:
    return View((Layer(dataset, txg), *below), BLOCK, SIZE)


def test_what_was_never_written_reads_as_zeros(db):
    assert block_data.read(db, head(1), 3, 9) == bytes(9)
    assert block_data.allocated(db, head(1), 0, 10).runs == []


def test_a_write_inside_a_block_keeps_the_other_bytes(db):
    block_data.write(db, head(1), Now(1), 0, b"abcdefgh")
    used = block_data.write(db, head(1), Now(2), 3, b"XY")
    assert block_data.read(db, head(1), 0, 12) == b"abcXYfgh\0\0\0\0"
    assert used == Space()


def test_first_writes_are_counted_and_rewrites_of_shared_blocks_leave_the_old_one_to_the_snapshot(db):
    assert block_data.write(db, head(1), Now(1), 0, bytes(8)) == Space(referenced=8, head=8, unique=8)
    used = block_data.write(db, head(1), Now(3, 2, 0), 0, b"abcd")
    assert used == Space(unique=4, snapshots=4, newest_only=4)
    assert block_data.read(db, at(1, 2), 0, 4) == bytes(4)
    assert block_data.count(db, 1, newest_txg=2) == (2, 1, 1)


def test_a_block_that_two_snapshots_see_belongs_to_neither_alone(db):
    block_data.write(db, head(1), Now(1), 0, b"abcd")
    used = block_data.write(db, head(1), Now(4, newest_txg=3, older_txg=2), 0, b"efgh")
    assert (used.snapshots, used.newest_only) == (4, 0)
    block_data.snapshot_destroyed(db, 1, previous_txg=2, next_txg=ALIVE - 1)
    assert block_data.count_seen_only_by(db, 1, 0, ALIVE - 1) == 1


def test_a_clone_shows_its_origin_until_it_writes(db):
    origin = Layer(1, 2)
    block_data.write(db, head(1), Now(1), 0, b"abcdefgh")
    clone = head(2, origin)
    assert block_data.read(db, clone, 0, 8) == b"abcdefgh"
    assert block_data.write(db, clone, Now(3), 0, b"ABCD") == Space(head=4, unique=4)
    assert block_data.unmap(db, clone, Now(4), 4, 4) == Space(referenced=-4)
    assert block_data.read(db, clone, 0, 8) == b"ABCD\0\0\0\0"
    assert block_data.read(db, head(1), 0, 8) == b"abcdefgh"
    assert block_data.allocated(db, clone, 0, 10).runs == [[0, 4]]


def test_neighbouring_blocks_are_one_range_and_pages_are_limited(db):
    for start in (0, 4, 12, 20, 24):
        block_data.write(db, head(1), Now(1), start, b"abcd")
    first = block_data.allocated(db, head(1), 0, 2)
    assert (first.runs, first.next_offset) == ([[0, 8], [12, 4]], 20)
    assert block_data.allocated(db, head(1), 20, 2) == block_data.Runs([[20, 8]], None)


def test_the_work_of_one_page_is_bounded_and_a_range_goes_on_in_the_next(db, monkeypatch):
    monkeypatch.setattr(block_data, "_SCANNED_AT_MOST", 3)
    block_data.write(db, head(1), Now(1), 0, bytes(28))
    page = block_data.allocated(db, head(1), 0, 10)
    assert (page.runs, page.next_offset) == ([[0, 12]], 12)
    assert block_data.allocated(db, head(1), 12, 10).runs == [[12, 12]]
    assert block_data.allocated(db, head(1), 24, 10) == block_data.Runs([[24, 4]], None)


def test_the_last_range_ends_with_the_volume(db):
    view = head(1, volsize=10)
    block_data.write(db, view, Now(1), 8, b"ab")
    assert block_data.allocated(db, view, 0, 9).runs == [[8, 2]]


def test_changes_are_asked_for_within_one_line_of_descent_only(db):
    assert block_data.changed(db, at(2, 1), at(1, 5), 0, 9) is None
    assert block_data.changed(db, at(1, 5), at(1, 1), 0, 9) is None


def test_cost_of_a_difference_follows_what_changed(db):
    block_data.write(db, head(1, volsize=1 << 20), Now(1), 0, bytes(4 * 4000))
    for number in (3, 500):
        block_data.write(db, head(1, volsize=1 << 20), Now(3, 2), number * 4, b"abcd")
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    db.connection.set_progress_handler(count, 100)
    found = block_data.changed(db, at(1, 2), View((Layer(1, 9),), 4, 1 << 20), 0, 10)
    db.connection.set_progress_handler(None, 0)
    assert found is not None
    assert found.runs == [[12, 4], [2000, 4]]
    assert steps < 10, "hundreds of SQLite steps were taken for two changed blocks"


@dataclass
class Volume:
    """The model of one zvol: what it shows, and its snapshots by txg."""

    key: int
    content: bytearray
    origin: "tuple[Volume, int] | None" = None
    snapshots: dict[int, bytes] = field(default_factory=dict)
    dead: bool = False


class Zvols(RuleBasedStateMachine):
    """Everything that happens to zvols, in any order."""

    volumes = Bundle("volumes")

    def __init__(self) -> None:
        super().__init__()
        self.db = Store([block_data.TABLES])
        self.txg = 0
        self.key = 0
        self.all: list[Volume] = []

    def teardown(self) -> None:
        self.db.close()

    def next_txg(self) -> int:
        self.txg += 1
        return self.txg

    def layers(self, volume: Volume, txg: int) -> tuple[Layer, ...]:
        found = [Layer(volume.key, txg)]
        while volume.origin is not None:
            volume, txg = volume.origin
            found.append(Layer(volume.key, txg))
        return tuple(found)

    def view(self, volume: Volume, txg: int = ALIVE) -> View:
        return View(self.layers(volume, txg), BLOCK, SIZE)

    def now(self, volume: Volume) -> Now:
        newest = sorted(volume.snapshots, reverse=True)[:2]
        return Now(self.next_txg(), *newest)

    def has_clones(self, volume: Volume, txg: int) -> bool:
        return any(one.origin == (volume, txg) for one in self.all if not one.dead and one.origin)

    @initialize(target=volumes)
    def create(self):
        self.key += 1
        volume = Volume(self.key, bytearray(SIZE))
        self.all.append(volume)
        return volume

    @rule(volume=volumes, offset=st.integers(0, SIZE - 1), data=st.binary(min_size=1, max_size=14))
    def write(self, volume: Volume, offset: int, data: bytes):
        if volume.dead:
            return
        data = data[: SIZE - offset]
        before = self.space(volume)
        used = block_data.write(self.db, self.view(volume), self.now(volume), offset, data)
        volume.content[offset : offset + len(data)] = data
        self.check_space(volume, before, used)

    @rule(volume=volumes, offset=st.integers(0, SIZE - 1), length=st.integers(1, SIZE))
    def unmap(self, volume: Volume, offset: int, length: int):
        if volume.dead:
            return
        length = min(length, SIZE - offset)
        before = self.space(volume)
        used = block_data.unmap(self.db, self.view(volume), self.now(volume), offset, length)
        volume.content[offset : offset + length] = bytes(length)
        self.check_space(volume, before, used)

    @rule(volume=volumes)
    def snapshot(self, volume: Volume):
        if not volume.dead:
            volume.snapshots[self.next_txg()] = bytes(volume.content)

    @rule(volume=volumes, letter=st.sampled_from(b"abc"))
    def fill_and_cut(self, volume: Volume, letter: int):
        self.write(volume, 0, bytes([letter]) * 14)
        self.snapshot(volume)

    @rule(target=volumes, volume=volumes, choice=st.integers(0, 20))
    def clone(self, volume: Volume, choice: int):
        if volume.dead or not volume.snapshots or len(self.all) > 5:
            return multiple()
        txg = sorted(volume.snapshots)[choice % len(volume.snapshots)]
        self.key += 1
        self.next_txg()
        made = Volume(self.key, bytearray(volume.snapshots[txg]), origin=(volume, txg))
        self.all.append(made)
        return made

    @rule(volume=volumes, choice=st.integers(0, 20))
    def delete_snapshot(self, volume: Volume, choice: int):
        if volume.dead or not volume.snapshots:
            return
        txgs = sorted(volume.snapshots)
        place = choice % len(txgs)
        if self.has_clones(volume, txgs[place]):
            return
        around = [0, *txgs, ALIVE - 1]
        block_data.snapshot_destroyed(self.db, volume.key, around[place], around[place + 2])
        del volume.snapshots[txgs[place]]

    @rule(volume=volumes)
    def roll_back(self, volume: Volume):
        if volume.dead or not volume.snapshots:
            return
        txg = max(volume.snapshots)
        block_data.rolled_back(self.db, volume.key, txg)
        volume.content[:] = volume.snapshots[txg]

    @rule(volume=volumes)
    def promote(self, volume: Volume):
        if volume.dead or volume.origin is None:
            return
        source, txg = volume.origin
        block_data.promoted(self.db, volume.key, source.key, txg)
        for moved in [one for one in source.snapshots if one <= txg]:
            volume.snapshots[moved] = source.snapshots.pop(moved)
            for one in self.all:
                if one.origin == (source, moved):
                    one.origin = (volume, moved)
        volume.origin, source.origin = source.origin, (volume, txg)

    @rule(volume=volumes)
    def destroy(self, volume: Volume):
        if volume.origin is None or volume.dead or any(self.has_clones(volume, txg) for txg in volume.snapshots):
            return
        block_data.dataset_destroyed(self.db, volume.key)
        volume.dead = True

    def space(self, volume: Volume) -> tuple[int, int, int]:
        return block_data.count(self.db, volume.key, max(volume.snapshots, default=0))

    def check_space(self, volume: Volume, before: tuple[int, int, int], used: Space) -> None:
        after = self.space(volume)
        deltas = [(new - old) * BLOCK for old, new in zip(before, after, strict=True)]
        assert deltas == [used.head, used.unique, used.snapshots]

    @invariant()
    def every_view_reads_as_the_model_says(self):
        for volume in self.all:
            if not volume.dead:
                assert block_data.read(self.db, self.view(volume), 0, SIZE) == volume.content
                for txg, content in volume.snapshots.items():
                    assert block_data.read(self.db, self.view(volume, txg), 0, SIZE) == content

    @invariant()
    def whatever_is_not_allocated_is_zero(self):
        for volume in self.all:
            if not volume.dead:
                named = self.blocks(block_data.allocated(self.db, self.view(volume), 0, 3), self.view(volume))
                assert not any(
                    self.block(volume.content, number).strip(b"\0")
                    for number in named.symmetric_difference(range(BLOCKS))
                )

    @invariant()
    def whatever_is_not_named_as_changed_is_the_same(self):
        for volume in self.all:
            if volume.dead:
                continue
            for base, old in volume.snapshots.items():
                targets = [(txg, content) for txg, content in volume.snapshots.items() if txg >= base]
                for txg, content in [*targets, (ALIVE, bytes(volume.content))]:
                    self.check_difference(self.view(volume, base), old, self.view(volume, txg), content)
            if volume.origin is not None:
                source, txg = volume.origin
                old = source.snapshots[txg]
                self.check_difference(self.view(source, txg), old, self.view(volume), bytes(volume.content))

    def check_difference(self, base: View, old: bytes, target: View, new: bytes) -> None:
        page = block_data.changed(self.db, base, target, 0, BLOCKS)
        assert page is not None
        named = {number for start, length in page.runs for number in range(start // BLOCK, (start + length) // BLOCK)}
        differing = {number for number in range(BLOCKS) if self.block(old, number) != self.block(new, number)}
        assert differing <= named
        if base.layers == target.layers:
            assert named == set()

    def blocks(self, page: block_data.Runs, view: View) -> set[int]:
        """All pages together, as block numbers."""
        runs = list(page.runs)
        while page.next_offset is not None:
            page = block_data.allocated(self.db, view, page.next_offset, 3)
            runs += page.runs
        assert runs == sorted(runs)
        return {number for start, length in runs for number in range(start // BLOCK, (start + length) // BLOCK)}

    @staticmethod
    def block(content: bytes | bytearray, number: int) -> bytes:
        return bytes(content[number * BLOCK : (number + 1) * BLOCK])


TestZvols = Zvols.TestCase
TestZvols.settings = settings(max_examples=15, stateful_step_count=40)
