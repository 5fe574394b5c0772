"""Random sequences of ZFS operations, each compared with a model that knows ZFS's rules and nothing of the server.

The model (`zfs_model`) says what each call must end with: "" for success, or the kind of refusal.
`ZFS_STATEFUL_EXAMPLES=2000` in the environment runs that many sequences, fresh ones each time.
"""

import base64
import os
import random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fake_truenas import Nas, NasConfig, Pool
from fake_truenas.errors import ApiError, CallError, ValidationErrors
from tests.fake_truenas.rpc import GIB, KEY, Clock
from tests.fake_truenas.zfs_model import (
    BUSY,
    CHILDREN,
    CLONES,
    CONFLICT,
    DEFERRED,
    EXISTS,
    FIELD,
    INSIDE,
    MISSING,
    NEWER,
    NO_CLONE,
    OK,
    PARENT,
    PROPERTY,
    ROOT,
    SHRINK,
    TAG,
    Model,
)

POOL_BYTES = 1 << 50
SLOP_BYTES = 128 << 30  # what ZFS keeps back of a pool this large

WORDS = (  # the first that a refusal's text has tells its kind
    ("operation does not apply to pools", ROOT),
    ("filesystem has children", CHILDREN),
    ("volume has children", CHILDREN),
    ("dependent clones", CLONES),
    ("is marked for destruction", DEFERRED),
    ("more recent snapshots", NEWER),
    ("Only cloned datasets", NO_CLONE),
    ("conflicts with", CONFLICT),
    ("Property does not exist", PROPERTY),
    ("You cannot shrink", SHRINK),
    ("not valid for FILESYSTEM", FIELD),
    ("tag already exists", TAG),
    ("descendant of", INSIDE),
    ("is busy", BUSY),
    ("Parent dataset", PARENT),
    ("parent does not exist", PARENT),
    ("may not be a ZFS volume", PARENT),
    ("already exists", EXISTS),
    ("clones of previous snapshots", CLONES),
    ("not found", MISSING),
    ("does not exist", MISSING),
)


def kind_of(error: ApiError) -> str:
    """The kind of a refusal."""
    assert isinstance(error, (CallError, ValidationErrors))
    return next(kind for word, kind in WORDS if word in error.reason)


SHORTS = st.sampled_from(["s", "t", "u"])
KEYS = st.sampled_from(["x:a", "x:b"])
SIZES = st.sampled_from([GIB, 2 * GIB, 3 * GIB])
PICKS = st.integers(0, 1 << 16)
DEEPEST = 4


