"""An orchestrator with intents: from manifests, or of users who want things, change their minds, and break parts.

Users act on claims, pods and snapshots that have few names, so that they get in each other's way; but what they want is
possible: nobody deletes what another one is about to copy, or puts a volume for one node on two.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from csisim.co.api import ApiError
from csisim.co.objects import (
    RWO,
    RWX,
    Object,
    PersistentVolumeClaim,
    Pod,
    VolumeSnapshot,
)
from csisim.co.orchestrator import NotConverged, Orchestrator
from csisim.co.plans import GIB
from csisim.runs.classes import classes
from csisim.runs.plan import RunPlan
from csisim.runs.testbed import Testbed
from csisim.runs.wanted import wanted
from csisim.sim.streams import Streams

_PATIENCE_S: Final = 60.0
_THINK_S: Final = (0.0, 20.0)
_DOWN_S: Final = (0.5, 60.0)


class CoWorkload:
    """See the module.

    Args:
        testbed: with an orchestrator.
        plan: the manifests, or how many users act how often.
    """

    def __init__(self, testbed: Testbed, plan: RunPlan) -> None:
        self._testbed = testbed
        self._plan = plan
        self._pace = testbed.pace
        self._driver = testbed.settings.driver.driver_name

    async def safety(self) -> None:
        """Everything is wanted, and trouble goes on meanwhile; what has not come true when that is over comes later."""
        co, plan = self._testbed.co, self._plan
        changes: tuple[tuple[Object, ...], ...] = ()
        if plan.manifests:
            found = wanted(plan, self._driver)
            co.warnings += found.warnings
            co.apply(found.objects)
            changes = found.changes
        else:
            co.apply(classes(self._driver, plan.protocols))
        known = _Known()
        async with asyncio.TaskGroup() as tasks:
            for number in range(1, plan.clients + 1):
                user = _User(number, self._testbed, plan, self._pace.times, known)
                tasks.create_task(user.run(), name=f"user-{number}")
        await self._calm()
        for objects in changes:
            co.apply(objects)
            await self._calm()

    async def _calm(self) -> None:
        with suppress(NotConverged):
            await self._testbed.co.settled(_PATIENCE_S * self._pace.times)

    async def liveness(self) -> None:
        """Everything that is wanted comes true; then nothing is wanted any more."""
        await self._testbed.conclude(self._pace.liveness_s / 2)

    def expected(self, left: list[str]) -> list[str]:
        """Volumes whose provisioner crashed while nobody knew of them, and whose claims were deleted meanwhile."""
        forgotten = self._testbed.co.forgotten
        return [each for each in left if any(name in each for name in forgotten)]


@dataclass(slots=True)
class _Known:
    """What users tell each other.

    Attributes:
        shapes: of which claim each snapshot was cut.
        roots: which snapshots each claim that is a copy, or a copy of a copy, cannot do without: on ZFS they share
            blocks, and go after it.
    """

    shapes: dict[str, PersistentVolumeClaim] = field(default_factory=dict)
    roots: dict[str, frozenset[str]] = field(default_factory=dict)


class _User:
    """Somebody who wants things."""

    def __init__(self, number: int, testbed: Testbed, plan: RunPlan, times: float, known: _Known) -> None:
        self._number = number
        self._seed = testbed.seed
        self._rng: random.Random  # of what is being wanted
        self._co: Orchestrator = testbed.co
        self._plan = plan
        self._think_s = plan.think_s or _THINK_S
        self._times = times
        self._known = known
        self._nodes = list(testbed.nodes)

    async def run(self) -> None:
        """Act, and wait between."""
        wants: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (6, self._claim), (6, self._pod), (2, self._snapshot), (2, self._restore), (1, self._clone),
            (2, self._expand), (2, self._delete_pod), (1, self._delete_claim), (1, self._delete_snapshot),
            (1, self._crash),
        ]  # fmt: skip
        if self._plan.manifests:
            wants = [(1, self._crash)]
        weights, acts = zip(*wants, strict=True)
        for operation in range(1, self._plan.operations + 1):
            # Of its own, as with `csisim.runs.clients.Client`: an act that is left out shifts no other.
            self._rng = Streams(f"{self._seed}/user-{self._number}").stream(f"{operation}")
            if not self._plan.does(self._number, operation):
                await asyncio.sleep(self._rng.uniform(*self._think_s) * self._times)
                continue
            (act,) = self._rng.choices(acts, weights)
            # What is wanted may be against the rules of the API by now: users are told so, and go on.
            with suppress(ApiError, KeyError):
                await act()
            await asyncio.sleep(self._rng.uniform(*self._think_s) * self._times)

    def _name(self) -> str:
        return f"data-{self._rng.randint(1, self._plan.volumes)}"

    def _is_there(self, kind: type[Object], name: str) -> bool:
        return self._co.get(kind.kind, name) is not None

    def _bound(self, name: str) -> PersistentVolumeClaim | None:
        """The claim, if it has its volume and is to keep it."""
        claim: PersistentVolumeClaim | None = self._co.get(PersistentVolumeClaim.kind, name)
        return claim if claim is not None and claim.phase == "Bound" and not claim.deleting else None

    def _users(self, claim: str) -> list[Pod]:
        return [
            pod
            for pod in self._co.api.all_of(Pod)
            if not pod.deleting and any(volume.claim_name == claim for volume in pod.volumes)
        ]

    def _awaited(self, name: str) -> bool:
        """Whether some claim is to become a copy of this one, and is not one yet."""
        own = (PersistentVolumeClaim.kind, name)
        return any(
            claim.phase == "Pending" and source is not None and (source.kind, source.name) == own
            for claim in self._co.api.all_of(PersistentVolumeClaim)
            for source in (claim.data_source,)
        )

    async def _claim(self) -> None:
        name = self._name()
        if self._is_there(PersistentVolumeClaim, name):
            return
        protocol = self._rng.choice(self._plan.protocols)
        shared = protocol == "nfs" and self._rng.random() < 0.3
        self._known.roots[name] = frozenset()
        self._co.create_claim(
            name,
            GIB,
            storage_class=protocol,
            access_modes=(RWX,) if shared else (RWO,),
            block=protocol != "nfs" and self._rng.random() < 0.3,
        )

    async def _pod(self) -> None:
        claim, name = self._bound(self._name()), f"pod-{self._rng.randint(1, 2 * self._plan.volumes)}"
        if claim is None or self._is_there(Pod, name) or (RWX not in claim.access_modes and self._users(claim.name)):
            return
        node = self._rng.choice(self._nodes) if self._rng.random() < 0.5 else ""
        self._co.create_pod(name, claim.name, node=node)

    async def _snapshot(self) -> None:
        claim, name = self._bound(self._name()), f"snap-{self._rng.randint(1, 2)}"
        if claim is not None and not self._is_there(VolumeSnapshot, name):
            self._known.shapes[name] = claim
            self._co.create_snapshot(name, claim.name)

    async def _restore(self) -> None:
        snapshot = self._co.get(VolumeSnapshot.kind, f"snap-{self._rng.randint(1, 2)}")
        shape = None if snapshot is None else self._known.shapes.get(snapshot.name)
        if shape is not None and snapshot.ready_to_use and not snapshot.deleting:
            roots = frozenset({snapshot.name})
            self._copy(shape, snapshot.restore_size, roots, {"from_snapshot": snapshot.name})

    async def _clone(self) -> None:
        claim = self._bound(self._name())
        if claim is not None:
            roots = self._known.roots.get(claim.name, frozenset())
            self._copy(claim, claim.capacity, roots, {"from_claim": claim.name})

    def _copy(self, of: PersistentVolumeClaim, least: int, roots: frozenset[str], source: dict[str, str]) -> None:
        """A copy has its source's class: it cannot change its protocol."""
        name = self._name()
        if not self._is_there(PersistentVolumeClaim, name):
            self._known.roots[name] = roots
            self._co.create_claim(
                name, max(least, of.storage) + self._rng.choice((0, GIB)), storage_class=of.storage_class_name,
                access_modes=of.access_modes, block=of.volume_mode == "Block", **source,
            )  # fmt: skip

    async def _expand(self) -> None:
        """Only where nobody waits for a copy: one may not be smaller than its source, and its size is chosen."""
        claim = self._bound(self._name())
        if claim is not None and not self._awaited(claim.name):
            self._co.expand(claim.name, claim.storage + GIB)

    async def _delete_pod(self) -> None:
        self._co.delete(Pod.kind, f"pod-{self._rng.randint(1, 2 * self._plan.volumes)}")

    async def _delete_claim(self) -> None:
        """Only where nobody waits for it, and no snapshot needs its volume: what users want must be possible."""
        claim = self._bound(self._name())
        cut = {each.source_claim_name for each in self._co.api.all_of(VolumeSnapshot)}
        if claim is not None and claim.name not in cut and not self._awaited(claim.name):
            for pod in self._users(claim.name):
                self._co.delete(Pod.kind, pod.name)
            self._co.delete(PersistentVolumeClaim.kind, claim.name)

    async def _delete_snapshot(self) -> None:
        """Only where no claim is, or is to become, a copy of it: the driver refuses as long as there is one."""
        name = f"snap-{self._rng.randint(1, 2)}"
        snapshot = self._co.get(VolumeSnapshot.kind, name)
        needed = any(
            name in self._known.roots.get(each.name, ()) for each in self._co.api.all_of(PersistentVolumeClaim)
        )
        if snapshot is not None and snapshot.ready_to_use and not needed:
            self._co.delete(VolumeSnapshot.kind, name)

    async def _crash(self) -> None:
        process = self._rng.choice(self._co.process_names())
        if self._co.runs(process):
            await self._co.crash(process)
            await asyncio.sleep(self._rng.uniform(*_DOWN_S) * self._times)
            if not self._co.runs(process):
                await self._co.restart(process)
