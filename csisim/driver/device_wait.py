"""Waiting for block devices, and making one ready to mount.

Every wait checks first, looks at its time-out before it sleeps, and sleeps no longer than what is left of it.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable

from csisim import deadline
from csisim.driver.node_errors import system_call
from csisim.driver.parameters import LOCAL_FILE_SYSTEMS
from csisim.errors import Aborted, DeadlineExceeded, FailedPrecondition
from csisim.host import Devices

_FIRST_DELAY_S = 0.05
_LAST_DELAY_S = 0.5
# What is busy is tried again within the call for this long: a container runtime closes its files late.
BUSY_S = 0.35
DEFAULT_FILE_SYSTEM = "ext4"


async def poll(check: Callable[[], Awaitable[bool]], timeout_s: float) -> bool:
    """Repeat a check until it holds, backing off from 50 ms to 500 ms; False once the time is up."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + timeout_s
    delay_s = _FIRST_DELAY_S
    while not await check():
        left_s = ends - loop.time()
        if left_s <= 0:
            return False
        await asyncio.sleep(min(delay_s, left_s))
        delay_s = min(2 * delay_s, _LAST_DELAY_S)
    return True


async def wait_for_device(devices: Devices, device: str, timeout_s: float) -> None:
    """Wait until the device node is there. DeadlineExceeded: it is not, and may still come; repeat the call."""

    async def there() -> bool:
        with system_call("look for device", device):
            return await devices.present(device)

    if not await poll(there, deadline.remaining_s(timeout_s)):
        raise DeadlineExceeded(
            f"device {device} did not appear within {timeout_s:g} s of the login; check the target, then repeat"
        )


async def wait_until_gone(devices: Devices, device: str, timeout_s: float) -> None:
    """Wait until the device node of a closed session has gone: its name may stand for another device next."""

    async def gone() -> bool:
        with system_call("look for device", device):
            return not await devices.present(device)

    if not await poll(gone, deadline.remaining_s(timeout_s)):
        raise DeadlineExceeded(f"device {device} is still there {timeout_s:g} s after the logout; repeat the call")


async def unless_busy(action: Callable[[], Awaitable[None]], doing: str, path: str) -> None:
    """Do it, trying again for a moment while it is busy. Aborted: it stayed so, and nothing was changed."""

    async def done() -> bool:
        with system_call(doing, path):
            try:
                await action()
            except OSError as error:
                if error.errno == errno.EBUSY:
                    return False
                raise
        return True

    if not await poll(done, deadline.remaining_s(BUSY_S)):
        raise Aborted(f"{doing} {path}: EBUSY: it is in use; close what has it open, then repeat")


async def ensure_fs(devices: Devices, device: str, wanted: str, *, writable: bool = True) -> tuple[str, bool]:
    """Make a file system on a blank device; one that is there is never touched.

    Args:
        devices: of this host.
        device: path of a device node that is there.
        wanted: fs_type of the request, "" for any.
        writable: this node may write to it.

    Returns:
        The file system, and whether it was there before.

    Raises:
        FailedPrecondition: the device has another file system than is asked for, or something that is none;
            or it is blank and may not be written to.
        Aborted: it is blank but busy.
    """
    found = await _format(devices, device)
    if not found:
        if not writable:
            raise FailedPrecondition(
                f"device {device} is blank and published read-only, so no file system was made on it; publish it for"
                " writing first"
            )
        make = wanted or DEFAULT_FILE_SYSTEM
        await unless_busy(lambda: _make_fs(devices, device, make), f"make {make} on", device)
        return make, False
    if found not in LOCAL_FILE_SYSTEMS:
        raise FailedPrecondition(f"device {device} holds {found}, which was left alone; it cannot be mounted")
    if wanted and wanted != found:
        raise FailedPrecondition(
            f"device {device} has {found} on it, which was left alone; {wanted} was asked for: use fs_type {found}"
        )
    return found, True


async def _make_fs(devices: Devices, device: str, fs_type: str) -> None:
    # Looked at again before each try: what made the device busy may have been another mkfs.
    if await devices.format_of(device) == fs_type:
        return
    await devices.make_fs(device, fs_type)


async def _format(devices: Devices, device: str) -> str:
    """What is on the device. An empty answer counts only while the device is there: a gone one looks blank too."""
    with system_call("probe", device):
        found = await devices.format_of(device)
        if not found and not await devices.present(device):
            raise OSError(errno.ENODEV, "", device)
    return found
