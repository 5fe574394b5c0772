"""Who sees the secrets that rows hold: accounts that may change them, as on TrueNAS 25.10; others see a mask."""

from collections.abc import Collection
from typing import Any

from fake_truenas.context import Ctx
from fake_truenas.redaction import hide_members
from fake_truenas.roles import FULL_ADMIN

Entry = dict[str, Any]


def shown(ctx: Ctx, entries: list[Entry], secret: Collection[str], role: str) -> list[Entry]:
    """The entries as the caller may see them: with the members called `secret` only if it has the role.

    Calls from inside of the process see everything.
    """
    credentials = ctx.session.credentials if ctx.session is not None else None
    if credentials is None or not {FULL_ADMIN, role}.isdisjoint(credentials.roles):
        return entries
    return [hide_members(entry, secret) for entry in entries]
