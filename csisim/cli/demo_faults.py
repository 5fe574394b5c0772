"""What the demo breaks on the way: the websocket, in the middle of calls, and an unmount.

Both are put in from outside: through the NAS's own hook, and around one node's mounter. The driver knows of neither.
"""

import asyncio
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

from csisim.host import Mounter, NodeHost

# More than the node service tries by itself within one call, so that a caller gets to see it.
UNMOUNT_REFUSALS = 6


@dataclass(frozen=True, slots=True)
class Injection:
    """One fault that was injected.

    Attributes:
        what: for the report.
        at_s: loop time.
        in_flight: calls to the NAS that were running; 0 for other faults.
        subject: the volume whose callers it hits, "" where it hits whatever is running.
    """

    what: str
    at_s: float
    in_flight: int = 0
    subject: str = ""


@dataclass(slots=True)
class LinkCutter:
    """Cuts the NAS's connections abruptly, right after a change was made and before its answer leaves.

    Attributes:
        injections: where each cut is noted.
        wanted: how many cuts are still to be made.
        crowd: a cut waits until so many calls are running.
    """

    injections: list[Injection]
    wanted: int = 0
    crowd: int = 3
    _running: int = field(default=0, init=False)

    def arm(self) -> None:
        """Make one more cut at the next chance."""
        self.wanted += 1

    async def intercept(self, call: Any, proceed: Callable[[], Any]) -> Any:
        """The NAS's hook; see `fake_truenas.Intercept`."""
        self._running += 1
        try:
            result = await proceed()
            if self.wanted and self._running >= self.crowd and _changes(call.method):
                self.wanted -= 1
                now_s = asyncio.get_running_loop().time()
                self.injections.append(Injection("websocket cut", now_s, in_flight=self._running))
                call.connection.abort()
            elif self.wanted:
                # Lets calls that have arrived start too: there is no middle of one call.
                await asyncio.sleep(0)
            return result
        finally:
            self._running -= 1


def _changes(method: str) -> bool:
    return method.endswith((".create", ".update", ".delete", ".clone"))


class BusyMounter:
    """Refuses to unmount one path a few times, as a kernel does while a process has a file open there.

    Everything else goes to the mounter behind it.

    Attributes:
        busy_path: the path; "" for none.
        refusals: how often it still refuses.
        still_mounted: whether after each refusal the mount was there.
    """

    def __init__(self, mounter: Mounter, injections: list[Injection]) -> None:
        self._mounter = mounter
        self._injections = injections
        self.busy_path = ""
        self.subject = ""
        self.refusals = 0
        self.still_mounted: list[bool] = []

    def keep_busy(self, path: str, subject: str) -> None:
        """Refuse the next unmounts of this path."""
        self.busy_path, self.subject, self.refusals = path, subject, UNMOUNT_REFUSALS

    async def umount(self, target: str) -> None:
        """Refuse or pass on."""
        if target == self.busy_path and self.refusals:
            self.refusals -= 1
            now_s = asyncio.get_running_loop().time()
            self._injections.append(Injection("unmount refused (EBUSY)", now_s, subject=self.subject))
            self.still_mounted.append(bool(await self._mounter.mounts(target)))
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), target)
        await self._mounter.umount(target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mounter, name)


class BusyHosts:
    """Wraps the hosts of a cluster; `mounters` has each node's."""

    def __init__(self, injections: list[Injection]) -> None:
        self.mounters: dict[str, BusyMounter] = {}
        self._injections = injections

    def __call__(self, node_id: str, host: NodeHost) -> NodeHost:
        """The same host with a mounter that may refuse."""
        mounter = BusyMounter(host.mounter, self._injections)
        self.mounters[node_id] = mounter
        # Whatever is not wrapped is delegated, which a type checker cannot see.
        return replace(host, mounter=cast("Mounter", mounter))
