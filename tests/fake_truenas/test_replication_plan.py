"""What there is to send."""

from typing import Any

import pytest

from fake_truenas import Nas
from fake_truenas.context import Ctx
from fake_truenas.errors import CallError
from fake_truenas.patterns import Pattern
from fake_truenas.replication_plan import Selection, Step, make_plan, target_name
from tests.fake_truenas.rpc import GIB

ANY = Selection((), Pattern("(s.*)$"))


@pytest.fixture
def source(nas: Nas) -> Nas:
    """tank/a with s1, x and s2; tank/a/b with s2; tank/a/empty without snapshots."""
    for name in ("tank/a", "tank/a/b", "tank/a/empty"):
        nas.call_direct("pool.dataset.create", {"name": name})
    for dataset, name in (("tank/a", "s1"), ("tank/a", "x"), ("tank/a", "s2"), ("tank/a/b", "s2")):
        nas.call_direct("pool.snapshot.create", {"dataset": dataset, "name": name})
    return nas


def plan(nas: Nas, **more: Any) -> list[Step]:
    data = {
        "source_datasets": ["tank/a"], "target_dataset": "tank/t", "recursive": False, "exclude": [], "readonly": "IGNORE",
        "replicate": False, "allow_from_scratch": False, "only_from_scratch": False, **more,
    }  # fmt: skip
    with nas.db.transaction():
        return make_plan(Ctx(nas), data, ANY)


@pytest.mark.parametrize(
    ("sources", "source", "target"),
    [
        (["p/a"], "p/a", "t"), (["p/a"], "p/a/b/c", "t/b/c"), (["p/a", "p/b"], "p/a/x", "t/a/x"),
        (["p/a", "p/a/b"], "p/a/b", "t/b"), (["p/a/x", "q/a/x"], "q/a/x", "t/q/a/x"),
    ],
)  # fmt: skip
def test_several_sources_keep_their_places_below_the_target(sources: list[str], source: str, target: str) -> None:
    assert target_name(sources, source, "t") == target


def test_what_matches_and_is_missing_is_sent_oldest_first(source: Nas) -> None:
    assert plan(source) == [Step("tank/a", "tank/t", None, ("s1", "s2"))]
    assert plan(source, replicate=True) == [Step("tank/a", "tank/t", None, ("s1", "x", "s2"))]


def test_datasets_below_come_along_unless_excluded_or_without_snapshots(source: Nas) -> None:
    assert [(step.target, step.snapshots) for step in plan(source, recursive=True)] == [
        ("tank/t", ("s1", "s2")),
        ("tank/t/b", ("s2",)),
    ]
    assert [step.target for step in plan(source, recursive=True, exclude=["tank/a/b"])] == ["tank/t"]


def test_the_newest_common_snapshot_is_the_base(source: Nas) -> None:
    source.call_direct("pool.dataset.create", {"name": "tank/t"})
    source.call_direct("pool.snapshot.create", {"dataset": "tank/t", "name": "s1"})
    assert plan(source) == [Step("tank/a", "tank/t", "s1", ("s2",))]
    source.call_direct("pool.snapshot.create", {"dataset": "tank/t", "name": "s2"})
    assert plan(source) == [Step("tank/a", "tank/t", "s2", ())]


def test_a_target_with_other_snapshots_is_destroyed_only_from_scratch(source: Nas) -> None:
    source.call_direct("pool.dataset.create", {"name": "tank/t"})
    source.call_direct("pool.snapshot.create", {"dataset": "tank/t", "name": "other"})
    with pytest.raises(CallError, match="No incremental base on dataset 'tank/a' and replication from scratch is not"):
        plan(source)
    assert plan(source, allow_from_scratch=True)[0].base is None
    assert source.call_direct("pool.dataset.query", [["id", "=", "tank/t"]]) == []


async def test_a_target_with_data_is_not_overwritten_without_leave(source: Nas) -> None:
    source.call_direct("pool.dataset.create", {"name": "tank/t"})
    source.call_direct("pool.dataset.create", {"name": "tank/t/b"})
    assert plan(source, recursive=True)[0].target == "tank/t"
    with pytest.raises(CallError, match=r"has data \(e\.g\. 'b'\) and replication from scratch is not allowed"):
        plan(source)
    await source.call("filesystem.mkdir", {"path": "/mnt/tank/t/mine"})
    with pytest.raises(CallError, match=r"has data \(e\.g\. 'mine'\)"):
        plan(source, recursive=True)
    assert plan(source, allow_from_scratch=True)[0].target == "tank/t"


def test_a_volume_with_more_than_a_little_data_is_not_overwritten(nas: Nas) -> None:
    for name in ("tank/a", "tank/t"):
        nas.call_direct("pool.dataset.create", {"name": name, "type": "VOLUME", "volsize": GIB, "sparse": True})
    nas.call_direct("pool.snapshot.create", {"dataset": "tank/a", "name": "s"})
    with nas.db.transaction():
        nas.db.run("update dataset set referenced = ? where name = 'tank/t'", (10 << 20,))
    assert plan(nas)[0].snapshots == ("s",)
    with nas.db.transaction():
        nas.db.run("update dataset set referenced = referenced + 1 where name = 'tank/t'")
    with pytest.raises(CallError, match=rf"\({(10 << 20) + 1} bytes used\)"):
        plan(nas)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"source_datasets": ["tank/no"]}, "cannot open 'tank/no': dataset does not exist."),
        ({"source_datasets": ["tank/a/empty"]}, "Dataset 'tank/a/empty' does not have any matching snapshots to replicate."),
        ({"target_dataset": "tank", "only_from_scratch": True}, "Target dataset 'tank' already exists."),
        ({"target_dataset": "tank", "readonly": "REQUIRE"}, "Target dataset 'tank' exists and does not have readonly=on property"),
    ],
)  # fmt: skip
def test_refusals(source: Nas, more: Any, text: str) -> None:
    with pytest.raises(CallError) as caught:
        plan(source, **more)
    assert caught.value.text.startswith(text)
    assert caught.value.text.endswith(".")


def test_a_read_only_target_is_what_require_asks_for_inherited_too(source: Nas) -> None:
    source.call_direct("pool.dataset.create", {"name": "tank/p"})
    source.call_direct("pool.dataset.create", {"name": "tank/p/t"})
    source.call_direct("pool.dataset.update", "tank/p", {"readonly": "ON"})
    assert plan(source, target_dataset="tank/p/t", readonly="REQUIRE")[0].target == "tank/p/t"
