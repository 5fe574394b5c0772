"""external-resizer: claims that want more room, and claims that want another VolumeAttributesClass.

Growing and modifying are two controllers in one process, as in the real one. A code that says "infeasible" is repeated
as seldom as can be; FAILED_PRECONDITION says that the volume is in use, and is repeated when no pod uses it any more.
"""

from typing import Final

from grpc import StatusCode

from csisim.co import volume_requests as requests
from csisim.co.api import NotFound
from csisim.co.callers import RESIZER, CallFailed
from csisim.co.driver_info import Controller, NodeRpc, ask_node
from csisim.co.objects import Object, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass, VolumeAttributesClass
from csisim.co.process import Process, Shared
from csisim.co.workqueue import Retry
from csisim.pb import csi_pb2 as csi

INFEASIBLE: Final = frozenset({StatusCode.INVALID_ARGUMENT, StatusCode.OUT_OF_RANGE, StatusCode.NOT_FOUND})


class Resizer(Process):
    """See the module.

    Args:
        shared: surroundings.
        node_id: a node to ask whether nodes can grow volumes, for drivers whose controller cannot; None for none.
    """

    def __init__(self, shared: Shared, node_id: str | None = None) -> None:
        super().__init__("resizer", shared)
        self._node_id = node_id
        self._nodes_grow = False
        self._caller = self.caller()
        self._sizes = self.queue("resize", self._resize)
        self._classes = self.queue("modify", self._modify)
        self._in_use: dict[str, None] = {}
        self._put_off: dict[str, int] = {}
        self._refused: dict[str, str] = {}

    async def _main(self) -> None:
        self._driver = await self.driver(RESIZER, self._caller)
        if Controller.EXPAND_VOLUME not in self._driver.controller and self._node_id is not None:
            caller = self.caller(self._node_id)
            node = await self.until_answered(RESIZER, lambda role: ask_node(caller, role))
            self._nodes_grow = NodeRpc.EXPAND_VOLUME in node.node
        self.watch(self._changed)

    def _changed(self, changed: Object, gone: bool) -> None:
        if isinstance(changed, PersistentVolumeClaim) and not gone and changed.phase == "Bound":
            key, wanted = changed.key, changed.volume_attributes_class_name
            more = changed.storage > changed.capacity and not changed.node_resize
            if more and key not in self._in_use and self._put_off.get(key) != changed.storage:
                self._sizes.add_fresh(key)
            if wanted not in {"", changed.current_volume_attributes_class, self._refused.get(key)}:
                self._classes.add_fresh(key)
        elif isinstance(changed, Pod) and (gone or changed.deleting):
            for key in tuple(self._in_use):
                if not self._is_used(key):
                    del self._in_use[key]
                    self._sizes.add(key)

    def _is_used(self, claim_key: str) -> bool:
        return any(
            f"{pod.namespace}/{volume.claim_name}" == claim_key
            for pod in self.api.all_of(Pod)
            for volume in pod.volumes
            if not pod.finished
        )

    async def _resize(self, key: str) -> float | None:
        claim, pv = self._bound(key)
        if claim is None or pv is None or claim.node_resize or claim.storage <= claim.capacity:
            return None
        storage_class = self.api.get(StorageClass, claim.storage_class_name)
        if storage_class is None or not storage_class.allow_volume_expansion:
            why = f"storage class {claim.storage_class_name!r} does not allow expansion"
            self.api.event(claim, "Warning", "VolumeResizeFailed", why)
            return None
        size_bytes, on_node = claim.storage, True
        if Controller.EXPAND_VOLUME in self._driver.controller:
            try:
                reply = await self._expand(claim, pv)
            except CallFailed as error:
                return self._not_grown(key, claim, error)
            size_bytes, on_node = reply.capacity_bytes, reply.node_expansion_required
        elif not self._nodes_grow:
            self.api.event(claim, "Warning", "VolumeResizeFailed", "the driver cannot expand volumes")
            return None
        self._in_use.pop(key, None)
        try:
            self.api.patch(pv, capacity=max(size_bytes, pv.capacity))
            done = {"node_resize": size_bytes} if on_node else {"capacity": size_bytes}
            self.api.patch(claim, resize_error="", **done)
        except NotFound:
            return None
        return None

    async def _expand(self, claim: PersistentVolumeClaim, pv: PersistentVolume) -> csi.ControllerExpandVolumeResponse:
        multi_writer = Controller.SINGLE_NODE_MULTI_WRITER in self._driver.controller
        request = csi.ControllerExpandVolumeRequest(
            volume_id=pv.volume_handle,
            capacity_range=csi.CapacityRange(required_bytes=claim.storage),
            secrets=requests.secret(self.api, pv.secret_refs, "controller-expand"),
            volume_capability=requests.of_volume(pv, multi_writer=multi_writer),
        )
        method = self._caller.controller.ControllerExpandVolume
        return await self._caller.once(self.timings.role(RESIZER), method, request, pv.volume_handle)

    def _not_grown(self, key: str, claim: PersistentVolumeClaim, error: CallFailed) -> float | None:
        in_use = error.code is StatusCode.FAILED_PRECONDITION and self._is_used(key)
        if in_use:
            self._in_use[key] = None
        elif error.code in INFEASIBLE:
            self._put_off[key] = claim.storage
        self.api.event(claim, "Warning", "VolumeResizeFailed", str(error))
        try:
            self.api.patch(claim, resize_error=str(error))
        except NotFound:
            return None
        if in_use:
            return None
        if error.code in INFEASIBLE:
            return self.timings.retry_max_s
        raise Retry(f"{claim.ref}: {error}")

    async def _modify(self, key: str) -> float | None:
        claim, pv = self._bound(key)
        wanted = "" if claim is None else claim.volume_attributes_class_name
        if claim is None or pv is None or wanted in {"", claim.current_volume_attributes_class}:
            return None
        if Controller.MODIFY_VOLUME not in self._driver.controller:
            self.api.event(claim, "Warning", "VolumeModifyFailed", "the driver cannot modify volumes")
            return None
        found = self.api.get(VolumeAttributesClass, wanted)
        if found is None or found.driver_name != self.shared.driver:
            raise Retry(f"{claim.ref}: there is no volumeattributesclass {wanted!r} for driver {self.shared.driver}")
        request = csi.ControllerModifyVolumeRequest(
            volume_id=pv.volume_handle,
            secrets=requests.secret(self.api, pv.secret_refs, "controller-expand"),
            mutable_parameters=dict(sorted(found.parameters.items())),
        )
        method = self._caller.controller.ControllerModifyVolume
        try:
            await self._caller.once(self.timings.role(RESIZER), method, request, pv.volume_handle)
        except CallFailed as error:
            self.api.event(claim, "Warning", "VolumeModifyFailed", str(error))
            if error.code in INFEASIBLE:
                self._refused[key] = wanted
                return self.timings.retry_max_s
            raise Retry(f"{claim.ref}: {error}") from error
        try:
            self.api.patch(pv, volume_attributes_class_name=wanted)
            self.api.patch(claim, current_volume_attributes_class=wanted)
        except NotFound:
            return None
        return None

    def _bound(self, key: str) -> tuple[PersistentVolumeClaim | None, PersistentVolume | None]:
        claim = self.api.at(PersistentVolumeClaim, key)
        if claim is None or claim.phase != "Bound" or claim.deleting:
            return None, None
        pv = self.api.get(PersistentVolume, claim.volume_name)
        return claim, pv if pv is not None and pv.driver == self.shared.driver else None
