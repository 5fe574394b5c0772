"""The API objects that volumes are made of: names, fields and defaults are Kubernetes', spec and status side by side.

A record never changes; `csisim.co.api.Api` replaces it. Sizes are bytes, times loop time in seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

RWO, ROX, RWX, RWOP = "ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"
ACCESS_MODES = (RWO, ROX, RWX, RWOP)
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
NOT_READY = "node.kubernetes.io/unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """What all have.

    Attributes:
        namespace: "" where the kind has none.
        uid: given by the API, different for an object that is made anew under an old name.
        deletion_timestamp_s: when it was deleted; it stays until the last finalizer is gone.
        owner: uid of the object that it was made for.
    """

    kind: ClassVar[str] = ""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: int = 0
    finalizers: tuple[str, ...] = ()
    deletion_timestamp_s: float | None = None
    owner: str = ""

    @property
    def key(self) -> str:
        """`namespace/name`, or the name alone."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def ref(self) -> str:
        """How people call it: `PersistentVolumeClaim default/data`."""
        return f"{self.kind} {self.key}"

    @property
    def deleting(self) -> bool:
        """Whether it has been deleted and waits for its finalizers."""
        return self.deletion_timestamp_s is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageClass(Object):
    """How claims are provisioned."""

    kind: ClassVar[str] = "StorageClass"

    provisioner: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    reclaim_policy: Literal["Delete", "Retain"] = "Delete"
    volume_binding_mode: Literal["Immediate", "WaitForFirstConsumer"] = "Immediate"
    allow_volume_expansion: bool = False
    mount_options: tuple[str, ...] = ()
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeAttributesClass(Object):
    """Properties of a volume that may change while it is used."""

    kind: ClassVar[str] = "VolumeAttributesClass"

    driver_name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret(Object):
    """What sidecars and kubelet pass on; never shown."""

    kind: ClassVar[str] = "Secret"

    namespace: str = "default"
    data: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class DataSource:
    """What a claim starts from, in its own namespace."""

    kind: Literal["VolumeSnapshot", "PersistentVolumeClaim"]
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersistentVolumeClaim(Object):
    """A wish for a volume.

    Attributes:
        storage: requests.storage.
        volume_name: the volume that it is bound to.
        selected_node: annotation of the scheduler, for late binding.
        capacity: status; what the user of the volume can count on.
        node_resize: the file system is still to be grown by kubelet to this size; 0 for nothing to do.
        resize_error: why the volume does not grow.
        current_volume_attributes_class: status; the one in force.
    """

    kind: ClassVar[str] = "PersistentVolumeClaim"

    namespace: str = "default"
    storage_class_name: str = ""
    access_modes: tuple[str, ...] = (RWO,)
    volume_mode: Literal["Filesystem", "Block"] = "Filesystem"
    storage: int
    data_source: DataSource | None = None
    volume_attributes_class_name: str = ""
    volume_name: str = ""
    selected_node: str = ""
    phase: Literal["Pending", "Bound", "Lost"] = "Pending"
    capacity: int = 0
    node_resize: int = 0
    resize_error: str = ""
    current_volume_attributes_class: str = ""


@dataclass(frozen=True, slots=True)
class ClaimRef:
    """Whose volume it is."""

    namespace: str
    name: str
    uid: str

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersistentVolume(Object):
    """A volume of the driver.

    Attributes:
        node_affinity: topology segments, one of which a node must have all of; empty for no restriction.
    """

    kind: ClassVar[str] = "PersistentVolume"

    driver: str
    volume_handle: str
    volume_attributes: Mapping[str, str] = field(default_factory=dict)
    fs_type: str = ""
    capacity: int = 0
    access_modes: tuple[str, ...] = (RWO,)
    volume_mode: Literal["Filesystem", "Block"] = "Filesystem"
    storage_class_name: str = ""
    mount_options: tuple[str, ...] = ()
    reclaim_policy: Literal["Delete", "Retain"] = "Delete"
    claim_ref: ClaimRef | None = None
    node_affinity: tuple[Mapping[str, str], ...] = ()
    volume_attributes_class_name: str = ""
    secret_refs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    phase: Literal["Available", "Bound", "Released", "Failed"] = "Available"


