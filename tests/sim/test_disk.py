"""Paths on the real disk."""

import errno
from pathlib import Path

import pytest

from csisim.sim import disk
from tests.sim.errnos import failing


def test_links_are_resolved_and_the_last_one_only_where_asked(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "up").symlink_to(tmp_path)
    through = f"{tmp_path}/up/link/"
    assert disk.resolve(through) == f"{tmp_path}/real"
    assert disk.resolve_parent(through) == f"{tmp_path}/link"
    assert disk.resolve_parent("/top") == "/top"


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("a", errno.EINVAL),
        ("", errno.EINVAL),
        ("/\0", errno.EINVAL),
        ("/" + "é" * 2048, errno.ENAMETOOLONG),
    ],
)
def test_what_is_no_path_is_refused(path: str, number: int) -> None:
    for call in (disk.resolve, disk.resolve_parent):
        with failing(number):
            call(path)


def test_an_unreadable_answer_is_not_a_no(tmp_path: Path) -> None:
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    with failing(errno.ELOOP):
        disk.exists(str(circle))


def test_only_empty_things_are_removed(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("data")
    for path in (tmp_path / "full", tmp_path / "full" / "file"):
        with failing(errno.ENOTEMPTY):
            disk.remove(str(path))
    disk.remove(str(tmp_path / "full" / "file" / "below"))
    assert (tmp_path / "full" / "file").read_text() == "data"


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    disk.remove(str(tmp_path / "link"))
    assert (tmp_path / "real").is_dir()
    assert not (tmp_path / "link").is_symlink()
