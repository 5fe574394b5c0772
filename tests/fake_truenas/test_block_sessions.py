"""Connections to block targets."""

import pytest

from fake_truenas import block_sessions
from fake_truenas.block_sessions import ISCSI, NVMET, Session
from fake_truenas.store import Store


@pytest.fixture
def db():
    store = Store([block_sessions.TABLES])
    yield store
    store.close()


def test_sessions_are_listed_by_protocol_until_they_end(db):
    first = block_sessions.open_session(db, ISCSI, 7, "iqn.x", "10.0.0.1")
    block_sessions.open_session(db, NVMET, 7, "nqn.x", "10.0.0.2", port=3)
    assert block_sessions.list_sessions(db, ISCSI) == [Session(first, ISCSI, 7, "iqn.x", "10.0.0.1", None)]
    assert block_sessions.list_sessions(db, NVMET)[0].port == 3
    assert [block_sessions.close_session(db, first) for _ in range(2)] == [True, False]
    assert not block_sessions.has_session(db, ISCSI, 7)
    assert block_sessions.has_session(db, NVMET, 7)


def test_an_owner_loses_all_its_sessions_at_once(db):
    for owner in (7, 7, 8):
        block_sessions.open_session(db, ISCSI, owner, "iqn.x", "10.0.0.1")
    block_sessions.drop_sessions(db, ISCSI, 7)
    assert [session.owner for session in block_sessions.list_sessions(db, ISCSI)] == [8]


def test_a_daemon_that_stops_loses_the_sessions_of_its_protocol(db):
    for protocol in (ISCSI, ISCSI, NVMET):
        block_sessions.open_session(db, protocol, 7, "iqn.x", "10.0.0.1")
    block_sessions.drop_all_sessions(db, ISCSI)
    assert block_sessions.list_sessions(db, ISCSI) == []
    assert len(block_sessions.list_sessions(db, NVMET)) == 1
