"""What a CSI request is about, read from its fields. Pure."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from csisim.faults.calls import CallInfo
from csisim.faults.matching import RuleState

_BY_NAME: Final = {"CreateVolume": "vol", "CreateSnapshot": "snap", "CreateVolumeGroupSnapshot": "snap"}
"""Methods whose `name` names what is to be made."""
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "vol": ("volume_id", "source_volume_id"),
    "snap": ("snapshot_id", "group_snapshot_id", "base_snapshot_id"),
    "node": ("node_id",),
}

Read = Callable[[Message], str]


def call_info(
    call_id: str, method: str, request: Message, *, node: str = "", client: str = "", own: tuple[RuleState, ...] = ()
) -> CallInfo:
    """Which volume, snapshot and node a request names.

    A volume that is being created goes by its name, all later ones by the id in the request: the driver here uses the
    name as id where it can.

    Args:
        call_id: of the call.
        method: short name.
        request: any request of CSI.
        node: where the call is served, for requests that name no node.
        client: who calls.
        own: rules that it brought along.
    """
    vol, snap, named = (read(request) for read in _readers(request.DESCRIPTOR, _BY_NAME.get(method, "")))
    return CallInfo(call_id, method, vol=vol, snap=snap, node=named or node, client=client, own=own)


@lru_cache(maxsize=256)
def _readers(descriptor: Descriptor, named: str) -> tuple[Read, ...]:
    known = descriptor.fields_by_name
    found: list[Read] = []
    for key, candidates in _FIELDS.items():
        names = ("name",) if key == named else candidates
        found.append(_reader(next((name for name in names if name in known), "")))
    return tuple(found)


def _reader(name: str) -> Read:
    if not name:
        return lambda _: ""

    def read(request: Message) -> str:
        value: Any = getattr(request, name)
        return str(value)

    return read
