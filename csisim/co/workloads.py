"""StatefulSets, the scheduler, and what becomes of pods on nodes that are gone."""

import asyncio
from dataclasses import replace
from typing import Final

from csisim.co.api import Api
from csisim.co.attach_detach import bound_volume
from csisim.co.objects import (
    OUT_OF_SERVICE,
    CSINode,
    Node,
    PersistentVolumeClaim,
    Pod,
    StatefulSet,
    StorageClass,
    VolumeAttachment,
)
from csisim.co.process import Shared
from csisim.co.reconciler import Reconciler
from csisim.co.volume_binder import create_claim
from csisim.co.volume_requests import reachable

KUBELET: Final = "kubelet"
HOSTNAME: Final = "kubernetes.io/hostname"


def create_pod(api: Api, pod: Pod) -> Pod:
    """Store a pod. Only kubelet ends one that has a node: a finalizer stands for that here.

    Raises:
        AlreadyExists: there is one of that name.
    """
    return api.create(replace(pod, finalizers=(KUBELET,)))


def claim_names(wanted: StatefulSet) -> list[str]:
    """The claims that a StatefulSet makes, and leaves behind."""
    return [
        f"{claim.name}-{wanted.name}-{ordinal}"
        for ordinal in range(wanted.replicas)
        for claim in wanted.volume_claim_templates
    ]


class Workloads(Reconciler):
    """See the module."""

    def __init__(self, shared: Shared) -> None:
        super().__init__("workloads", shared)
        self._away_since_s: dict[str, float] = {}

    def reconcile(self) -> float | None:
        """See `Reconciler`."""
        for each in self.api.all_of(StatefulSet):
            self._expand(each)
        owners = {each.uid: None for each in self.api.all_of(StatefulSet)}
        for pod in self.api.all_of(Pod):
            if pod.owner and pod.owner not in owners:
                self.api.delete(pod)
        again_s = self._leave_lost_nodes()
        for pod in self.api.all_of(Pod):
            if pod.deleting and not pod.node_name:
                self.api.remove_finalizer(pod, KUBELET)
            elif not pod.node_name:
                self._schedule(pod)
        return again_s

    def _expand(self, wanted: StatefulSet) -> None:
        """Claims and pods in order; each pod waits for the one before it, unless they may start at once."""
        for ordinal in range(wanted.replicas):
            name = f"{wanted.name}-{ordinal}"
            for template in wanted.volume_claim_templates:
                claim = replace(template, name=f"{template.name}-{name}", namespace=wanted.namespace)
                if self.api.at(PersistentVolumeClaim, claim.key) is None:
                    create_claim(self.api, claim)
            pod = self.api.get(Pod, name, wanted.namespace)
            if pod is None:
                pod = self._create(wanted, name)
            if not wanted.parallel and not (pod.running and not pod.deleting):
                break
        for pod in self.api.all_of(Pod):
            if pod.owner == wanted.uid and int(pod.name.rpartition("-")[2]) >= wanted.replicas:
                self.api.delete(pod)

    def _create(self, wanted: StatefulSet, name: str) -> Pod:
        templates = {template.name for template in wanted.volume_claim_templates}
        volumes = tuple(
            replace(volume, claim_name=f"{volume.claim_name}-{name}") if volume.claim_name in templates else volume
            for volume in wanted.template.volumes
        )
        made = replace(wanted.template, name=name, namespace=wanted.namespace, owner=wanted.uid, volumes=volumes)
        return create_pod(self.api, made)

    def _leave_lost_nodes(self) -> float | None:
        """Delete pods of nodes that have not been ready for long, and end those of nodes out of service."""
        now_s = asyncio.get_running_loop().time()
        away = {node.name: self._away_since_s.get(node.name, now_s) for node in self.api.all_of(Node) if not node.ready}
        self._away_since_s = away
        again_s = None
        for pod in self.api.all_of(Pod):
            node = self.api.get(Node, pod.node_name) if pod.node_name else None
            if node is None or node.ready:
                continue
            due_s = away[node.name] + self.timings.eviction_s
            if OUT_OF_SERVICE in node.taints:
                self.api.force_delete(pod)
            elif now_s >= due_s:
                self.api.delete(pod)
            else:
                again_s = due_s if again_s is None else min(again_s, due_s)
        return again_s

    def _schedule(self, pod: Pod) -> None:
        """Give a pod a node once all its claims are bound, or can be bound late: the least used that fits."""
        claims = [self.api.get(PersistentVolumeClaim, volume.claim_name, pod.namespace) for volume in pod.volumes]
        missing = [volume.claim_name for volume, claim in zip(pod.volumes, claims, strict=True) if claim is None]
        if missing:
            self.api.event(pod, "Warning", "FailedScheduling", f"persistentvolumeclaim {missing[0]} not found")
            return
        unbound = [claim for claim in claims if claim is not None and claim.phase != "Bound"]
        if any(not self._binds_late(claim) or claim.deleting for claim in unbound):
            return
        fitting = [node for node in self.api.all_of(Node) if self._fits(pod, node)]
        if not fitting:
            self.api.event(pod, "Warning", "FailedScheduling", "no node fits its volumes and selector")
            return
        pods = [each.node_name for each in self.api.all_of(Pod)]
        node = min(fitting, key=lambda each: (pods.count(each.name), each.name))
        if not unbound:
            self.api.patch(pod, node_name=node.name)
            return
        for claim in unbound:
            if not claim.selected_node:
                self.api.patch(claim, selected_node=node.name)

    def _binds_late(self, claim: PersistentVolumeClaim) -> bool:
        found = self.api.get(StorageClass, claim.storage_class_name)
        return found is not None and found.volume_binding_mode == "WaitForFirstConsumer"

    def _fits(self, pod: Pod, node: Node) -> bool:
        if not node.ready or node.unschedulable or node.taints:
            return False
        if pod.node_selector.get(HOSTNAME, node.name) != node.name:
            return False
        known = self.api.get(CSINode, node.name)
        if known is None:
            return not pod.volumes
        volumes = [bound_volume(self.api, pod, volume.claim_name) for volume in pod.volumes]
        if not all(pv is None or reachable(pv, known) for pv in volumes):
            return False
        here = {each.pv_name for each in self.api.all_of(VolumeAttachment) if each.node_name == node.name}
        more = {pv.name for pv in volumes if pv is not None} | set(self._pods_volumes(node.name))
        return not known.count or len(here | more) <= known.count

    def _pods_volumes(self, node_name: str) -> list[str]:
        pods = [pod for pod in self.api.all_of(Pod) if pod.node_name == node_name]
        found = [bound_volume(self.api, pod, volume.claim_name) for pod in pods for volume in pod.volumes]
        return [pv.name for pv in found if pv is not None]
