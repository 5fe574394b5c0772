"""The methods of CSI by their paths, from the descriptors: those whose messages are decoded to be matched. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from csisim.pb import csi_pb2


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC.

    Attributes:
        name: short, such as CreateVolume.
        path: full, such as `/csi.v1.Controller/CreateVolume`.
        request, response: the types of its messages.
        streaming: whether it answers with a stream.
    """

    name: str
    path: str
    request: type[Message]
    response: type[Message]
    streaming: bool


@cache
def csi_methods() -> Mapping[str, Method]:
    """All of them, by path. None of them takes a stream of requests."""
    found = {}
    for service in csi_pb2.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            path = f"/{service.full_name}/{method.name}"
            request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
            found[path] = Method(method.name, path, request, response, bool(method.server_streaming))
    return found
