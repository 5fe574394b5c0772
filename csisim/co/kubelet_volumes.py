"""Kubelet on one node: its volume manager, and the pods that wait for it.

Desired are the volumes of the pods on this node; actual is what was staged and published, each of it not there, there,
or uncertain: after an answer that does not tell. What is uncertain is done again for a pod that wants it, and undone
when none does. A final error means to kubelet that nothing is there. A restarted kubelet finds its records on disk and
takes all of that for uncertain, also after a final error: what its predecessor mounted may be there still.
"""

import asyncio
from dataclasses import dataclass, field
from enum import Enum

import grpc

from csisim.co.api import NotFound
from csisim.co.attach_detach import bound_volume
from csisim.co.callers import KUBELET, PENDING, CallFailed, Role
from csisim.co.containers import Containers, Mount
from csisim.co.driver_info import DriverInfo, NodeRpc, ask_node
from csisim.co.node_calls import NodeCalls, needs_expansion
from csisim.co.node_side import NodeDisk
from csisim.co.objects import (
    CSIDriver,
    CSINode,
    Node,
    Object,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    VolumeAttachment,
)
from csisim.co.process import Process, Shared
from csisim.co.workloads import KUBELET as POD_FINALIZER
from csisim.co.workqueue import Retry, WorkQueue
from csisim.pb import csi_pb2 as csi

_UNCERTAIN_CODES = PENDING | {grpc.StatusCode.RESOURCE_EXHAUSTED}


class State(Enum):
    """What kubelet knows of a mount."""

    ABSENT = "absent"
    UNCERTAIN = "uncertain"
    MOUNTED = "mounted"


@dataclass(slots=True)
class _Actual:
    """What is on the node of one volume.

    Attributes:
        found: uids, and "" for staging, of what was found on disk by this kubelet and not done by it.
    """

    staged: State = State.ABSENT
    targets: dict[str, State] = field(default_factory=dict)
    cannot_grow: bool = False
    found: dict[str, None] = field(default_factory=dict)


