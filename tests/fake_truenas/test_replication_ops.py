"""Snapshots that arrive: content, properties, identity; and what retention takes away."""

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_truenas import Nas
from fake_truenas.context import Ctx
from fake_truenas.errors import CallError
from fake_truenas.naming_schema import DEFAULT
from fake_truenas.patterns import Pattern
from fake_truenas.replication_ops import finish, receive
from fake_truenas.replication_plan import Selection, Step, make_plan
from tests.fake_truenas.rpc import GIB, make_nas
from tests.fake_truenas.test_space import check

BLOCK = 16384
ANY = Selection((), Pattern("(.*)$"))


def data(**more: Any) -> dict[str, Any]:
    return {
        "properties": True, "properties_exclude": [], "properties_override": {}, "readonly": "SET",
        "retention_policy": "NONE", "lifetime_value": None, "lifetime_unit": None, "lifetimes": [], **more,
    }  # fmt: skip


def send(nas: Nas, target: str, short: str, base: str | None = None, source: str = "tank/v", **more: Any) -> None:
    with nas.db.transaction():
        receive(Ctx(nas), data(**more), Step(source, target, base, (short,)), short, base)
    check(nas)


def end(nas: Nas, target: str, chosen: Selection = ANY, **more: Any) -> None:
    with nas.db.transaction():
        finish(Ctx(nas), data(**more), [Step("tank/v", target, None, ("s",))], chosen)
    check(nas)


def get(nas: Nas, name: str) -> Any:
    return nas.call_direct("pool.dataset.get_instance", name)


def put(nas: Nas, text: bytes, block: int = 0, name: str = "tank/v") -> None:
    nas.call_direct("fake.block.write", name, block * BLOCK, base64.b64encode(text).decode())


def content(nas: Nas, name: str, blocks: int = 4) -> list[bytes]:
    found = base64.b64decode(nas.call_direct("fake.block.read", name, 0, blocks * BLOCK))
    return [found[at : at + BLOCK].rstrip(b"\0") for at in range(0, len(found), BLOCK)]


def cut(nas: Nas, short: str, dataset: str = "tank/v", **more: Any) -> None:
    nas.call_direct("pool.snapshot.create", {"dataset": dataset, "name": short, **more})


@pytest.fixture
def volume(nas: Nas) -> Nas:
    """tank/v, which has been resized and has its own properties."""
    properties = [{"key": "x:y", "value": "1"}, {"key": "x:z", "value": "2"}]
    nas.call_direct(
        "pool.dataset.create",
        {"name": "tank/v", "type": "VOLUME", "volsize": GIB, "user_properties": properties, "sync": "ALWAYS"},
    )
    return nas


def test_a_full_stream_makes_a_dataset_of_its_own_with_the_content_of_that_time(volume: Nas) -> None:
    put(volume, b"one")
    cut(volume, "s", properties={"s:s": "3"})
    put(volume, b"later")
    volume.call_direct("pool.dataset.update", "tank/v", {"volsize": 2 * GIB})
    send(volume, "tank/deep/down/t", "s")
    assert content(volume, "tank/deep/down/t") == content(volume, "tank/deep/down/t@s") == [b"one", b"", b"", b""]
    entry = get(volume, "tank/deep/down/t")
    assert (entry["volsize"]["parsed"], entry["origin"]["value"], entry["used"]["parsed"]) == (
        GIB, "", get(volume, "tank/v")["refreservation"]["parsed"] + BLOCK,
    )  # fmt: skip
    old, new = (
        volume.call_direct("pool.snapshot.get_instance", f"{name}@s") for name in ("tank/v", "tank/deep/down/t")
    )
    for key in ("guid", "creation", "s:s", "referenced"):
        assert old["properties"][key]["rawvalue"] == new["properties"][key]["rawvalue"]
    volume.call_direct("pool.dataset.delete", "tank/v", {"recursive": True})  # nothing depends on it


