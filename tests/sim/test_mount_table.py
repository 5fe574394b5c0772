"""The mount table against a slow model: a list searched from the end."""

import errno

from hypothesis import given
from hypothesis import strategies as st

from csisim.host import MountPoint
from csisim.sim.mount_table import MountTable
from tests.sim.errnos import failing


def point(path: str, source: str = "s") -> MountPoint:
    return MountPoint(path, source, "nfs", ("rw",))


def test_chains_parents_and_hidden_mounts() -> None:
    table = MountTable()
    inner = table.add(point("/a/b"))
    outer = table.add(point("/a"))
    assert (inner.parent, outer.parent) == (0, 0)
    assert table.chain("/a/b") == ()
    assert table.covering("/a/b/c") == outer
    over = table.add(point("/a"))
    assert over.parent == outer.id
    assert table.chain("/a") == (outer, over)
    assert table.take_off("/a") == over
    assert table.take_off("/a") == outer
    assert table.chain("/a/b") == (inner,)
    assert table.covering("/x") is None


def test_rows_build_the_same_table_and_ids_go_on() -> None:
    table = MountTable()
    for path in ("/a", "/a", "/a/b"):
        table.add(point(path))
    again = MountTable(table.rows())
    assert again.points() == table.points()
    assert again.chain("/a") == table.chain("/a")
    assert again.add(point("/c")).id == 4


def test_open_files_keep_the_mount_they_are_on_busy_until_closed_or_rebooted() -> None:
    table = MountTable()
    table.add(point("/a"))
    first, second = table.pin("/a/file"), table.pin("/a")
    table.unpin(first)
    with failing(errno.EBUSY):
        table.take_off("/a")
    table.clear()
    table.unpin(second)
    table.add(point("/a"))
    table.take_off("/a")


PATHS = st.sampled_from(["/a", "/a/b", "/a/b/c", "/ab"])


@given(st.lists(st.tuples(st.booleans(), PATHS), max_size=25))
def test_what_is_seen_at_a_path_is_what_was_mounted_last_at_it_or_above(steps: list[tuple[bool, str]]) -> None:
    table, live = MountTable(), list[tuple[int, str]]()
    for is_mount, path in steps:
        if is_mount:
            live.append((table.add(point(path)).id, path))
            continue
        try:
            taken = table.take_off(path)
        except OSError as error:
            refused = error.errno
        else:
            refused = None
            assert (taken.id, path) in live
            live.remove((taken.id, path))
        # Nothing may be left hanging in the air: each mount's parent is there.
        assert refused in (None, errno.EINVAL, errno.EBUSY)
    ids = {0} | {each for each, _ in live}
    assert {row["id"] for row in table.rows()} == ids - {0}
    assert {row["parent"] for row in table.rows()} <= ids
    for each in ("/a", "/a/b", "/a/b/c", "/ab"):
        above = [number for number, path in live if each == path or each.startswith(path + "/")]
        covering = table.covering(each)
        assert (covering.id if covering else None) == _topmost(table, above)


def _topmost(table: MountTable, candidates: list[int]) -> int | None:
    """The one candidate reached by walking up from the root: at each component the newest child of the current one."""
    rows = {row["id"]: row for row in table.rows() if row["id"] in candidates}
    current, depth = 0, -1
    while True:
        next_ones = [
            (len(row["path"]), number)
            for number, row in rows.items()
            if row["parent"] == current and len(row["path"]) >= depth
        ]
        if not next_ones:
            return current or None
        depth, current = min(next_ones)
