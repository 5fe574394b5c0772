"""Protobuf requests to checked plain data; pure. What does not hold raises InvalidArgument naming the field.

Size limits are the spec's (section "Size Limits"): 128 bytes per string, 4 KiB per string map, 256 for node ids.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as _attribute
from enum import StrEnum

from csisim.driver.volume_id import SnapshotId, parse_snapshot_id, parse_volume_id
from csisim.errors import InvalidArgument, NotFound
from csisim.pb import csi_pb2 as pb

STRING_BYTES = 128
MAP_BYTES = 4096
NODE_ID_BYTES = 256
PATH_BYTES = 4096

_Mode = pb.VolumeCapability.AccessMode
MULTI_NODE_MODES = frozenset(
    {
        _Mode.MULTI_NODE_READER_ONLY,
        _Mode.MULTI_NODE_SINGLE_WRITER,
        _Mode.MULTI_NODE_MULTI_WRITER,
    }
)
READ_ONLY_MODES = frozenset({_Mode.SINGLE_NODE_READER_ONLY, _Mode.MULTI_NODE_READER_ONLY})
_KNOWN_MODES = frozenset(_Mode.Mode.values()) - {_Mode.UNKNOWN}


class AccessType(StrEnum):
    """How a volume shows up at its path."""

    MOUNT = "mount"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Capability:
    """A VolumeCapability.

    Attributes:
        access_type: a mounted file system or a raw block device.
        mode: a value of VolumeCapability.AccessMode.Mode other than UNKNOWN.
        fs_type: "" leaves the choice to the driver; mount only.
        mount_flags: extra mount options; may be sensitive, so they are in no log, error or repr; mount only.
        mount_group: gid for the mount, as a string; mount only.
    """

    access_type: AccessType
    mode: int
    fs_type: str = ""
    mount_flags: tuple[str, ...] = _attribute(default=(), repr=False)
    mount_group: str = ""

    @property
    def multi_node(self) -> bool:
        """Whether several nodes may have the volume at one time."""
        return self.mode in MULTI_NODE_MODES

    @property
    def read_only(self) -> bool:
        """Whether nobody may write."""
        return self.mode in READ_ONLY_MODES

    def __str__(self) -> str:
        return f"{self.access_type} {_Mode.Mode.Name(self.mode)}"  # type: ignore[arg-type]  # checked when parsed


@dataclass(frozen=True, slots=True)
class CapacityRange:
    """Sizes in bytes; 0 is unset."""

    required_bytes: int = 0
    limit_bytes: int = 0

    def contains(self, size_bytes: int) -> bool:
        """Whether a volume of this size satisfies the request."""
        return size_bytes >= self.required_bytes and (not self.limit_bytes or size_bytes <= self.limit_bytes)

    def __str__(self) -> str:
        upper = f" and at most {self.limit_bytes}" if self.limit_bytes else ""
        return f"at least {self.required_bytes}{upper} bytes"


@dataclass(frozen=True, slots=True)
class CreateVolume:
    """CreateVolumeRequest; `source` is a snapshot, or the id of a volume to clone, or None for an empty volume."""

    name: str
    capacity: CapacityRange
    capabilities: tuple[Capability, ...]
    parameters: Mapping[str, str]
    mutable_parameters: Mapping[str, str]
    source: SnapshotId | str | None
    requisite: tuple[Mapping[str, str], ...]


def text(value: str, field: str, limit: int = STRING_BYTES, *, sensitive: bool = False) -> str:
    """An optional string within its size limit and without control characters; a sensitive one stays out of errors."""
    if len(value) * 4 > limit and len(value.encode("utf-8", "surrogatepass")) > limit:
        raise InvalidArgument(f"{field}: {len(value.encode('utf-8', 'surrogatepass'))} bytes, at most {limit} allowed")
    if not value.isprintable() and any(ord(char) < 0x20 or 0x7F <= ord(char) <= 0x9F for char in value):
        shown = "the value" if sensitive else repr(value[:STRING_BYTES])
        raise InvalidArgument(f"{field}: {shown} has control characters")
    return value


def require(value: str, field: str, limit: int = STRING_BYTES) -> str:
    """A string that must be there."""
    if not value:
        raise InvalidArgument(f"{field}: required, but empty")
    return text(value, field, limit)


def string_map(values: Mapping[str, str], field: str) -> dict[str, str]:
    """A string map within its size limit, sorted: protobuf's own order differs from process to process."""
    if not values:
        return {}
    found = dict(sorted(values.items()))
    size = 0
    for key, value in found.items():
        size += len(key.encode("utf-8", "surrogatepass")) + len(value.encode("utf-8", "surrogatepass"))
        if size > MAP_BYTES:
            raise InvalidArgument(f"{field}: more than {MAP_BYTES} bytes of keys and values")
        require(key, f"{field} key", MAP_BYTES)
    return found


