"""Which TrueNAS the fake is: what differs between the releases 24.10, 25.04, 25.10 and 26.0. Pure.

A release train is its first two numbers, such as "25.10"; a version is one release of it, such as "25.10.5". Methods
say with `since` and `until` in which trains they are there (`fake_truenas.registry`); what else differs is a member of
`Persona`, read as `ctx.nas.persona`.
"""

import re
from dataclasses import dataclass
from typing import Final

TRAINS: Final = ("24.10", "25.04", "25.10", "26.0")
"""The release trains, oldest first."""

DEFAULT_VERSION: Final = "25.10.5"

_LATEST: Final = {"24.10": "24.10.2", "25.04": "25.04.2", "25.10": "25.10.5", "26.0": "26.0.0"}
_API_VERSIONS: Final = {
    "24.10": (),
    "25.04": ("v24.10", "v25.04.0", "v25.04.1", "v25.04.2"),
    "25.10": (
        *("v24.10", "v25.04.0", "v25.04.1", "v25.04.2"),
        *("v25.10.0", "v25.10.1", "v25.10.2", "v25.10.3", "v25.10.4", "v25.10.5"),
    ),
    "26.0": (
        *("v25.04.0", "v25.04.1", "v25.04.2"),
        *("v25.10.0", "v25.10.1", "v25.10.2", "v25.10.3", "v25.10.4", "v25.10.5", "v26.0.0"),
    ),
}


@dataclass(frozen=True, slots=True)
class Persona:
    """One release, by what a client can tell it from.

    Attributes:
        version: as in system.version_short, for example "25.10.5".
        train: its release train, one of TRAINS.
    """

    version: str = DEFAULT_VERSION
    train: str = "25.10"

    def at_least(self, train: str) -> bool:
        """Whether this release belongs to the train or a later one."""
        return TRAINS.index(self.train) >= TRAINS.index(train)

    @property
    def version_text(self) -> str:
        """As in system.version."""
        return f"TrueNAS-{self.version}" if self.at_least("25.04") else f"TrueNAS-SCALE-{self.version}"

    @property
    def json_rpc(self) -> bool:
        """Whether /api/current is served; without it there is only the legacy /websocket."""
        return self.at_least("25.04")

    @property
    def api_versions(self) -> tuple[str, ...]:
        """What /api/versions lists, and the paths below /api that are served besides /api/current."""
        return _API_VERSIONS[self.train]

    @property
    def idle_timeout_s(self) -> float:
        """After how long without a byte from the server its proxy cuts a connection."""
        return 3600.0 if self.at_least("26.0") else 60.0

    @property
    def snapshot_update_is_ignored(self) -> bool:
        """Whether pool.snapshot.update answers null and stores nothing, and snapshot queries omit user properties."""
        return self.at_least("26.0")

    @property
    def duplicate_snapshot_is_invalid(self) -> bool:
        """Whether an existing snapshot is refused as a validation error (-32602) instead of -32001."""
        return self.at_least("26.0")

    @property
    def recursive_delete_takes_clones(self) -> bool:
        """Whether a recursive pool.dataset.delete destroys clones elsewhere and releases holds."""
        return self.at_least("26.0")

    @property
    def scram(self) -> bool:
        """Whether auth.login_ex knows the mechanism SCRAM."""
        return self.at_least("26.0")


def persona(version: str) -> Persona:
    """The persona of a release ("25.10.3") or of a train's latest one ("25.10").

    Raises:
        ValueError: not a release of one of TRAINS.
    """
    match = re.fullmatch(r"(\d{1,2}\.\d{1,2})(\.\d{1,2}(?:\.\d{1,2})?)?", version, re.ASCII)
    if match is None or match[1] not in TRAINS:
        raise ValueError(
            f"version {version!r} is not known: a release of {', '.join(TRAINS)}, for example {DEFAULT_VERSION}"
        )
    return Persona(version if match[2] else _LATEST[match[1]], match[1])
