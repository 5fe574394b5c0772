"""What the driver keeps about a volume: user properties of its dataset, and nothing anywhere else; pure.

Only LOCAL properties count. Children and snapshots inherit user properties, so an inherited one proves nothing.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from csisim.driver.parameters import Protocol
from csisim.driver.requests import Capability
from csisim.driver.volume_id import GROUP_PREFIX, SnapshotId, component_for, parse_snapshot_id
from csisim.truenas.storage import Dataset, Snapshot

VOLUME_NAME = "csisim:volume_name"
PROTOCOL = "csisim:protocol"
PARAMETERS = "csisim:parameters"
CAPACITY = "csisim:capacity_bytes"
SOURCE = "csisim:source"
SNAPSHOT_NAME = "csisim:snapshot_name"
GROUP_NAME = "csisim:group_name"
GROUP_MEMBERS = "csisim:group_members"
GROUP_PARAMETERS = "csisim:group_parameters"
GROUP_DELETING = "csisim:group_deleting"
CLONE_FOR = "csisim:clone_for"
_INTENT = "csisim:group-"
_NODE = "csisim:node-"
_PUBLISH = "csisim:publish-"
_SHARED = "shared:"
_PROTOCOLS = {each.value: each for each in Protocol}


@dataclass(frozen=True, slots=True)
class Publication:
    """A volume published on a node; `how` tells for how many nodes, and a digest of readonly flag and capability."""

    node_id: str
    how: str

    @property
    def shared(self) -> bool:
        """Whether it was published with a capability for several nodes."""
        return self.how.startswith(_SHARED)


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume that is provably ours.

    Attributes:
        dataset: as last read from the NAS.
        name: the CO's name for it.
        protocol: how nodes reach it.
        parameters: its creation parameters in short.
        capacity_bytes: what was promised to the CO.
        source: `snapshot <id>`, `volume <id>` or "".
        publications: by node id, sorted.
    """

    dataset: Dataset
    name: str
    protocol: Protocol
    parameters: str
    capacity_bytes: int
    source: str
    publications: tuple[Publication, ...]

    @property
    def id(self) -> str:
        """The volume id."""
        return self.dataset.component

    def publication(self, node_id: str) -> Publication | None:
        """How the volume is published on this node, if it is."""
        return next((each for each in self.publications if each.node_id == node_id), None)


def volume_of(dataset: Dataset) -> Volume | None:
    """The volume in a dataset, or None where the dataset is not ours: it must carry the name that made its id."""
    own = dataset.user_properties
    name, protocol = own.get(VOLUME_NAME, ""), _PROTOCOLS.get(own.get(PROTOCOL, ""))
    if not name or protocol is None or component_for(name) != dataset.component:
        return None
    nodes = sorted((value, key.removeprefix(_NODE)) for key, value in own.items() if key.startswith(_NODE))
    capacity = own.get(CAPACITY, "")
    return Volume(
        dataset=dataset,
        name=name,
        protocol=protocol,
        parameters=own.get(PARAMETERS, ""),
        capacity_bytes=int(capacity) if capacity.isascii() and capacity.isdigit() else dataset.size_bytes,
        source=own.get(SOURCE, ""),
        publications=tuple(Publication(node, own.get(_PUBLISH + digest, "")) for node, digest in nodes),
    )


def intent_key(component: str) -> str:
    """The property of the root dataset that says a group snapshot is being cut; its value is the group's name."""
    return _INTENT + component


def node_key(node_id: str) -> str:
    """The property that says a volume is published on this node; its value is the node id."""
    return _NODE + _digest(node_id)


def publish_key(node_id: str) -> str:
    """The property that says how."""
    return _PUBLISH + _digest(node_id)


def how_published(capability: Capability, *, readonly: bool) -> str:
    """What a repeated ControllerPublishVolume must agree on; a digest, because mount flags may be sensitive."""
    flags = sorted(capability.mount_flags)
    parts = (capability.access_type.value, capability.mode, capability.fs_type, flags, capability.mount_group, readonly)
    return (_SHARED if capability.multi_node else "single:") + _digest(repr(parts))


def snapshot_of(snapshot: Snapshot) -> SnapshotId | None:
    """The id of a snapshot that is provably ours and alive, or None."""
    parsed = parse_snapshot_id(f"{snapshot.dataset.rpartition('/')[2]}@{snapshot.name}")
    own = snapshot.user_properties
    expected = (
        GROUP_PREFIX + component_for(own[GROUP_NAME])
        if GROUP_NAME in own
        else component_for(own.get(SNAPSHOT_NAME, ""))
    )
    if parsed is None or snapshot.deferred or expected != parsed.snapshot:
        return None
    return parsed


def captured_size(snapshot: Snapshot) -> int:
    """The capacity that the source volume had when it was cut, in bytes."""
    text = snapshot.user_properties.get(CAPACITY, "")
    return int(text) if text.isascii() and text.isdigit() else snapshot.volsize_bytes


def group_members(snapshot: Snapshot) -> dict[str, int]:
    """Capacities in bytes by volume id, of the group that the snapshot is the record of; empty for none."""
    text = snapshot.user_properties.get(GROUP_MEMBERS, "")
    if not text:
        return {}
    try:
        members = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(members, dict):
        return {}
    return {volume: size for volume, size in members.items() if isinstance(size, int)}


def map_digest(parameters: Mapping[str, str]) -> str:
    """A digest of a string map, for comparison on repeats."""
    return _digest(repr(sorted(parameters.items())))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
