"""iscsi.portal.*, iscsi.initiator.*, iscsi.auth.*: where targets listen and who may log in (TrueNAS API 25.10)."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from fake_truenas.context import Ctx
from fake_truenas.crud import Entry
from fake_truenas.documents import Problems, Rules, add_crud, load
from fake_truenas.errors import CallError
from fake_truenas.methods.iscsi_global import global_config
from fake_truenas.registry import Namespace
from fake_truenas.schema import SECRET, Enum, Field, Int, List, Obj, Str
from fake_truenas.secrecy import shown
from fake_truenas.share_tables import ISCSI_AUTHS, ISCSI_INITIATORS, ISCSI_PORTALS, ISCSI_TARGETS
from fake_truenas.store import Row

AUTH_METHODS = Enum("NONE", "CHAP", "CHAP_MUTUAL")
_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - an address to be told, not to bind to

portal = Namespace(
    "iscsi.portal",
    tables=ISCSI_PORTALS.sql([{"tag": 1, "comment": "", "listen": [{"ip": "0.0.0.0"}]}]),  # noqa: S104 - as above
)
initiator = Namespace("iscsi.initiator", tables=ISCSI_INITIATORS.sql([{"initiators": [], "comment": ""}]))
auth = Namespace("iscsi.auth", tables=ISCSI_AUTHS.sql())
namespaces = (portal, initiator, auth)


def _portal_entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[Entry]:  # noqa: ARG001 - given shape
    port = global_config(ctx)["listen_port"]
    entries = []
    for row in rows:
        doc = load(row)
        doc["listen"] = [{"ip": item["ip"], "port": port} for item in doc["listen"]]
        entries.append(doc)
    return entries


def _clean_portal(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:
    addresses = [item["ip"] for item in data["listen"]]
    if not addresses:
        problems.add("listen", "At least one listen entry is required.")
    taken = {
        item["ip"] for other in ISCSI_PORTALS.find(ctx.db, but=old["id"] if old else None) for item in other["listen"]
    }
    for address in addresses:
        if not _is_address(address):
            problems.add("listen", f"{address!r:.60} is not an IP address.")
        elif address in taken or addresses.count(address) > 1:
            problems.add("listen", f"{address!r} IP is already in use.")
    tag = old["tag"] if old else ISCSI_PORTALS.count(ctx.db) + 1
    return {"tag": tag, "comment": data["comment"], "listen": [{"ip": address} for address in addresses]}


def _remove_portal(ctx: Ctx, entry: Entry) -> None:
    """Targets lose the groups of the portal, and the portals after it move up one tag."""
    for target in ISCSI_TARGETS.with_group_field(ctx.db, "groups", "portal", entry["id"]):
        target_id = target.pop("id")
        target["groups"] = [group for group in target["groups"] if group["portal"] != entry["id"]]
        ISCSI_TARGETS.update(ctx.db, target_id, target)
    for other in ISCSI_PORTALS.find(ctx.db, but=entry["id"]):
        if other["tag"] > entry["tag"]:
            other_id = other.pop("id")
            ISCSI_PORTALS.update(ctx.db, other_id, {**other, "tag": other["tag"] - 1})


add_crud(
    portal,
    ISCSI_PORTALS,
    Rules(
        type_name="ISCSIPortal",
        create=Obj(
            Field("listen", List(Obj(Field("ip", Str(min_length=1))))),
            Field("comment", Str(), default=""),
        ),
        update=Obj(
            # The entry's listen items carry the port: what was read may be sent back.
            Field("listen", List(Obj(Field("ip", Str(min_length=1)), Field("port", Int(1, 65535), default=3260)))),
            Field("comment", Str()),
            partial=True,
        ),
        clean=_clean_portal,
        argument="iscsi_portal",
        schema="iscsiportal",
        entries=_portal_entries,
        removed=_remove_portal,
    ),
)


@portal.method("listen_ip_choices")
def listen_ip_choices(ctx: Ctx) -> dict[str, str]:  # noqa: ARG001 - every handler gets its context
    """Addresses that a portal can listen on."""
    return {address: address for address in (*_ANY_ADDRESS, "127.0.0.1")}


def _clean_initiator(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:  # noqa: ARG001 - given shape
    for index, name in enumerate(data["initiators"]):
        if not name or any(letter.isspace() for letter in name):
            problems.add(f"initiators.{index}", "An initiator name is not empty and has no spaces.")
    return {"initiators": data["initiators"], "comment": data["comment"]}


def _remove_initiator(ctx: Ctx, entry: Entry) -> None:
    """Target groups that named it allow all initiators from now on, as on the real server."""
    for target in ISCSI_TARGETS.with_group_field(ctx.db, "groups", "initiator", entry["id"]):
        target_id = target.pop("id")
        target["groups"] = [
            {**group, "initiator": None} if group["initiator"] == entry["id"] else group for group in target["groups"]
        ]
        ISCSI_TARGETS.update(ctx.db, target_id, target)


add_crud(
    initiator,
    ISCSI_INITIATORS,
    Rules(
        type_name="iSCSITargetAuthorizedInitiator",
        create=Obj(Field("initiators", List(Str()), default=()), Field("comment", Str(), default="")),
        clean=_clean_initiator,
        argument="iscsi_initiator",
        schema="iscsi_initiator",
        removed=_remove_initiator,
    ),
)


def _check_secret(problems: Problems, field: str, title: str, secret: str) -> None:
    if not 12 <= len(secret) <= 16:
        problems.add(field, f"{title} must be between 12 and 16 characters.")
    if secret != secret.strip():
        problems.add(field, f"{title} contains leading or trailing space.")
    if "#" in secret:
        problems.add(field, f"{title} contains invalid characters: #")


def _clean_auth(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:
    secret, peer_user, peer_secret = data["secret"], data["peeruser"], data["peersecret"]
    mutual = data["discovery_auth"] == "CHAP_MUTUAL"
    if not peer_user and peer_secret:
        problems.add("peersecret", "The peer user is required if you set a peer secret.")
    _check_secret(problems, "secret", "Secret", secret)
    if peer_user:
        if not peer_secret:
            problems.add("peersecret", "The peer secret is required if you set a peer user.")
        elif peer_secret == secret:
            problems.add("peersecret", "The peer secret cannot be the same as user secret.")
        else:
            _check_secret(problems, "peersecret", "Peer Secret", peer_secret)
        if mutual and _mutual_peers(ctx, old):
            problems.add("discovery_auth", "Cannot specify CHAP_MUTUAL as only one such entry is permitted.")
    elif mutual:
        problems.add("discovery_auth", "Cannot specify CHAP_MUTUAL if peer_user has not been defined.")
    if old and data["tag"] != old["tag"] and (usages := _last_of_a_used_group(ctx, old)):
        problems.add("tag", usages)
    return data


def _mutual_peers(ctx: Ctx, old: Entry | None) -> bool:
    """Whether another credential is for mutual discovery."""
    others = ISCSI_AUTHS.find(ctx.db, but=old["id"] if old else None)
    return any(other["discovery_auth"] == "CHAP_MUTUAL" and other["peeruser"] for other in others)


def _last_of_a_used_group(ctx: Ctx, entry: Entry) -> str | None:
    """Why the last credential of a group cannot leave it: the targets that use the group."""
    if ISCSI_AUTHS.find(ctx.db, tag=entry["tag"], but=entry["id"]):
        return None
    users = ISCSI_TARGETS.with_group_field(ctx.db, "groups", "auth", entry["tag"])
    if not users:
        return None
    ids = ", ".join(str(target["id"]) for target in users)
    return f"Authorized access of {entry['id']} is being used by following target(s): {ids}"


def _auth_entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[Entry]:  # noqa: ARG001 - given shape
    return shown(ctx, [load(row) for row in rows], ("secret", "peersecret"), "SHARING_ISCSI_AUTH_WRITE")


def _remove_auth(ctx: Ctx, entry: Entry) -> None:
    usages = _last_of_a_used_group(ctx, entry)
    if usages:
        raise CallError(usages)


add_crud(
    auth,
    ISCSI_AUTHS,
    Rules(
        type_name="iSCSITargetAuthCredential",
        create=Obj(
            Field("tag", Int()),
            Field("user", Str()),
            Field("secret", SECRET),
            Field("peeruser", Str(), default=""),
            Field("peersecret", SECRET, default=""),
            Field("discovery_auth", AUTH_METHODS, default="NONE"),
        ),
        clean=_clean_auth,
        argument=None,
        schema="iscsi_auth",
        entries=_auth_entries,
        removed=_remove_auth,
    ),
)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
