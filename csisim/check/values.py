"""Whether an event's value has the form that docs/history.md gives, down to the fields of requests and answers.

Checks take it for granted: nobody has to ask before something in a history is not as it should be.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from csisim.check.index import value_of
from csisim.events import Event
from csisim.pb import csi_pb2
from csisim.secrets import STRIPPED

_LONGEST: Final = 60
_WORDS: Final[Mapping[type, str]] = {
    str: "a text", int: "a whole number", float: "a number", bool: "true or false", list: "a list", dict: "an object",
}  # fmt: skip
_MEMBERS: Final[Mapping[str, type]] = {
    **dict.fromkeys(
        ("code", "message", "by", "reason", "path", "errno", "mode", "volume", "node", "file", "sha", "object", "class",
         "rule", "action", "vol", "snap", "client", "call_id", "source", "fs_type", "dataset", "moved_to", "moved_from",
         "phase", "what", "error", "rpc"), str,
    ),
    **dict.fromkeys(("sent_after", "size_bytes", "rows", "changes", "storage", "ordinal"), int),
    **dict.fromkeys(("left_s", "queued_s", "down_s"), float),
    **dict.fromkeys(("lazy", "exists", "mounted"), bool),
    **dict.fromkeys(("params", "objects", "expected", "held", "spans"), list),
}  # fmt: skip
"""Of all values but requests and answers of the CSI."""


def wrong_member(event: Event) -> str:
    """The first member of an event's value that has another form, and what it should be; "" if there is none."""
    value = value_of(event)
    message = _messages().get((event.f, event.type)) if event.kind in {"call", "rpc"} else None
    if message is not None:
        return _in_message(message, value, "")
    for name, each in value.items():
        if name in _MEMBERS and not _is(_MEMBERS[name], each):
            return _told(name, each, _MEMBERS[name])
    return ""


def _in_message(message: Descriptor, value: Mapping[str, Any], above: str) -> str:
    for name, each in value.items():
        field = message.fields_by_name.get(name)
        if field is not None and each != STRIPPED and (told := _in_field(field, each, f"{above}{name}")):
            return told
    return ""


def _in_field(field: FieldDescriptor, value: Any, name: str) -> str:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        texts = isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
        return "" if texts else _told(name, value, dict)
    if not field.is_repeated:
        return _in_one(field, value, name)
    if not isinstance(value, list):
        return _told(name, value, list)
    told = (_in_one(field, each, f"{name}[{place}]") for place, each in enumerate(value))
    return next((each for each in told if each), "")


def _in_one(field: FieldDescriptor, value: Any, name: str) -> str:
    if field.message_type is not None:
        return _in_message(field.message_type, value, f"{name}.") if _is(dict, value) else _told(name, value, dict)
    if field.enum_type is not None:
        return "" if isinstance(value, str | int) else _told(name, value, str)
    form = _FORMS.get(field.cpp_type, str)
    return "" if _is(form, value) else _told(name, value, form)


_FORMS: Final[Mapping[int, type]] = {
    FieldDescriptor.CPPTYPE_BOOL: bool,
    FieldDescriptor.CPPTYPE_DOUBLE: float,
    FieldDescriptor.CPPTYPE_FLOAT: float,
    FieldDescriptor.CPPTYPE_INT32: int,
    FieldDescriptor.CPPTYPE_INT64: int,
    FieldDescriptor.CPPTYPE_UINT32: int,
    FieldDescriptor.CPPTYPE_UINT64: int,
}


def _is(form: type, value: Any) -> bool:
    if isinstance(value, bool):
        return form is bool
    return isinstance(value, int | float) if form is float else isinstance(value, form)


def _told(name: str, value: Any, form: type) -> str:
    shown = repr(value)
    return f"{name}: {shown if len(shown) <= _LONGEST else f'{shown[:_LONGEST]}...'} is not {_WORDS[form]}"


@cache
def _messages() -> Mapping[tuple[str, str], Descriptor]:
    """The request of each method by its name and invoke, and the answer by its name and ok."""
    found: dict[tuple[str, str], Descriptor] = {}
    for service in csi_pb2.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            found[method.name, "invoke"], found[method.name, "ok"] = method.input_type, method.output_type
    return found
