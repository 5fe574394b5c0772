"""A message as the bytes that came over the wire, decoded only when somebody looks."""

from google.protobuf.message import DecodeError, Message


class RawMessage:
    """The bytes of one message.

    Args:
        data: as they came.
        kind: type of the message.

    Attributes:
        data: what is passed on.
        malformed: why the bytes are no message of this type, "" if they are; known once the message was asked for.
    """

    __slots__ = ("_kind", "_message", "data", "malformed")

    def __init__(self, data: bytes, kind: type[Message]) -> None:
        self.data = data
        self.malformed = ""
        self._kind = kind
        self._message: Message | None = None

    @property
    def message(self) -> Message:
        """What the bytes say; an empty message where they are malformed. Not to be changed: see `replace`."""
        if self._message is None:
            try:
                self._message = self._kind.FromString(self.data)
            except DecodeError as error:
                self._message, self.malformed = self._kind(), str(error)
        return self._message

    def replace(self, message: Message) -> None:
        """Pass this on instead. Fields that its type does not know go along if it was made from the old message."""
        self.data, self._message, self.malformed = message.SerializeToString(), message, ""


def decoded(message: Message | RawMessage) -> Message:
    """The message, of one or the other."""
    return message.message if isinstance(message, RawMessage) else message
