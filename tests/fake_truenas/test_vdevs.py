"""The disks of a pool and how they are numbered; what clients see of them is in methods/test_disk.py."""

import pytest

from fake_truenas.vdevs import Disk, disks_of, topology


@pytest.mark.parametrize(("number", "name"), [(0, "sda"), (25, "sdz"), (26, "sdaa"), (701, "sdzz"), (702, "sdaaa")])
def test_disks_are_named_as_by_the_kernel(number: int, name: str) -> None:
    assert Disk(number, "tank", "1", 1).name == name


def test_a_pool_is_a_mirror_of_two_disks() -> None:
    row = {"id": 3, "name": "tank", "guid": "9223372036854775807", "size_bytes": 100}
    disks = disks_of(row)  # type: ignore[arg-type]
    assert [(disk.number, disk.pool, disk.size_bytes) for disk in disks] == [(4, "tank", 100), (5, "tank", 100)]
    (mirror,) = topology(row, 30)["data"]  # type: ignore[arg-type]
    assert [mirror["stats"][key] for key in ("size", "allocated", "free")] == [100, 30, 70]
    assert [leaf["stats"]["size"] for leaf in mirror["children"]] == [0, 0]
