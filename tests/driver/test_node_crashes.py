"""The node service interrupted at every call to its host: the repeat converges, and nothing leaks."""

# tests look at the real disk

import asyncio
import errno
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from csisim import errors
from tests.driver.node_world import World, capability

KINDS = [("nfs", "mount"), ("iscsi", "mount"), ("nvmeof", "block")]


class Killed(BaseException):
    """The process is gone; nothing of the driver runs after this."""


class Tripwire:
    """Counts the calls to a host's parts, and stops one of them: before its effect, after it, or by an error."""

    def __init__(self, at: int, how: str) -> None:
        self.calls = 0
        self.at = at
        self.how = how
        self.name = ""

    def around(self, part: Any) -> Any:
        return _Watched(part, self)

    async def run(self, name: str, call: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        self.calls += 1
        if self.calls != self.at:
            return await call(*args)
        self.name = name
        if self.how == "error":
            raise OSError(errno.EIO, "injected", name)
        result = await call(*args) if self.how.startswith("after") else None
        if self.how.endswith("cancel"):
            raise asyncio.CancelledError
        if self.how.endswith("kill"):
            raise Killed
        return result


class _Watched:
    def __init__(self, part: Any, wire: Tripwire) -> None:
        self._part = part
        self._wire = wire

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._part, name)

        async def watched(*args: Any) -> Any:
            return await self._wire.run(name, real, args)

        return watched


def steps(world: World, kind: str) -> list[Callable[[], Any]]:
    wanted = capability(kind)
    return [
        lambda: world.stage(volume_capability=wanted),
        lambda: world.publish(volume_capability=wanted),
        world.unpublish,
        world.unstage,
    ]


@pytest.mark.parametrize(("protocol", "kind"), KINDS)
@pytest.mark.parametrize("how", ["before kill", "after kill", "before cancel", "after cancel", "error"])
@pytest.mark.parametrize("then", ["repeat", "give up"])
async def test_interrupted_anywhere_it_converges(tmp_path: Path, protocol: str, kind: str, how: str, then: str) -> None:
    at = 0
    while True:
        at += 1
        world = World(tmp_path / str(at))
        world.volume(protocol)
        wire = Tripwire(at, how)
        world.restart(wire.around)
        for step in steps(world, kind):
            try:
                await step()
            except (Killed, asyncio.CancelledError, errors.CsiError):
                assert world.locks.held() == (), f"lock left by {wire.name}, call {at}"
                if how.endswith("kill"):
                    world.restart()
                if then == "give up":
                    break
                await step()
        fired, wire.at = bool(wire.name), 0
        if then == "give up":
            await world.unpublish()
            await world.unstage()
        assert await world.leaks() == [], f"left by {how} at {wire.name}, call {at}"
        if not fired:
            break
    assert at > 20, "a life of a volume makes more calls than that"


@pytest.mark.parametrize(("protocol", "kind"), KINDS)
async def test_killed_while_unpublishing_the_volume_can_be_published_again(
    tmp_path: Path, protocol: str, kind: str
) -> None:
    wanted = capability(kind)
    for at in range(1, 12):
        world = World(tmp_path / str(at))
        world.volume(protocol)
        await world.stage(volume_capability=wanted)
        await world.publish(volume_capability=wanted)
        world.restart(Tripwire(at, "after kill").around)
        with suppress(Killed):
            await world.unpublish()
        world.restart()
        await world.publish(volume_capability=wanted)
        assert len(await world.sim.mounter.mounts(world.target)) == 1
        await world.unpublish()
        await world.unstage()
        assert await world.leaks() == []


async def test_a_second_call_for_a_volume_is_aborted_and_its_end_frees_the_lock(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.volume("nfs", "pvc-1")
    world.volume("nfs", "pvc-2")
    entered, leave = asyncio.Event(), asyncio.Event()
    real = world.sim.mounter.mount

    async def held(*args: Any) -> None:
        entered.set()
        await leave.wait()
        await real(*args)

    world.sim.mounter.mount = held  # type: ignore[method-assign]
    first = asyncio.create_task(world.stage())
    await entered.wait()
    for call in (world.stage, world.publish, world.unpublish, world.unstage):
        with pytest.raises(errors.Aborted):
            await call()
    with pytest.raises(errors.Aborted):
        await world.expand(world.staging)
    with pytest.raises(errors.Aborted):  # another volume, but the same path
        await world.stage("pvc-2")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert world.locks.held() == ()
    leave.set()
    await world.stage()
    await world.stage("pvc-2", staging_target_path=world.staging + "-2")


async def test_nodes_that_share_locks_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    one, two = World(tmp_path / "1"), World(tmp_path / "2", node_id="node-2")
    for world in (one, two):
        world.volume()
    async with one.locks.hold("volume pvc-1"):
        two.service._locks = one.locks
        await asyncio.gather(one.stage(), two.stage())
    assert await one.sim.mounter.mounts(one.staging)
    assert await two.sim.mounter.mounts(two.staging)
