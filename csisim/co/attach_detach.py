"""kube-controller-manager's attach-detach controller: pods on nodes become VolumeAttachments, and go again.

A volume stays attached while kubelet says that it is in use, unless the node has been out of reach for long, or
somebody has declared it out of service: then it is detached by force.
"""

import asyncio
import hashlib

from csisim.co.api import Api
from csisim.co.objects import (
    OUT_OF_SERVICE,
    ROX,
    RWX,
    CSIDriver,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    VolumeAttachment,
)
from csisim.co.process import Shared
from csisim.co.reconciler import Reconciler


def bound_volume(api: Api, pod: Pod, claim_name: str) -> PersistentVolume | None:
    """The volume of a pod's claim, once that is bound."""
    claim = api.get(PersistentVolumeClaim, claim_name, pod.namespace)
    if claim is None or claim.phase != "Bound":
        return None
    return api.get(PersistentVolume, claim.volume_name)


def attachment_name(pv: PersistentVolume, node_name: str) -> str:
    """As Kubernetes makes it."""
    text = f"{pv.volume_handle}{pv.driver}{node_name}"
    return f"csi-{hashlib.sha256(text.encode()).hexdigest()}"


class AttachDetach(Reconciler):
    """See the module."""

    def __init__(self, shared: Shared) -> None:
        super().__init__("attach-detach", shared)
        self._unwanted_since_s: dict[str, float] = {}

    def reconcile(self) -> float | None:
        """See `Reconciler`."""
        driver = self.api.get(CSIDriver, self.shared.driver)
        if driver is None or not driver.attach_required:
            return None
        wanted = self._wanted()
        again_s = self._detach(wanted)
        for (pv_name, node_name), pv in wanted.items():
            self._attach(pv_name, node_name, pv)
        return again_s

    def _wanted(self) -> dict[tuple[str, str], PersistentVolume]:
        found = {}
        for pod in self.api.all_of(Pod):
            if not pod.node_name or pod.finished:
                continue
            for volume in pod.volumes:
                pv = bound_volume(self.api, pod, volume.claim_name)
                if pv is not None and pv.driver == self.shared.driver:
                    found[pv.name, pod.node_name] = pv
        return found

    def _detach(self, wanted: dict[tuple[str, str], PersistentVolume]) -> float | None:
        """Returns when patience with a node ends."""
        now_s = asyncio.get_running_loop().time()
        again_s = None
        unwanted = {}
        for each in self.api.all_of(VolumeAttachment):
            if each.deleting or (each.pv_name, each.node_name) in wanted:
                continue
            since_s = unwanted[each.name] = self._unwanted_since_s.get(each.name, now_s)
            node = self.api.get(Node, each.node_name)
            if node is not None and each.pv_name in node.volumes_in_use and OUT_OF_SERVICE not in node.taints:
                until_s = since_s + self.timings.unmount_wait_s
                if node.ready or now_s < until_s:
                    if now_s < until_s:
                        again_s = until_s if again_s is None else min(again_s, until_s)
                    continue
                self.api.event(each, "Warning", "ForceDetach", f"node {node.name} is not ready; detaching by force")
            if node is not None:
                left = tuple(name for name in node.volumes_attached if name != each.pv_name)
                self.api.patch(node, volumes_attached=left)
            self.api.delete(each)
        self._unwanted_since_s = unwanted
        return again_s

    def _attach(self, pv_name: str, node_name: str, pv: PersistentVolume) -> None:
        name = attachment_name(pv, node_name)
        known = self.api.get(VolumeAttachment, name)
        if known is None:
            elsewhere = [each for each in self.api.all_of(VolumeAttachment) if each.pv_name == pv_name]
            if elsewhere and not {ROX, RWX} & set(pv.access_modes):
                there = elsewhere[0].node_name
                why = f"Multi-Attach error: it is attached to {there} and cannot be attached to {node_name} as well"
                self.api.event(pv, "Warning", "FailedAttachVolume", why)
                return
            self.api.create(VolumeAttachment(name=name, node_name=node_name, pv_name=pv_name))
        elif known.attached and not known.deleting:
            node = self.api.get(Node, node_name)
            if node is not None and pv_name not in node.volumes_attached:
                self.api.patch(node, volumes_attached=(*node.volumes_attached, pv_name))