def test_an_increment_brings_what_changed_and_drops_what_was_freed(volume: Nas) -> None:
    put(volume, b"one", 0)
    put(volume, b"two", 1)
    cut(volume, "a")
    send(volume, "tank/t", "a")
    put(volume, b"TWO", 1)
    put(volume, b"three", 2)
    volume.call_direct("fake.block.unmap", "tank/v", 0, BLOCK)
    cut(volume, "b")
    put(volume, b"mine", 3, "tank/t")  # is undone first
    cut(volume, "own", "tank/t")
    send(volume, "tank/t", "b", "a")
    assert content(volume, "tank/t") == [b"", b"TWO", b"three", b""]
    assert content(volume, "tank/t@a") == [b"one", b"two", b"", b""]
    rows = volume.call_direct("pool.snapshot.query", [["dataset", "=", "tank/t"]], {"order_by": ["id"]})
    assert [row["snapshot_name"] for row in rows] == ["a", "b"]
    assert volume.call_direct("fake.block.changed", "tank/t@a", "tank/t@b")["runs"] == [[0, 3 * BLOCK]]


def test_the_bytes_of_a_file_system_are_received_too(volume: Nas) -> None:
    volume.call_direct("pool.dataset.create", {"name": "tank/f"})
    for short, text in (("a", b"one"), ("b", b"two")):
        put(volume, text, 0, "tank/f")
        cut(volume, short, "tank/f")
        send(volume, "tank/g", short, "a" if short == "b" else None, source="tank/f")
    assert [content(volume, name, 1) for name in ("tank/g@a", "tank/g@b", "tank/g")] == [[b"one"], [b"two"], [b"two"]]


def test_a_full_stream_replaces_what_an_empty_target_had(volume: Nas) -> None:
    put(volume, b"new", 1)
    cut(volume, "s")
    volume.call_direct("pool.dataset.create", {"name": "tank/t", "type": "VOLUME", "volsize": GIB, "sparse": True})
    put(volume, b"old", 0, "tank/t")
    send(volume, "tank/t", "s")
    assert content(volume, "tank/t") == [b"", b"new", b"", b""]


async def test_a_file_system_brings_its_directories(nas: Nas) -> None:
    for name in ("tank/f", "tank/t", "tank/t/below"):
        nas.call_direct("pool.dataset.create", {"name": name})
    await nas.call("filesystem.mkdir", {"path": "/mnt/tank/f/there"})
    cut(nas, "s", "tank/f")
    await nas.call("filesystem.mkdir", {"path": "/mnt/tank/f/later"})
    send(nas, "tank/t", "s", source="tank/f")
    assert [entry["name"] for entry in await nas.call("filesystem.listdir", "/mnt/tank/t")] == ["below", "there"]


@pytest.mark.parametrize(
    ("more", "users", "sync", "reserves"),
    [
        ({}, {"x:y": "1", "x:z": "2"}, "ALWAYS", True),
        ({"properties": False}, {}, "STANDARD", False),
        ({"properties_exclude": ["x:z", "sync", "refreservation"]}, {"x:y": "1"}, "STANDARD", False),
        ({"properties_override": {"x:y": "other", "sync": "DISABLED"}}, {"x:y": "other", "x:z": "2"}, "DISABLED", True),
    ],
)  # fmt: skip
def test_properties_that_were_set_come_along_as_far_as_wanted(
    volume: Nas, more: Any, users: dict[str, str], sync: str, reserves: bool
) -> None:
    for short, base in (("a", None), ("b", "a")):  # the second run sets them anew
        cut(volume, short)
        send(volume, "tank/t", short, base, **more)
        entry = get(volume, "tank/t")
        assert {key: item["value"] for key, item in entry["user_properties"].items()} == users
        assert (entry["sync"]["value"], entry["refreservation"]["parsed"] is not None) == (sync, reserves)


