"""Making a volume: empty, restored from a snapshot, or cloned from another volume.

Called with the operation locks of the volume, and of a volume it is cloned from, held. Whatever is read is read inside;
what is left behind by an interruption is completed by the repeat or removed by DeleteVolume.
"""

from dataclasses import dataclass

from csisim.driver.parameters import VolumeParameters, mutable_parameters, volume_parameters
from csisim.driver.records import (
    CAPACITY,
    CLONE_FOR,
    PARAMETERS,
    PROTOCOL,
    SOURCE,
    VOLUME_NAME,
    Volume,
    captured_size,
    snapshot_of,
    volume_of,
)
from csisim.driver.requests import CapacityRange, CreateVolume
from csisim.driver.sizes import choose_size
from csisim.driver.volume_id import CLONE_PREFIX, SnapshotId, component_for
from csisim.driver.volumes import Volumes
from csisim.errors import (
    AlreadyExists,
    CsiError,
    FailedPrecondition,
    InvalidArgument,
    NasRefused,
    NotFound,
    OutOfRange,
    ResourceExhausted,
    Unavailable,
)
from csisim.truenas.storage import Dataset, Snapshot, is_existing, is_out_of_space, lacks_base


@dataclass(frozen=True, slots=True)
class CreatePlan:
    """What a CreateVolume is to make, before the NAS was asked."""

    request: CreateVolume
    dataset_id: str
    parameters: VolumeParameters
    settings: dict[str, str]

    @property
    def source(self) -> str:
        """The source as recorded in the volume."""
        match self.request.source:
            case None:
                return ""
            case SnapshotId() as snapshot:
                return f"snapshot {snapshot}"
            case volume:
                return f"volume {volume}"

    def properties(self, size_bytes: int) -> dict[str, str]:
        """The user properties that make the dataset a volume of ours."""
        own = {
            VOLUME_NAME: self.request.name,
            PROTOCOL: self.parameters.protocol.value,
            PARAMETERS: self.parameters.summary(),
            CAPACITY: str(size_bytes),
        }
        return own | ({SOURCE: self.source} if self.source else {})

    def sizes(self, size_bytes: int) -> dict[str, int]:
        """The size as dataset arguments."""
        key = "volsize_bytes" if self.parameters.protocol.is_block else "refquota_bytes"
        return {key: size_bytes}


