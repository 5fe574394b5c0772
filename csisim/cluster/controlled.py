"""A cluster as the control server sees it; see `csisim.control.controlled`."""

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from csisim.cluster.composition import Cluster
from csisim.cluster.inventory import host_leftovers, nas_leftovers
from csisim.errors import NasIndeterminate
from csisim.events import History
from csisim.faults.plane import FaultPlane
from csisim.truenas.client import NasClient
from fake_truenas import Nas
from fake_truenas.errors import ApiError

_CONNECT_S = 5.0


class ControlledCluster:
    """A running cluster with faults.

    Args:
        cluster: it must have been given `FaultSettings`.
        rng: for the jitter of a client of our own.
    """

    def __init__(self, cluster: Cluster, rng: random.Random) -> None:
        if cluster.injection is None:
            raise ValueError("a cluster without faults cannot be controlled")
        self._cluster = cluster
        self._injection = cluster.injection
        self._rng = rng

    @property
    def plane(self) -> FaultPlane:
        """The rules in force."""
        return self._injection.plane

    @property
    def history(self) -> History:
        """What happened."""
        return self._injection.history

    @property
    def driver_name(self) -> str:
        """As in the CSIDriver object."""
        return self._cluster.settings.driver.driver_name

    @property
    def endpoints(self) -> Sequence[str]:
        """Where CSI is served."""
        served = {str(self._cluster.endpoint): None}
        return tuple(served | {str(where): None for where in self._cluster.node_endpoints.values()})

    @property
    def links(self) -> Mapping[str, str]:
        """The one to the NAS, and its address."""
        return {"nas": urlsplit(self._cluster.nas_settings.url).netloc}

    async def crash(self, what: str, node_id: str, down_s: float) -> None:
        """See `Cluster.crash`."""
        await self._cluster.crash(what, node_id, down_s)

    async def leftovers(self) -> list[str]:
        """What the NAS and the nodes have, asked past every fault.

        Raises:
            NasError: the NAS could not be asked.
        """
        root = self._cluster.settings.driver.root_dataset
        if self._cluster.nas is not None:
            found = await nas_leftovers(_Inside(self._cluster.nas), root)
        else:
            async with self._asking() as client:
                found = await nas_leftovers(client, root)
        return found + await host_leftovers(self._cluster.hosts)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[NasClient]:
        """A client of our own for a NAS that is somewhere else: it does not go over the link."""
        client = NasClient(self._cluster.nas_settings, rng=self._rng)
        await client.start()
        try:
            if not await client.wait_connected(_CONNECT_S):
                raise NasIndeterminate("auth.login_with_api_key", f"no connection within {_CONNECT_S:g} s", sent=False)
            yield client
        finally:
            await client.close()

    def disconnect_nas(self) -> int:
        """Reset every connection to the NAS."""
        return self._injection.link.reset()


class _Inside:
    """Asks an embedded NAS past its hook, so that looking changes no count and meets no fault."""

    def __init__(self, nas: Nas) -> None:
        self._nas = nas

    async def query(self, method: str, *params: Any) -> Any:
        try:
            return await self._nas.call(method, *params)
        except ApiError as error:
            raise NasIndeterminate(method, str(error.data() or error), sent=False) from error
