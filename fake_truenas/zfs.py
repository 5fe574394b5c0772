"""ZFS's rules about names and space. Pure.

Space follows OpenZFS: a dataset uses its own blocks, its snapshots' blocks, its children and what its refreservation
holds back; its parent is charged that or its reservation, whichever is more. `Usage` is any mapping with the byte
columns of table `dataset`.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

MAX_NAME = 255
MAX_DEPTH = 50
GIB = 1 << 30

INTERNAL_MARKS = ("/.system", "/ix-applications", "/ix-apps", "/.ix-virt")
"""What the names of datasets contain that TrueNAS keeps for itself and does not show."""

_COMPONENT = re.compile(r"[A-Za-z0-9_.: -]+")
_PROPERTY = re.compile(r"[a-z0-9_.:-]+")
_INDIRECT_BLOCK = 1 << 17
_POINTERS_PER_BLOCK = 1024


class OutOfSpaceError(Exception):
    """The pool, a quota or a refquota leaves too little; nothing was changed."""


class Usage(Protocol):
    """A dataset's referenced, head, uniq, snaps, child, quota, refquota, reservation and refreservation."""

    def __getitem__(self, key: str, /) -> Any:
        """One column."""
        ...


def name_problem(name: str) -> str | None:
    """Why ZFS refuses a dataset name, or None."""
    if len(name) > MAX_NAME:
        return f"name is longer than {MAX_NAME} characters"
    parts = name.split("/")
    if len(parts) > MAX_DEPTH:
        return f"more than {MAX_DEPTH} levels"
    for part in parts:
        problem = component_problem(part)
        if problem:
            return problem
    return None


@lru_cache(maxsize=4096)  # clients use the same few over and over
def property_problem(key: str) -> str | None:
    """Why ZFS refuses a user property's name, or None."""
    return None if ":" in key and _PROPERTY.fullmatch(key) else f"invalid property '{key}'"


def is_internal(name: str) -> bool:
    """Whether TrueNAS hides a dataset of this name from pool.dataset.query."""
    return any(mark in name for mark in INTERNAL_MARKS)


def component_problem(part: str) -> str | None:
    """Why ZFS refuses one component of a name, or a snapshot's short name; None if it does not."""
    if not part:
        return "empty component"
    if part in {".", ".."}:
        return "self or parent reference in name"
    if not _COMPONENT.fullmatch(part):
        return "invalid character in name"
    if part != part.strip(" "):
        return "leading or trailing space in name"
    return None


def parent_name(name: str) -> str:
    """The dataset above, or an empty string for a pool's root."""
    return name.rpartition("/")[0]


def is_at_or_under(name: str, root: str) -> bool:
    """Whether `name` is `root` or below it."""
    return name == root or name.startswith(root + "/")


def usable_bytes(pool_size_bytes: int) -> int:
    """What datasets may use of a pool: ZFS keeps 1/32 back, at least 128 MiB (but not over half), at most 128 GiB."""
    slop = min(max(pool_size_bytes // 32, min(128 << 20, pool_size_bytes // 2)), 128 << 30)
    return pool_size_bytes - slop


def refreserved_bytes(row: Usage) -> int:
    """What the refreservation holds back beyond the blocks that are this dataset's alone."""
    return max(0, int(row["refreservation"]) - int(row["uniq"]))


def used_bytes(row: Usage) -> int:
    """The property `used`."""
    return int(row["head"]) + int(row["snaps"]) + int(row["child"]) + refreserved_bytes(row)


def charged_bytes(row: Usage) -> int:
    """What the parent counts for this dataset."""
    return max(used_bytes(row), int(row["reservation"]))


def tree_available_bytes(chain: Sequence[Usage], usable: int) -> int:
    """What can still be added at the last dataset of a chain that starts at the pool's root; not negative."""
    space = usable
    for index, row in enumerate(chain):
        if index and not row["reservation"] and not row["quota"]:
            continue  # leaves what those above it leave
        used = used_bytes(row)
        if index == 0:
            space -= used
        else:
            space += max(0, row["reservation"] - used)
        if row["quota"]:
            space = min(space, row["quota"] - used)
    return max(0, space)


def available_bytes(chain: Sequence[Usage], usable: int) -> int:
    """The property `available` of the last dataset of a chain that starts at the pool's root."""
    return own_available_bytes(chain[-1], tree_available_bytes(chain, usable))


def own_available_bytes(row: Usage, tree_available: int) -> int:
    """`available_bytes` of a dataset where the tree down to it leaves `tree_available`."""
    space = tree_available + refreserved_bytes(row)
    if row["refquota"]:
        space = min(space, row["refquota"] - row["referenced"])
    return max(0, space)


def zvol_refreservation_bytes(volsize_bytes: int, volblocksize_bytes: int, copies: int = 1) -> int:
    """What a thick zvol reserves: its size and the blocks that address it (libzfs, zvol_volsize_to_reservation)."""
    blocks = volsize_bytes // volblocksize_bytes
    indirect = 7
    while blocks > 1:
        blocks = (blocks + _POINTERS_PER_BLOCK - 1) // _POINTERS_PER_BLOCK
        indirect += blocks
    return volsize_bytes * copies + indirect * min(3, copies + 1) * _INDIRECT_BLOCK


def human_size(size_bytes: int) -> str:
    """A size as ZFS prints it: exact multiples without decimals, else at most five characters."""
    unit = 0
    size = size_bytes
    while size >= 1024 and unit < 6:
        size //= 1024
        unit += 1
    letter = ("", "K", "M", "G", "T", "P", "E")[unit]
    if unit == 0 or size_bytes % (1 << (10 * unit)) == 0:
        return f"{size}{letter}"
    value = size_bytes / (1 << (10 * unit))
    for decimals in (2, 1):
        text = f"{value:.{decimals}f}{letter}"
        if len(text) <= 5:
            return text
    return f"{value:.0f}{letter}"
