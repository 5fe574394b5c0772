"""zfs.resource.query: what it takes."""

from typing import Any

import pytest

from fake_truenas.methods.zfs_resource import overlapping


def query(box: Any, **data: Any) -> Any:
    return box("zfs.resource.query", data)


@pytest.fixture
def tree(box: Any) -> Any:
    for name in ("tank/a", "tank/a/b", "tank/a/b/c", "tank/d"):
        box.filesystem(name)
    return box


def test_paths_are_answered_in_their_order_with_what_is_below_on_demand(tree: Any) -> None:
    assert [entry["name"] for entry in query(tree, paths=["tank/d", "tank/a"])] == ["tank/d", "tank/a"]
    flat = query(tree, paths=["tank/d", "tank/a"], get_children=True)
    assert [(entry["name"], entry["children"]) for entry in flat] == [
        ("tank/d", []), ("tank/a", []), ("tank/a/b", []), ("tank/a/b/c", []),
    ]  # fmt: skip


def test_nesting_hangs_each_below_the_nearest_one_that_is_there(tree: Any) -> None:
    roots = query(tree, paths=["tank/a/b/c", "tank/a", "tank/d"], nest_results=True)
    assert [entry["name"] for entry in roots] == ["tank/a", "tank/d"]
    assert [entry["name"] for entry in roots[0]["children"]] == ["tank/a/b/c"]
    (root,) = query(tree, nest_results=True)
    assert [entry["name"] for entry in root["children"]] == ["tank/a", "tank/d"]


@pytest.mark.parametrize(
    ("data", "item"),
    [
        ({"paths": ["tank", "tank"]}, ("data.paths", "Value error, All items must be unique", 22)),
        ({"paths": ["tank", "tank/no"]}, ("zfs.resource.query", "'tank/no' not found", 2)),
        ({"paths": ["tank", "tank/a/b"], "get_children": True},
         ("zfs.resource.query", "Paths must be non-overlapping - no path can be relative to another when get_children is set to True.", 22)),
        ({"paths": ["tank/a@s"]}, ("zfs.resource.query", "Use `zfs.resource.snapshot.query` to query snapshot information.", 22)),
        ({"get_snapshots": True}, ("data.get_snapshots", "Extra inputs are not permitted", 22)),
        ({"properties": "used"}, ("data.properties", "Input should be a valid list", 22)),
    ],
)  # fmt: skip
def test_refusals(tree: Any, data: Any, item: tuple[Any, ...]) -> None:
    assert tree.refused("zfs.resource.query", data) == [item]


def test_the_systems_own_datasets_are_shown_to_those_who_name_them(box: Any) -> None:
    box.filesystem("tank/system")  # as the system itself would make it
    with box.nas.db.transaction():
        box.nas.db.run("update dataset set name = 'tank/.system' where name = 'tank/system'")
    assert [entry["name"] for entry in query(box)] == ["tank"]
    assert [entry["name"] for entry in query(box, paths=["tank/.system"])] == ["tank/.system"]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [([], False), (["a", "ab"], False), (["a/b", "a/c"], False), (["a/b/c", "a"], True), (["x"] + [f"a/{n}" for n in range(9000)], False)],
)  # fmt: skip
def test_one_path_overlaps_another_if_it_lies_below(paths: list[str], expected: bool) -> None:
    assert overlapping(paths) is expected