def test_limits_of_a_file_system_come_along_and_follow(nas: Nas) -> None:
    nas.call_direct("pool.dataset.create", {"name": "tank/f", "quota": 2 * GIB, "casesensitivity": "INSENSITIVE"})
    cut(nas, "a", "tank/f")
    send(nas, "tank/t", "a", source="tank/f")
    nas.call_direct("pool.dataset.update", "tank/f", {"quota": 3 * GIB, "reservation": GIB})
    cut(nas, "b", "tank/f")
    send(nas, "tank/t", "b", "a", source="tank/f")
    entry = get(nas, "tank/t")
    assert (entry["quota"]["parsed"], entry["reservation"]["parsed"]) == (3 * GIB, GIB)
    assert entry["casesensitivity"]["value"] == "INSENSITIVE"


def test_what_is_in_the_way_is_told_and_changes_nothing(volume: Nas) -> None:
    cut(volume, "s")
    volume.call_direct("pool.dataset.create", {"name": "tank/f"})
    volume.call_direct("pool.dataset.create", {"name": "tank/w", "type": "VOLUME", "volsize": GIB, "sparse": True})
    cut(volume, "s", "tank/w")
    before = [tuple(row) for row in volume.db.rows("select * from dataset")]
    for target, base, text in (
        ("tank/f", None, "destination exists and is not a volume"),
        ("nopool/t", None, "cannot open 'nopool': dataset does not exist"),
        ("tank/v/t", None, "'tank/v' is a volume"),
        ("tank/a b /t", None, "leading or trailing space"),
        ("tank/w", "s", "most recent snapshot of 'tank/w' does not match incremental source"),
    ):
        with pytest.raises(CallError, match=text):
            send(volume, target, "s", base)
    with pytest.raises(CallError, match="cannot open 'tank/v@gone': dataset does not exist"):
        send(volume, "tank/t", "gone")
    assert [tuple(row) for row in volume.db.rows("select * from dataset")] == before


def test_a_target_below_a_quota_that_is_too_small_is_not_made(volume: Nas) -> None:
    cut(volume, "s")
    volume.call_direct("pool.dataset.create", {"name": "tank/q", "quota": GIB})
    with pytest.raises(CallError, match="out of space"):
        send(volume, "tank/q/t", "s")
    assert volume.call_direct("pool.dataset.query", [["id", "^", "tank/q/"]]) == []


def test_a_target_in_use_is_left_alone(volume: Nas) -> None:
    cut(volume, "s")
    send(volume, "tank/t", "s")
    extent = volume.call_direct("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/t"})
    groups = [{"portal": 1, "initiator": 1}]
    target = volume.call_direct("iscsi.target.create", {"name": "x", "groups": groups})
    volume.call_direct("iscsi.targetextent.create", {"target": target["id"], "extent": extent["id"], "lunid": 0})
    volume.call_direct("service.update", "iscsitarget", {"enable": True})
    volume.call_direct("service.start", "iscsitarget")
    volume.call_direct(
        "fake.block.connect", {"protocol": "iscsi", "name": "x", "initiator": "iqn.2005-10.org.example:i"}
    )
    cut(volume, "u")
    with pytest.raises(CallError, match="into 'tank/t': dataset is busy") as caught:
        send(volume, "tank/t", "u", "s")
    assert caught.value.errno == 16


@pytest.mark.parametrize(("readonly", "expected"), [("SET", "on"), ("REQUIRE", "on"), ("IGNORE", "off")])
def test_targets_end_read_only_unless_that_is_ignored(volume: Nas, readonly: str, expected: str) -> None:
    cut(volume, "s")
    send(volume, "tank/t", "s")
    end(volume, "tank/t", readonly=readonly)
    assert get(volume, "tank/t")["readonly"]["rawvalue"] == expected


