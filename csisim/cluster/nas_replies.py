"""What leaves the NAS, changed on its way: replies and notifications that come twice, late, torn or too big."""

from collections.abc import Callable
from dataclasses import dataclass

from csisim.faults.plane import Firing
from fake_truenas.connection import Connection

Write = Callable[[bytes], None]


@dataclass(slots=True)
class _Held:
    """A frame that `after` others have yet to overtake."""

    after: int
    frame: bytes
    write: Write
    rule: str


class Replies:
    """The frames of one NAS that others are to overtake, by connection."""

    def __init__(self) -> None:
        self._held: dict[Connection, list[_Held]] = {}

    def waiting(self, connection: Connection) -> bool:
        """Whether a frame of this connection waits to be overtaken."""
        return connection in self._held

    def send(self, connection: Connection, firing: Firing | None, frame: bytes, write: Write) -> None:
        """Write a frame with what the rule makes of it, and then those whose turn has come."""
        if firing is not None and firing.action.kind == "reorder":
            self._forget_ended()
            held = _Held(firing.action.number or 1, frame, write, firing.rule)
            self._held.setdefault(connection, []).append(held)
            return
        for changed in [frame] if firing is None else _frames(frame, firing):
            write(changed)
        self._count_down(connection)

    def heal(self, rule: str) -> None:
        """Let go what this rule holds; "" for what any does."""
        for connection, held in tuple(self._held.items()):
            left = []
            for each in held:
                if rule in ("", each.rule):
                    each.write(each.frame)
                else:
                    left.append(each)
            self._keep(connection, left)

    def _count_down(self, connection: Connection) -> None:
        left = []
        for each in self._held.get(connection, ()):
            each.after -= 1
            if each.after <= 0:
                each.write(each.frame)
            else:
                left.append(each)
        self._keep(connection, left)

    def _keep(self, connection: Connection, left: list[_Held]) -> None:
        if left:
            self._held[connection] = left
        else:
            self._held.pop(connection, None)

    def _forget_ended(self) -> None:
        for connection in tuple(self._held):
            if connection.session.connection is None:
                del self._held[connection]


def _frames(frame: bytes, firing: Firing) -> list[bytes]:
    """What is written instead of a frame. A text frame stays valid UTF-8, as it does when a proxy garbles a body."""
    size = firing.action.size_bytes or 0
    match firing.action.kind:
        case "dup":
            return [frame, frame]
        case "drop":
            return []
        case "truncate":
            return [frame[:size].decode(errors="ignore").encode()]
        case "corrupt":
            at = int(firing.draw * len(frame))
            return [(frame[:at].decode(errors="ignore") + "\ufffd" + frame[at + 1 :].decode(errors="ignore")).encode()]
        case "oversize":
            return [frame + b" " * max(0, size - len(frame))]
        case _:
            return [frame]