class Zfs(RuleBasedStateMachine):
    """Each rule does one thing to the server and to the model."""

    def __init__(self) -> None:
        super().__init__()
        config = NasConfig(pools=(Pool("tank", POOL_BYTES),), api_key=KEY)
        self.nas = Nas(config, rng=random.Random(1), clock=Clock())
        self.model = Model()

    @initialize(short=SHORTS)
    def begin(self, short: str) -> None:
        """Two file systems with properties of their own, a volume, and a snapshot of each: something to work on."""
        for name, key in (("tank/a", "x:a"), ("tank/b", "x:b")):
            self.both(self.model.create(name, 0), "pool.dataset.create", {"name": name})
            data = {"user_properties_update": [{"key": key, "value": name}]}
            self.both(self.model.set(name, key, name), "pool.dataset.update", name, data)
        volume = {"name": "tank/a/c", "type": "VOLUME", "volsize": GIB, "sparse": True}
        self.both(self.model.create("tank/a/c", GIB), "pool.dataset.create", volume)
        data = {"dataset": "tank", "name": short, "recursive": True}
        self.both(self.model.snapshot("tank", short, recursive=True), "pool.snapshot.create", data)

    def teardown(self) -> None:
        self.nas.close()

    def both(self, expected: str, method: str, *params: Any) -> None:
        """The model has spoken: the server must end with the same."""
        try:
            self.nas.call_direct(method, *params)
            found = OK
        except ApiError as error:
            found = kind_of(error)
        assert found == expected, f"{method}{params}: {found or 'done'}, expected {expected or 'done'}"

    def dataset(self, pick: int) -> str:
        """A dataset that exists; now and then one that does not."""
        names = [one.name for one in self.model.datasets.values()]
        return names[pick % len(names)] if pick % 16 else "tank/gone"

    def some(self, pick: int) -> str:
        """A snapshot that exists; now and then one that does not."""
        names = [self.model.snapshot_name(number) for number in self.model.snapshots]
        return names[pick % len(names)] if names and pick % 16 else "tank/gone@gone"

    def fresh(self, pick: int) -> str:
        """A name below a dataset that exists; it may be taken, or below a volume."""
        names = [one.name for one in self.model.datasets.values() if one.name.count("/") < DEEPEST - 1]
        return f"{names[pick % len(names)] if pick % 16 else 'tank/gone'}/{'abc'[pick % 3]}"

    @rule(pick=PICKS)
    def create(self, pick: int) -> None:
        name = self.fresh(pick)
        self.both(self.model.create(name, 0), "pool.dataset.create", {"name": name})

    @rule(pick=PICKS, volsize=SIZES, sparse=st.booleans())
    def create_volume(self, pick: int, volsize: int, sparse: bool) -> None:
        name = self.fresh(pick)
        data = {"name": name, "type": "VOLUME", "volsize": volsize, "sparse": sparse}
        self.both(self.model.create(name, volsize), "pool.dataset.create", data)

    @rule(pick=PICKS, short=SHORTS, recursive=st.booleans())
    def snapshot(self, pick: int, short: str, recursive: bool) -> None:
        name = self.dataset(pick)
        data = {"dataset": name, "name": short, "recursive": recursive}
        self.both(self.model.snapshot(name, short, recursive=recursive), "pool.snapshot.create", data)

    @precondition(lambda self: self.model.snapshots)
    @rule(pick=PICKS, place=PICKS)
    def clone(self, pick: int, place: int) -> None:
        data = {"snapshot": self.some(pick), "dataset_dst": self.fresh(place)}
        self.both(self.model.clone(data["snapshot"], data["dataset_dst"]), "pool.snapshot.clone", data)

    @rule(pick=PICKS)
    def promote(self, pick: int) -> None:
        name = self.dataset(pick)
        self.both(self.model.promote(name), "pool.dataset.promote", name)

    @precondition(lambda self: self.clones())
    @rule(pick=PICKS)
    def promote_a_clone(self, pick: int) -> None:
        name = self.clones()[pick % len(self.clones())]
        self.both(self.model.promote(name), "pool.dataset.promote", name)

    @precondition(lambda self: self.clones())
    @rule(pick=PICKS)
    def delete_a_clone(self, pick: int) -> None:
        name = self.clones()[pick % len(self.clones())]
        expected = self.model.delete(name, recursive=bool(pick % 4))
        self.both(expected, "pool.dataset.delete", name, {"recursive": bool(pick % 4)})

    @rule(pick=PICKS, place=PICKS, short=SHORTS)
    def snapshot_clone_and_defer(self, pick: int, place: int, short: str) -> None:
        """What a driver does for a volume from a volume: the snapshot is to go with its last clone."""
        dataset, clone = self.dataset(pick), self.fresh(place)
        name = f"{dataset}@{short}"
        made = self.model.snapshot(dataset, short, recursive=False)
        self.both(made, "pool.snapshot.create", {"dataset": dataset, "name": short})
        cloned = self.model.clone(name, clone)
        self.both(cloned, "pool.snapshot.clone", {"snapshot": name, "dataset_dst": clone})
        gone = self.model.unsnap(name, defer=True)
        self.both(gone, "pool.snapshot.delete", name, {"defer": True})

    def clones(self) -> list[str]:
        return [one.name for one in self.model.datasets.values() if one.origin is not None]

    @precondition(lambda self: self.model.snapshots)
    @rule(pick=PICKS)
    def hold(self, pick: int) -> None:
        name = self.some(pick)
        self.both(self.model.hold(name), "pool.snapshot.hold", name)
        if pick % 2:
            dataset = name.partition("@")[0]
            expected = self.model.delete(dataset, recursive=True)
            self.both(expected, "pool.dataset.delete", dataset, {"recursive": True})

    @precondition(lambda self: any(one.held for one in self.model.snapshots.values()))
    @rule(pick=PICKS)
    def release(self, pick: int) -> None:
        held = [self.model.snapshot_name(number) for number, one in self.model.snapshots.items() if one.held]
        name = held[pick % len(held)]
        self.both(self.model.release(name), "pool.snapshot.release", name)

    @precondition(lambda self: self.model.snapshots)
    @rule(pick=PICKS, defer=st.booleans())
    def delete_snapshot(self, pick: int, defer: bool) -> None:
        name = self.some(pick)
        self.both(self.model.unsnap(name, defer=defer), "pool.snapshot.delete", name, {"defer": defer})

    @rule(pick=PICKS, recursive=st.booleans())
    def delete(self, pick: int, recursive: bool) -> None:
        name = self.dataset(pick)
        expected = self.model.delete(name, recursive=recursive)
        self.both(expected, "pool.dataset.delete", name, {"recursive": recursive})

    @rule(pick=PICKS, place=PICKS)
    def rename(self, pick: int, place: int) -> None:
        name, new_name = self.dataset(pick), self.fresh(place)
        expected = self.model.rename(name, new_name)
        self.both(expected, "pool.dataset.rename", name, {"new_name": new_name, "force": True})

    @precondition(lambda self: self.model.snapshots)
    @rule(pick=PICKS, recursive=st.booleans())
    def rollback(self, pick: int, recursive: bool) -> None:
        name = self.some(pick)
        expected = self.model.rollback(name, recursive=recursive)
        self.both(expected, "pool.snapshot.rollback", name, {"recursive": recursive})

    @rule(pick=PICKS, key=KEYS, value=st.sampled_from(["1", "2"]))
    def set_property(self, pick: int, key: str, value: str) -> None:
        name = self.dataset(pick)
        data = {"user_properties_update": [{"key": key, "value": value}]}
        self.both(self.model.set(name, key, value), "pool.dataset.update", name, data)

    @rule(pick=PICKS, key=KEYS)
    def remove_property(self, pick: int, key: str) -> None:
        name = self.dataset(pick)
        data = {"user_properties_update": [{"key": key, "remove": True}]}
        self.both(self.model.unset(name, key), "pool.dataset.update", name, data)

    @rule(pick=PICKS, volsize=SIZES)
    def resize(self, pick: int, volsize: int) -> None:
        name = self.dataset(pick)
        self.both(self.model.resize(name, volsize), "pool.dataset.update", name, {"volsize": volsize})

    @precondition(lambda self: any(one.is_volume for one in self.model.datasets.values()))
    @rule(pick=PICKS, block=st.integers(0, 3), short=SHORTS)
    def write(self, pick: int, block: int, short: str) -> None:
        """Contents are none of the model's business; the space that they take, before and after a snapshot, adds up."""
        volumes = [one.name for one in self.model.datasets.values() if one.is_volume]
        name, data = volumes[pick % len(volumes)], base64.b64encode(bytes([pick & 0xFF]) * 16384).decode()
        self.both(OK, "fake.block.write", name, block * 16384, data)
        if pick % 2:
            made = self.model.snapshot(name, short, recursive=False)
            self.both(made, "pool.snapshot.create", {"dataset": name, "name": short})
            self.both(OK, "fake.block.write", name, block * 16384, data)

    @invariant()
    def same_datasets_with_the_same_origins_sizes_and_properties(self) -> None:
        rows = self.nas.call_direct("pool.dataset.query", [], {"order_by": ["id"]})
        expected = sorted(self.model.datasets.values(), key=lambda one: one.name)
        assert [row["id"] for row in rows] == [one.name for one in expected]
        for row, one in zip(rows, expected, strict=True):
            origin = "" if one.origin is None else self.model.snapshot_name(one.origin)
            assert (row["origin"]["value"], row["type"] == "VOLUME") == (origin, one.is_volume)
            assert row.get("volsize", {"parsed": 0})["parsed"] == one.volsize
            found = {
                key: (item["value"], item["source"], item["source_info"])
                for key, item in row["user_properties"].items()
            }
            assert found == {
                key: (value, "LOCAL", None) if setter == one.name else (value, "INHERITED", setter)
                for key, (value, setter) in self.model.properties(one.name).items()
            }
        self.space_adds_up({row["id"]: row for row in rows})

    @invariant()
    def same_snapshots_with_the_same_clones_holds_and_marks(self) -> None:
        rows = self.nas.call_direct("pool.snapshot.query", [])
        found = {
            row["id"]: (
                sorted(filter(None, row["properties"]["clones"]["rawvalue"].split(","))),
                row["properties"]["userrefs"]["parsed"] > 0,
                row["properties"]["defer_destroy"]["rawvalue"] == "on",
            )
            for row in rows
        }
        model = self.model
        assert found == {
            model.snapshot_name(number): (
                sorted(model.datasets[clone].name for clone in model.clones(number)), one.held, one.deferred,
            )
            for number, one in model.snapshots.items()
        }  # fmt: skip

    def space_adds_up(self, rows: dict[str, Any]) -> None:
        def size(name: str, key: str) -> int:
            return rows[name][key]["parsed"] or 0

        parts = ("usedbydataset", "usedbysnapshots", "usedbychildren", "usedbyrefreservation")
        for name in rows:
            assert all(size(name, key) >= 0 for key in (*parts, "used", "available"))
            assert size(name, "used") == sum(size(name, key) for key in parts)
            children = [one for one in rows if one.rpartition("/")[0] == name]
            charged = [max(size(one, "used"), size(one, "reservation")) for one in children]
            assert size(name, "usedbychildren") == sum(charged)
        assert size("tank", "used") + size("tank", "available") == POOL_BYTES - SLOP_BYTES
        allocated = self.nas.call_direct("pool.query")[0]["allocated"]
        assert allocated == sum(size(name, key) for name in rows for key in parts[:2])


def test_the_server_does_what_zfs_would() -> None:
    """Many steps each, because what goes wrong needs a snapshot, a clone of it, and something done to either."""
    more = os.environ.get("ZFS_STATEFUL_EXAMPLES")
    long = settings(max_examples=int(more or 14), stateful_step_count=80, derandomize=more is None)
    run_state_machine_as_test(Zfs, settings=long)
