"""Connections as each client opens them, and a NAS that has what their administrators set up."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from fake_truenas import Nas
from fake_truenas.server import Server
from tests.fake_truenas.clients.wire import Id, Wire, open_wire
from tests.fake_truenas.rpc import KEY

OpenWire = Callable[..., Any]


@pytest.fixture
async def wires(server: Server) -> AsyncIterator[OpenWire]:
    """Opens connections that are closed at the end."""
    opened: list[Wire] = []

    async def open_one(ids: Iterator[Id], omits: Callable[[str], bool], **options: Any) -> Wire:
        opened.append(await open_wire(server, ids, omits, **options))
        return opened[-1]

    yield open_one
    for wire in opened:
        await wire.close()


@pytest.fixture
async def portal(nas: Nas) -> int:
    """The portal that a NAS starts with."""
    (row,) = await nas.call("iscsi.portal.query")
    return int(row["id"])


@pytest.fixture
def key() -> str:
    return KEY
