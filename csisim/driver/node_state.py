"""What is staged and published on this node: one small record per volume, which survives a restart of the driver.

A record is written before the first effect it tells of and removed after the last one is undone, so whatever an
interrupted call leaves behind is named in it. Whether it is really mounted is the mount table's to say.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from csisim.driver.node_errors import system_call
from csisim.driver.parameters import Protocol
from csisim.driver.requests import AccessType, Capability
from csisim.errors import FailedPrecondition
from csisim.host import StateFiles

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attachment:
    """How the volume is reached; no credentials.

    Attributes:
        protocol: nfs, iscsi or nvmeof.
        attributes: the address, as in the volume context.
    """

    protocol: Protocol
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Published:
    """One target path of a volume; `readonly` as in the request."""

    target_path: str
    capability: Capability
    readonly: bool

    @property
    def read_only(self) -> bool:
        """Whether the workload may not write, for whichever reason."""
        return self.readonly or self.capability.read_only or "ro" in self.capability.mount_flags


@dataclass(frozen=True, slots=True)
class Staged:
    """One volume on this node.

    Attributes:
        source: what the mount table shows: `server:/export` or a device path; "" until the device is known.
        made_directory: the staging directory was not there before, so it goes again.
        readonly: ControllerPublishVolume let this node read only.
        growing: its file system may not cover the device yet.
        published: in the order of publishing.
    """

    volume_id: str
    staging_path: str
    capability: Capability
    attachment: Attachment
    source: str = ""
    made_directory: bool = False
    readonly: bool = False
    growing: bool = False
    published: tuple[Published, ...] = ()

    @property
    def is_block(self) -> bool:
        """Whether the workload gets the raw device."""
        return self.capability.access_type is AccessType.BLOCK

    @property
    def read_only(self) -> bool:
        """Whether nobody on this node may write, for whichever reason."""
        return self.readonly or self.capability.read_only or "ro" in self.capability.mount_flags

    def at(self, target_path: str) -> Published | None:
        """The record of one target path."""
        return next((each for each in self.published if each.target_path == target_path), None)

    def with_published(self, entry: Published) -> "Staged":
        """A copy with this target path added or replaced."""
        return replace(self, published=(*self.without(entry.target_path).published, entry))

    def without(self, target_path: str) -> "Staged":
        """A copy without this target path."""
        return replace(self, published=tuple(each for each in self.published if each.target_path != target_path))


class DamagedRecord(FailedPrecondition):
    """A record cannot be understood: somebody has to look, and nothing is done to its volume until then."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """All records of a node, by volume id: those that can be read, and the names of those that cannot."""

    records: tuple[Staged, ...]
    damaged: tuple[str, ...] = ()


class StageRecords:
    """The records of one node, by volume id."""

    def __init__(self, files: StateFiles) -> None:
        self._files = files

    async def load(self, volume_id: str) -> Staged | None:
        """The record of a volume, or None. DamagedRecord: it cannot be understood."""
        with system_call("read the record of", volume_id):
            content = await self._files.read(volume_id)
        return None if content is None else _decode(volume_id, content)

    async def save(self, record: Staged) -> None:
        """Keep the record, durably."""
        with system_call("write the record of", record.volume_id):
            await self._files.write(record.volume_id, json.dumps(asdict(record)).encode())

    async def forget(self, volume_id: str) -> None:
        """Remove the record; missing is fine."""
        with system_call("remove the record of", volume_id):
            await self._files.remove(volume_id)

    async def all(self) -> Inventory:
        """Every record; those that vanish meanwhile are left out, and a damaged one does not hide the others."""
        with system_call("list the records in", "the state directory"):
            names = await self._files.names()
        found: list[Staged] = []
        damaged: list[str] = []
        for name in names:
            try:
                record = await self.load(name)
            except DamagedRecord as error:
                log.warning("%s", error)
                damaged.append(name)
            else:
                found += [record] if record is not None else []
        return Inventory(tuple(found), tuple(damaged))


def _decode(volume_id: str, content: bytes) -> Staged:
    try:
        row = json.loads(content)
        record = Staged(
            volume_id=_text(row["volume_id"]),
            staging_path=_text(row["staging_path"]),
            capability=_capability(row["capability"]),
            attachment=Attachment(
                Protocol(row["attachment"]["protocol"]),
                {_text(key): _text(value) for key, value in row["attachment"]["attributes"].items()},
            ),
            source=_text(row["source"]),
            made_directory=bool(row["made_directory"]),
            readonly=bool(row["readonly"]),
            growing=bool(row.get("growing", False)),  # not in records of earlier versions
            published=tuple(
                Published(_text(each["target_path"]), _capability(each["capability"]), bool(each["readonly"]))
                for each in row["published"]
            ),
        )
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise DamagedRecord(
            f"the record of volume {volume_id} is damaged ({type(error).__name__}); unmount the volume by hand and"
            " remove its file from the state directory"
        ) from error
    if record.volume_id != volume_id:
        raise DamagedRecord(f"the record of volume {volume_id} tells of {record.volume_id}; remove its file")
    return record


def _capability(row: Mapping[str, Any]) -> Capability:
    return Capability(
        AccessType(row["access_type"]),
        int(row["mode"]),
        _text(row["fs_type"]),
        tuple(map(_text, row["mount_flags"])),
        _text(row["mount_group"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of a string")
    return value
