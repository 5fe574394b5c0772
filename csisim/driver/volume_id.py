"""Names of the CO to names of the NAS, and ids back: pure and total.

A volume id is the last component of the volume's dataset; a snapshot id is `<volume id>@<snapshot component>`, with a
prefix on the second for members of a group. Both are at most 128 bytes, and the name alone decides the id, so a lock
on the name is a lock on the id. Any string at all parses to an id or to None, which means "not ours".
"""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

# Safe as a ZFS component, as part of an iSCSI target name (lower case only) and as a path component.
_COMPONENT = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,58}[a-z0-9])?")
# What the driver cuts for itself has an underscore, which no component made from a name has.
GROUP_PREFIX = "g_"
CLONE_PREFIX = "clone_"
_HASHED = re.compile(r".*-x[0-9a-f]{24}")
_UNSAFE = re.compile(r"[^a-z0-9-]+")
_PREFIX_LENGTH = 32


@dataclass(frozen=True, slots=True)
class SnapshotId:
    """A parsed snapshot id.

    Attributes:
        volume: component of the dataset that was cut.
        snapshot: component after the `@`.
    """

    volume: str
    snapshot: str

    def __str__(self) -> str:
        return f"{self.volume}@{self.snapshot}"


@lru_cache(maxsize=4096)
def component_for(name: str) -> str:
    """The dataset or snapshot component for a CO's name.

    Plain names stay as they are. Others, and those that look like a mapped one, keep a readable start and get a hash,
    so that two different names share a component only if the hash collides; the name is compared on repeats anyway.
    """
    if _COMPONENT.fullmatch(name) and not _HASHED.fullmatch(name):
        return name
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    readable = _UNSAFE.sub("-", name.lower()).strip("-")[:_PREFIX_LENGTH].strip("-") or "v"
    return f"{readable}-x{digest}"


def parse_volume_id(text: str) -> str | None:
    """The dataset component, or None where the id cannot be one of ours."""
    return text if _COMPONENT.fullmatch(text) else None


def parse_snapshot_id(text: str) -> SnapshotId | None:
    """The two components, or None where the id cannot be one of ours."""
    volume, at, snapshot = text.partition("@")
    if not at or not _COMPONENT.fullmatch(volume) or not _COMPONENT.fullmatch(snapshot.removeprefix(GROUP_PREFIX)):
        return None
    return SnapshotId(volume, snapshot)
