"""M-INHERITED: what a snapshot inherits is taken for its own, and handed on to the volumes that are made of it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from csisim.mutants.mutant import Mutant
from csisim.truenas.client import NasClient
from csisim.truenas.storage import Snapshot, Storage, _snapshot


class CopyingStorage(Storage):
    """Does not ask where a property of a snapshot comes from."""

    def __init__(self, nas: NasClient) -> None:
        super().__init__(nas)
        self._own: dict[str, Mapping[str, str]] = {}

    async def snapshot(self, snapshot_id: str) -> Snapshot | None:
        """With all that it shows."""
        rows = await self.nas.query("pool.snapshot.query", [["id", "=", snapshot_id]], {})
        return self._noted(rows[0]) if rows else None

    async def create_snapshot(self, dataset_id: str, name: str, user_properties: Mapping[str, str]) -> Snapshot:
        """With all that it shows."""
        data = {"dataset": dataset_id, "name": name, "properties": dict(user_properties)}
        return self._noted(await self.nas.call("pool.snapshot.create", data))

    def _noted(self, row: dict[str, Any]) -> Snapshot:
        self._own[row["id"]] = {key: each["value"] for key, each in row["properties"].items() if ":" in key}
        return _snapshot(row)

    async def clone(self, snapshot_id: str, dataset_id: str, properties: Mapping[str, str]) -> None:
        """See the module."""
        await super().clone(snapshot_id, dataset_id, {**self._own.get(snapshot_id, {}), **properties})


MUTANT = Mutant(
    name="M-INHERITED",
    origin="tns-csi: a property inherited from a parent makes a foreign dataset or snapshot look owned",
    idea="What a snapshot shows is its own, and so a clone of it has it too.",
    oracle=("linearizability", "I3"),
    seed=178,
    change=lambda parts: replace(parts, storage=CopyingStorage),
)
