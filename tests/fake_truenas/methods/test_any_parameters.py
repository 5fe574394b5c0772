"""Whatever is sent to any method of any release: a result or a refusal, and a refusal changes nothing."""

import asyncio
import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, note, settings

from fake_truenas.credentials import Credentials
from fake_truenas.errors import ApiError
from fake_truenas.methods import default_registry
from fake_truenas.persona import TRAINS, persona
from fake_truenas.session import Session
from tests.fake_truenas.arbitrary import SEEDS, Arbitrary, Words
from tests.fake_truenas.methods.conftest import Box

# Their own tests, which know datasets, are in test_any_pool_call.py.
ELSEWHERE = ("pool.", "zfs.")
METHODS = {train: dict(sorted(default_registry().serving(persona(train)).methods.items())) for train in TRAINS}

WORDS = Words(
    texts=[*["/mnt/tank/fs", "/mnt/tank/fs/d", "/mnt/tank/fs/f", "zvol/tank/v", "tank/v", "tank/v@s", "tank/fs", "t", "s",
             "nfs", "10.0.0.1", "QUJD", "nqn.2014-08.org.x:1", "755", "root", "EXTERNAL", "docs"] * 3,
           "\0", "a" * 1025, "/mnt/tank/\U0001f512", '"', "'; drop table x"],
    numbers=[0, 1, 2, 1, 1, -1, 3, 512, 4096, 4420, 1 << 31, (1 << 63) - 1, 1 << 63, -(1 << 70), 1 << 90],
    fields=["id", "path", "name", "subsys.id", "x", "groups.*.portal"],
    known={
        "path": ["/mnt/tank/fs", "/mnt/tank/fs/d", "/mnt/tank/fs/f", "/mnt/tank/fs/new"],
        "device_path": ["zvol/tank/v", "/mnt/tank/fs/f", "/mnt/tank/fs/new"],
        "disk": ["zvol/tank/v", "zvol/tank/v@s"],
        "service": ["nfs", "cifs", "iscsitarget", "nvmet"],
        "share_name": ["docs", "DOCS"],
        "purpose": ["DEFAULT_SHARE", "LEGACY_SHARE", "NO_PRESET"],
        "groups": [[{"portal": 1}], [{"portal": 1, "initiator": 1}]],
        "extent": [1],
        "target": [1],
        "subsys_id": [1],
    },
)  # fmt: skip


def call_of(seed: int, train: str, but: tuple[str, ...] = ()) -> tuple:
    """A method of a release and parameters for it."""
    arbitrary = Arbitrary(seed, WORDS)
    name = arbitrary.rng.choice([name for name in METHODS[train] if not name.startswith(but)])
    return name, arbitrary.params(METHODS[train][name].params)


def dump(box: Box) -> list[str]:
    return list(box.nas.db.connection.iterdump())


def busy(train: str) -> Box:
    """A NAS with one of everything, so that references can fit."""
    box = Box(train)
    box.zvol("tank/v")
    box.filesystem("tank/fs")
    box("filesystem.mkdir", {"path": "/mnt/tank/fs/d"})
    box("pool.snapshot.create" if "pool.snapshot.create" in METHODS[train] else "zfs.snapshot.create",
        {"dataset": "tank/v", "name": "s"})  # fmt: skip
    box("iscsi.target.create", {"name": "t", "groups": [{"portal": 1}]})
    box("iscsi.extent.create", {"name": "f", "type": "FILE", "path": "/mnt/tank/fs/f", "filesize": 512})
    box("sharing.smb.create", {"name": "docs", "path": "/mnt/tank/fs"})
    if "nvmet.subsys.create" in METHODS[train]:
        box("nvmet.subsys.create", {"name": "s"})
    return box


@pytest.fixture(scope="module")
def boxes() -> Iterator[dict[str, Box]]:
    """One NAS of each release."""
    made = {train: busy(train) for train in TRAINS}
    yield made
    for box in made.values():
        box.nas.close()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


async def outcome(box: Box, name: str, params: list) -> None:
    """Make a call as somebody who is logged in, to the end of the job if it is one."""
    session = Session("somebody")  # a new one each time, because some calls log out
    session.log_in(Credentials("LOGIN_PASSWORD", "root", 0.0))
    async with asyncio.timeout(5):
        job, _ = await box.nas.apply_inner(session, name, params)
        if job is not None and name != "core.job_wait":  # which may wait for itself, as on the real server
            await job.outcome()


def check_call(box: Box, runner: asyncio.Runner, call: tuple, logged: list) -> None:
    name, params = call
    note(f"{name}{params}")
    logged.clear()
    try:
        runner.run(outcome(box, name, params))
    except ApiError as error:
        data = error.data()
        assert data is None or isinstance(data["reason"], str)
    assert not box.nas.db.connection.in_transaction
    assert [record.getMessage() for record in logged if record.levelno >= logging.ERROR] == []


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> list:
    """What is logged: a job that fails unexpectedly says so here only."""
    return caplog.records


@pytest.mark.parametrize("train", [train for train in TRAINS if train != "25.10"])
def test_every_call_of_other_releases_ends_with_a_result_or_a_refusal(boxes, runner, train, logged):
    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(seed=SEEDS)
    def check(seed):
        check_call(boxes[train], runner, call_of(seed, train), logged)

    check()


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=SEEDS)
def test_every_call_ends_with_a_result_or_a_refusal(boxes, runner, logged, seed):
    check_call(boxes["25.10"], runner, call_of(seed, "25.10", but=ELSEWHERE), logged)


@pytest.fixture
def busy_box() -> Iterator[Box]:
    box = busy("25.10")
    yield box
    box.nas.close()


def test_a_refused_call_changes_nothing(busy_box):
    before = dump(busy_box)
    refusals = [
        ("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/none"}),
        ("nvmet.namespace.create", {"subsys_id": 99, "device_type": "ZVOL", "device_path": "zvol/tank/v"}),
        ("fake.block.write", "tank/v", (1 << 30) - 1, "QUJD"),
        ("iscsi.targetextent.create", {"target": 99, "extent": 99}),
    ]
    for refusal in refusals:
        busy_box.refused(*refusal)
    assert dump(busy_box) == before
