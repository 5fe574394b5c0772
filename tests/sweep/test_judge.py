"""What counts as a violation at the end of a case."""

from grpc import StatusCode

from csisim.co.callers import Attempt
from csisim.sweep import judge
from csisim.sweep.cases import Case
from csisim.sweep.judge import end_state, wrong_codes
from csisim.sweep.steps import Steps
from csisim.sweep.stories import first_plan
from csisim.sweep.world import NODE

CASE = Case("nfs", "mount", "mount.bind", 1, "error(EIO)")
FULL = Case("nfs", "mount", "mount.bind", 1, "error(ENOSPC)")


def attempts(*codes: StatusCode) -> list[Attempt]:
    return [Attempt("CreateVolume", "pvc-1", 0.0, 0.1, code, "because") for code in codes]


def test_codes_that_ask_for_a_repeat_are_right():
    right = attempts(
        StatusCode.OK, StatusCode.ABORTED, StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED, StatusCode.CANCELLED
    )

    assert wrong_codes(CASE, right) == []


def test_codes_that_callers_take_as_final_are_wrong_for_what_passes():
    found = wrong_codes(CASE, attempts(StatusCode.INTERNAL, StatusCode.NOT_FOUND, StatusCode.RESOURCE_EXHAUSTED))

    assert found == [
        f"wrong code: CreateVolume(pvc-1) answered {code}: because"
        for code in ("INTERNAL", "NOT_FOUND", "RESOURCE_EXHAUSTED")
    ]


def test_no_room_is_a_right_answer_to_no_room():
    assert wrong_codes(FULL, attempts(StatusCode.RESOURCE_EXHAUSTED)) == []
    assert wrong_codes(FULL, attempts(StatusCode.INTERNAL)) != []


async def test_an_empty_world_is_in_order(world):
    assert await end_state(world, "iscsi") == []


async def test_what_is_left_is_told(world):
    await Steps(world).create(first_plan("nfs"))

    assert await end_state(world, "nfs") == [
        "left: NAS: dataset tank/csi/pvc-1",
        "left: NAS: nfs share /mnt/tank/csi/pvc-1",
    ]


async def test_what_was_seen_and_a_held_lock_are_told(monkeypatch, world):
    monkeypatch.setattr(judge, "_CALM_S", 0.02)
    world.watch.findings.append("somebody did something")
    async with world.cluster.locks[NODE].hold("volume x"):
        found = await end_state(world, "nfs")

    assert found == ["somebody did something", f"locks held: {NODE}: volume x"]


async def test_what_is_in_the_way_of_the_next_calls_is_told(monkeypatch, world):
    monkeypatch.setattr(world, "held", list)
    async with world.cluster.locks["controller"].hold("volume pvc-1"):
        found = await end_state(world, "nfs")

    assert [each.partition(" did not")[0] for each in found] == [
        "a second delete of pvc-1", "a second delete of snap-1", "the next create of pvc-1", "the next delete of pvc-1",
    ]  # fmt: skip
    assert all("ABORTED" in each for each in found)