@dataclass(frozen=True, slots=True, kw_only=True)
class CSIDriver(Object):
    """What its installation says of a driver."""

    kind: ClassVar[str] = "CSIDriver"

    attach_required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeAttachment(Object):
    """A volume that is to be, or is, attached to a node.

    Attributes:
        attachment_metadata: publish_context of the driver.
        error: attachError or detachError.
    """

    kind: ClassVar[str] = "VolumeAttachment"

    node_name: str
    pv_name: str
    attached: bool = False
    attachment_metadata: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(Object):
    """A machine with its kubelet.

    Attributes:
        volumes_in_use: volumes that kubelet has mounted, or is about to; these are not detached.
        volumes_attached: volumes that the attach-detach controller has attached; only these are mounted.
    """

    kind: ClassVar[str] = "Node"

    ready: bool = True
    unschedulable: bool = False
    taints: tuple[str, ...] = ()
    volumes_in_use: tuple[str, ...] = ()
    volumes_attached: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CSINode(Object):
    """What the driver said of itself on a node when it was registered.

    Attributes:
        count: at most this many volumes; 0 for no limit.
    """

    kind: ClassVar[str] = "CSINode"

    driver: str
    node_id: str
    count: int = 0
    topology: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PodVolume:
    """A claim that a pod uses."""

    name: str
    claim_name: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod(Object):
    """Containers that use volumes on one node.

    Attributes:
        node_selector: labels; kubernetes.io/hostname is the one that nodes have here.
        node_name: where the scheduler put it.
        running: whether containers run; while they do, volumes stay mounted.
    """

    kind: ClassVar[str] = "Pod"

    namespace: str = "default"
    volumes: tuple[PodVolume, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    fs_group: str = ""
    node_name: str = ""
    phase: Literal["Pending", "Running"] = "Pending"
    running: bool = False

    @property
    def finished(self) -> bool:
        """Whether nothing of it runs, nor will."""
        return self.deleting and not self.running


@dataclass(frozen=True, slots=True, kw_only=True)
class StatefulSet(Object):
    """Pods with a name and claims of their own each.

    Attributes:
        template: of the pods; their names and owner are filled in.
        volume_claim_templates: a claim of each per pod, named `TEMPLATE-SET-ORDINAL`.
        parallel: podManagementPolicy: all pods at once, instead of one after the other.
    """

    kind: ClassVar[str] = "StatefulSet"

    namespace: str = "default"
    replicas: int = 1
    template: Pod
    volume_claim_templates: tuple[PersistentVolumeClaim, ...] = ()
    parallel: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSnapshotClass(Object):
    """How snapshots are cut."""

    kind: ClassVar[str] = "VolumeSnapshotClass"

    driver: str
    deletion_policy: Literal["Delete", "Retain"] = "Delete"
    parameters: Mapping[str, str] = field(default_factory=dict)
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSnapshot(Object):
    """A wish for a snapshot of a claim."""

    kind: ClassVar[str] = "VolumeSnapshot"

    namespace: str = "default"
    volume_snapshot_class_name: str = ""
    source_claim_name: str
    content_name: str = ""
    ready_to_use: bool = False
    restore_size: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSnapshotContent(Object):
    """A snapshot of the driver.

    Attributes:
        being_created: annotation: a CreateSnapshot is out whose end nobody knows.
        snapshot_ref: (namespace, name, uid) of its VolumeSnapshot.
    """

    kind: ClassVar[str] = "VolumeSnapshotContent"

    driver: str
    volume_handle: str
    snapshot_ref: ClaimRef
    snapshot_class_name: str = ""
    deletion_policy: Literal["Delete", "Retain"] = "Delete"
    snapshot_handle: str = ""
    ready_to_use: bool = False
    restore_size: int = 0
    being_created: bool = False
    error: str = ""
