"""Bytes through a mount, and their events."""

import errno
from typing import Any

from csisim.events import History
from csisim.runs import data


class Files:
    """What a node gives for the files of a volume, in memory; or an error."""

    node_id = "node-1"

    def __init__(self, error: int = 0) -> None:
        self.content: dict[tuple[str, str], bytes] = {}
        self.error = error

    async def write(self, target: str, name: str, content: bytes) -> None:
        if self.error:
            raise OSError(self.error, "")
        self.content[target, name] = content

    async def read(self, target: str, name: str) -> bytes | None:
        if self.error:
            raise OSError(self.error, "")
        return self.content.get((target, name))


async def told(files: Any) -> list[tuple[str, str, dict[str, Any]]]:
    history = History(lambda: 0.0)
    written = await data.write(history, "client-1", files, "pvc-1", "/t", "a", b"bytes")
    assert written is (not files.error)
    assert await data.read(history, "client-1", files, "pvc-1", "/t", "a") == (None if files.error else b"bytes")
    await data.read(history, "client-1", files, "pvc-1", "/t", "b")
    assert {event.process for event in history.since()} == {"client-1"}
    return [(event.type, event.f, dict(event.value)) for event in history.since()]


async def test_what_is_written_is_found_by_the_name_of_its_bytes():
    digest = data.sha(b"bytes")
    about = {"volume": "pvc-1", "node": "node-1", "path": "/t", "file": "a"}
    assert len(digest) == 16
    assert await told(Files()) == [
        ("invoke", "write", about | {"sha": digest}),
        ("ok", "write", {}),
        ("invoke", "read", about | {"sha": ""}),
        ("ok", "read", {"sha": digest}),
        ("invoke", "read", about | {"file": "b", "sha": ""}),
        ("ok", "read", {"sha": ""}),
    ]


async def test_a_refused_write_has_not_happened_and_a_broken_one_may_have():
    assert [each[::2] for each in await told(Files(errno.EROFS))][1] == ("fail", {"errno": "EROFS"})
    events = [each[::2] for each in await told(Files(errno.EIO))]
    assert events[1] == ("info", {"errno": "EIO"})
    assert events[3] == ("fail", {"errno": "EIO"})
