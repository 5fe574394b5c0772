"""Hypothesis strategies for any request, from its descriptor; no path in them can harm the machine the tests run on."""

import os.path
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

_MOST_UPS = 3
_SPECIALS = (
    "",
    " ",
    ".",
    "..",
    "../../etc",
    "a/b",
    "tank/csi",
    "@",
    "a@b",
    "a@b@c",
    "snap@",
    "@snap",
    "\x00",
    "a\x00b",
    "line\nbreak",
    "\x1b[31m",
    "\x7f",
    "ﬀ\u202e",
    "🐟" * 32,
    "%s%n",
    "'; DROP TABLE",
    "$(id)",
    "null",
    "-",
    "-rf",
    "0",
    "-1",
    "A" * 128,
    "a" * 129,
    "ü" * 64,
    "ü" * 65,
    "b" * 5000,
    "nfs",
    "iscsi",
    "nvmeof",
    "protocol",
    "compression",
    "true",
)
_INT32 = (0, 1, -1, 2, 5, 2**31 - 1, -(2**31))
_INT64 = (*_INT32, 1 << 30, 10 << 30, (1 << 30) + 1, 1 << 60, 2**63 - 1, -(2**63))


@dataclass(frozen=True)
class Sandbox:
    """Where generated paths stay.

    Attributes:
        root: absolute paths begin here; it lies deep enough that a few `..` stay inside the test's own directory.
        known: strings that mean something to the server, such as ids of real volumes and paths in use.
    """

    root: str
    known: tuple[str, ...] = ()
    base: str = field(default="/nowhere")

    def harmless(self, text: str) -> str:
        """The same text, unless it names a path outside the sandbox, absolutely or by climbing."""
        if text.startswith("/") and not text.startswith(self.root):
            text = self.root + text
        if text.count("..") > _MOST_UPS:
            text = text.replace("..", "._")
        if text.startswith("/"):
            normal = os.path.normpath(text)
            assert normal.startswith(self.base), normal
        return text

    def strings(self) -> st.SearchStrategy[str]:
        segments = st.lists(st.sampled_from(["a", "b", "..", ".", "", "c d", "\x01", "ü", "x" * 200]), max_size=4)
        return st.one_of(
            st.sampled_from(self.known or ("none",)),
            st.sampled_from(_SPECIALS),
            st.text(max_size=20),
            st.text(min_size=100, max_size=300),
            segments.map(lambda parts: "/".join([self.root, *parts])),
            segments.map("/".join),
        ).map(self.harmless)

    def scalar(self, of: FieldDescriptor) -> st.SearchStrategy[Any]:
        match of.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING:
                return self.strings()
            case FieldDescriptor.CPPTYPE_BOOL:
                return st.booleans()
            case FieldDescriptor.CPPTYPE_ENUM:
                assert of.enum_type is not None
                numbers = [value.number for value in of.enum_type.values]
                return st.sampled_from([*numbers, *numbers, 99, -1])
            case FieldDescriptor.CPPTYPE_INT32:
                return st.one_of(st.sampled_from(_INT32), st.integers(-(2**31), 2**31 - 1))
            case FieldDescriptor.CPPTYPE_INT64:
                return st.one_of(st.sampled_from(_INT64), st.integers(-(2**63), 2**63 - 1))
            case FieldDescriptor.CPPTYPE_MESSAGE:
                assert of.message_type is not None
                return self.messages(of.message_type)
        raise AssertionError(f"no strategy for {of.full_name}")

    def messages(self, descriptor: Any) -> st.SearchStrategy[Message]:
        """Any message of this type; usually most of its fields are set."""

        @st.composite
        def build(draw: st.DrawFn) -> Message:
            message = GetMessageClass(descriptor)()
            for of in descriptor.fields:
                if draw(st.integers(0, 4)):
                    self._fill(draw, message, of)
            return message

        return build()

    def near(self, valid: Any) -> st.SearchStrategy[Message]:
        """A valid message with one field, on any level, changed: such requests get past most checks."""

        @st.composite
        def build(draw: st.DrawFn) -> Message:
            message = GetMessageClass(valid.DESCRIPTOR)()
            message.CopyFrom(valid)
            self._change(draw, message)
            return message

        return build()

    def _change(self, draw: st.DrawFn, message: Any) -> None:
        if not message.DESCRIPTOR.fields:
            return
        of = draw(st.sampled_from(list(message.DESCRIPTOR.fields)))
        present: list[Any] = [getattr(message, of.name)] if _is_single_message(of) and message.HasField(of.name) else []
        if of.message_type is not None and of.is_repeated and not of.message_type.GetOptions().map_entry:
            present = list(getattr(message, of.name))
        deeper: bool = draw(st.booleans())
        if present and deeper:
            self._change(draw, present[draw(st.integers(0, len(present) - 1))])
            return
        if _is_single_message(of) or draw(st.booleans()):
            message.ClearField(of.name)
        self._fill(draw, message, of)

    def _fill(self, draw: st.DrawFn, message: Any, of: FieldDescriptor) -> None:
        if of.message_type is not None and of.message_type.GetOptions().map_entry:
            pairs = draw(st.dictionaries(self.strings(), self.strings(), max_size=3))
            getattr(message, of.name).update(pairs)
        elif of.is_repeated:
            getattr(message, of.name).extend(draw(st.lists(self.scalar(of), max_size=3)))
        elif of.message_type is not None:
            getattr(message, of.name).CopyFrom(draw(self.scalar(of)))
        else:
            setattr(message, of.name, draw(self.scalar(of)))


def _is_single_message(of: FieldDescriptor) -> bool:
    return of.message_type is not None and not of.is_repeated


def unknown_fields() -> st.SearchStrategy[bytes]:
    """Well-formed fields with numbers that no message of the specification has."""
    return st.sampled_from((b"", b"", b"\xc2\x3e\x03abc", b"\xc0\x3e\x01", b"\xc5\x3e\x01\x02\x03\x04"))


def malformed(payload: bytes) -> st.SearchStrategy[bytes]:
    """Broken in some way: cut off, changed, with text that is not UTF-8, or random altogether."""
    return st.one_of(
        st.binary(max_size=64),
        st.just(b"\x0a\x02\xff\xfe" + payload),
        st.just(b"\x0a\x05ab\xed\xa0\x80" + payload),
        st.just(payload + b"\x0a\xff\xff\xff\xff\x0f"),
        st.integers(0, max(0, len(payload) - 1)).map(lambda end: payload[:end]),
        st.tuples(st.integers(0, max(0, len(payload) - 1)), st.integers(0, 255)).map(
            lambda change: payload[: change[0]] + bytes([change[1]]) + payload[change[0] + 1 :]
        ),
    )
