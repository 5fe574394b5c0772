"""zfs.resource.snapshot.* of release 26.0."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, note, settings

from fake_truenas import Nas, NasConfig, jsonrpc
from fake_truenas.errors import ApiError, CallError, ValidationErrors
from fake_truenas.methods import default_registry
from fake_truenas.persona import persona
from tests.fake_truenas.arbitrary import SEEDS, Arbitrary
from tests.fake_truenas.methods.test_any_pool_call import WORDS, state
from tests.fake_truenas.rpc import GIB, Clock
from tests.fake_truenas.test_space import check


class Box:
    """A NAS of release 26.0 with tank/a, tank/a/b and snapshots @s of both, and tank/a@t."""

    def __init__(self) -> None:
        self.nas = Nas(NasConfig(api_key="1-key", version="26.0"), rng=random.Random(7), clock=Clock())
        for name in ("tank/a", "tank/a/b"):
            self.nas.call_direct("pool.dataset.create", {"name": name})
        self("create", dataset="tank/a", name="s", recursive=True, user_properties={"x:y": "1"})
        self("create", dataset="tank/a", name="t")

    def __call__(self, method: str, **data: Any) -> Any:
        return self.nas.call_direct(f"zfs.resource.snapshot.{method}", data)

    def refused(self, method: str, **data: Any) -> tuple[str, int]:
        """Text and errno of a refusal that names the method."""
        with pytest.raises(ValidationErrors) as caught:
            self(method, **data)
        ((attribute, text, errno),) = caught.value.items
        assert attribute == f"zfs.resource.snapshot.{method}"
        return text, errno

    def names(self, **data: Any) -> list[str]:
        return [entry["name"] for entry in self("query", **data)]


@pytest.fixture
def box() -> Iterator[Box]:
    made = Box()
    yield made
    made.nas.close()


def test_query_finds_by_snapshot_by_dataset_and_below(box: Box) -> None:
    assert box.names() == []  # the pool's root has none
    assert box.names(recursive=True) == ["tank/a@s", "tank/a@t", "tank/a/b@s"]
    assert box.names(paths=["tank/a"]) == ["tank/a@s", "tank/a@t"]
    assert box.names(paths=["tank/a/b@s", "tank/a"], recursive=True) == [
        "tank/a/b@s", "tank/a@s", "tank/a@t", "tank/a/b@s",
    ]  # fmt: skip
    first, second = box("query", paths=["tank/a"])
    assert box.names(recursive=True, min_txg=second["createtxg"]) == ["tank/a@t"]
    assert box.names(recursive=True, max_txg=first["createtxg"]) == ["tank/a@s", "tank/a/b@s"]
    assert [first[key] for key in ("holds", "properties", "user_properties")] == [None, None, None]


def test_query_shows_what_is_asked_for(box: Box) -> None:
    box("hold", path="tank/a@s", tag="backup")
    (entry,) = box(
        "query", paths=["tank/a@s"], properties=["used"], get_source=True, get_holds=True, get_user_properties=True
    )
    assert entry["properties"] == {"used": {"raw": "0", "value": 0, "source": {"type": "NONE", "value": None}}}
    assert (entry["holds"], entry["user_properties"]) == (["backup"], {"x:y": "1"})


def test_count_tells_each_dataset(box: Box) -> None:
    assert box("count") == {"tank": 0}
    assert box("count", paths=["tank"], recursive=True) == {"tank": 0, "tank/a": 2, "tank/a/b": 1}
    assert box("count", paths=["tank/a@s"]) == {"tank/a": 1}


@pytest.mark.parametrize("method", ["query", "count"])
def test_paths_that_are_missing_or_lie_below_each_other_are_refused(box: Box, method: str) -> None:
    assert box.refused(method, paths=["tank/no"]) == ("'tank/no' not found", 2)
    assert box.refused(method, paths=["tank/a@no"]) == ("'tank/a@no' not found", 2)
    assert box.refused(method, paths=["tank", "tank/a"], recursive=True)[0].startswith("Paths must be non-overlapping")


def test_create_gives_the_entry(box: Box) -> None:
    entry = box("create", dataset="tank/a", name="new")
    assert (entry["name"], list(entry["properties"])) == ("tank/a@new", ["creation", "createtxg"])
    assert entry["properties"]["creation"] == {"raw": "1700000000", "value": 1_700_000_000, "source": None}
    box("create", dataset="tank/a", name="less", recursive=True, exclude=["tank/a/b"])
    assert box.names(paths=["tank/a/b"]) == ["tank/a/b@s"]


@pytest.mark.parametrize(
    ("data", "text", "errno"),
    [
        ({"dataset": "tank/no", "name": "s"}, "'tank/no' not found", 2),
        ({"dataset": "tank/a", "name": "s"}, "'tank/a@s' already exists", 17),
        ({"dataset": "tank", "name": "s", "recursive": True}, "'tank/a@s' already exists", 17),
        ({"dataset": "tank/a@s", "name": "s"}, "dataset must be a dataset path (not containing '@').", 22),
        ({"dataset": "tank/a", "name": "a@s"}, "name must be a snapshot name (not containing '@').", 22),
        ({"dataset": "tank/a", "name": "a/s"}, "'a/s': invalid character in name", 22),
        ({"dataset": "tank/a", "name": "n", "user_properties": {"x": "1"}}, "'x' is not a user property: its name has no colon", 22),
        ({"dataset": "tank/a", "name": "n", "exclude": ["tank/a"]}, "No datasets to snapshot - 'tank/a' and all children are excluded", 22),
    ],
)  # fmt: skip
def test_create_refuses(box: Box, data: Any, text: str, errno: int) -> None:
    assert box.refused("create", **data) == (text, errno)
    assert box.names(paths=["tank"]) == []


def test_destroy_takes_one_or_all_unless_something_depends_on_it(box: Box) -> None:
    assert box("clone", snapshot="tank/a@s", dataset="tank/c", properties={"copies": 2, "x:z": "3"}) is None
    assert box.nas.call_direct("pool.dataset.get_instance", "tank/c")["copies"]["rawvalue"] == "2"
    box("hold", path="tank/a@t")
    assert box.refused("destroy", path="tank/a@s") == ("'tank/a@s' has the following clones: tank/c", 16)
    assert box.refused("destroy", path="tank/a@t") == ("'tank/a@t' has the following holds: truenas", 16)
    assert box("destroy", path="tank/a", all_snapshots=True, recursive=True, defer=True) is None
    assert box.names(recursive=True) == ["tank/a@s", "tank/a@t"]
    box("release", path="tank/a@t")
    assert box.names(recursive=True) == ["tank/a@s"]
    assert box.refused("destroy", path="tank/a@no") == ("'tank/a@no' not found", 2)
    assert box.refused("destroy", path="tank/a")[0].startswith("Path must be a snapshot path")
    assert box.refused("destroy", path="tank/a@s", all_snapshots=True)[0].startswith("When all_snapshots is True")


def test_clone_refuses(box: Box) -> None:
    assert box.refused("clone", snapshot="tank/a@no", dataset="tank/c") == ("'tank/a@no' not found", 2)
    assert box.refused("clone", snapshot="tank/a@s", dataset="tank/a") == ("'tank/a' already exists", 17)
    assert box.refused("clone", snapshot="tank/a@s", dataset="tank/a@c")[0].startswith("dataset must be a dataset path")
    assert (
        box.refused("clone", snapshot="tank/a", dataset="tank/c")[0]
        == "snapshot must be a snapshot path (containing '@')."
    )


def test_holds_have_tags(box: Box) -> None:
    for tag in ("one", "two"):
        assert box("hold", path="tank/a@s", tag=tag, recursive=True) is None
    assert box("holds", path="tank/a/b@s") == ["one", "two"]
    with pytest.raises(CallError) as caught:
        box("hold", path="tank/a@s", tag="one")
    assert (caught.value.errno, caught.value.reason) == (22, "('lzc_hold() failed', (('File exists', 17),))")
    assert box("release", path="tank/a@s", tag="one", recursive=True) is None
    assert box("release", path="tank/a@s", tag="never") is None
    assert box("holds", path="tank/a/b@s") == ["two"]
    box("release", path="tank/a@s", recursive=True)
    assert [box("holds", path=name) for name in ("tank/a@s", "tank/a/b@s")] == [[], []]
    for method in ("hold", "holds", "release", "rollback"):
        assert box.refused(method, path="tank/a@no") == ("'tank/a@no' not found", 2)
        assert box.refused(method, path="tank/a") == ("path must be a snapshot path (containing '@').", 22)


def test_rename_stays_in_the_dataset(box: Box) -> None:
    assert box("rename", current_name="tank/a@s", new_name="tank/a@r", recursive=True) is None
    assert box.names(recursive=True) == ["tank/a@r", "tank/a@t", "tank/a/b@r"]
    for current, new, text, errno in (
        ("tank/a@r", "tank/a@t", "'tank/a@t' already exists", 17),
        ("tank/a@no", "tank/a@x", "'tank/a@no' not found", 2),
        ("tank/a@r", "tank@r", "Cannot rename snapshot to a different dataset. Dataset must remain 'tank/a'.", 22),
        ("tank/a", "tank/a@x", "current_name must be a snapshot path (containing '@').", 22),
        ("tank/a@r", "x", "new_name must be a snapshot path (containing '@').", 22),
        ("tank/a@r", "tank/a@", "'': empty component", 22),
    ):
        assert box.refused("rename", current_name=current, new_name=new) == (text, errno)


def test_rollback_needs_leave_to_destroy_newer_ones(box: Box) -> None:
    text, errno = box.refused("rollback", path="tank/a@s")
    assert ("more recent snapshots or bookmarks exist" in text, errno) == (True, 22)
    assert box("rollback", path="tank/a@s", recursive=True) is None
    assert box.names(recursive=True) == ["tank/a@s", "tank/a/b@s"]


METHODS = {
    name: method
    for name, method in sorted(default_registry().serving(persona("26.0")).methods.items())
    if name.startswith("zfs.resource")
}


@pytest.mark.parametrize("name", METHODS)
def test_every_call_ends_with_a_result_or_a_refusal(box: Box, name: str) -> None:
    box.nas.call_direct("pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": GIB})
    box("create", dataset="tank/v", name="s")

    @settings(max_examples=30)
    @given(SEEDS)
    def call(seed: int) -> None:
        params = Arbitrary(seed, WORDS).params(METHODS[name].params)
        note(f"{name}{params}")
        before, refusal, result = state(box.nas), None, None
        try:
            result = box.nas.call_direct(name, *params)
        except ApiError as error:
            refusal = error
        if refusal is None:
            assert jsonrpc.result_reply(1, result)
            check(box.nas)
        else:
            assert jsonrpc.refusal_reply(1, refusal)
            assert state(box.nas) == before

    call()
