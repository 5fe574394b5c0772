"""What a user does to the orchestrator: applying manifests, wanting things, and looking after nodes."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from csisim.co.api import Api, ApiEvent
from csisim.co.intents import Intents
from csisim.co.objects import DataSource, Node, Object, PersistentVolumeClaim, Pod, PodVolume, VolumeSnapshot
from csisim.co.store import KINDS, apply_object
from csisim.co.workloads import HOSTNAME

GIB: Final = 1 << 30


class User:
    """See the module.

    Args:
        api: the objects.
        intents: where wishes are noted.

    Attributes:
        warnings: documents of manifests that were left out, in words.
    """

    def __init__(self, api: Api, intents: Intents) -> None:
        self.api = api
        self.intents = intents
        self.warnings: list[str] = []

    def apply(self, manifests: str | Iterable[Object]) -> list[Object]:
        """Create objects, or change those that are there.

        Args:
            manifests: YAML documents, or objects.

        Raises:
            csisim.co.manifests.ManifestError: the YAML is not what it should be; nothing was applied.
            csisim.co.api.ApiError: a change that the API does not allow.
        """
        if isinstance(manifests, str):
            from csisim.co.manifests import parse  # noqa: PLC0415 - YAML is only read where there is some

            found = parse(manifests)
            self.warnings += found.warnings
            objects = found.objects
        else:
            objects = tuple(manifests)
        return [self._apply(each) for each in objects]

    def _apply(self, wanted: Object) -> Object:
        stored = apply_object(self.api, wanted)
        self.intents.want(stored, "present")
        return stored

    def create_claim(
        self,
        name: str,
        storage: int = GIB,
        *,
        storage_class: str = "",
        access_modes: tuple[str, ...] = ("ReadWriteOnce",),
        block: bool = False,
        from_snapshot: str = "",
        from_claim: str = "",
        namespace: str = "default",
    ) -> PersistentVolumeClaim:
        """Want a volume of this many bytes; without a class the default one decides how it is made."""
        source = None
        if from_snapshot:
            source = DataSource("VolumeSnapshot", from_snapshot)
        elif from_claim:
            source = DataSource("PersistentVolumeClaim", from_claim)
        claim = PersistentVolumeClaim(
            name=name, namespace=namespace, storage=storage, storage_class_name=storage_class,
            access_modes=access_modes, volume_mode="Block" if block else "Filesystem", data_source=source,
        )  # fmt: skip
        self._apply(claim)
        return self.api.at(PersistentVolumeClaim, claim.key) or claim

    def create_pod(self, name: str, *claims: str, node: str = "", namespace: str = "default") -> Pod:
        """Want a pod that uses claims, on a certain node if one is given."""
        volumes = tuple(PodVolume(claim, claim) for claim in claims)
        selector = {HOSTNAME: node} if node else {}
        pod = Pod(name=name, namespace=namespace, volumes=volumes, node_selector=selector)
        self._apply(pod)
        return self.api.at(Pod, pod.key) or pod

    def create_snapshot(
        self, name: str, claim: str, *, snapshot_class: str = "", namespace: str = "default"
    ) -> VolumeSnapshot:
        """Want a snapshot of a claim."""
        snapshot = VolumeSnapshot(
            name=name, namespace=namespace, source_claim_name=claim, volume_snapshot_class_name=snapshot_class
        )
        self._apply(snapshot)
        return self.api.at(VolumeSnapshot, snapshot.key) or snapshot

    def expand(self, claim: str, storage: int, *, namespace: str = "default") -> None:
        """Want more room for a claim, in bytes."""
        found = self.api.get(PersistentVolumeClaim, claim, namespace)
        if found is None:
            raise KeyError(f"there is no PersistentVolumeClaim {namespace}/{claim}")
        self._apply(replace(found, storage=storage))

    def delete(self, kind: str, name: str, *, namespace: str = "default", force: bool = False) -> None:
        """Want an object gone; one that is not there is fine.

        Args:
            kind: such as Pod.
            name: of the object.
            namespace: where the kind has one.
            force: end it at once, without waiting for kubelet and whoever else has a hold of it.
        """
        found = self.get(kind, name, namespace=namespace)
        if found is not None:
            self.intents.want(found, "absent")
            if force:
                self.api.force_delete(found)
            else:
                self.api.delete(found)

    def get(self, kind: str, name: str, *, namespace: str = "default") -> Any:
        """An object as it is now, None if there is no such one."""
        where = namespace if KINDS[kind].__dataclass_fields__["namespace"].default else ""
        return self.api.get(KINDS[kind], name, where)

    def describe(self, ref: str = "") -> list[ApiEvent]:
        """What controllers had to say, about one object such as `Pod default/web-0` or about all."""
        return self.api.events(ref)

    def taint(self, node: str, *taints: str) -> None:
        """Give a node these taints and no others, such as `csisim.co.objects.OUT_OF_SERVICE`."""
        self.api.patch(self._node(node), taints=taints)

    def cordon(self, node: str, *, on: bool = True) -> None:
        """Let no more pods be put on a node, or again."""
        self.api.patch(self._node(node), unschedulable=on)

    def drain(self, node: str) -> None:
        """Cordon a node and evict its pods; those of StatefulSets come back elsewhere."""
        self.cordon(node)
        for pod in self.api.all_of(Pod):
            if pod.node_name == node:
                if not pod.owner:
                    self.intents.want(pod, "absent")
                self.api.delete(pod)

    def _node(self, name: str) -> Node:
        found = self.api.get(Node, name)
        if found is None:
            raise KeyError(f"there is no node {name!r}")
        return found