class Provisioner:
    """Makes volumes below the root dataset."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._config = volumes.config
        self._storage = volumes.storage
        self._settle = volumes.storage.nas.settle

    async def create(self, request: CreateVolume) -> Volume:
        """Create the volume of this name, or find and complete it.

        Raises:
            AlreadyExists: the name is taken by a volume that does not fit.
            NotFound: the content source is gone.
            OutOfRange, ResourceExhausted, InvalidArgument: as the spec has them for CreateVolume.
        """
        with self._volumes.making(component_for(request.name)):
            return await self._create(request)

    async def _create(self, request: CreateVolume) -> Volume:
        parameters = volume_parameters(request.parameters, request.capabilities)
        settings = mutable_parameters(request.mutable_parameters)
        plan = CreatePlan(request, self._volumes.dataset_id(component_for(request.name)), parameters, settings)
        size_or_error = choose_size(request.capacity, parameters.protocol)
        elsewhere = not self._reachable(request)
        if request.source is not None or isinstance(size_or_error, CsiError) or elsewhere:
            # An existing volume of this name answers first, whatever is wrong with making a new one.
            existing = await self._storage.dataset(plan.dataset_id)
            if existing is not None:
                return await self._complete(plan, existing)
        if elsewhere:
            raise ResourceExhausted(f"no storage in the requested topology; this driver serves {self._zone()}")
        if isinstance(request.source, SnapshotId):
            return await self._restore(plan, request.source)
        if request.source is not None:
            return await self._clone(plan, request.source)
        if isinstance(size_or_error, CsiError):
            raise size_or_error
        return await self._create_empty(plan, size_or_error)

    def _zone(self) -> str:
        return f"{self._config.zone_key}={self._config.zone}"

    def _reachable(self, request: CreateVolume) -> bool:
        """Whether one of the topologies, if any is required, is the one of this NAS."""
        here = {self._config.zone_key: self._config.zone}
        return not request.requisite or any(dict(each) == here for each in request.requisite)

    async def _create_empty(self, plan: CreatePlan, size_bytes: int) -> Volume:
        try:
            dataset, fresh = await self._create_dataset(plan, size_bytes)
        except NasRefused as error:
            if is_existing(error):
                existing = await self._storage.dataset(plan.dataset_id)
                if existing is None:
                    raise
                return await self._complete(plan, existing)
            if is_out_of_space(error):
                raise ResourceExhausted(f"no room for {size_bytes} bytes: {error.reason.strip()}") from error
            raise
        return await self._complete(plan, dataset, fresh=fresh)

    async def _create_dataset(self, plan: CreatePlan, size_bytes: int) -> tuple[Dataset, bool]:
        """Create the dataset; the flag is False where it was found after an answer had been lost."""
        found_again = False

        async def create() -> Dataset:
            return await self._storage.create_dataset(
                plan.dataset_id,
                **plan.sizes(size_bytes),
                thin=plan.parameters.thin,
                user_properties=plan.properties(size_bytes),
                settings=plan.settings,
            )

        async def look_up() -> Dataset | None:
            nonlocal found_again
            dataset = await self._storage.dataset(plan.dataset_id)
            found_again = dataset is not None
            return dataset

        try:
            dataset = await self._settle(create, look_up)
        except NasRefused as error:
            if is_existing(error) or not lacks_base(error):
                raise
            await self._create_root()
            dataset = await self._settle(create, look_up)
        return dataset, not found_again

    async def _create_root(self) -> None:
        try:
            await self._storage.create_parents(self._config.root_dataset)
        except NasRefused as error:
            if lacks_base(error):
                raise FailedPrecondition(
                    f"the NAS has no pool {self._config.pool!r}; create it or change the root dataset"
                ) from error
            raise

    async def _restore(self, plan: CreatePlan, source: SnapshotId) -> Volume:
        snapshot = await self._storage.snapshot(self._volumes.dataset_id(str(source)))
        if snapshot is None or snapshot_of(snapshot) is None:
            raise NotFound(f"source snapshot {source} does not exist")
        return await self._from_snapshot(plan, snapshot, captured_size(snapshot), str(source))

    async def _clone(self, plan: CreatePlan, source_id: str) -> Volume:
        source = await self._volumes.get(source_id, source_id)
        name = CLONE_PREFIX + component_for(plan.request.name)
        self._check_kind(plan, is_volume=source.dataset.is_volume, source=source_id)
        self._size_from(plan, source.capacity_bytes, source_id)

        async def cut() -> Snapshot:
            return await self._storage.create_snapshot(source.dataset.id, name, {CLONE_FOR: plan.request.name})

        async def look_up() -> Snapshot | None:
            there = await self._storage.snapshot(f"{source.dataset.id}@{name}")
            return there if there and there.user_properties.get(CLONE_FOR) == plan.request.name else None

        try:
            snapshot = await self._settle(cut, look_up)
        except NasRefused as error:
            if not is_existing(error):
                raise
            stale = await look_up()
            if stale is None:
                raise AlreadyExists(f"snapshot {source_id}@{name} exists and was not made by this driver") from error
            # Left by an earlier attempt that never got to the clone; its content may be long out of date.
            await self._storage.delete_snapshot(stale.id)
            snapshot = await self._settle(cut, look_up)
        try:
            return await self._from_snapshot(plan, snapshot, source.capacity_bytes, source_id)
        except (NasRefused, CsiError):
            await self._storage.delete_snapshot(snapshot.id, defer=True)
            raise

    async def _from_snapshot(self, plan: CreatePlan, snapshot: Snapshot, source_bytes: int, source: str) -> Volume:
        self._check_kind(plan, is_volume=snapshot.volsize_bytes > 0, source=source)
        size_bytes = self._size_from(plan, source_bytes, source)
        properties = plan.properties(size_bytes) | _as_zfs(plan.settings)
        if not plan.parameters.protocol.is_block:
            properties["refquota"] = str(size_bytes)
        elif not plan.parameters.thin:
            properties["refreservation"] = str(size_bytes)

        async def clone() -> None:
            # The look at it comes later: that look getting lost must not have the clone made again.
            await self._storage.clone(snapshot.id, plan.dataset_id, properties)

        try:
            dataset = await self._settle(clone, lambda: self._storage.dataset(plan.dataset_id))
            dataset = dataset or await self._storage.dataset(plan.dataset_id)
        except NasRefused as error:
            if is_existing(error) and (existing := await self._storage.dataset(plan.dataset_id)) is not None:
                return await self._complete(plan, existing)
            if is_out_of_space(error):
                raise ResourceExhausted(f"no room for a copy of {source}: {error.reason.strip()}") from error
            if lacks_base(error) and not is_existing(error):
                raise NotFound(f"source {source} does not exist any more") from error
            raise
        if dataset is None:
            raise NotFound(f"volume {plan.request.name!r} was deleted while it was made")
        return await self._complete(plan, dataset, fresh=True)

    def _check_kind(self, plan: CreatePlan, *, is_volume: bool, source: str) -> None:
        if plan.parameters.protocol.is_block is not is_volume:
            kind = "a block device" if is_volume else "a file system"
            raise InvalidArgument(f"source {source} is {kind}; {plan.parameters.protocol} volumes cannot be made of it")

    def _size_from(self, plan: CreatePlan, source_bytes: int, source: str) -> int:
        """The size of a copy: what was asked for, at least the source's."""
        wanted = plan.request.capacity
        if wanted.limit_bytes and wanted.limit_bytes < source_bytes:
            raise OutOfRange(f"source {source} has {source_bytes} bytes, more than the limit of {wanted.limit_bytes}")
        chosen = choose_size(CapacityRange(max(wanted.required_bytes, source_bytes), wanted.limit_bytes),
                             plan.parameters.protocol)  # fmt: skip
        if isinstance(chosen, CsiError):
            raise chosen
        return chosen

    async def _complete(self, plan: CreatePlan, dataset: Dataset, *, fresh: bool = False) -> Volume:
        """Compare a dataset with the plan and make what it still lacks.

        Where that is refused for good and the dataset is this call's own, it is removed again: callers take a definite
        error for "there is nothing". One that may be older stays, and so its callers are told to ask again.
        """
        volume = volume_of(dataset)
        if volume is None:
            raise AlreadyExists(f"dataset {dataset.id} exists on the NAS and was not made by this driver")
        self._compare(plan, volume)
        try:
            await self._check_room(volume, fresh=fresh)
            if dataset.is_volume and dataset.size_bytes < volume.capacity_bytes:
                dataset = await self._storage.update_dataset(dataset.id, volsize_bytes=volume.capacity_bytes)
            await self._volumes.exports[volume.protocol].ensure(dataset, fresh=fresh)
        except (NasRefused, CsiError) as error:
            if fresh:
                await self._volumes.exports[volume.protocol].remove(dataset)
                await self._storage.delete_dataset(dataset.id)
            elif isinstance(error, NasRefused):
                raise Unavailable(f"volume {volume.id} is there, but not complete: {error}; repeat the call") from error
            raise
        await self._volumes.release_origin(dataset)
        return volume_of(dataset) or volume

    async def _check_room(self, volume: Volume, *, fresh: bool) -> None:
        """Refuse a new volume whose size is beyond the free space: ZFS takes such a quota, but it is an empty promise.

        A volume that nodes can reach was promised before, whatever has filled the pool since.
        """
        dataset = volume.dataset
        missing_bytes = volume.capacity_bytes - dataset.referenced_bytes - dataset.available_bytes
        if missing_bytes <= 0 or (dataset.is_volume and not dataset.origin):
            return
        root = await self._storage.dataset(self._config.root_dataset)
        if root is not None and dataset.available_bytes < root.available_bytes:
            return  # its own quota is what limits it: a copy has part of that filled from the beginning
        if fresh or await self._volumes.unreachable([volume]):
            if not fresh:
                await self._storage.delete_dataset(dataset.id)
            raise ResourceExhausted(
                f"no room for {volume.capacity_bytes} bytes: {dataset.available_bytes} are available"
            )

    def _compare(self, plan: CreatePlan, volume: Volume) -> None:
        """Whether the existing volume is what is asked for."""
        request = plan.request
        for what, wanted, found in (
            ("name", request.name, volume.name),
            ("protocol", plan.parameters.protocol, volume.protocol),
            ("parameters", plan.parameters.summary(), volume.parameters),
            ("content source", plan.source or "none", volume.source or "none"),
        ):
            if wanted != found:
                raise AlreadyExists(f"volume {volume.id} exists with another {what}: {found}, asked for {wanted}")
        if not request.capacity.contains(volume.capacity_bytes):
            raise AlreadyExists(
                f"volume {volume.id} exists with {volume.capacity_bytes} bytes, asked for {request.capacity}"
            )
        if not self._reachable(request):
            raise AlreadyExists(f"volume {volume.id} exists in {self._zone()}, outside the requested topology")


def _as_zfs(settings: dict[str, str]) -> dict[str, str]:
    """Dataset settings as ZFS itself spells them, which is what a clone takes."""
    return {_ZFS_NAMES.get(key, key): value if key == "comments" else value.lower() for key, value in settings.items()}


# The NAS shows this user property as `comments`.
_ZFS_NAMES = {"comments": "org.freenas:description"}