def test_retention_as_at_the_source_drops_what_is_gone_there_but_for_held_ones(volume: Nas) -> None:
    for short in ("a", "b", "c", "d"):
        cut(volume, short)
        send(volume, "tank/t", short, chr(ord(short) - 1) if short != "a" else None)
    volume.call_direct("pool.snapshot.hold", "tank/t@b")
    for short in ("a", "b", "c"):
        volume.call_direct("pool.snapshot.delete", f"tank/v@{short}")
    end(volume, "tank/t", Selection((), Pattern("([abd])$")), retention_policy="SOURCE")
    rows = volume.call_direct("pool.snapshot.query", [["dataset", "=", "tank/t"]], {"order_by": ["id"]})
    assert [row["snapshot_name"] for row in rows] == ["b", "c", "d"]


def test_retention_by_age_reads_it_from_the_names(volume: Nas) -> None:
    volume.call_direct("pool.dataset.create", {"name": "tank/t"})
    for short in ("auto-2023-11-14_20-00", "auto-2023-11-14_21-30", "auto-2023-11-01_00-00", "manual"):  # it is 22:13
        cut(volume, short, "tank/t")
    midnight = {
        "schedule": {"minute": "0", "hour": "0", "dom": "*", "month": "*", "dow": "*"},
        "lifetime_value": 1,
        "lifetime_unit": "MONTH",
    }
    custom = {"retention_policy": "CUSTOM", "lifetime_value": 1, "lifetime_unit": "HOUR", "lifetimes": [midnight]}
    end(volume, "tank/t", Selection((DEFAULT,)), **custom)
    rows = volume.call_direct("pool.snapshot.query", [], {"order_by": ["id"]})
    assert [row["snapshot_name"] for row in rows] == ["auto-2023-11-01_00-00", "auto-2023-11-14_21-30", "manual"]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "unmap", "spoil", "rollback"]), st.integers(0, 3), st.binary(min_size=1, max_size=3)
    )
    | st.tuples(st.sampled_from(["cut", "send"]), st.just(0), st.just(b"")),
    max_size=16,
)


@settings(max_examples=40)
@given(STEPS)
def test_whatever_happened_between_two_runs_each_snapshot_arrives_as_it_is(steps: list[tuple[str, int, bytes]]) -> None:
    nas = make_nas()
    nas.call_direct("pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": GIB, "sparse": True})
    selection, options = Selection((), Pattern("(s[0-9]+)$")), {"allow_from_scratch": True, "only_from_scratch": False}
    for number, (what, block, text) in enumerate([*steps, ("cut", 0, b""), ("send", 0, b"")]):
        kept = [
            row["short"] for row in nas.db.rows("select short from snapshot where dataset_name = 'tank/v' order by pk")
        ]
        match what:
            case "write":
                put(nas, text, block)
            case "unmap":
                nas.call_direct("fake.block.unmap", "tank/v", block * BLOCK, BLOCK)
            case "cut":
                cut(nas, f"s{number}")
            case "rollback" if kept:
                nas.call_direct("pool.snapshot.rollback", f"tank/v@{kept[block % len(kept)]}", {"recursive": True})
            case "spoil" if nas.call_direct("pool.dataset.query", [["id", "=", "tank/t"]]):
                put(nas, text, block, "tank/t")
            case "send" if kept:
                more = {
                    "source_datasets": ["tank/v"],
                    "target_dataset": "tank/t",
                    "recursive": False,
                    "exclude": [],
                    "replicate": False,
                }
                with nas.db.transaction():
                    (step,) = make_plan(Ctx(nas), data(**options, **more), selection)
                for base, short in zip([step.base, *step.snapshots], step.snapshots, strict=False):
                    send(nas, "tank/t", short, base)
                for short in kept:
                    assert content(nas, f"tank/t@{short}") == content(nas, f"tank/v@{short}")
                if step.snapshots:
                    assert content(nas, "tank/t") == content(nas, f"tank/v@{kept[-1]}")
    nas.close()