def secrets(values: Mapping[str, str]) -> None:
    """Check the size of a secrets map; its content never enters an error."""
    if values and sum(len(key.encode()) + len(value.encode()) for key, value in values.items()) > MAP_BYTES:
        raise InvalidArgument(f"secrets: more than {MAP_BYTES} bytes of keys and values")


def capability(message: pb.VolumeCapability, field: str = "volume_capability") -> Capability:
    """One VolumeCapability with a known access mode and an access type."""
    mode = message.access_mode.mode
    if mode not in _KNOWN_MODES:
        raise InvalidArgument(f"{field}.access_mode: {mode} is not a known access mode")
    kind = message.WhichOneof("access_type")
    if kind == "block":
        return Capability(AccessType.BLOCK, mode)
    if kind != "mount":
        raise InvalidArgument(f"{field}: neither block nor mount is set")
    mount = message.mount
    named = f"{field}.mount.mount_flags"
    flags = tuple(text(flag, f"{named}[{index}]", sensitive=True) for index, flag in enumerate(mount.mount_flags))
    if sum(map(len, flags)) > MAP_BYTES:
        raise InvalidArgument(f"{named}: more than {MAP_BYTES} bytes")
    fs_type = text(mount.fs_type, f"{field}.mount.fs_type")
    return Capability(AccessType.MOUNT, mode, fs_type, flags, text(mount.volume_mount_group, f"{field}.mount_group"))


def required_capability(message: pb.VolumeCapability, *, present: bool) -> Capability:
    """The one capability that a publish or stage request must carry."""
    if not present:
        raise InvalidArgument("volume_capability: required, but not set")
    return capability(message)


def capabilities(messages: Iterable[pb.VolumeCapability]) -> tuple[Capability, ...]:
    """A list of capabilities with at least one member."""
    parsed = tuple(capability(each, f"volume_capabilities[{index}]") for index, each in enumerate(messages))
    if not parsed:
        raise InvalidArgument("volume_capabilities: required, but empty")
    return parsed


def capacity_range(message: pb.CapacityRange, *, present: bool, required: bool = False) -> CapacityRange:
    """A capacity range; absent is unbounded unless `required`."""
    if not present:
        if required:
            raise InvalidArgument("capacity_range: required, but not set")
        return CapacityRange()
    low, high = message.required_bytes, message.limit_bytes
    if low < 0 or high < 0:
        raise InvalidArgument(f"capacity_range: sizes may not be negative (required {low}, limit {high})")
    if not low and not high:
        raise InvalidArgument("capacity_range: one of required_bytes and limit_bytes must be set")
    if high and low > high:
        raise InvalidArgument(f"capacity_range: required_bytes {low} is above limit_bytes {high}")
    return CapacityRange(low, high)


def create_volume(request: pb.CreateVolumeRequest) -> CreateVolume:
    """The whole CreateVolumeRequest."""
    secrets(request.secrets)
    return CreateVolume(
        name=require(request.name, "name"),
        capacity=capacity_range(request.capacity_range, present=request.HasField("capacity_range")),
        capabilities=capabilities(request.volume_capabilities),
        parameters=string_map(request.parameters, "parameters"),
        mutable_parameters=string_map(request.mutable_parameters, "mutable_parameters"),
        source=_source(request),
        requisite=topologies(request.accessibility_requirements.requisite),
    )


def _source(request: pb.CreateVolumeRequest) -> SnapshotId | str | None:
    """The content source; an id that cannot be ours is a source that does not exist."""
    if not request.HasField("volume_content_source"):
        return None
    source = request.volume_content_source
    match source.WhichOneof("type"):
        case "snapshot":
            given = require(source.snapshot.snapshot_id, "volume_content_source.snapshot.snapshot_id")
            snapshot = parse_snapshot_id(given)
            if snapshot is None:
                raise NotFound(f"source snapshot {given!r} does not exist")
            return snapshot
        case "volume":
            given = require(source.volume.volume_id, "volume_content_source.volume.volume_id")
            volume = parse_volume_id(given)
            if volume is None:
                raise NotFound(f"source volume {given!r} does not exist")
            return volume
    raise InvalidArgument("volume_content_source: neither snapshot nor volume is set")


def topologies(messages: Iterable[pb.Topology]) -> tuple[Mapping[str, str], ...]:
    """Topology segments, each a small string map."""
    return tuple(string_map(each.segments, "topology.segments") for each in messages)


def page_size(max_entries: int) -> int:
    """`max_entries` of a list request; 0 means all."""
    if max_entries < 0:
        raise InvalidArgument(f"max_entries: {max_entries} is negative")
    return max_entries
