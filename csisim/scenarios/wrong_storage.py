"""Storage verbs with a wrong idea: of what comes first, and of what an error means."""

from collections.abc import Mapping
from dataclasses import replace

from csisim.cluster.parts import Parts
from csisim.truenas.storage import Storage


class _Stamping(Storage):
    async def clone(self, snapshot_id: str, dataset_id: str, properties: Mapping[str, str]) -> None:
        """In two steps: a clone, and then what makes it ours."""
        stamp = {key: value for key, value in properties.items() if ":" in key}
        await super().clone(snapshot_id, dataset_id, {key: properties[key] for key in properties if key not in stamp})
        await self.update_dataset(dataset_id, set_properties=stamp)


def stamps_later(parts: Parts) -> Parts:
    """What is cloned is marked as the driver's own as soon as it is there."""
    return replace(parts, storage=_Stamping)
