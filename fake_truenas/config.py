"""What a fake NAS is made of."""

import math
import re
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from fake_truenas.assurance import LEVELS
from fake_truenas.latency import LatencyRule
from fake_truenas.passwords import Account, Accounts
from fake_truenas.persona import DEFAULT_VERSION, persona
from fake_truenas.rate_limit import RateLimit

_POOL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,49}")
_RESERVED_POOLS = ("mirror", "raidz", "draid", "spare", "log")
DEFAULT_USERNAME = "truenas_admin"
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
            raise ValueError(
                f"pool name {self.name!r} is not valid: a letter, then letters, digits and _ . : -,"
                f" and none of {', '.join(_RESERVED_POOLS)} at its beginning"
            )
        if not MIN_POOL_BYTES <= self.size_bytes < 1 << 62:
            raise ValueError(f"pool {self.name}: {self.size_bytes} bytes; a pool has 64 MiB or more")


@dataclass(frozen=True, slots=True)
class NasConfig:
    """Settings of one NAS.

    Attributes:
        pools: made when the store is new; later they must be the same ones, a bigger size grows a pool.
        api_key: the first key, usually `<id>-<64 characters>`; others are made by api_key.create.
        data_dir: where the state is kept; None keeps it in memory.
        username: the account that the key belongs to.
        accounts: who else there is; one of them may be `username`, to have a password or fewer roles.
        insecure_keys: keys are taken over insecure connections too; else that revokes them, as on a real system.
        authenticator_level: LEVEL_1, or LEVEL_2 where a password and a second factor are needed.
        version: the release to be, or a train such as "26.0" for its latest one (`fake_truenas.persona`).
        login_failure_delay_s: a wrong key is answered after a time from this range.
        rate_limit: on calls before the login; None, as for a NAS inside of a test, limits nothing.
        idle_timeout_s: a connection is cut after this long without a byte from the server; None keeps it for ever.
        allow: where clients may come from; with none of them from everywhere. Who else connects is sent away.
        latency: how long calls take; without a rule they take no time (`fake_truenas.latency`).
    """

    pools: tuple[Pool, ...] = (Pool("tank", 1 << 40),)
    api_key: str = field(default="", repr=False)
    data_dir: Path | None = None
    username: str = DEFAULT_USERNAME
    accounts: tuple[Account, ...] = ()
    insecure_keys: bool = False
    authenticator_level: str = "LEVEL_1"
    version: str = DEFAULT_VERSION
    login_failure_delay_s: tuple[float, float] = (1.0, 2.0)
    rate_limit: RateLimit | None = None
    idle_timeout_s: float | None = None
    allow: tuple[IPv4Network | IPv6Network, ...] = ()
    latency: tuple[LatencyRule, ...] = ()

    def __post_init__(self) -> None:
        if not self.pools:
            raise ValueError("a NAS has at least one pool")
        names = [pool.name for pool in self.pools]
        if len(set(names)) != len(names):
            raise ValueError(f"pool names must differ: {', '.join(names)}")
        if not self.api_key:
            raise ValueError("an API key is needed")
        persona(self.version)
        Accounts(self.accounts)
        self.make_accounts()
        if self.authenticator_level not in LEVELS:
            raise ValueError(f"authenticator level {self.authenticator_level!r} is not one of {', '.join(LEVELS)}")
        if self.idle_timeout_s is not None and not 0 < self.idle_timeout_s < math.inf:
            raise ValueError(f"idle timeout of {self.idle_timeout_s} s: a time above 0, or None for none")

    def make_accounts(self) -> Accounts:
        """All accounts, the key's owner first."""
        owners = [account for account in self.accounts if account.name == self.username]
        others = [account for account in self.accounts if account.name != self.username]
        return Accounts([*(owners or [Account(self.username)]), *others])
