"""What `csisim.check.volume_model` keeps of a volume; pure."""

from typing import NamedTuple

from csisim.check.volume_operations import Asked, Pairs


class Volume(NamedTuple):
    """A volume that exists.

    Attributes:
        id: "" while no answer has told it.
        low_bytes, high_bytes: its size lies between; they are equal once an answer has told it.
        parameters, source, how: of its creation, see `Asked`.
        confirmed: a creation was answered with success.
        published: (node, how, shared) sorted by node.
        snapshots: (name, id) sorted; the id is "" while no answer has told it.
    """

    id: str
    low_bytes: int
    high_bytes: int
    parameters: Pairs
    source: str
    how: str
    confirmed: bool
    published: tuple[tuple[str, str, bool], ...] = ()
    snapshots: tuple[tuple[str, str], ...] = ()


class OnNode(NamedTuple):
    """What a node has of the volume: its staging path, and how it is published at which target."""

    node: str
    staging: str
    targets: tuple[tuple[str, str], ...] = ()


class State(NamedTuple):
    """A volume and its nodes, which may have it mounted still when it is gone."""

    volume: Volume | None = None
    nodes: tuple[OnNode, ...] = ()

    def on(self, node: str) -> OnNode:
        """What this node has."""
        return next((each for each in self.nodes if each.node == node), OnNode(node, ""))

    def with_node(self, changed: OnNode) -> "State":
        """With something else on one node."""
        others = [each for each in self.nodes if each.node != changed.node]
        kept = [changed] if changed.staging or changed.targets else []
        return State(self.volume, tuple(sorted([*others, *kept])))


def meant(state: State, asked: Asked) -> Volume | None:
    """The volume that is meant."""
    volume = state.volume
    if volume is None or (volume.id and asked.id and volume.id != asked.id):
        return None
    return volume


def not_shared(volume: Volume, asked: Asked) -> str:
    """Why a volume cannot be published on one more node."""
    if not volume.published or (asked.shared and all(shared for _, _, shared in volume.published)):
        return ""
    return f"it is published on {volume.published[0][0]}, and not for several nodes"


def has_snapshot(state: State, asked: Asked) -> bool:
    """Whether the snapshot that is meant exists."""
    volume = state.volume
    return volume is not None and any(
        name == asked.snapshot and (not known or not asked.snapshot_id or known == asked.snapshot_id)
        for name, known in volume.snapshots
    )
