"""Directories as they are stored; what callers see is tested with filesystem.*."""

from dataclasses import replace

import pytest

from fake_truenas import Nas, directories
from fake_truenas.context import Ctx
from fake_truenas.errors import CallError


@pytest.fixture
def ctx(nas: Nas) -> Ctx:
    nas.call_direct("pool.dataset.create", {"name": "tank/fs"})
    return Ctx(nas)


def found(ctx: Ctx, path: str) -> directories.Directory:
    directory = directories.find(ctx, path)
    assert directory is not None
    return directory


def test_the_longest_mount_point_holds_a_path(ctx: Ctx) -> None:
    assert (found(ctx, "/mnt/tank/fs").inside, found(ctx, "/mnt").dataset) == ("", None)
    assert directories.find(ctx, "/mnt/tank/f") is None
    assert directories.find(ctx, "/mnttank") is None
    with pytest.raises(CallError):
        directories.find(ctx, "mnt/tank")


def test_paths_are_normalized() -> None:
    assert directories.normalized("//mnt//a/./b/../c/") == "/mnt/a/c"
    assert directories.normalized("/") == "/"


def test_what_is_saved_is_found(ctx: Ctx) -> None:
    made = directories.make(ctx, found(ctx, "/mnt/tank/fs"), "d", 0o700, None)
    assert found(ctx, "/mnt/tank/fs/d") == made
    changed = replace(made, uid=5, acl=[{"tag": "owner@"}], aclflags={"protected": True})
    directories.save(ctx, changed)
    assert found(ctx, "/mnt/tank/fs/d") == changed
    assert ctx.db.value("select count(*) from directory") == 2


def test_below_goes_through_every_level_but_not_into_other_file_systems(ctx: Ctx) -> None:
    parent = found(ctx, "/mnt/tank/fs")
    for name in ("a", "b"):
        parent = directories.make(ctx, parent, name, 0o755, None)
    root = found(ctx, "/mnt/tank")
    assert directories.below(ctx, root, traverse=False) == []
    paths = [one.path for one in directories.below(ctx, root, traverse=True)]
    assert paths == ["/mnt/tank/fs", "/mnt/tank/fs/a", "/mnt/tank/fs/a/b"]


@pytest.mark.parametrize("column", ["parent = '' and name", "inode"])
def test_lookups_search_an_index(ctx: Ctx, column: str) -> None:
    sql = f"explain query plan select * from directory where dataset = 1 and snapshot = 0 and {column} = '1'"  # noqa: S608
    assert ctx.db.one(sql)["detail"].startswith("SEARCH")  # type: ignore[index]
