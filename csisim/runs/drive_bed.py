"""What a driver of somebody else's is driven from: an orchestrator with kubelets on this machine, and a history."""

import asyncio
import os
import random
import tempfile
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from csisim.co.callers import Caller, CallFailed, Calls, Role
from csisim.co.driver_info import Controller
from csisim.co.node_side import NodeSide
from csisim.co.orchestrator import Orchestrator
from csisim.co.timings import Timings
from csisim.events import History
from csisim.pb import csi_pb2 as csi
from csisim.runs.drive_plan import DrivePlan
from csisim.runs.proxied import ProxyFaults
from csisim.runs.real_files import RealFiles, RealPaths, mount_points
from csisim.runs.stranger import CannotDrive, Stranger, Wire
from csisim.secrets import stripped
from csisim.started import Started

_LOOKER: Final = Role("looker", 30.0, frozenset())
_PAGE: Final = 100
_FEW: Final = 20


class DriveBed(Started):
    """See the module.

    Args:
        plan: what to do.
        stranger: the driver.
        rng: uids, content, pauses.
        token: of the proxy's control server.

    Attributes:
        history: everything that happens; of lists only what is ours is in it.
        co: the orchestrator.
        wire: what went to the driver.
        files: what pods see, by node.
        paths: directories, by node.
        calls: every attempt but those of the orchestrator.
        left: what was found in the end that ought not to be there.
        notes: what a reader of the verdict must know.
        ended_early: somebody wanted it so.
    """

    def __init__(self, plan: DrivePlan, stranger: Stranger, rng: random.Random, token: str | None = None) -> None:
        super().__init__()
        self.plan = plan
        self.stranger = stranger
        self.rng = rng
        self.co: Orchestrator
        self.history: History
        self.started_s = 0.0
        self.files: dict[str, RealFiles] = {}
        self.notes: dict[str, None] = {}
        self.left: list[str] = []
        self.ended_early = False
        self.wire = Wire(plan, stranger, self._taken_away)
        self.proxy = ProxyFaults(plan.proxy_control, token, plan.rules) if plan.proxy_control else None
        self.calls = Calls()
        self.paths: dict[str, RealPaths] = {}
        self._caller: Caller

    @property
    def call_count(self) -> int:
        """How many CSI calls were made, each repeat counted."""
        return len(self.calls.attempts) + len(self.co.calls.attempts)

    @property
    def io_s(self) -> float:
        """How often a pod writes and reads."""
        return 2.0 / self.plan.speed

    async def _start(self, stack: AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        self.started_s = loop.time()
        self.history = History(lambda: loop.time() - self.started_s, limit=None)
        self.history.describe = self._described
        if self.proxy is not None:
            stack.push_async_callback(self.proxy.close)
        sides = self._sides(stack)
        self._caller = self.caller("looker")
        stack.push_async_callback(self._caller.close)
        plan = self.plan
        timings = Timings(calls=plan.patience)
        pauses = timings.scaled(1 / plan.speed)
        self.co = Orchestrator(
            self.wire, sides, rng=self.rng, history=self.history, uid_prefix=plan.run,
            timings=Timings(
                calls=plan.patience,
                retry_s=pauses.retry_s, retry_max_s=min(pauses.retry_max_s, plan.timeout_s / 8),
                node_retry_s=pauses.node_retry_s, node_retry_max_s=min(pauses.node_retry_max_s, plan.timeout_s / 8),
                unmount_wait_s=pauses.unmount_wait_s, not_ready_s=pauses.not_ready_s, eviction_s=pauses.eviction_s,
                stats_s=5 * self.io_s, relist_s=5 * self.io_s, io_s=self.io_s,
            ),
        )  # fmt: skip
        try:
            await stack.enter_async_context(self.co)
        except CallFailed as error:
            raise CannotDrive(f"the driver does not answer any more: {error}") from error

    def _sides(self, stack: AsyncExitStack) -> dict[str, NodeSide]:
        """A directory for each kubelet; they are taken away again as far as they are empty then."""
        above, name = self.plan.kubelet_dir, f"csisim-drive-{self.plan.run}"
        try:
            if above:
                base = Path(os.path.realpath(above)) / name
                base.mkdir(mode=0o700)
            else:
                base = Path(os.path.realpath(tempfile.mkdtemp(prefix=f"{name}-")))
            whole = RealPaths(str(base))
            stack.callback(self._clear, whole)
            sides = {}
            for node, node_id in self.stranger.node_ids.items():
                directory = base / node
                directory.mkdir(mode=0o750)
                paths = self.paths[node_id] = RealPaths(str(directory))
                files = self.files[node_id] = RealFiles(paths)
                sides[node_id] = NodeSide(paths, files, str(directory))
        except OSError as error:
            raise CannotDrive(f"--kubelet-dir {above or tempfile.gettempdir()}: {error.strerror}") from error
        return sides

    def _clear(self, whole: RealPaths) -> None:
        """Never what has content, and never below a mount."""
        left = whole.clear()
        mounted = mount_points(whole.directory)
        if left:
            shown = ", ".join(mounted[:5] or left[:5])
            what = f"{len(mounted)} mounts" if mounted else f"{len(left)} files and directories"
            self.notes[f"left on this machine, in {whole.directory}: {what}: {shown}"] = None

    def caller(self, name: str, node_id: str | None = None) -> Caller:
        """Somebody who calls the driver, and is seen in the history; whoever asks for it closes it."""
        return Caller(self.wire.channel(node_id), self.calls, self.rng, name=name, history=self.history)

    def phase(self, name: str) -> None:
        """Note that a phase begins."""
        self.history.add("info", "world", "phase", process="world", value={"phase": name})

    async def heal(self) -> None:
        """Nothing goes wrong any more, as far as that is up to us."""
        if self.proxy is not None:
            await self.proxy.heal()

    # --- looking

    async def look(self, expected: Callable[[list[str]], Collection[str]], *, judged: bool = True) -> None:
        """Note what is left of ours, as the driver and this machine tell it.

        Args:
            expected: what of it is to be left.
            judged: that something is left is for the verdict.
        """
        found = await self.listed("left")
        found += [
            f"{node_id}: {'mount' if path in self._mounted(node_id) else 'path'} {path}"
            for node_id, left in self.co.leftovers().items()
            for path in left
            if not any(other.startswith(f"{path}/") for other in left)
        ]
        allowed = sorted(expected(found))
        self.left = [each for each in found if each not in allowed]
        value = {"objects": found, "expected": allowed if judged else found}
        self.history.add("info", "state", "left", process="world", value=value)

    def _mounted(self, node_id: str) -> list[str]:
        """What is mounted in a kubelet's directory, as seen from there."""
        directory = self.paths[node_id].directory
        return [path.removeprefix(f"{directory}/") for path in mount_points(directory)]

    async def listed(self, why: str) -> list[str]:
        """Walk through the driver's lists; what is ours of it, as `volume ID` and `snapshot ID`."""
        can = self.stranger.can
        found: list[str] = []
        try:
            if can(Controller.LIST_VOLUMES):
                found += [f"volume {id_}" for id_ in await self._walk("ListVolumes") if self._ours(id_)]
            elif can(Controller.GET_VOLUME):
                found += [f"volume {id_}" for id_ in self.wire.volumes if await self._is_there(id_)]
            elif why == "left":
                self.notes["what the driver kept of volumes was not looked for: it has neither LIST_VOLUMES nor"
                           " GET_VOLUME"] = None  # fmt: skip
            if can(Controller.LIST_SNAPSHOTS):
                found += [f"snapshot {id_}" for id_ in await self._walk("ListSnapshots") if self._ours(id_)]
            elif why == "left" and self.wire.snapshots:
                self.notes["what the driver kept of snapshots was not looked for: it has no LIST_SNAPSHOTS"] = None
        except CallFailed as error:
            self.notes[f"the lists could not be looked at: {error}"] = None
        return found

    async def _walk(self, method: str) -> list[str]:
        """All ids; of few ones page by page once more, so that paging is seen too."""
        found = await self._pages(method, _PAGE)
        if 1 < len(found) <= _FEW:
            await self._pages(method, 1)
        return found

    async def _pages(self, method: str, size: int) -> list[str]:
        found: list[str] = []
        token = ""
        while True:
            made: Any = csi.ListVolumesRequest if method == "ListVolumes" else csi.ListSnapshotsRequest
            request = made(max_entries=size, starting_token=token)
            call = getattr(self._caller.controller, method)
            reply: Any = await self._caller.once(_LOOKER, call, request, method)
            volumes = method == "ListVolumes"
            found += [each.volume.volume_id if volumes else each.snapshot.snapshot_id for each in reply.entries]
            if not reply.next_token or reply.next_token == token:
                return found
            token = reply.next_token

    async def _is_there(self, volume_id: str) -> bool:
        request = csi.ControllerGetVolumeRequest(volume_id=volume_id)
        try:
            await self._caller.once(_LOOKER, self._caller.controller.ControllerGetVolume, request, volume_id)
        except CallFailed as error:
            if error.code is grpc.StatusCode.NOT_FOUND:
                return False
            raise
        return True

    def _ours(self, id_: str) -> bool:
        """Whether we had it made: the answer said so, or its id has a name in it that only this run gives."""
        return id_ in self.wire.volumes or id_ in self.wire.snapshots or self.plan.run in id_

    def _described(self, message: Message) -> dict[str, Any]:
        """A message as plain data without secrets; of lists only what is ours: the rest is none of our business."""
        shown = stripped(message)
        if isinstance(message, csi.ListVolumesResponse | csi.ListSnapshotsResponse):
            kind = "volume" if isinstance(message, csi.ListVolumesResponse) else "snapshot"
            entries = shown.get("entries", [])
            shown["entries"] = [each for each in entries if self._ours(each.get(kind, {}).get(f"{kind}_id", ""))]
        return shown

    def _taken_away(self, node_id: str, request: Message) -> None:
        """The driver says that a path is unpublished or unstaged: look at it before kubelet tidies up."""
        unpublish = isinstance(request, csi.NodeUnpublishVolumeRequest)
        path = request.target_path if unpublish else request.staging_target_path  # type: ignore[attr-defined]
        paths = self.paths.get(node_id)
        if paths is None:
            return
        value = {
            "rpc": type(request).__name__.removesuffix("Request"),
            "volume": request.volume_id,  # type: ignore[attr-defined]
            "path": path,
            "exists": paths.exists(path),
            "mounted": path in mount_points(paths.directory),
        }
        self.history.add("info", "state", "path", process=node_id, value=value)
