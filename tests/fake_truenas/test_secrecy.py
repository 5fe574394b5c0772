"""Secrets in rows are for those who may change them."""

import pytest

from fake_truenas import Nas
from fake_truenas.context import Ctx
from fake_truenas.credentials import Credentials
from fake_truenas.roles import expand
from fake_truenas.secrecy import shown
from fake_truenas.session import Session

ROW = {"id": 1, "user": "u", "secret": "s" * 12, "inner": {"secret": "x"}, "empty": ""}
MASKED = {**ROW, "secret": "********", "inner": {"secret": "********"}}


@pytest.mark.parametrize(
    ("roles", "seen"),
    [
        (["FULL_ADMIN"], ROW),
        (["SHARING_ISCSI_AUTH_WRITE"], ROW),
        (["SHARING_ADMIN"], ROW),
        (["READONLY_ADMIN"], MASKED),
        (["SHARING_ISCSI_AUTH_READ"], MASKED),
    ],
)
def test_a_role_that_may_change_a_secret_sees_it(nas: Nas, roles: list[str], seen: dict[str, object]) -> None:
    session = Session("somebody")
    session.log_in(Credentials("LOGIN_PASSWORD", "u", 0.0, expand(roles)))
    assert shown(Ctx(nas, session), [ROW], {"secret", "empty"}, "SHARING_ISCSI_AUTH_WRITE") == [seen]


def test_calls_from_inside_see_everything(nas: Nas) -> None:
    assert shown(Ctx(nas), [ROW], {"secret"}, "SHARING_ISCSI_AUTH_WRITE") == [ROW]


@pytest.mark.parametrize("roles", [["READONLY_ADMIN"], ["FULL_ADMIN"]])
async def test_queries_show_what_the_account_may_see(nas: Nas, roles: list[str]) -> None:
    key = str(nas.call_direct("nvmet.host.generate_key"))
    nas.call_direct("iscsi.auth.create", {"tag": 1, "user": "u", "secret": "canary-secret"})
    nas.call_direct(
        "nvmet.host.create",
        {"hostnqn": "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555", "dhchap_key": key},
    )
    nas.call_direct("nvmet.subsys.create", {"name": "s"})
    nas.call_direct("nvmet.host_subsys.create", {"host_id": 1, "subsys_id": 1})
    session = Session("somebody")
    session.log_in(Credentials("LOGIN_PASSWORD", "u", 0.0, expand(roles)))
    [auth] = await nas.apply(session, "iscsi.auth.query", [])
    [host] = await nas.apply(session, "nvmet.host.query", [])
    [link] = await nas.apply(session, "nvmet.host_subsys.query", [])
    found = [auth["secret"], host["dhchap_key"], link["host"]["dhchap_key"]]
    assert found == (["canary-secret", key, key] if roles == ["FULL_ADMIN"] else ["********"] * 3)
