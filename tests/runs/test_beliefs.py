"""What may be believed after which answers."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest
from grpc import StatusCode

from csisim.co.callers import Attempt, CallFailed
from csisim.co.plans import VolumePlan
from csisim.pb import csi_pb2 as csi
from csisim.runs.beliefs import Belief, HungUp, Ledger, SnapshotBook, Spot, VolumeBook
from csisim.sim.run import simulate

SETTLE_S = 3.0


def answering(answer: StatusCode | None, after_s: float = 1.0) -> Callable[[], Awaitable[str]]:
    """A call that is answered so; None: its caller hangs up."""

    async def call() -> str:
        await asyncio.sleep(after_s)
        if answer is None:
            raise HungUp
        if answer is not StatusCode.OK:
            raise CallFailed(Attempt("X", "pvc-1", 0, 1, answer, ""))
        return "done"

    return call


async def tried(belief: Belief, make: bool, answer: StatusCode | None, after_s: float = 1.0) -> None:
    with contextlib.suppress(CallFailed, HungUp):
        await belief.through(make, answering(answer, after_s), SETTLE_S)


def after(*answers: tuple[bool, StatusCode | None]) -> bool | None:
    """What is believed after calls one after the other."""

    async def program() -> bool | None:
        belief = Belief()
        for make, answer in answers:
            await tried(belief, make, answer)
        assert belief.out == {True: 0, False: 0}
        return belief.there

    outcome = simulate(program)
    assert outcome.error is None
    return outcome.result


OK, GONE = StatusCode.OK, StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("answers", "there"),
    [
        ([(True, OK)], True),
        ([(True, OK), (False, OK)], False),
        ([(True, GONE)], False),
        ([(True, OK), (False, GONE)], True),
        ([(True, StatusCode.UNAVAILABLE)], None),
        ([(True, StatusCode.ABORTED)], None),
        ([(True, StatusCode.RESOURCE_EXHAUSTED)], None),
        ([(True, None)], None),
        ([(True, OK), (True, StatusCode.DEADLINE_EXCEEDED)], True),
        ([(True, OK), (False, StatusCode.DEADLINE_EXCEEDED)], None),
        ([(True, StatusCode.UNAVAILABLE), (True, GONE)], None),
        ([(True, StatusCode.UNAVAILABLE), (False, OK)], False),
    ],
)
def test_what_follows_from_answers_one_after_the_other(answers, there):
    assert after(*answers) is there


def test_to_a_provisioner_a_full_pool_says_that_there_is_no_volume():
    async def program() -> bool | None:
        alive = VolumeBook(VolumePlan("pvc-1", "nfs", ("node-1",))).alive
        await tried(alive, True, StatusCode.RESOURCE_EXHAUSTED)
        return alive.there

    assert simulate(program).result is False


def test_of_two_that_overlap_nobody_knows_which_came_first():
    async def program() -> list[bool | None]:
        found = []
        for delays in ((1.0, 2.0), (2.0, 1.0)):
            belief = Belief()
            await asyncio.gather(tried(belief, True, OK, delays[0]), tried(belief, False, OK, delays[1]))
            found.append(belief.there)
        alike = Belief()
        await asyncio.gather(tried(alike, True, OK), tried(alike, True, OK, 2.0))
        return [*found, alike.there]

    assert simulate(program).result == [None, None, True]


def test_a_call_whose_outcome_is_unknown_stays_out_until_it_has_settled():
    async def program() -> list[bool]:
        belief = Belief(there=False)
        task = asyncio.create_task(tried(belief, True, StatusCode.UNAVAILABLE))
        await asyncio.sleep(1.0 + SETTLE_S / 2)
        during = belief.out[True] == 1
        await tried(belief, False, OK, 0.1)
        unsure = belief.there is None
        await task
        await tried(belief, False, OK, 0.1)
        return [during, unsure, belief.absent]

    assert simulate(program).result == [True, True, True]


def test_a_reboot_takes_mounts_away_also_those_that_are_being_made():
    async def program() -> list[bool | None]:
        volume = VolumeBook(VolumePlan("pvc-1", "nfs", ("node-1",)))
        spot = volume.spots["node-1"] = Spot()
        ledger = Ledger({"pvc-1": volume})
        await tried(spot.attached, True, OK)
        await tried(spot.staged, True, OK)
        target = spot.targets["/t"] = Belief()
        task = asyncio.create_task(tried(target, True, OK))
        await asyncio.sleep(0.5)
        ledger.reboot("node-1")
        ledger.reboot("node-2")
        await task
        return [spot.attached.there, spot.staged.there, target.there]

    assert simulate(program).result == [True, None, None]


@pytest.mark.parametrize(
    ("other", "there"),
    [(StatusCode.UNAVAILABLE, None), (None, None), (StatusCode.ABORTED, None), (StatusCode.ALREADY_EXISTS, False)],
)
def test_deleting_a_snapshot_by_its_id_says_nothing_of_one_that_was_perhaps_cut_of_another_volume(other, there):
    async def cut() -> csi.CreateSnapshotResponse:
        return csi.CreateSnapshotResponse(snapshot=csi.Snapshot(snapshot_id="pvc-1@snap-1"))

    async def program() -> list[bool | None]:
        book = SnapshotBook("snap-1", VolumeBook(VolumePlan("pvc-2", "nfs", 1)))
        await book.cut("pvc-1", cut, SETTLE_S)
        await book.delete(answering(OK), SETTLE_S)
        seen = [book.alive.there]
        with contextlib.suppress(CallFailed, HungUp):
            await book.cut("pvc-2", answering(other), SETTLE_S)
        await book.delete(answering(OK), SETTLE_S)
        seen.append(book.alive.there)
        await book.cut("pvc-2", cut, SETTLE_S)
        await book.delete(answering(OK), SETTLE_S)
        return [*seen, book.alive.there]

    outcome = simulate(program)
    assert outcome.error is None
    assert outcome.result == [False, there, False]