class Kubelet(Process):
    """See the module.

    Args:
        node: name of the node, and the id that the driver has there.
        shared: surroundings.
        disk: directories and records.
        containers: of this node; they outlive this process.
    """

    def __init__(self, node: str, shared: Shared, disk: NodeDisk, containers: Containers) -> None:
        super().__init__(f"kubelet {node}", shared)
        self._node = node
        self._disk = disk
        self._containers = containers
        self._caller = self.caller(node)
        self._actual: dict[str, _Actual] = {}
        self._alone: dict[str, None] = {}
        self._seen: dict[str, tuple[str, ...]] = {}
        self._volumes = self._patient_queue("volume", self._sync_volume)
        self._targets = self._patient_queue("target", self._sync_target)
        self._pods = self._patient_queue("pod", self._sync_pod)
        self._calls: NodeCalls
        self._attach_required = True

    def _patient_queue(self, what: str, sync: object) -> WorkQueue:
        timings = self.timings
        queue = WorkQueue(
            f"{self.name} {what}", sync, self.spawn, workers=50,  # type: ignore[arg-type]
            retry_s=timings.node_retry_s, retry_max_s=timings.node_retry_max_s,
        )  # fmt: skip
        self._queues.append(queue)
        return queue

    # --- start

    async def _main(self) -> None:
        self._disk.prepare()
        driver = await self.until_answered(KUBELET, self._register)
        self._calls = NodeCalls(self.api, self._caller, driver, self._disk, self.timings)
        found = self.api.get(CSIDriver, self.shared.driver)
        self._attach_required = found is None or found.attach_required
        self._reconstruct()
        self.watch(self._changed)
        for name in tuple(self._actual):
            self._poke(name)
        if self._calls.can(NodeRpc.GET_VOLUME_STATS):
            self.spawn(self._look_for_ever(), f"{self.name} stats")

    async def _register(self, role: Role) -> DriverInfo:
        """As node-driver-registrar and kubelet do, in place of whatever was registered before."""
        driver = await ask_node(self._caller, role)
        info = await self._caller.once(role, self._caller.node.NodeGetInfo, csi.NodeGetInfoRequest(), self._node)
        topology = dict(sorted(info.accessible_topology.segments.items()))
        made = CSINode(
            name=self._node, driver=driver.name, node_id=info.node_id, count=info.max_volumes_per_node,
            topology=topology,
        )  # fmt: skip
        known = self.api.get(CSINode, self._node)
        if known is None:
            self.api.create(made)
        else:
            self.api.patch(known, driver=made.driver, node_id=made.node_id, count=made.count, topology=topology)
        node = self.api.get(Node, self._node)
        if node is not None:
            self.api.patch(node, ready=True)
        return driver

    def _reconstruct(self) -> None:
        """Take over what the records on disk tell; containers that a reboot ended are ended."""
        for name, data in self._disk.volumes.items():
            staged = State.UNCERTAIN if data.staging_path else State.ABSENT
            targets = dict.fromkeys(data.targets, State.UNCERTAIN)
            self._actual[name] = _Actual(staged, targets, found=dict.fromkeys(["", *targets]))
        for pod in self.api.all_of(Pod):
            if pod.node_name == self._node and pod.running and not self._containers.runs(pod.uid):
                self.api.patch(pod, running=False)
        self._report_in_use()

    # --- what is wanted

    def _changed(self, changed: Object, gone: bool) -> None:
        if isinstance(changed, Pod) and changed.node_name == self._node:
            self._pods.add(changed.uid)
            for volume in changed.volumes:
                pv = bound_volume(self.api, changed, volume.claim_name)
                if pv is not None:
                    self._poke(pv.name)
            if changed.deleting or gone:
                for name in tuple(self._actual):
                    self._poke(name)
        elif isinstance(changed, Node) and changed.name == self._node:
            for name in changed.volumes_attached:
                self._poke(name)
        elif isinstance(changed, PersistentVolumeClaim) and (changed.node_resize or changed.phase == "Bound"):
            self._poke(changed.volume_name)

    def _poke(self, pv_name: str) -> None:
        """Work on a volume; one that failed keeps its pause unless something else is wanted of it now."""
        wanted = tuple(self._wanted(pv_name))
        if self._seen.get(pv_name) == wanted:
            self._volumes.add_fresh(pv_name)
        else:
            self._seen[pv_name] = wanted
            self._volumes.forget(pv_name)
            self._volumes.add(pv_name)

    def _wanted(self, pv_name: str) -> dict[str, tuple[Pod, bool]]:
        """The pods on this node that need the volume, and whether they only read."""
        found = {}
        for pod in self.api.all_of(Pod):
            if pod.node_name != self._node or pod.deleting:
                continue
            for volume in pod.volumes:
                pv = bound_volume(self.api, pod, volume.claim_name)
                if pv is not None and pv.name == pv_name:
                    found[pod.uid] = pod, volume.read_only
        return found

    # --- volumes

    async def _sync_volume(self, name: str) -> None:
        """Targets are unpublished one beside the other; only what mounts or unstages has the volume to itself."""
        if any(self._targets.busy(key) for key in self._begin_unpublishing(name)):
            return
        wanted, actual = self._wanted(name), self._actual.get(name)
        self._alone[name] = None
        try:
            if wanted:
                await self._mount(name, wanted)
            elif actual is not None and not actual.targets:
                await self._unstage(name, actual)
        finally:
            del self._alone[name]
            self._begin_unpublishing(name)

    def _begin_unpublishing(self, name: str) -> list[str]:
        """Have targets that nobody wants worked on; gives their keys."""
        wanted, actual = self._wanted(name), self._actual.get(name)
        targets = () if actual is None else actual.targets
        over = [f"{name} {uid}" for uid in targets if uid not in wanted and not self._containers.runs(uid)]
        for key in over:
            self._targets.add_fresh(key)
        return over

    async def _sync_target(self, key: str) -> None:
        """Unpublish a target that nobody wants, and have the volume looked at again."""
        name, _, uid = key.partition(" ")
        actual = self._actual.get(name)
        if actual is None or uid not in actual.targets or name in self._alone:
            return
        actual.targets[uid] = State.UNCERTAIN
        try:
            await self._calls.unpublish(self._disk.volumes[name], uid)
        except CallFailed as error:
            raise self._failed(name, "FailedUnMount", error) from error
        finally:
            self._volumes.add_fresh(name)
        del actual.targets[uid]
        self._pods.add(uid)

    async def _unstage(self, name: str, actual: _Actual) -> None:
        data = self._disk.volumes.get(name)
        if data is not None and actual.staged is not State.ABSENT:
            actual.staged = State.UNCERTAIN
            try:
                await self._calls.unstage(data)
            except CallFailed as error:
                raise self._failed(name, "FailedUnMount", error) from error
            actual.staged = State.ABSENT
        if self._wanted(name):
            self._volumes.add(name)
            return
        self._disk.volumes.pop(name, None)
        del self._actual[name]
        self._seen.pop(name, None)
        self._report_in_use()
        self.shared.changed()

    async def _mount(self, name: str, wanted: dict[str, tuple[Pod, bool]]) -> None:
        pv, context = self._attached(name)
        if pv is None:
            return
        actual = self._actual.setdefault(name, _Actual())
        self._report_in_use()
        first = next(iter(wanted.values()))[0]
        if self._calls.can(NodeRpc.STAGE_UNSTAGE_VOLUME) and actual.staged is not State.MOUNTED:
            await self._stage(pv, actual, context, first)
        for uid, (pod, read_only) in wanted.items():
            if actual.targets.get(uid) is not State.MOUNTED:
                await self._publish(pv, actual, context, pod, read_only=read_only)
        await self._grow(pv, actual)

    def _attached(self, name: str) -> tuple[PersistentVolume | None, dict[str, str]]:
        """The volume once it may be mounted here, with its publish context."""
        pv = self.api.get(PersistentVolume, name)
        if pv is None or not self._attach_required:
            return pv, {}
        node = self.api.get(Node, self._node)
        if node is None or name not in node.volumes_attached:
            return None, {}
        for each in self.api.all_of(VolumeAttachment):
            if each.pv_name == name and each.node_name == self._node and each.attached and not each.deleting:
                return pv, dict(each.attachment_metadata)
        return None, {}

    async def _stage(self, pv: PersistentVolume, actual: _Actual, context: dict[str, str], pod: Pod) -> None:
        try:
            await self._calls.stage(pv, context, pod)
        except CallFailed as error:
            actual.staged = State.UNCERTAIN
            if error.code not in _UNCERTAIN_CODES and "" not in actual.found:
                actual.staged = State.ABSENT
                self._calls.forget_staging(self._disk.data(pv))
            raise self._failed(pv.name, "FailedMount", error, pod) from error
        actual.staged = State.MOUNTED
        actual.found.pop("", None)
        self._volumes.forget(pv.name)

    async def _publish(
        self, pv: PersistentVolume, actual: _Actual, context: dict[str, str], pod: Pod, *, read_only: bool
    ) -> None:
        # Written down first: a kubelet that crashes now must find it.
        actual.targets[pod.uid] = State.UNCERTAIN
        try:
            await self._calls.publish(pv, context, pod, read_only=read_only)
        except CallFailed as error:
            if error.code not in _UNCERTAIN_CODES and pod.uid not in actual.found:
                del actual.targets[pod.uid]
                self._calls.forget_target(self._disk.data(pv), pod.uid)
            raise self._failed(pv.name, "FailedMount", error, pod) from error
        actual.targets[pod.uid] = State.MOUNTED
        actual.found.pop(pod.uid, None)
        self._volumes.forget(pv.name)
        self._pods.add(pod.uid)

    async def _grow(self, pv: PersistentVolume, actual: _Actual) -> None:
        ref = pv.claim_ref
        claim = None if ref is None else self.api.get(PersistentVolumeClaim, ref.name, ref.namespace, uid=ref.uid)
        if claim is None or not needs_expansion(claim) or actual.cannot_grow:
            return
        pv = self.api.get(PersistentVolume, pv.name) or pv
        size_bytes = pv.capacity
        if self._calls.can(NodeRpc.EXPAND_VOLUME):
            data = self._disk.data(pv)
            path = next(iter(data.targets.values()), data.staging_path)
            try:
                size_bytes = await self._calls.expand(pv, data, path)
            except CallFailed as error:
                # In use, says the driver: that is not repeated until the volume is mounted anew.
                actual.cannot_grow = error.code is grpc.StatusCode.FAILED_PRECONDITION
                raise self._failed(pv.name, "VolumeResizeFailed", error) from error
        try:
            self.api.patch(claim, capacity=max(size_bytes, claim.node_resize), node_resize=0)
        except NotFound:
            return

    def _failed(self, name: str, reason: str, error: CallFailed, pod: Pod | None = None) -> Retry:
        about = pod or self.api.get(PersistentVolume, name) or Node(name=self._node)
        self.api.event(about, "Warning", reason, f"{self._node}: {error}")
        return Retry(str(error))

    def _report_in_use(self) -> None:
        """Before a volume is mounted the node's status says so, and after it has been taken off no more."""
        node = self.api.get(Node, self._node)
        if node is not None:
            self.api.patch(node, volumes_in_use=tuple(sorted(self._actual)))

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self.timings.stats_s)
            for name, actual in tuple(self._actual.items()):
                for uid, state in tuple(actual.targets.items()):
                    if state is State.MOUNTED and uid in self._disk.volumes[name].targets:
                        await self._calls.look(self._disk.volumes[name], uid)

    # --- pods

    async def _sync_pod(self, uid: str) -> None:
        pod = next((each for each in self.api.all_of(Pod) if each.uid == uid), None)
        if pod is None or pod.deleting:
            await self._end(pod, uid)
        elif not pod.running:
            self._run(pod)

    def _run(self, pod: Pod) -> None:
        """Start containers once everything is mounted."""
        mounts = []
        for volume in pod.volumes:
            pv = bound_volume(self.api, pod, volume.claim_name)
            actual = None if pv is None else self._actual.get(pv.name)
            if pv is None or actual is None or actual.targets.get(pod.uid) is not State.MOUNTED:
                return
            target = self._disk.volumes[pv.name].targets[pod.uid]
            claim = self.api.get(PersistentVolumeClaim, volume.claim_name, pod.namespace)
            copy = claim is not None and claim.data_source is not None
            read_only = volume.read_only or pv.access_modes == ("ReadOnlyMany",)
            mounts.append(Mount(pv.volume_handle, target, read_only, copy))
        if not self._containers.runs(pod.uid):
            self._containers.start(pod, tuple(mounts))
        self.api.patch(pod, phase="Running", running=True)

    async def _end(self, pod: Pod | None, uid: str) -> None:
        """Stop containers, wait until nothing is mounted for them, and let the pod go."""
        await self._containers.stop(uid)
        if pod is not None and pod.running:
            try:
                pod = self.api.patch(pod, running=False)
            except NotFound:
                pod = None
        mine = [name for name, actual in self._actual.items() if uid in actual.targets]
        for name in mine:
            self._poke(name)
        if not mine and pod is not None:
            self.api.remove_finalizer(pod, POD_FINALIZER)
