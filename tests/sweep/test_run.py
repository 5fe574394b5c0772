"""Running cases on real clusters, and that a broken driver is caught."""

import contextlib
import random

import pytest
from grpc import StatusCode

from csisim.driver.inflight import OperationLocks
from csisim.driver.node_publishing import Publishing
from csisim.driver.node_staging import Staging
from csisim.driver.volumes import Volumes
from csisim.sweep import judge
from csisim.sweep.cases import Case, plan
from csisim.sweep.run import record, run_case, run_cases
from csisim.sweep.world import Pace, World


async def test_a_bounded_part_of_the_sweep_holds():
    cases = []
    async with World(1) as world:
        for protocol, story in (("nfs", "mount"), ("iscsi", "mount"), ("nvmeof", "group")):
            found = plan(protocol, story, await record(world, protocol, story))
            cases += random.Random(7).sample([case for case in found if not case.loses_answers], 9)
    cases += [
        Case("nfs", "copies", "rpc.CreateVolume.after", 3, "drop"),
        Case("iscsi", "block", "nas.iscsi.extent.create.reply", 1, "drop"),
        Case("nvmeof", "mount", "process.driver", 3, "crash"),
    ]

    outcomes = await run_cases(cases, 1)

    assert [outcome.case for outcome in outcomes] == cases
    assert [(outcome.case.command, outcome.violations) for outcome in outcomes if outcome.violations] == []
    assert [outcome.case.rule for outcome in outcomes if not outcome.fired] == []
    assert all(outcome.calls and outcome.duration_s for outcome in outcomes)


async def test_a_passing_that_there_is_not_does_not_fire(world):
    case = Case("nfs", "mount", "mount.umount", 99, "error(EIO)")

    outcome = await run_case(world, case)

    assert (outcome.fired, outcome.violations) == (False, ())


async def test_a_site_that_does_not_exist_is_refused(world):
    with pytest.raises(ValueError, match="there is no site"):
        await run_case(world, Case("nfs", "mount", "mount.amount", 1, "error(EIO)"))


async def test_a_case_that_does_not_end_is_a_violation():
    async with World(1, Pace(limit_s=0.0)) as world:
        outcome = await run_case(world, Case("nfs", "mount", "mount.bind", 1, "error(EIO)"))

    assert outcome.violations[0] == "did not converge within 0 s"


async def test_a_story_that_goes_wrong_by_itself_is_not_swept(monkeypatch, world):
    async def broken(_self, _volume_id):
        raise ZeroDivisionError

    monkeypatch.setattr(Volumes, "delete", broken)

    with pytest.raises(RuntimeError, match="nfs mount goes wrong without a fault: provisioner gave up on DeleteVolume"):
        await record(world, "nfs", "mount")


# Each is a driver as somebody has written it, and the fault that shows what is wrong with it.


async def forgetful(self, volume_id, staging_path):
    """Take an error of the unmount for a success."""
    await self._records.forget(volume_id)


async def test_a_leak_is_caught(monkeypatch, world):
    monkeypatch.setattr(Staging, "unstage", forgetful)

    outcome = await run_case(world, Case("nfs", "mount", "mount.umount", 2, "error(EIO)"))

    assert any("unstaged, but still mounted" in found for found in outcome.violations)
    assert any(found.startswith("left: node-1: mount") for found in outcome.violations)


async def test_a_wrong_code_is_caught(monkeypatch, world):
    monkeypatch.setattr("csisim.driver.statuses._refused", lambda _error: StatusCode.INTERNAL)

    outcome = await run_case(world, Case("nfs", "mount", "nas.pool.dataset.update.apply", 1, "error(EIO)"))

    assert any(
        found.startswith("wrong code: ControllerPublishVolume(pvc-1) answered INTERNAL") for found in outcome.violations
    )


async def test_a_lock_that_is_never_given_back_is_caught(monkeypatch, world):
    drop = OperationLocks.keep

    def kept(self, keys, future):
        self._held[f"{keys[0]} for ever"] = 1
        drop(self, keys, future)

    monkeypatch.setattr(OperationLocks, "keep", kept)
    monkeypatch.setattr(judge, "_CALM_S", 0.1)

    outcome = await run_case(world, Case("nfs", "mount", "nas.pool.dataset.update.reply", 1, "drop"))

    assert any(found.startswith("locks held: ") for found in outcome.violations)


async def test_a_deletion_through_a_mount_is_caught(monkeypatch, world):
    unpublish = Publishing.unpublish

    async def blind(self, volume_id, target_path):
        with contextlib.suppress(OSError):
            await self._host.mounter.remove_path(target_path)
        await unpublish(self, volume_id, target_path)

    monkeypatch.setattr(Publishing, "unpublish", blind)

    outcome = await run_case(world, Case("nfs", "mount", "mount.umount", 1, "error(EIO)"))

    assert any("was to be removed while" in found for found in outcome.violations)


async def test_lost_data_is_caught(monkeypatch, world):
    async def forgets(self, _plan):
        return [0]

    monkeypatch.setattr("csisim.sweep.content.Content.marks", forgets)

    outcome = await run_case(world, Case("nfs", "copies", "mount.bind", 1, "error(EIO)"))

    assert any(found.startswith("lost data: pvc-1 has the marks [0]") for found in outcome.violations)


async def test_a_world_that_a_case_has_left_in_disorder_is_not_used_again():
    broken = Case("nfs", "mount", "rpc.CreateVolume.after", 1, "error(INTERNAL)")
    whole = Case("nfs", "mount", "mount.bind", 1, "error(EIO)")
    seen = []

    outcomes = await run_cases([broken, whole, whole, whole], 1, on_done=lambda outcome: seen.append(outcome.case))

    assert [bool(outcome.violations) for outcome in outcomes] == [True, False, False, False], outcomes
    assert sorted(seen) == sorted([broken, whole, whole, whole])
