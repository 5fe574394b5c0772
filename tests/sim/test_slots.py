"""Files in a table of slots: found again whatever their names do to each other."""

import errno
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csisim.sim import slots
from csisim.sim.run import simulate
from csisim.sim.slots import CONTENT_BYTES, NAME_BYTES, SLOT_BYTES, SLOTS, TABLE_OFFSET, SlotTable
from tests.sim.errnos import failing

NAMES = [f"file-{number}" for number in range(SLOTS + 1)]


class Bytes:
    """An image in memory."""

    def __init__(self) -> None:
        self.content = bytearray(TABLE_OFFSET + SLOTS * SLOT_BYTES)

    async def read(self, offset: int, length: int) -> bytes:
        assert offset + length <= len(self.content)
        return bytes(self.content[offset : offset + length])

    async def write(self, offset: int, content: bytes) -> None:
        assert TABLE_OFFSET <= offset <= len(self.content) - len(content)
        self.content[offset : offset + len(content)] = content

    def exclusive(self) -> AbstractAsyncContextManager[Any]:
        return nullcontext()


async def test_a_full_table_takes_no_more_until_something_is_removed() -> None:
    table = SlotTable(Bytes(), "/v")
    for name in NAMES[:-1]:
        await table.write(name, name.encode())
    with failing(errno.ENOSPC):
        await table.write(NAMES[-1], b"")
    assert await table.read(NAMES[-1]) is None
    await table.write(NAMES[7], b"new")  # an old one is no more
    await table.remove(NAMES[8])
    await table.write(NAMES[-1], b"last")
    assert await table.names() == sorted(set(NAMES) - {NAMES[8]})
    assert [await table.read(name) for name in (NAMES[6], NAMES[7], NAMES[8], NAMES[-1])] == [
        b"file-6", b"new", None, b"last",
    ]  # fmt: skip
    with failing(errno.ENOENT):
        await table.remove(NAMES[8])


@given(st.lists(st.tuples(st.sampled_from(NAMES[:8]), st.sampled_from([None, b"", b"1", b"2" * CONTENT_BYTES]))))
@settings(max_examples=50, deadline=None)
async def test_it_is_a_dict_whichever_names_meet(changes: list[tuple[str, bytes | None]]) -> None:
    crowded = pytest.MonkeyPatch()
    crowded.setattr(slots, "SLOTS", 8)  # so that most names meet another
    try:
        table, model = SlotTable(Bytes(), "/v"), dict[str, bytes]()
        for name, content in changes:
            if content is not None:
                await table.write(name, content)
                model[name] = content
            elif name in model:
                await table.remove(name)
                del model[name]
        assert await table.names() == sorted(model)
        for name in NAMES[:8]:
            assert await table.read(name) == model.get(name)
    finally:
        crowded.undo()


async def test_a_file_is_found_behind_one_that_was_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "SLOTS", 2)
    for first, second in (NAMES[1:3], NAMES[2:0:-1]):  # both belong into the second slot
        table = SlotTable(Bytes(), "/v")
        await table.write(first, b"1")
        await table.write(second, b"2")
        await table.remove(first)
        assert await table.read(second) == b"2"
        await table.write(second, b"3")
        assert await table.names() == [second]


async def test_limits_are_told_before_anything_is_written() -> None:
    image = Bytes()
    table = SlotTable(image, "/v")
    with failing(errno.EFBIG):
        await table.write("a", b"x" * (CONTENT_BYTES + 1))
    with failing(errno.ENAMETOOLONG):
        await table.write("a" * (NAME_BYTES + 1), b"")
    assert not any(image.content)
    await table.write("é" * (NAME_BYTES // 2), b"x" * CONTENT_BYTES)
    assert await table.read("é" * (NAME_BYTES // 2)) == b"x" * CONTENT_BYTES


async def test_a_damaged_file_is_an_error_and_not_its_content() -> None:
    image = Bytes()
    table = SlotTable(image, "/v")
    await table.write("a", b"content")
    image.content[image.content.index(b"content")] ^= 1
    with failing(errno.EIO):
        await table.read("a")
    await table.write("a", b"again")
    assert await table.read("a") == b"again"


async def test_bytes_of_somebody_else_are_left_alone() -> None:
    image = Bytes()
    for place in range(TABLE_OFFSET, len(image.content), SLOT_BYTES):
        image.content[place : place + 7] = b"foreign"
    table = SlotTable(image, "/v")
    assert await table.names() == []
    assert await table.read("a") is None
    with failing(errno.ENOSPC):
        await table.write("a", b"")
    assert image.content.count(b"foreign") == SLOTS


def test_whoever_has_found_a_file_leaves_nothing_to_be_closed() -> None:
    async def program() -> bytes | None:
        table = SlotTable(Bytes(), "/v")
        await table.write("a", b"old")
        await table.write("a", b"new")
        return await table.read("a")

    outcome = simulate(program)
    assert outcome.result == b"new"
    assert outcome.leaked == ()
