"""Kubernetes as far as volumes are concerned: all controllers, a kubelet per node, and what a user does to them.

A script enters an `Orchestrator`, applies manifests or objects, waits until it is `settled`, makes trouble, waits
again, and in the end wants `everything_absent`.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from csisim.co.api import Api
from csisim.co.attach_detach import AttachDetach
from csisim.co.attacher import Attacher
from csisim.co.callers import PROVISIONER, Around, Calls, Channels
from csisim.co.containers import Containers, Ledger, Mount
from csisim.co.driver_info import Controller, DriverInfo
from csisim.co.intents import WANTED, Intents
from csisim.co.kubelet_volumes import Kubelet
from csisim.co.node_side import NodeDisk, NodeSide
from csisim.co.objects import (
    CSIDriver,
    Node,
    Object,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    VolumeAttachment,
)
from csisim.co.process import Process, Shared
from csisim.co.provisioner import Provisioner
from csisim.co.resizer import Resizer
from csisim.co.snapshotter import Snapshotter
from csisim.co.timings import Timings
from csisim.co.user import User
from csisim.co.volume_binder import VolumeBinder
from csisim.co.workloads import Workloads
from csisim.events import History
from csisim.started import Started


class NotConverged(Exception):
    """What is wanted did not come true in time.

    Attributes:
        waiting: what it waits for, and why, by object or process.
    """

    def __init__(self, timeout_s: float, waiting: Mapping[str, str]) -> None:
        self.waiting = dict(waiting)
        lines = [f"  {what}: {why}" for what, why in self.waiting.items()]
        super().__init__("\n".join([f"not as it is wanted after {timeout_s:g} s:", *lines]))


class _Registrar(Process):
    """Finds out who the driver is, as its installation would know."""

    def __init__(self, shared: Shared) -> None:
        super().__init__("registrar", shared)

    async def _main(self) -> None:
        """Nothing goes on here."""

    async def ask(self) -> DriverInfo:
        """Once the driver answers."""
        return await self.driver(PROVISIONER, self.caller())


class Orchestrator(User, Started):
    """See the module.

    Args:
        channels: to the driver's sockets.
        nodes: by name, which is also the node id of the driver there.
        rng: uids, content, jitter.
        history: gets events of the kinds call, intent, data and world.
        timings: how long everything waits.
        around: see `csisim.co.callers.Around`.
        driver: name, if the driver is not to be asked.
        uid_prefix: see `csisim.co.api.Api`.

    Attributes:
        api: the objects.
        calls: every attempt of every caller.
        ledger: what volumes hold as far as pods know; `ledger.wrong` should stay empty.
    """

    def __init__(
        self,
        channels: Channels,
        nodes: Mapping[str, NodeSide],
        *,
        rng: random.Random,
        history: History | None = None,
        timings: Timings | None = None,
        around: Around | None = None,
        driver: str = "",
        uid_prefix: str = "",
    ) -> None:
        Started.__init__(self)
        api = Api(rng, uid_prefix)
        User.__init__(self, api, Intents(api, history))
        self.calls = Calls()
        self.ledger = Ledger()
        self._changed = asyncio.Event()
        self._failure: BaseException | None = None
        self._shared = Shared(
            driver=driver, api=self.api, channels=channels, rng=rng, timings=timings or Timings(),
            changed=self._changed.set, failed=self._fail, calls=self.calls, history=history, around=around,
        )  # fmt: skip
        self._sides = dict(nodes)
        self._disks: dict[str, NodeDisk] = {}
        self._containers: dict[str, Containers] = {}
        self._processes: dict[str, Process] = {}
        self._changing = asyncio.Lock()
        self._silences: dict[str, asyncio.TimerHandle] = {}
        self._reboots: dict[asyncio.Task[None], None] = {}

    async def _start(self, stack: AsyncExitStack) -> None:
        stack.push_async_callback(self._stop)
        shared = self._shared
        registrar = _Registrar(shared)
        try:
            info = await registrar.ask()
        finally:
            await registrar.stop()
        shared.driver = shared.driver or info.name
        attach = Controller.PUBLISH_UNPUBLISH_VOLUME in info.controller
        self.api.create(CSIDriver(name=shared.driver, attach_required=attach))
        self.api.watch(self._noticed)
        for name, side in self._sides.items():
            self.api.create(Node(name=name))
            self._disks[name] = NodeDisk(side, shared.driver)
            self._containers[name] = Containers(
                name, side.files, self.ledger, shared.rng, shared.history,
                every_s=shared.timings.io_s, failed=self._fail,
            )  # fmt: skip
        for name in self.process_names():
            self._start_process(name)

    async def _stop(self) -> None:
        for timer in self._silences.values():
            timer.cancel()
        if self._reboots:
            await asyncio.wait(tuple(self._reboots))
        for process in self._processes.values():
            await process.stop()
        for containers in self._containers.values():
            await containers.stop_all()
        self._raise_failure()

    async def everything_absent(self, timeout_s: float) -> None:
        """Delete everything that users want for its own sake, and wait until nothing of it is left.

        Raises:
            NotConverged: something stays.
        """
        for kind in WANTED:
            for each in self.api.all_of(kind):
                self.intents.want(each, "absent")
                self.api.delete(each)
        await self.settled(timeout_s)

    # --- waiting

    async def settled(self, timeout_s: float) -> None:
        """Wait until everything is as it is wanted and nobody has anything left to do.

        Raises:
            NotConverged: after this many seconds it is not.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + timeout_s
        while True:
            self._changed.clear()
            self._raise_failure()
            self.intents.look()
            waiting = self.waiting()
            if not waiting:
                return
            try:
                async with asyncio.timeout_at(until_s):
                    await self._changed.wait()
            except TimeoutError:
                raise NotConverged(timeout_s, waiting) from None

    def waiting(self) -> dict[str, str]:
        """What is not as it is wanted, or still being worked on: object or process, and why."""
        found = self.intents.unfulfilled() | {task.get_name(): "not over" for task in self._reboots}
        for process in self._processes.values():
            found |= process.waits_for()
        for attachment in self.api.all_of(VolumeAttachment):
            if attachment.deleting or not attachment.attached:
                where = f"{attachment.pv_name} on {attachment.node_name}"
                found[attachment.ref] = f"{where}: {'being detached' if attachment.deleting else 'not attached'}"
        for pv in self.api.all_of(PersistentVolume):
            if pv.deleting or (pv.phase == "Released" and pv.reclaim_policy == "Delete"):
                found[pv.ref] = f"{pv.phase}, to be deleted"
        return found

    @property
    def forgotten(self) -> dict[str, str]:
        """Volumes that may exist although nobody will ever clean them up, and for which claims they were made.

        The provisioner crashed while their creation was unknown, and their claims were deleted before it came back.
        """
        claims = {f"pvc-{claim.uid}" for claim in self.api.all_of(PersistentVolumeClaim)}
        return {name: ref for name, ref in self._shared.forgotten.items() if name not in claims}

    def leftovers(self) -> dict[str, list[str]]:
        """What is left in kubelets' directories, by node."""
        return {name: left for name, disk in self._disks.items() if (left := disk.leftovers())}

    def volume_of(self, claim: str, *, namespace: str = "default") -> PersistentVolume:
        """The volume that a claim is bound to.

        Raises:
            KeyError: there is no such claim, or it is not bound.
        """
        found = self.api.get(PersistentVolumeClaim, claim, namespace)
        volume = None if found is None else self.api.get(PersistentVolume, found.volume_name)
        if volume is None:
            raise KeyError(f"there is no PersistentVolumeClaim {namespace}/{claim} with a volume")
        return volume

    def staging_path(self, claim: str, node: str, *, namespace: str = "default") -> str:
        """Where kubelet of a node stages a claim's volume. KeyError as for `volume_of`, or for the node."""
        return self._disks[node].staging_path(self.volume_of(claim, namespace=namespace))

    def mount_of(self, pod: str, claim: str = "", *, namespace: str = "default") -> tuple[str, Mount]:
        """Where a running pod has the volume of a claim; of its only claim by default.

        Returns:
            The node, and the volume as a container sees it.

        Raises:
            KeyError: there is no such pod, it does not run, or it does not use such a claim.
        """
        found = self.api.get(Pod, pod, namespace)
        if found is None or not found.running:
            raise KeyError(f"there is no Pod {namespace}/{pod} that runs")
        used = [each for each in found.volumes if claim in {"", each.claim_name}]
        if len(used) != 1:
            names = ", ".join(each.claim_name for each in found.volumes) or "none"
            raise KeyError(f"Pod {namespace}/{pod} has the claims {names}: which one is {claim!r}?")
        volume = self.volume_of(used[0].claim_name, namespace=namespace)
        target = self._disks[found.node_name].target_path(volume, found.uid)
        return found.node_name, Mount(volume.volume_handle, target, used[0].read_only)

    # --- trouble

    def process_names(self) -> list[str]:
        """Everything that can crash by itself."""
        return [*_CONTROLLERS, *(f"kubelet {name}" for name in self._sides)]

    def runs(self, process: str) -> bool:
        """Whether it has not crashed."""
        return process in self._processes

    async def crash(self, process: str) -> None:
        """End a process abruptly. What it had in memory is gone; objects, directories and containers stay.

        Args:
            process: one of `process_names`.
        """
        async with self._changing:
            if process not in self._processes:
                raise KeyError(f"{process!r} does not run; there are {', '.join(self._processes)}")
            await self._end_process(process)

    async def restart(self, process: str) -> None:
        """Start a process anew; one that runs is ended first."""
        if process not in self.process_names():
            raise KeyError(f"{process!r} is not one of {', '.join(self.process_names())}")
        async with self._changing:
            if process in self._processes:
                await self._end_process(process)
            self._note("restart", process)
            self._start_process(process)

    async def power_off(self, node: str) -> None:
        """Kubelet and all containers of a node end; whoever simulates the machine takes its mounts away."""
        async with self._changing:
            if f"kubelet {node}" in self._processes:
                await self._end_process(f"kubelet {node}")
        await self._containers[node].stop_all()

    async def power_on(self, node: str) -> None:
        """Kubelet starts and finds its records on disk."""
        await self.restart(f"kubelet {node}")

    def lose_power(self, node: str) -> None:
        """A machine has lost its mounts in a reboot: its containers are gone from now on, its kubelet starts anew."""
        self._containers[node].kill_all()
        task = asyncio.get_running_loop().create_task(self.restart(f"kubelet {node}"), name=f"reboot of {node}")
        self._reboots[task] = None
        task.add_done_callback(self._rebooted)

    def _rebooted(self, task: "asyncio.Task[None]") -> None:
        del self._reboots[task]
        self._changed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    # --- inside

    async def _end_process(self, process: str) -> None:
        self._note("crash", process)
        await self._processes.pop(process).stop()
        node = process.removeprefix("kubelet ")
        if node in self._sides:
            silence = asyncio.get_running_loop().call_later(self._shared.timings.not_ready_s, self._not_ready, node)
            self._silences[node] = silence

    def _start_process(self, name: str) -> None:
        node = name.removeprefix("kubelet ")
        if name.startswith("kubelet ") and node in self._sides:
            if node in self._silences:
                self._silences.pop(node).cancel()
            made: Process = Kubelet(node, self._shared, self._disks[node], self._containers[node])
        elif name == "resizer":
            made = Resizer(self._shared, next(iter(self._sides), None))
        else:
            made = _CONTROLLERS[name](self._shared)
        self._processes[name] = made
        made.start()

    def _not_ready(self, node: str) -> None:
        found = self.api.get(Node, node)
        if found is not None:
            self.api.patch(found, ready=False)

    def _noticed(self, _changed: Object, _gone: bool) -> None:
        self.intents.look()
        self._changed.set()

    def _note(self, what: str, process: str) -> None:
        if self._shared.history is not None:
            node = process.removeprefix("kubelet ") if process.startswith("kubelet ") else ""
            about = {"what": process, "node": node}
            self._shared.history.add("info", "world", what, process="world", value=about)

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._changed.set()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure


_CONTROLLERS: dict[str, Callable[[Shared], Process]] = {
    "provisioner": Provisioner,
    "attacher": Attacher,
    "resizer": Resizer,
    "snapshotter": Snapshotter,
    "volume-binder": VolumeBinder,
    "attach-detach": AttachDetach,
    "workloads": Workloads,
}
