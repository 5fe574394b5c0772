"""Containers of a node, which run on when kubelet crashes: each writes and reads its volumes at a steady rate.

What it was told is written must be what it reads: by itself later, and by whatever pod has the volume next.
"""

import asyncio
import errno
import hashlib
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

from csisim.co.node_side import PodFiles
from csisim.co.objects import Pod
from csisim.events import History

FILES: Final = 4
"""Names that a pod writes to in turn; a raw volume has as many slots."""
_UNKNOWN: Final = frozenset({errno.EIO, errno.ETIMEDOUT, errno.ECONNRESET})
"""Errors that do not tell whether bytes were written."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume as a container sees it; `copy`: it was made from a snapshot or another volume, with what is in that."""

    volume: str
    target: str
    read_only: bool
    copy: bool = False


@dataclass(slots=True)
class Ledger:
    """What volumes hold as far as their writers know: for each file what it may be, by volume and file name.

    Attributes:
        wrong: what was read and could not be, in words.
    """

    may_be: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def begun(self, volume: str, file: str, sha: str) -> None:
        """A write is under way: old or new content may be read."""
        before = self.may_be.get((volume, file), ("",))
        self.may_be[volume, file] = (*before, sha)

    def done(self, volume: str, file: str, sha: str) -> None:
        """The write was acknowledged."""
        self.may_be[volume, file] = (sha,)

    def undone(self, volume: str, file: str, sha: str) -> None:
        """The write did certainly not happen."""
        self.may_be[volume, file] = tuple(each for each in self.may_be[volume, file] if each != sha)

    def read(self, volume: str, file: str, sha: str, who: str, expected: tuple[str, ...]) -> None:
        """Compare what was found, "" for no such file, with what was expected when the reading began."""
        if expected is not self.may_be.get((volume, file), ()):
            return  # somebody wrote meanwhile
        if expected and sha not in expected:
            found = f"other content ({sha})" if sha else "no such file"
            self.wrong.append(f"{who} reads {file} of volume {volume}: {found}, written was {' or '.join(expected)}")


def sha(content: bytes | None) -> str:
    """Sixteen hex digits, "" for no file."""
    return "" if content is None else hashlib.sha256(content).hexdigest()[:16]


class Containers:
    """What runs on one node.

    Args:
        node: its name.
        files: what containers see of volumes.
        ledger: shared by all nodes.
        rng: of content.
        history: gets the `data` events.
        every_s: pause between rounds.
        failed: told of errors of the program.
    """

    def __init__(
        self,
        node: str,
        files: PodFiles,
        ledger: Ledger,
        rng: random.Random,
        history: History | None,
        *,
        every_s: float,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._node = node
        self._files = files
        self._ledger = ledger
        self._rng = rng
        self._history = history
        self._every_s = every_s
        self._failed = failed
        self._running: dict[str, asyncio.Task[None]] = {}

    def runs(self, pod_uid: str) -> bool:
        """Whether the pod's containers run."""
        return pod_uid in self._running

    def start(self, pod: Pod, mounts: tuple[Mount, ...]) -> None:
        """Begin to work."""
        work = self._work(f"pod {pod.key}", pod.name, mounts)
        task = asyncio.get_running_loop().create_task(work, name=f"pod {pod.key}")
        self._running[pod.uid] = task
        task.add_done_callback(self._done)

    async def stop(self, pod_uid: str) -> None:
        """End a pod's containers; what they were writing may or may not be there."""
        task = self._running.pop(pod_uid, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def stop_all(self) -> None:
        """The machine goes down."""
        for pod_uid in tuple(self._running):
            await self.stop(pod_uid)

    def kill_all(self) -> None:
        """The machine is down: from this moment on nobody writes any more."""
        for pod_uid in tuple(self._running):
            self._running.pop(pod_uid).cancel()

    def _done(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    async def _work(self, who: str, prefix: str, mounts: tuple[Mount, ...]) -> None:
        for mount in mounts:
            await self._read_all(who, mount)
        number = 0
        while True:
            for mount in mounts:
                name = f"{prefix}.{number % FILES}"
                if not mount.read_only:
                    await self._write(who, mount, name, self._rng.randbytes(24).hex().encode())
                await self._read(who, mount, name)
            number += 1
            await asyncio.sleep(self._every_s * self._rng.uniform(0.5, 1.0))

    async def _read_all(self, who: str, mount: Mount) -> None:
        """Whatever is there from before, and whatever ought to be."""
        try:
            there = await self._files.names(mount.target)
        except OSError:
            return
        # Of a copy nobody here knows what it holds: whatever anybody wrote anywhere is looked for.
        known = [file for volume, file in self._ledger.may_be if mount.copy or volume == mount.volume]
        for name in sorted({*there, *known}):
            await self._read(who, mount, name)

    async def _write(self, who: str, mount: Mount, name: str, content: bytes) -> None:
        digest = sha(content)
        self._ledger.begun(mount.volume, name, digest)
        if await self._data("write", who, mount, name, digest, self._files.write(mount.target, name, content)):
            self._ledger.done(mount.volume, name, digest)

    async def _read(self, who: str, mount: Mount, name: str) -> None:
        found: list[bytes | None] = []
        expected = self._ledger.may_be.get((mount.volume, name), ())

        async def read() -> None:
            found.append(await self._files.read(mount.target, name))

        if await self._data("read", who, mount, name, "", read(), found):
            self._ledger.read(mount.volume, name, sha(found[0]), who, expected)

    async def _data(
        self,
        f: str,
        who: str,
        mount: Mount,
        name: str,
        digest: str,
        work: Coroutine[Any, Any, None],
        found: list[bytes | None] | None = None,
    ) -> bool:
        """Do it between two events; whether it succeeded."""
        history = self._history or History(lambda: 0.0, limit=1)
        call = history.new_call()
        about = {"volume": mount.volume, "node": self._node, "path": mount.target, "file": name, "sha": digest}
        history.add("invoke", "data", f, call=call, process=who, value=about)
        try:
            await work
        except OSError as error:
            code = errno.errorcode.get(error.errno or 0, "EIO")
            unknown = f == "write" and error.errno in _UNKNOWN
            history.add("info" if unknown else "fail", "data", f, call=call, process=who, value={"errno": code})
            if f == "write" and not unknown:
                self._ledger.undone(mount.volume, name, digest)
            return False
        except asyncio.CancelledError:
            history.add("info", "data", f, call=call, process=who, value={"errno": "EINTR"})
            raise
        history.add("ok", "data", f, call=call, process=who, value={"sha": sha(found[0]) if found else digest})
        return True
