"""A NAS without a network, called directly."""

import random

import pytest

from fake_truenas.config import NasConfig, Pool
from fake_truenas.errors import CallError, ValidationErrors
from fake_truenas.nas import Nas
from fake_truenas.persona import DEFAULT_VERSION

GIB = 1 << 30


class Box:
    """One NAS with pool `tank` of 100 GiB; calls raise as the NAS refuses."""

    def __init__(self, version: str = DEFAULT_VERSION) -> None:
        self.time = 1_700_000_000.0
        config = NasConfig(
            pools=(Pool("tank", 100 * GIB),), api_key="1-key", version=version, login_failure_delay_s=(0.0, 0.0)
        )
        self.nas = Nas(config, rng=random.Random(7), clock=lambda: self.time)
        self.announced: list[tuple] = []

    def __call__(self, method: str, *params):
        return self.nas.call_direct(method, *params)

    def zvol(self, name: str, size: int = GIB, **more) -> str:
        self("pool.dataset.create", {"name": name, "type": "VOLUME", "volsize": size, "sparse": True, **more})
        return name

    def filesystem(self, name: str) -> str:
        self("pool.dataset.create", {"name": name})
        return f"/mnt/{name}"

    def refused(self, method: str, *params) -> list[tuple]:
        """The (attribute, text, errno) triples of a call that must end with -32602."""
        with pytest.raises(ValidationErrors) as caught:
            self(method, *params)
        data = caught.value.data()
        assert (caught.value.code, data["error"], data["errname"]) == (-32602, 22, "EINVAL")
        return [tuple(item) for item in data["extra"]]

    def failed(self, method: str, *params) -> tuple[int, str]:
        """Errno and reason of a call that must end with -32001."""
        with pytest.raises(CallError) as caught:
            self(method, *params)
        assert caught.value.code == -32001
        return caught.value.errno, caught.value.reason

    def steps(self, method: str, *params) -> int:
        """How many SQLite instructions a call takes, in hundreds."""
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        connection = self.nas.db.connection
        connection.set_progress_handler(count, 1)  # by the hundred, earlier runs of a statement would count too
        try:
            self(method, *params)
        finally:
            connection.set_progress_handler(None, 0)
        return steps // 100

    def listen(self) -> list[tuple]:
        """From now on, note events as (collection, msg, id, fields)."""

        def send(collection, msg, key, fields=None, extra=None, **_):
            self.announced.append((collection, msg, key, fields))

        self.nas.events.wanted = lambda collection: True
        self.nas.events.send = send
        return self.announced


@pytest.fixture
def box():
    made = Box()
    yield made
    made.nas.close()
