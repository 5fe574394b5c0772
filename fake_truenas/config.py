"""What a fake NAS is made of."""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from fake_truenas.passwords import Account
from fake_truenas.persona import DEFAULT_VERSION, persona
from fake_truenas.rate_limit import RateLimit

_POOL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,49}")
_RESERVED_POOLS = ("mirror", "raidz", "draid", "spare", "log")
MIN_POOL_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool to make when the NAS is new.

    Raises:
        ValueError: a name that ZFS refuses, or less than 64 MiB.
    """

    name: str
    size_bytes: int

    def __post_init__(self) -> None:
        if not _POOL_NAME.fullmatch(self.name) or self.name.startswith(_RESERVED_POOLS):
            raise ValueError(f"pool name {self.name!r} is not valid: a letter, then letters, digits and _ . : -")
        if not MIN_POOL_BYTES <= self.size_bytes < 1 << 62:
            raise ValueError(f"pool {self.name}: {self.size_bytes} bytes; a pool has 64 MiB or more")


@dataclass(frozen=True, slots=True)
class NasConfig:
    """Settings of one NAS.

    Attributes:
        pools: made when the store is new; later they must be the same ones, a bigger size grows a pool.
        api_key: the one key that may log in, usually `<id>-<64 characters>`.
        data_dir: where the state is kept; None keeps it in memory.
        username: the account that the key belongs to.
        accounts: who may log in with a password.
        version: the release to be, or a train such as "26.0" for its latest one (`fake_truenas.persona`).
        login_failure_delay_s: a wrong key is answered after a time from this range.
        rate_limit: on calls before the login; None, as for a NAS inside of a test, limits nothing.
        idle_timeout_s: a connection is cut after this long without a byte from the server; None keeps it for ever.
    """

    pools: tuple[Pool, ...] = (Pool("tank", 1 << 40),)
    api_key: str = field(default="", repr=False)
    data_dir: Path | None = None
    username: str = "truenas_admin"
    accounts: tuple[Account, ...] = ()
    version: str = DEFAULT_VERSION
    login_failure_delay_s: tuple[float, float] = (1.0, 2.0)
    rate_limit: RateLimit | None = None
    idle_timeout_s: float | None = None

    def __post_init__(self) -> None:
        if not self.pools:
            raise ValueError("a NAS has at least one pool")
        names = [pool.name for pool in self.pools]
        if len(set(names)) != len(names):
            raise ValueError(f"pool names must differ: {', '.join(names)}")
        if not self.api_key:
            raise ValueError("an API key is needed")
        persona(self.version)
        if self.idle_timeout_s is not None and not 0 < self.idle_timeout_s < math.inf:
            raise ValueError(f"idle timeout of {self.idle_timeout_s} s: a time above 0, or None for none")
