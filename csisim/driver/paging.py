"""List tokens: the key to go on after, told apart by kind; pure. A token stays valid while objects come and go."""

from csisim.driver.requests import STRING_BYTES
from csisim.driver.volume_id import parse_snapshot_id, parse_volume_id
from csisim.errors import Aborted

_VOLUME = "v."
_SNAPSHOT = "s."


def volume_token(volume_id: str) -> str:
    """The token after this volume."""
    return _VOLUME + volume_id


def after_volume(token: str) -> str:
    """The volume id to go on after, "" for the start; Aborted for a token that is not ours, as the spec asks."""
    if not token:
        return ""
    volume_id = parse_volume_id(token.removeprefix(_VOLUME))
    if not token.startswith(_VOLUME) or volume_id is None:
        raise _refused(token)
    return volume_id


def snapshot_token(snapshot_id: str) -> str:
    """The token after this snapshot."""
    return _SNAPSHOT + snapshot_id


def after_snapshot(token: str) -> str:
    """The snapshot id to go on after; as `after_volume`."""
    if not token:
        return ""
    snapshot_id = parse_snapshot_id(token.removeprefix(_SNAPSHOT))
    if not token.startswith(_SNAPSHOT) or snapshot_id is None:
        raise _refused(token)
    return str(snapshot_id)


def _refused(token: str) -> Aborted:
    return Aborted(f"starting_token: {token[:STRING_BYTES]!r} is not a token of this list; start again without one")
