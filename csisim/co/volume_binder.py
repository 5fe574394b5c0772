"""kube-controller-manager's part in claims: binding, and the finalizers that keep what is in use from going."""

from dataclasses import replace
from typing import Final

from csisim.co.api import Api
from csisim.co.objects import PersistentVolume, PersistentVolumeClaim, Pod, StorageClass
from csisim.co.process import Shared
from csisim.co.provisioner import PROTECTION
from csisim.co.reconciler import Reconciler

IN_USE: Final = "kubernetes.io/pvc-protection"


def create_claim(api: Api, claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
    """Store a claim as admission does: with its finalizer, and with the default class if it names none.

    Raises:
        AlreadyExists: there is one of that name.
    """
    name = claim.storage_class_name
    if not name:
        name = next((each.name for each in api.all_of(StorageClass) if each.is_default), "")
    return api.create(replace(claim, storage_class_name=name, finalizers=(IN_USE,)))


class VolumeBinder(Reconciler):
    """See the module."""

    def __init__(self, shared: Shared) -> None:
        super().__init__("volume-binder", shared)

    def reconcile(self) -> None:
        """See `Reconciler`."""
        for pv in self.api.all_of(PersistentVolume):
            self._bind(pv)
        used = {f"{pod.namespace}/{volume.claim_name}": None for pod in self.api.all_of(Pod) for volume in pod.volumes}
        for claim in self.api.all_of(PersistentVolumeClaim):
            if claim.deleting and claim.key not in used:
                self.api.remove_finalizer(claim, IN_USE)

    def _bind(self, pv: PersistentVolume) -> None:
        ref = pv.claim_ref
        if ref is None:
            return
        claim = self.api.get(PersistentVolumeClaim, ref.name, ref.namespace, uid=ref.uid)
        if claim is None:
            if pv.phase != "Released":
                pv = self.api.patch(pv, phase="Released")
            if pv.deleting:
                self.api.remove_finalizer(pv, PROTECTION)
            return
        if pv.phase != "Bound":
            pv = self.api.patch(pv, phase="Bound")
        if not claim.volume_name and not claim.deleting:
            self.api.patch(
                claim,
                volume_name=pv.name,
                phase="Bound",
                capacity=pv.capacity,
                current_volume_attributes_class=pv.volume_attributes_class_name,
            )
