"""What a user wants of the orchestrator, and whether it is so: two events in the history for each wish."""

from dataclasses import dataclass
from typing import Literal

from csisim.co.api import Api
from csisim.co.objects import (
    Object,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    StatefulSet,
    StorageClass,
    VolumeSnapshot,
    VolumeSnapshotContent,
)
from csisim.events import History

Wish = Literal["present", "absent"]
WANTED = (StatefulSet, Pod, PersistentVolumeClaim, VolumeSnapshot)
"""Kinds that a user wants for their own sake; classes and secrets only say how."""


@dataclass(slots=True)
class Intent:
    """One wish.

    Attributes:
        kind, name, namespace: of the object.
        wish: that it is there and in order, or gone with everything that was made for it.
        call: in the history.
        uid: of the object that is to go.
        volume: name of what was made for it.
    """

    kind: type[Object]
    name: str
    namespace: str
    wish: Wish
    call: str
    uid: str = ""
    volume: str = ""
    done: bool = False

    @property
    def ref(self) -> str:
        """As `Object.ref`."""
        return f"{self.kind.kind} {self.namespace}/{self.name}"


class Intents:
    """The last wish for each object.

    Args:
        api: what there is.
        history: gets the events; None for none.
    """

    def __init__(self, api: Api, history: History | None) -> None:
        self._api = api
        self._history = history
        self._open: dict[str, Intent] = {}

    def want(self, wanted: Object, wish: Wish) -> None:
        """Note a wish, which takes the place of an earlier one for the same object."""
        if not isinstance(wanted, WANTED):
            return
        volume = ""
        if isinstance(wanted, PersistentVolumeClaim):
            volume = wanted.volume_name
        elif isinstance(wanted, VolumeSnapshot):
            volume = f"snapcontent-{wanted.uid}"
        call = "" if self._history is None else self._history.new_call()
        intent = Intent(type(wanted), wanted.name, wanted.namespace, wish, call, wanted.uid, volume)
        self._open[wanted.ref] = intent
        if self._history is not None:
            about = {"object": wanted.ref, **_size(wanted)}
            self._history.add("invoke", "intent", wish, call=call, process="user", value=about)

    def look(self) -> None:
        """Note what has come true."""
        for intent in self._open.values():
            if not intent.done and not self.hindrance(intent):
                intent.done = True
                if self._history is not None:
                    value = {"object": intent.ref}
                    self._history.add("ok", "intent", intent.wish, call=intent.call, process="user", value=value)

    def unfulfilled(self) -> dict[str, str]:
        """Objects that are not as they are wanted, and what is missing."""
        found = {f"{intent.ref} ({intent.wish})": self.hindrance(intent) for intent in self._open.values()}
        return {what: why for what, why in found.items() if why}

    def hindrance(self, intent: Intent) -> str:
        """Why a wish is not fulfilled; "" if it is."""
        found = self._api.get(intent.kind, intent.name, intent.namespace)
        if intent.wish == "absent":
            return self._still_there(intent, found)
        if found is None:
            return "it is not there"
        return _not_in_order(self._api, found)

    def _still_there(self, intent: Intent, found: Object | None) -> str:
        if found is not None and found.uid == intent.uid:
            return f"it is still there, kept by {', '.join(found.finalizers) or 'nothing'}"
        if intent.kind is StatefulSet:
            left = [pod.name for pod in self._api.all_of(Pod) if pod.owner == intent.uid]
            return f"pods are still there: {', '.join(left)}" if left else ""
        if intent.kind is PersistentVolumeClaim:
            for pv in self._api.all_of(PersistentVolume):
                ref = pv.claim_ref
                if ref is not None and ref.uid == intent.uid and pv.reclaim_policy == "Delete":
                    return f"its volume {pv.name} is still there, {pv.phase}"
        if intent.kind is VolumeSnapshot and self._api.get(VolumeSnapshotContent, intent.volume) is not None:
            return f"its content {intent.volume} is still there"
        return ""


def _not_in_order(api: Api, found: Object) -> str:
    """What is missing of an object that is wanted."""
    if found.deleting:
        return "it is being deleted"
    match found:
        case PersistentVolumeClaim():
            return _claim(api, found)
        case Pod():
            return "" if found.running else f"{found.phase} on {found.node_name or 'no node'}"
        case VolumeSnapshot():
            return "" if found.ready_to_use else f"not ready to use{f': {found.error}' if found.error else ''}"
        case StatefulSet():
            return _stateful_set(api, found)
    return ""


def _stateful_set(api: Api, found: StatefulSet) -> str:
    pods = [api.get(Pod, f"{found.name}-{ordinal}", found.namespace) for ordinal in range(found.replicas)]
    running = sum(pod is not None and pod.running and not pod.deleting for pod in pods)
    if running < found.replicas:
        return f"{running} of {found.replicas} pods run"
    more = sum(pod.owner == found.uid for pod in api.all_of(Pod)) - found.replicas
    return f"{more} pods too many" if more > 0 else ""


def _claim(api: Api, claim: PersistentVolumeClaim) -> str:
    if claim.phase != "Bound":
        storage_class = api.get(StorageClass, claim.storage_class_name)
        late = storage_class is not None and storage_class.volume_binding_mode == "WaitForFirstConsumer"
        used = any(volume.claim_name == claim.name for pod in api.all_of(Pod) if pod.namespace == claim.namespace
                   for volume in pod.volumes)  # fmt: skip
        return "" if late and not used else claim.phase
    if claim.capacity < claim.storage and not (claim.node_resize and not _is_mounted(api, claim)):
        return f"has {claim.capacity} of {claim.storage} bytes{f': {claim.resize_error}' if claim.resize_error else ''}"
    if claim.volume_attributes_class_name not in {"", claim.current_volume_attributes_class}:
        return f"is not yet as {claim.volume_attributes_class_name} says"
    return ""


def _is_mounted(api: Api, claim: PersistentVolumeClaim) -> bool:
    """A volume that no pod uses grows on its node when one does."""
    return any(volume.claim_name == claim.name for pod in api.all_of(Pod) if pod.namespace == claim.namespace
               for volume in pod.volumes)  # fmt: skip


def _size(wanted: Object) -> dict[str, object]:
    if not isinstance(wanted, PersistentVolumeClaim):
        return {}
    more = {"class": wanted.volume_attributes_class_name} if wanted.volume_attributes_class_name else {}
    return {"storage": wanted.storage, **more}
