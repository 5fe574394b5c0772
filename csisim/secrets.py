"""Messages as plain data for logs, with everything that the protocol marks `csi_secret` taken out.

The mark is an option on the field, so new secrets need no change here. A map of secrets goes as a whole: its keys come
from outside too, and nobody promised that they are harmless.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from grpc import StatusCode

from csisim.pb import csi_pb2

STRIPPED = "***stripped***"
# Not marked in the protocol, but its text says that they may hold what must not be told.
_SENSITIVE = frozenset({"csi.v1.VolumeCapability.MountVolume.mount_flags"})

Convert = Callable[[Any], Any]


def stripped(message: Message) -> dict[str, Any]:
    """The set fields of a message by their proto names, ready for JSON: enums by name, secrets as `***stripped***`."""
    plan = _plan(message.DESCRIPTOR)
    shown: dict[str, Any] = {}
    for field, value in message.ListFields():
        name, convert = plan[field]
        shown[name] = value if convert is None else convert(value)
    return shown


def grpc_call(
    method: str, request: Message, response: Message | None, code: StatusCode = StatusCode.OK, message: str = ""
) -> dict[str, Any]:
    """The record of one call that existing test tools parse out of a driver's log.

    Args:
        method: full name, `/csi.v1.Controller/CreateVolume`.
        request: what came in.
        response: what went out; None for a failed call.
        code: the status; its number goes into `FullError`.
        message: status message of a failed call.
    """
    failed = code is not StatusCode.OK
    number = int(code.value[0])
    return {
        "Method": method,
        "Request": stripped(request),
        "Response": None if response is None else stripped(response),
        "Error": f"rpc error: code = {code.name} desc = {message}" if failed else "",
        "FullError": {"code": number, "message": message} if failed else None,
    }


@lru_cache(maxsize=512)
def _plan(descriptor: Descriptor) -> Mapping[FieldDescriptor, tuple[str, Convert | None]]:
    return {field: (field.name, _converter(field)) for field in descriptor.fields}


def _converter(field: FieldDescriptor) -> Convert | None:
    """None where a value is plain already."""
    if field.GetOptions().Extensions[csi_pb2.csi_secret] or field.full_name in _SENSITIVE:
        return lambda _: STRIPPED
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        value = _one(kind.fields_by_name["value"]) or _same
        return lambda mapping: {str(key): value(mapping[key]) for key in sorted(mapping)}
    one = _one(field)
    if field.is_repeated:
        return list if one is None else lambda values: [one(value) for value in values]
    return one


def _same(value: Any) -> Any:
    return value


def _one(field: FieldDescriptor) -> Convert | None:
    if field.message_type is not None:
        return stripped
    if field.enum_type is not None:
        return _enum_name(field.enum_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return bytes.hex
    return None


def _enum_name(enum: EnumDescriptor) -> Convert:
    def name(number: int) -> str | int:
        known = enum.values_by_number.get(number)
        return number if known is None else str(known.name)

    return name
