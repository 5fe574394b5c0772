"""Random sequences of calls, restarts, reboots and faults on one node.

What an OK promises holds, no data is lost, and once the faults are over everything can be undone.
"""

import asyncio
import errno
import tempfile
from contextlib import ExitStack
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from csisim.errors import CsiError, Internal, NasIndeterminate
from csisim.sim.backend import Superblock
from tests.driver.node_world import Mode, World, capability, in_no_time

VOLUMES = {"pvc-n": "nfs", "pvc-i": "iscsi", "pvc-v": "nvmeof"}
SOURCES = {"pvc-n": ":/mnt/tank/csi/pvc-n", "pvc-i": ":pvc-i-lun-0", "pvc-v": ":pvc-v-1"}
CAPABILITIES = [
    capability(),
    capability(mode=Mode.SINGLE_NODE_READER_ONLY),
    capability(mode=Mode.SINGLE_NODE_MULTI_WRITER, fs_type="xfs"),
    capability("block"),
]
CALLS = ["stage", "publish", "unpublish", "unstage", "expand"]
EVENTS = ["restart", "reboot", "busy", "idle", "vanish", "nas down", "nas up", "detach", "attach"]


@st.composite
def steps(draw: st.DrawFn) -> tuple[str, str, str, int]:
    what = draw(st.sampled_from(CALLS * 3 + EVENTS))
    volume_id = draw(st.sampled_from(sorted(VOLUMES)))
    return what, volume_id, draw(st.sampled_from("ab")), draw(st.integers(0, len(CAPABILITIES) - 1))


class Run:
    """One world and what was promised in it."""

    def __init__(self, directory: Path) -> None:
        self.world = World(directory)
        for volume_id, protocol in VOLUMES.items():
            self.world.volume(protocol, volume_id)
        self.directory = directory
        self.open_files = ExitStack()
        self.made: dict[str, Superblock] = {}

    def path(self, kind: str, letter: str) -> str:
        return f"{self.directory}/{kind}-{letter}"

    def shown(self, volume_id: str) -> list[str]:
        """Every path at which the volume is to be seen."""
        points = self.world.sim.mounter.all_mounts()
        return [point.path for point in points if point.source.endswith(SOURCES[volume_id])]

    def sessions(self, volume_id: str) -> list[str]:
        rows = self.world.sim.devices.rows()
        return [row["device"] for row in rows if row["device"].endswith(SOURCES[volume_id])]

    async def step(self, what: str, volume_id: str, letter: str, number: int) -> None:
        if what in EVENTS:
            self.event(what, volume_id)
            return
        refusal = None
        try:
            await self.call(what, volume_id, letter, number)
        except (CsiError, NasIndeterminate) as error:
            refusal = error
        assert not isinstance(refusal, Internal)
        assert self.world.locks.held() == ()
        if refusal is None:
            self.check_promise(what, volume_id, letter, number)
        for identity, before in self.made.items():
            now = self.world.backend.superblocks[identity]
            assert (now.fs_type, now.fs_id) == (before.fs_type, before.fs_id), "a file system was made over another"
        self.made = dict(self.world.backend.superblocks)

    async def call(self, what: str, volume_id: str, letter: str, number: int) -> None:
        world, wanted = self.world, CAPABILITIES[number]
        staging = self.path("staging", volume_id)
        target = self.path("target", letter)
        match what:
            case "stage":
                await world.stage(volume_id, staging_target_path=staging, volume_capability=wanted)
            case "publish":
                await world.publish(
                    volume_id, staging_target_path=staging, target_path=target, volume_capability=wanted
                )
            case "unpublish":
                await world.unpublish(volume_id, target)
            case "unstage":
                await world.unstage(volume_id, staging)
            case "expand":
                await world.stats(target, volume_id)

    def event(self, what: str, volume_id: str) -> None:
        world = self.world
        match what:
            case "restart":
                world.restart()
            case "reboot":
                world.sim.reboot()
                world.restart()
            case "busy":
                for path in self.shown(volume_id)[:1]:
                    self.open_files.enter_context(world.sim.mounter.open(path))
            case "idle":
                self.open_files.close()
            case "vanish":
                for device in self.sessions(volume_id):
                    world.sim.devices.vanish(device)
            case "nas down":
                world.volumes.down, world.backend.outage = True, errno.ETIMEDOUT
            case "nas up":
                world.volumes.down, world.backend.outage = False, None
            case "detach":
                world.volumes.published.discard(volume_id)
            case "attach":
                world.volumes.published.add(volume_id)

    def check_promise(self, what: str, volume_id: str, letter: str, number: int) -> None:
        target, staging = self.path("target", letter), self.path("staging", volume_id)
        shown = self.shown(volume_id)
        is_block = CAPABILITIES[number].HasField("block")
        if what == "stage":
            assert volume_id in self.world.volumes.published or self.world.volumes.down
        match what:
            case "stage" if is_block:
                assert self.sessions(volume_id)
            case "stage":
                assert shown.count(staging) == 1
            case "publish":
                assert shown.count(target) == 1
                top = [point for point in self.world.sim.mounter.all_mounts() if point.path == target][-1]
                assert top.source.endswith(SOURCES[volume_id])
                assert top.readonly == (CAPABILITIES[number].access_mode.mode == Mode.SINGLE_NODE_READER_ONLY)
            case "unpublish":
                assert target not in shown
            case "unstage":
                assert shown == []
                assert self.sessions(volume_id) == []

    async def heal_and_undo(self) -> None:
        self.open_files.close()
        self.event("nas up", "")
        for volume_id in VOLUMES:
            for letter in "ab":
                await self.world.unpublish(volume_id, self.path("target", letter))
            await self.world.unstage(volume_id, self.path("staging", volume_id))
        assert await self.world.leaks() == []
        assert list(self.directory.iterdir()) == []


@given(st.lists(steps(), min_size=4, max_size=40))
@settings(max_examples=40)
def test_promises_hold_and_everything_can_be_undone(program: list[tuple[str, str, str, int]]) -> None:
    async def scenario(directory: str) -> None:
        run = Run(Path(directory))
        for step in program:
            await run.step(*step)
        await run.heal_and_undo()

    with tempfile.TemporaryDirectory() as directory:
        in_no_time(scenario(directory))


def test_two_lives_at_once_do_not_touch_each_other() -> None:
    async def scenario(directory: str) -> None:
        run = Run(Path(directory))
        run.world.sim = type(run.world.sim)(run.world.backend, latency_s=0.01)
        run.world.restart()
        await asyncio.gather(*(run.call("stage", volume_id, "a", 0) for volume_id in VOLUMES))
        assert all(run.shown(volume_id) for volume_id in VOLUMES)
        await run.heal_and_undo()

    with tempfile.TemporaryDirectory() as directory:
        in_no_time(scenario(directory))
