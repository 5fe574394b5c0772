"""A tiny model of ZFS: what each operation must end with, and what is there afterwards.

Plain dicts: datasets and snapshots by a number that outlives renames and promotions, clones by the number of the snapshot
they started from. Written from ZFS's rules, not from the server.
"""

from dataclasses import dataclass, field

OK, MISSING, EXISTS, PARENT, CHILDREN, CLONES = "", "missing", "exists", "parent", "children", "clones"
BUSY, NO_CLONE, CONFLICT, NEWER, PROPERTY, SHRINK = "busy", "no clone", "conflict", "newer", "property", "shrink"
DEFERRED, ROOT, INSIDE, TAG, FIELD = "deferred", "root", "inside", "tag", "field"


@dataclass
class Dataset:
    name: str
    is_volume: bool = False
    volsize: int = 0
    local: dict[str, str] = field(default_factory=dict)
    origin: int | None = None


@dataclass
class Snapshot:
    dataset: int
    short: str
    volsize: int
    held: bool = False
    deferred: bool = False


class Model:
    """ZFS's rules; every verb gives the kind of refusal, or does it and gives ""."""

    def __init__(self) -> None:
        self.datasets = {0: Dataset("tank")}
        self.snapshots: dict[int, Snapshot] = {}  # in the order they were made
        self._numbers = iter(range(1, 1_000_000))

    def find(self, name: str) -> int | None:
        return next((number for number, one in self.datasets.items() if one.name == name), None)

    def find_snapshot(self, name: str) -> int | None:
        return next((number for number in self.snapshots if self.snapshot_name(number) == name), None)

    def snapshot_name(self, number: int) -> str:
        snapshot = self.snapshots[number]
        return f"{self.datasets[snapshot.dataset].name}@{snapshot.short}"

    def tree(self, top: int) -> list[int]:
        name = self.datasets[top].name
        return [number for number, one in self.datasets.items() if (one.name + "/").startswith(name + "/")]

    def of(self, dataset: int) -> list[int]:
        return [number for number, one in self.snapshots.items() if one.dataset == dataset]

    def clones(self, snapshot: int) -> list[int]:
        return [number for number, one in self.datasets.items() if one.origin == snapshot]

    def place(self, name: str) -> str:
        """Whether a dataset can appear under this name."""
        if self.find(name) is not None:
            return EXISTS
        parent = self.find(name.rpartition("/")[0])
        return PARENT if parent is None or self.datasets[parent].is_volume else OK

    def create(self, name: str, volsize: int) -> str:
        if not (refusal := self.place(name)):
            self.datasets[next(self._numbers)] = Dataset(name, bool(volsize), volsize)
        return refusal

    def snapshot(self, name: str, short: str, *, recursive: bool) -> str:
        top = self.find(name)
        if top is None:
            return MISSING
        members = self.tree(top) if recursive else [top]
        if any(self.snapshots[number].short == short for one in members for number in self.of(one)):
            return EXISTS
        for one in members:
            self.snapshots[next(self._numbers)] = Snapshot(one, short, self.datasets[one].volsize)
        return OK

    def clone(self, snapshot: str, name: str) -> str:
        origin = self.find_snapshot(snapshot)
        if origin is None:
            return MISSING
        if refusal := self.place(name):
            return refusal
        if self.snapshots[origin].deferred:
            return DEFERRED
        source = self.datasets[self.snapshots[origin].dataset]
        volsize = self.snapshots[origin].volsize
        self.datasets[next(self._numbers)] = Dataset(name, source.is_volume, volsize, origin=origin)
        return OK

    def promote(self, name: str) -> str:
        clone = self.find(name)
        if clone is None:
            return MISSING
        origin = self.datasets[clone].origin
        if origin is None:
            return NO_CLONE
        source = self.snapshots[origin].dataset
        moved = [number for number in self.of(source) if number <= origin]
        taken = {self.snapshots[number].short for number in self.of(clone)}
        if taken & {self.snapshots[number].short for number in moved}:
            return CONFLICT
        for number in moved:
            self.snapshots[number].dataset = clone
        self.datasets[clone].origin, self.datasets[source].origin = self.datasets[source].origin, origin
        return OK

    def hold(self, name: str) -> str:
        number = self.find_snapshot(name)
        if number is None:
            return MISSING
        if self.snapshots[number].held:
            return TAG
        self.snapshots[number].held = True
        return OK

    def release(self, name: str) -> str:
        number = self.find_snapshot(name)
        assert number is not None
        self.snapshots[number].held = False
        self.reap()
        return OK

    def reap(self) -> None:
        """Deferred snapshots go as soon as nothing needs them."""
        for number, one in list(self.snapshots.items()):
            if one.deferred and not one.held and not self.clones(number):
                del self.snapshots[number]

    def unsnap(self, name: str, *, defer: bool) -> str:
        number = self.find_snapshot(name)
        if number is None:
            return MISSING
        needed = CLONES if self.clones(number) else BUSY if self.snapshots[number].held else OK
        if needed and not defer:
            return needed
        self.snapshots[number].deferred = True
        self.reap()
        return OK

    def delete(self, name: str, *, recursive: bool) -> str:
        top = self.find(name)
        if top is None:
            return MISSING
        family = self.tree(top)
        snapshots = [number for one in family for number in self.of(one)]
        if not recursive and (len(family) > 1 or (snapshots and top)):
            return CHILDREN
        if not recursive and top == 0:
            return ROOT
        family = [one for one in family if one]  # a pool's root stays
        if any(clone not in family for number in snapshots for clone in self.clones(number)):
            return CLONES
        if any(self.snapshots[number].held for number in snapshots):
            return BUSY
        self.snapshots = {number: one for number, one in self.snapshots.items() if number not in snapshots}
        self.datasets = {number: one for number, one in self.datasets.items() if number not in family}
        self.reap()
        return OK

    def rename(self, name: str, new_name: str) -> str:
        top = self.find(name)
        if top is None:
            return MISSING
        if top == 0:
            return ROOT
        if refusal := self.place(new_name):
            return refusal
        if new_name.startswith(name + "/"):
            return INSIDE
        for one in self.tree(top):
            self.datasets[one].name = new_name + self.datasets[one].name[len(name) :]
        return OK

    def rollback(self, name: str, *, recursive: bool) -> str:
        number = self.find_snapshot(name)
        if number is None:
            return MISSING
        dataset = self.snapshots[number].dataset
        newer = [one for one in self.of(dataset) if one > number]
        if newer and not recursive:
            return NEWER
        if any(self.clones(one) for one in newer):
            return CLONES
        if any(self.snapshots[one].held for one in newer):
            return BUSY
        for one in newer:
            del self.snapshots[one]
        self.datasets[dataset].volsize = self.snapshots[number].volsize
        return OK

    def set(self, name: str, key: str, value: str) -> str:
        number = self.find(name)
        if number is None:
            return MISSING
        self.datasets[number].local[key] = value
        return OK

    def unset(self, name: str, key: str) -> str:
        number = self.find(name)
        if number is None:
            return MISSING
        if key not in self.properties(name):
            return PROPERTY
        self.datasets[number].local.pop(key, None)
        return OK

    def resize(self, name: str, volsize: int) -> str:
        number = self.find(name)
        if number is None:
            return MISSING
        one = self.datasets[number]
        if not one.is_volume:
            return FIELD
        if volsize < one.volsize:
            return SHRINK
        one.volsize = volsize
        return OK

    def properties(self, name: str) -> dict[str, tuple[str, str]]:
        """User properties in force at a dataset: value and the dataset that set it."""
        found: dict[str, tuple[str, str]] = {}
        parts = name.split("/")
        for end in range(1, len(parts) + 1):
            path = "/".join(parts[:end])
            number = self.find(path)
            assert number is not None, f"{name} has no {path} above it"
            found |= {key: (value, path) for key, value in self.datasets[number].local.items()}
        return found
