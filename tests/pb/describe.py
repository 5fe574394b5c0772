"""A compiled protobuf file in the shape of csi-v1.13.json, and the differences between two such descriptions."""

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)
from google.protobuf.message import Message

Description = dict[str, Any]


def describe(file: FileDescriptorProto) -> Description:
    """Everything that decides the wire format, and the options; nested names are dotted, without the package."""
    prefix = f".{file.package}."
    described: Description = {
        "package": file.package,
        "syntax": file.syntax,
        "imports": sorted(file.dependency),
        "extensions": {
            f"{extension.extendee} {extension.name}": {"number": extension.number, "type": _type(extension, prefix)}
            for extension in file.extension
        },
        "enums": {},
        "messages": {},
        "services": {service.name: _service(service, prefix) for service in file.service},
    }
    for enum in file.enum_type:
        described["enums"][enum.name] = _enum(enum)
    for message in file.message_type:
        _add_message(described, message, message.name, prefix)
    return described


def expected(reference: Description) -> Description:
    """The reference file in the same shape: lists whose order carries no meaning become mappings by name."""
    described = dict(reference)
    described["imports"] = sorted(reference["imports"])
    described["extensions"] = {
        f"{extension['extendee']} {extension['name']}": {"number": extension["number"], "type": extension["type"]}
        for extension in reference["extensions"]
    }
    described["messages"] = {
        name: {
            "options": sorted(message.get("options", [])),
            "reserved_numbers": message.get("reserved_numbers", []),
            "fields": {
                field["name"]: {
                    "number": field["number"],
                    "type": field["type"],
                    "repeated": field.get("repeated", False),
                    "oneof": field.get("oneof"),
                    "options": sorted(field.get("options", [])),
                }
                for field in message["fields"]
            },
        }
        for name, message in reference["messages"].items()
    }
    described["enums"] = {
        name: {
            "values": enum["values"],
            "options": [],
            "value_options": {value: sorted(options) for value, options in enum.get("value_options", {}).items()},
            "reserved_numbers": enum.get("reserved_numbers", []),
        }
        for name, enum in reference["enums"].items()
    }
    described["services"] = {
        name: {
            "options": sorted(service["options"]),
            "rpcs": {
                rpc["name"]: {
                    "request": rpc["request"],
                    "response": rpc["response"],
                    "client_streaming": False,
                    "server_streaming": rpc["server_streaming"],
                    "options": sorted(rpc["options"]),
                }
                for rpc in service["rpcs"]
            },
        }
        for name, service in reference["services"].items()
    }
    return described


def differences(wanted: Any, actual: Any, where: str = "") -> Iterator[str]:
    """One line per place that is missing, extra or different."""
    if not isinstance(wanted, dict) or not isinstance(actual, dict):
        if wanted != actual:
            yield f"{where}: {actual!r}, should be {wanted!r}"
        return
    for key in wanted.keys() - actual.keys():
        yield f"{where}/{key}: missing"
    for key in actual.keys() - wanted.keys():
        yield f"{where}/{key}: should not exist"
    for key in wanted.keys() & actual.keys():
        yield from differences(wanted[key], actual[key], f"{where}/{key}")


def _add_message(described: Description, message: DescriptorProto, name: str, prefix: str) -> None:
    entries = {f"{prefix}{name}.{nested.name}": nested for nested in message.nested_type if nested.options.map_entry}
    described["messages"][name] = {
        "options": _options(message.options),
        "reserved_numbers": [[reserved.start, reserved.end - 1] for reserved in message.reserved_range],
        "fields": {
            field.name: {
                "number": field.number,
                "type": _map_type(entries[field.type_name], prefix)
                if field.type_name in entries
                else _type(field, prefix),
                "repeated": field.label == FieldDescriptorProto.LABEL_REPEATED and field.type_name not in entries,
                "oneof": message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else None,
                "options": _options(field.options),
            }
            for field in message.field
        },
    }
    for enum in message.enum_type:
        described["enums"][f"{name}.{enum.name}"] = _enum(enum)
    for nested in message.nested_type:
        if not nested.options.map_entry:
            _add_message(described, nested, f"{name}.{nested.name}", prefix)


def _enum(enum: EnumDescriptorProto) -> Description:
    options = {value.name: _options(value.options) for value in enum.value}
    return {
        "values": {value.name: value.number for value in enum.value},
        "options": _options(enum.options),
        "value_options": {value: names for value, names in options.items() if names},
        # An enum's reserved range includes its end, a message's does not.
        "reserved_numbers": [[reserved.start, reserved.end] for reserved in enum.reserved_range],
    }


def _service(service: ServiceDescriptorProto, prefix: str) -> Description:
    return {
        "options": _options(service.options),
        "rpcs": {
            method.name: {
                "request": method.input_type.removeprefix(prefix),
                "response": method.output_type.removeprefix(prefix),
                "client_streaming": method.client_streaming,
                "server_streaming": method.server_streaming,
                "options": _options(method.options),
            }
            for method in service.method
        },
    }


def _map_type(entry: DescriptorProto, prefix: str) -> str:
    key, value = entry.field
    return f"map<{_type(key, prefix)},{_type(value, prefix)}>"


def _type(field: FieldDescriptorProto, prefix: str) -> str:
    if field.type_name:
        return field.type_name.removeprefix(prefix).removeprefix(".")
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _options(options: Message) -> list[str]:
    return sorted(_set_options(options))


def _set_options(options: Message) -> Iterable[str]:
    for field, value in options.ListFields():
        yield field.name if value is True else f"{field.name}={value}"
