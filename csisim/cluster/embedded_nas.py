"""The NAS inside of a cluster: started, and after a crash started again on what it had committed."""

import random
import string
from collections.abc import Callable
from typing import Any

import orjson
import structlog

from csisim.cluster.real import Surroundings
from csisim.cluster.settings import ClusterError, EmbeddedNas
from csisim.cluster.state_dir import StateDir
from csisim.errors import NasIndeterminate, NasRefused
from csisim.truenas import jsonrpc
from csisim.truenas.settings import NasSettings
from fake_truenas import Nas, NasConfig
from fake_truenas.errors import ApiError
from fake_truenas.server import Server
from fake_truenas.store import Store, StoreError

_log = structlog.get_logger(__name__)


class NasProcess:
    """One embedded NAS over its lives.

    Args:
        where: its pools.
        state: where it keeps its data.
        surroundings: where it listens, and the time.
        stream: gives a random stream for a purpose.
        clock: what the NAS takes for the time.
        prepare: called with each new NAS before it serves.
    """

    def __init__(
        self,
        where: EmbeddedNas,
        state: StateDir,
        surroundings: Surroundings,
        stream: Callable[[str], random.Random],
        clock: Callable[[], float],
        prepare: Callable[[Nas], None],
    ) -> None:
        self._surroundings = surroundings
        self._stream = stream
        self._clock = clock
        self._prepare = prepare
        self._tune = where.tune
        key = "1-" + "".join(stream("api key").choices(string.ascii_letters + string.digits, k=64))
        self._config = NasConfig(pools=where.pools, api_key=key, data_dir=state.nas, latency=where.latency)
        self.nas = self._make(None)
        self.server: Server | None = None
        self._port = 0

    async def start(self) -> NasSettings:
        """Serve; gives how a client reaches it."""
        self.server = await self._surroundings.serve_nas(self.nas, self._port)
        self._port = self.server.port
        _log.info("Embedded NAS", url=self.server.url)
        return self._tune(NasSettings(url=self.server.url, api_key=self._config.api_key))

    async def crash(self) -> None:
        """End as kill -9 ends it: connections are reset, sessions and jobs are gone, what was committed stays."""
        server, self.server = self.server, None
        if server is None:
            return
        store = self.nas.crash()
        server.kill()
        await server.close()
        self.nas = self._make(store)

    async def ask(self, method: str, *params: Any) -> Any:
        """Call a method without a connection, as initiators and NFS clients reach a NAS past its API. Not for jobs.

        Bytes take the time that the NAS is configured to take; what a session or a mount knows anyway takes none.

        Raises:
            NasRefused: it said no.
            NasIndeterminate: it is down, or went down before it did anything.
        """
        nas = self.nas
        if self.server is not None and method.startswith("fake.block."):
            await nas.take_time(nas.registry.methods[method])
        if self.server is None or nas.crashed:
            raise NasIndeterminate(method, "the NAS is down", sent=False)
        try:
            return nas.call_direct(method, *params)
        except ApiError as error:
            raise _refused(method, error) from error

    async def close(self) -> None:
        """Stop serving and close the data."""
        if self.server is not None:
            await self.server.close()
        self.nas.close()

    def _make(self, store: Store | None) -> Nas:
        try:
            nas = Nas(self._config, rng=self._stream("nas"), clock=self._clock, store=store)
        except (OSError, StoreError) as error:
            raise ClusterError(f"the embedded NAS cannot start: {error}") from error
        self._prepare(nas)
        return nas


def _refused(method: str, error: ApiError) -> NasRefused:
    """The error as a client would have it."""
    reply = {"id": 0, "error": {"code": error.code, "message": error.message, "data": error.data()}}
    told = jsonrpc.parse(orjson.dumps(reply))
    assert isinstance(told, jsonrpc.ErrorReply)  # noqa: S101 - that is what was written
    return told.refusal(method)
