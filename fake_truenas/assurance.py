"""Authenticator assurance levels: how one may log in and how long a login holds (TrueNAS API 25.10). Pure."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Level:
    """One level, after NIST SP 800-63B.

    Attributes:
        name: as login_ex answers it.
        mechanisms: what login_ex takes, in the order of auth.mechanism_choices; SCRAM from 26.0 on only. OTP_TOKEN
            is taken always, when it was asked for.
        max_age_s: a login ends this long after it was made.
        max_inactivity_s: and this long after its last call; None if it does not matter.
        otp_mandatory: a password alone is not enough for anybody, and tokens can be used once only.
    """

    name: str
    mechanisms: tuple[str, ...]
    max_age_s: float
    max_inactivity_s: float | None = None
    otp_mandatory: bool = False

    def choices(self, *, scram: bool) -> list[str]:
        """The mechanisms of a release with or without SCRAM."""
        return [name for name in self.mechanisms if scram or name != "SCRAM"]


LEVELS: Final = {
    level.name: level
    for level in (
        Level("LEVEL_1", ("API_KEY_PLAIN", "TOKEN_PLAIN", "PASSWORD_PLAIN", "SCRAM"), max_age_s=30 * 86400.0),
        Level(
            "LEVEL_2",
            ("PASSWORD_PLAIN", "SCRAM"),
            max_age_s=12 * 3600.0,
            max_inactivity_s=1800.0,
            otp_mandatory=True,
        ),
    )
}
"""By name."""
