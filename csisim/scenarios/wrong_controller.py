"""Controllers with a wrong idea: of names, of time that ran out, and of locks."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from csisim.cluster.parts import Parts
from csisim.deadline import remaining_s, within
from csisim.driver import requests
from csisim.driver.controller import ControllerService
from csisim.driver.grpc_types import Context
from csisim.driver.inflight import OperationLocks, volume_key
from csisim.driver.provisioning import CreatePlan, Provisioner
from csisim.driver.volume_id import component_for
from csisim.driver.volumes import Volumes
from csisim.errors import Internal, NasTimeout
from csisim.pb import csi_pb2 as pb
from csisim.truenas.storage import Dataset

_LONGEST_S = 60.0


class RollingBack(Provisioner):
    """Gives the NAS half of the time, and leaves nothing behind when that was not enough."""

    async def _create_dataset(self, plan: CreatePlan, size_bytes: int) -> tuple[Dataset, bool]:
        try:
            with within(remaining_s(_LONGEST_S) / 2):
                return await super()._create_dataset(plan, size_bytes)
        except NasTimeout as error:
            await self._storage.delete_dataset(plan.dataset_id)
            raise Internal(f"volume {plan.request.name} could not be created, and is cleaned up: {error}") from error


class _RollingBack(ControllerService):
    def __init__(self, volumes: Volumes) -> None:
        super().__init__(volumes)
        self._provisioner = RollingBack(volumes)


def rolls_back(parts: Parts) -> Parts:
    """A creation that takes too long is cleaned up, and has failed."""
    return replace(parts, controller=_RollingBack)


class _LookingFirst(ControllerService):
    """Gives each volume a name of its own; what was asked for is found among those that there are."""

    def __init__(self, volumes: Volumes) -> None:
        super().__init__(volumes)
        self._numbers = itertools.count(1)

    async def CreateVolume(self, request: pb.CreateVolumeRequest, context: Context) -> pb.CreateVolumeResponse:
        wanted = requests.create_volume(request)
        there = [each.name for each in await self._volumes.page(f"{wanted.name}.", 1)]
        mine = [name for name in there if name.startswith(f"{wanted.name}.")]
        name = mine[0] if mine else f"{wanted.name}.{next(self._numbers)}"
        async with self._locks.hold(volume_key(component_for(name))):
            volume = await self._provisioner.create(replace(wanted, name=name))
            return pb.CreateVolumeResponse(volume=await self._message(volume))


def looks_first(parts: Parts) -> Parts:
    """Whether there is such a volume is asked before anything is locked; what is locked is the one that is made."""
    return replace(parts, controller=_LookingFirst)


class _Forgetful(OperationLocks):
    def keep(self, keys: tuple[str, ...], future: asyncio.Future[None]) -> None:
        """Whoever made the call has given it up, so it is over."""


def forgets(parts: Parts) -> Parts:
    """What a call has sent to the NAS is forgotten with the call."""
    return replace(parts, locks=_Forgetful)


class _Unwinding(OperationLocks):
    @asynccontextmanager
    async def hold(self, *keys: str, shared: Iterable[str] = ()) -> AsyncIterator[None]:
        """Free on success, and free on every exception there is."""
        held = super().hold(*keys, shared=shared)
        await held.__aenter__()
        try:
            yield
        except Exception:
            await held.__aexit__(None, None, None)
            raise
        await held.__aexit__(None, None, None)


def unwinds(parts: Parts) -> Parts:
    """Locks are freed on success and on every `Exception`, of which a cancellation is none."""
    return replace(parts, locks=_Unwinding)
