"""Device waits in virtual time: checked first, never late, backing off; and what may be formatted."""

# tests look at the real disk

import asyncio
import errno
from itertools import pairwise
from pathlib import Path

import pytest

from csisim import deadline, errors
from csisim.driver import device_wait
from csisim.sim.backend import MemoryBackend, Superblock
from csisim.sim.devices import SimDevices
from tests.driver.node_world import GIB, World, capability, in_no_time

ADDRESS = {"portal": "nas:3260", "iqn": "iqn.2005-10.org.freenas.ctl:v", "lun": "0"}


async def attached(appear_after_s: float = 0.0) -> tuple[MemoryBackend, SimDevices, str]:
    backend = MemoryBackend()
    backend.offer("iscsi", ADDRESS, "zvol-v", GIB)
    devices = SimDevices(backend, appear_after_s=appear_after_s)
    return backend, devices, await devices.connect("iscsi", ADDRESS)


@pytest.mark.parametrize(
    ("appears_s", "timeout_s", "ends_s"),
    [
        (0.0, 0.0, 0.0),  # there at once: no sleep
        (0.3, 60.0, 0.35),  # looked for at 0, 50, 150 and 350 ms
        (1.0, 1.0, 1.0),  # the last look is at the time-out itself
        (9.0, 0.0, None),
        (1.001, 1.0, None),
        (61.0, 60.0, None),
    ],
)
def test_the_wait_ends_with_the_device_or_exactly_at_the_time_out(
    appears_s: float, timeout_s: float, ends_s: float | None
) -> None:
    async def scenario() -> float:
        _, devices, device = await attached(appears_s)
        started = asyncio.get_running_loop().time()
        if ends_s is None:
            with pytest.raises(errors.DeadlineExceeded, match=rf"{device} did not appear within {timeout_s:g} s"):
                await device_wait.wait_for_device(devices, device, timeout_s)
        else:
            await device_wait.wait_for_device(devices, device, timeout_s)
        return asyncio.get_running_loop().time() - started

    assert in_no_time(scenario()) == pytest.approx(timeout_s if ends_s is None else ends_s, abs=0.002)


def test_the_callers_deadline_ends_the_wait_sooner() -> None:
    async def scenario() -> float:
        _, devices, device = await attached(60.0)
        with deadline.within(2.0), pytest.raises(errors.DeadlineExceeded):
            await device_wait.wait_for_device(devices, device, 60.0)
        return asyncio.get_running_loop().time()

    assert in_no_time(scenario()) == pytest.approx(2.0, abs=0.002)


def test_polling_backs_off_from_50_to_500_ms() -> None:
    async def scenario() -> list[float]:
        loop, looks = asyncio.get_running_loop(), list[float]()

        async def never() -> bool:
            looks.append(loop.time())
            return False

        assert not await device_wait.poll(never, 2.0)
        return looks

    looks = in_no_time(scenario())
    assert [round(after - before, 2) for before, after in pairwise(looks)] == [
        0.05,
        0.1,
        0.2,
        0.4,
        0.5,
        0.5,
        0.25,
    ]


def test_stage_gives_up_on_a_late_device_and_its_repeat_finds_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World(tmp_path, device_timeout_s=1.0)
        world.volume("nvmeof")
        world.sim.devices.appear_after_s = 1.5
        with pytest.raises(errors.DeadlineExceeded, match="within 1 s"):
            await world.stage(volume_capability=capability("block"))
        await world.stage(volume_capability=capability("block"))
        await world.unstage()
        assert await world.leaks() == []

    in_no_time(scenario())


async def test_a_blank_device_is_formatted_and_a_formatted_one_is_not() -> None:
    backend, devices, device = await attached()
    assert await device_wait.ensure_fs(devices, device, "") == ("ext4", False)
    made = backend.superblocks["zvol-v"]
    assert await device_wait.ensure_fs(devices, device, "") == ("ext4", True)
    with pytest.raises(errors.FailedPrecondition, match="left alone"):
        await device_wait.ensure_fs(devices, device, "xfs")
    backend.superblocks["zvol-v"] = Superblock("LVM2_member", "id", GIB)
    with pytest.raises(errors.FailedPrecondition, match="LVM2_member"):
        await device_wait.ensure_fs(devices, device, "")
    assert made.fs_type == "ext4"


async def test_an_empty_probe_of_a_vanished_device_formats_nothing() -> None:
    backend, devices, device = await attached()
    backend.superblocks["zvol-v"] = Superblock("xfs", "id", GIB)

    async def nothing_found(path: str) -> str:
        devices.vanish(path)
        return ""

    async def make_fs(path: str, fs_type: str) -> None:
        pytest.fail(f"{fs_type} was made on {path}, which had just looked blank because it was gone")

    devices.format_of = nothing_found  # type: ignore[method-assign]
    devices.make_fs = make_fs  # type: ignore[method-assign]
    with pytest.raises(errors.Unavailable, match="ENODEV"):
        await device_wait.ensure_fs(devices, device, "ext4")
    assert backend.superblocks["zvol-v"].fs_type == "xfs"


def test_mkfs_on_a_device_that_is_busy_for_a_moment_is_tried_again_and_never_forced() -> None:
    async def scenario(busy_times: int) -> list[str]:
        _, devices, device = await attached()
        real, tried = devices.make_fs, list[str]()

        async def make_fs(path: str, fs_type: str) -> None:
            tried.append(fs_type)
            if len(tried) <= busy_times:
                raise OSError(errno.EBUSY, "busy", path)
            await real(path, fs_type)

        devices.make_fs = make_fs  # type: ignore[method-assign]
        if busy_times > 10:
            with pytest.raises(errors.Aborted, match="EBUSY"):
                await device_wait.ensure_fs(devices, device, "xfs")
        else:
            assert await device_wait.ensure_fs(devices, device, "xfs") == ("xfs", False)
        return tried

    assert in_no_time(scenario(2)) == ["xfs"] * 3
    assert len(in_no_time(scenario(99))) > 2


def test_a_logout_is_done_when_the_device_node_has_gone(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World(tmp_path, device_timeout_s=1.0)
        world.volume("iscsi")
        await world.stage()

        async def lingering(transport: str, attributes: object) -> None:
            """Says yes and does nothing."""

        real, world.sim.devices.disconnect = world.sim.devices.disconnect, lingering  # type: ignore[method-assign]
        with pytest.raises(errors.DeadlineExceeded, match="still there"):
            await world.unstage()
        world.sim.devices.disconnect = real  # type: ignore[method-assign]
        await world.unstage()
        assert await world.leaks() == []

    in_no_time(scenario())
