"""The built-in intents: in which order, on which nodes, with which secrets."""

import random

import pytest

from csisim.pb import csi_pb2 as csi
from csisim.runs.drive_bed import DriveBed
from csisim.runs.drive_story import DriveStory
from csisim.runs.stranger import meet
from tests.support.stranger import Stranger


@pytest.fixture
def socket(tmp_path_factory):
    return tmp_path_factory.mktemp("d") / "s.sock"


async def story_of(stranger, **more):
    plan = stranger.plan(**more)
    rng = random.Random(1)
    return DriveBed(plan, await meet(plan, rng), rng)


async def test_a_single_secret_goes_wherever_secrets_go_and_nowhere_else(socket):
    given = []

    class Locked(Stranger):
        async def CreateVolume(self, request, context):  # noqa: N802
            given.append(dict(request.secrets))
            return await super().CreateVolume(request, context)

        async def CreateSnapshot(self, request, context):  # noqa: N802
            given.append(dict(request.secrets))
            return await super().CreateSnapshot(request, context)

    async with Locked(socket) as stranger, await story_of(stranger, secrets={"s": {"key": "hidden-one"}}) as bed:
        await DriveStory(bed).safety()
        told = "".join(str(event.to_json()) for event in bed.history.since())
    assert given
    assert all(each == {"key": "hidden-one"} for each in given)
    assert "hidden-one" not in told


async def test_faults_leave_something_for_the_time_after_them(socket):
    async with Stranger(socket) as stranger:
        more = {"proxy_control": "http://127.0.0.1:1", "rules": ("rpc.CreateVolume.after: off",)}
        async with await story_of(stranger, **more) as bed:
            with_faults = DriveStory(bed)
        async with await story_of(stranger) as bed:
            without = DriveStory(bed)
        assert (len(with_faults.calm), len(without.calm)) == (5, 0)
        assert len(with_faults.stages) == len(without.stages) - 1


async def test_repeats_are_equal_requests(socket):
    seen = []

    class Keeping(Stranger):
        async def CreateVolume(self, request, context):  # noqa: N802
            seen.append(request)
            return await super().CreateVolume(request, context)

    async with Keeping(socket) as stranger, await story_of(stranger) as bed:
        story = DriveStory(bed)
        await story.stages[0]()
        await bed.co.settled(4.0)
        stranger.asked.clear()
        await story.repeat()
        assert stranger.asked == ["CreateVolume", "ControllerPublishVolume", "NodeStageVolume", "NodePublishVolume"]
        await bed.co.everything_absent(4.0)
    assert len(seen) == 2
    assert seen[0] == seen[1] != csi.CreateVolumeRequest()
