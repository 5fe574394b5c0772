"""What a file may hold."""

from csisim.check.contents import Contents
from tests.support.told import Told

CLONE = {"volume_content_source": {"volume": {"volume_id": "v"}}}


def expected(told: Told, volume: str = "v") -> set[str] | None:
    now = len(told.events) + 1
    found = Contents(told.index).expected(volume, "a", now, now)
    return None if found is None else set(found.shas)


def test_a_new_volume_has_no_file_and_then_the_last_one_written() -> None:
    told = Told()
    told.in_use()
    assert expected(told) == {""}
    told.write("aaaa")
    told.write("bbbb")
    assert expected(told) == {"bbbb"}
    told.write("cccc", end="info")
    assert expected(told) == {"bbbb", "cccc"}
    told.write("dddd", end="fail")
    assert expected(told) == {"bbbb", "cccc"}


def test_writes_at_one_time_may_have_either_order() -> None:
    told = Told()
    told.in_use()
    one, other = told.write("aaaa", end=""), told.write("bbbb", end="")
    told.end(other)
    told.end(one)
    assert expected(told) == {"aaaa", "bbbb"}


def test_a_clone_of_a_clone_brings_the_content_along() -> None:
    told = Told()
    told.in_use()
    told.write("aaaa")
    told.create("w", **CLONE)
    told.create("x", volume_content_source={"volume": {"volume_id": "w"}})
    told.write("bbbb")
    assert expected(told, "x") == {"aaaa"}
    assert Contents(told.index).expected("x", "a", 99, 99).source == "volume w"  # type: ignore[union-attr]


def test_members_of_a_group_are_cut_together() -> None:
    told = Told()
    told.in_use()
    told.write("aaaa")
    members = [{"snapshot_id": "v@g", "source_volume_id": "v"}]
    told.rpc("CreateVolumeGroupSnapshot", {"name": "g"}, response={"group_snapshot": {"snapshots": members}})
    told.write("bbbb")
    told.create("w", volume_content_source={"snapshot": {"snapshot_id": "v@g"}})
    assert expected(told, "w") == {"aaaa"}


def test_anything_may_be_in_what_nobody_can_follow() -> None:
    told = Told()
    told.create("w", volume_content_source={"snapshot": {"snapshot_id": "unheard@of"}})
    assert expected(told, "w") is None
    told = Told()
    told.in_use()
    told.write("aaaa")
    told.delete(code="UNAVAILABLE")
    assert expected(told) is None
    told = Told()
    told.create("v", volume_content_source={"volume": {"volume_id": "v"}})
    assert expected(told) is None
