"""ZFS's rules by example."""

import pytest

from fake_truenas import zfs

EMPTY = dict.fromkeys(
    ("referenced", "head", "uniq", "snaps", "child", "quota", "refquota", "reservation", "refreservation"), 0
)


def usage(**given: int) -> dict[str, int]:
    return {**EMPTY, **given}


@pytest.mark.parametrize(
    "name", ["tank/a", "tank/A-1_2.3:4", "tank/with space/x", "tank/" + "a" * 250, "t/" + "/".join("d" * 49)]
)
def test_names_that_zfs_takes(name: str) -> None:
    assert zfs.name_problem(name) is None


@pytest.mark.parametrize(
    "name",
    ["", "tank/", "/tank", "tank//a", "tank/a@b", "tank/a#b", "tank/ü", "tank/.", "tank/..", "tank/ a", "tank/a ", "tank/a\n",
     "tank/a\x00", "tank/" + "a" * 251, "t/" + "/".join("d" * 50), "tank/a%b", "tank/a*"],
)  # fmt: skip
def test_names_that_zfs_refuses(name: str) -> None:
    assert zfs.name_problem(name)


def test_usage_is_blocks_snapshots_children_and_what_is_held_back() -> None:
    row = usage(head=10, uniq=4, snaps=3, child=5, refreservation=9, reservation=100)
    assert zfs.refreserved_bytes(row) == 5
    assert zfs.used_bytes(row) == 23
    assert zfs.charged_bytes(row) == 100


def test_available_is_bounded_by_pool_quotas_and_refquota_and_raised_by_reservations() -> None:
    root = usage(child=700)
    assert zfs.available_bytes([root], 1000) == 300
    assert zfs.available_bytes([root, usage(quota=200, head=50)], 1000) == 150
    assert zfs.available_bytes([root, usage(refquota=200, referenced=150)], 1000) == 50
    assert zfs.available_bytes([root, usage(refquota=100, referenced=150)], 1000) == 0
    assert zfs.available_bytes([root, usage(reservation=500, head=100)], 1000) == 700
    assert zfs.available_bytes([root, usage(refreservation=400, head=100, uniq=100)], 1000) == 600
    assert zfs.available_bytes([usage(child=2000)], 1000) == 0


def test_the_pool_keeps_a_share_back() -> None:
    assert zfs.usable_bytes(1 << 40) == (1 << 40) - (1 << 35)
    assert zfs.usable_bytes(1 << 30) == (1 << 30) - (128 << 20)
    assert zfs.usable_bytes(1 << 27) == 1 << 26
    assert zfs.usable_bytes(1 << 50) == (1 << 50) - (128 << 30)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0"),
        (512, "512"),
        (1024, "1K"),
        (1536, "1.50K"),
        (2 << 30, "2G"),
        (98304, "96K"),
        (100 * 1024 + 512, "100K"),
        (1 << 60, "1E"),
        (15_600_000, "14.9M"),
    ],
)
def test_sizes_print_as_zfs_prints_them(size: int, text: str) -> None:
    assert zfs.human_size(size) == text


def test_a_thick_volume_reserves_slightly_more_than_its_size() -> None:
    assert zfs.zvol_refreservation_bytes(1 << 30, 16384) == (1 << 30) + 2 * (7 + 64 + 1) * 131072
    assert zfs.zvol_refreservation_bytes(16384, 16384) == 16384 + 2 * 7 * 131072


def test_where_a_dataset_lies() -> None:
    assert zfs.is_at_or_under("tank/a/b", "tank/a")
    assert zfs.is_at_or_under("tank/a", "tank/a")
    assert not zfs.is_at_or_under("tank/ab", "tank/a")
    assert zfs.parent_name("tank/a/b") == "tank/a"
    assert zfs.parent_name("tank") == ""


@pytest.mark.parametrize(
    ("key", "valid"), [("a:b", True), ("x.y-z:a_1:", True), (":", True), ("ab", False), ("a:B", False), ("a: b", False)]
)
def test_names_of_user_properties(key: str, valid: bool) -> None:
    assert (zfs.property_problem(key) is None) is valid


@pytest.mark.parametrize(
    ("name", "internal"),
    [("tank", False), ("ix-apps", False), ("tank/ix-apps", True), ("tank/a/.system/x", True), ("tank/system", False),
     ("tank/.ix-virt", True), ("tank/ix-applications/y", True)],
)  # fmt: skip
def test_what_truenas_keeps_for_itself(name: str, internal: bool) -> None:
    assert zfs.is_internal(name) is internal
