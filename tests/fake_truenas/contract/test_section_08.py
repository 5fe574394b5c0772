"""iSCSI and NVMe-oF, as clients see them over a connection (TrueNAS API 25.10)."""

from typing import Any

import pytest

from tests.fake_truenas.objects import volume
from tests.fake_truenas.rpc import Client, RpcError
from tests.fake_truenas.transport import dialled, serving

IQN = "iqn.2005-10.org.freenas.ctl"
HOST = "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555"


async def refusals(client: Client, method: str, *params: Any) -> list[tuple[Any, ...]]:
    """The triples of a call that must end with -32602."""
    error = await client.refused(method, *params)
    assert (error.code, error.data["error"], error.data["errname"]) == (-32602, 22, "EINVAL")
    return error.items


async def missing(client: Client, namespace: str, type_name: str) -> None:
    """Everything that takes an id refuses one that there is not."""
    for method, *params in (("get_instance", 99), ("update", 99, {}), ("delete", 99)):
        found = await refusals(client, f"{namespace}.{method}", *params)
        assert found == [(None, f"{type_name} 99 does not exist", 2)]


async def target(client: Client, name: str = "t") -> int:
    groups = [{"portal": 1, "initiator": 1}]
    return int((await client.call("iscsi.target.create", {"name": name, "groups": groups}))["id"])


async def extent(client: Client, name: str = "v") -> int:
    await volume(client, f"tank/{name}")
    return int((await client.call("iscsi.extent.create", {"name": name, "disk": f"zvol/tank/{name}"}))["id"])


async def log_in(client: Client, name: str = "t") -> int:
    session = {"protocol": "iscsi", "name": f"{IQN}:{name}", "initiator": "iqn.1993-08.org.debian:n1"}
    return int(await client.call("fake.block.connect", session))


@pytest.mark.row("8.1 global.config")
async def test_the_iscsi_service_is_configured_and_tells_who_is_there(client: Client) -> None:
    config = await client.call("iscsi.global.config")
    assert config == {
        "id": 1, "basename": IQN, "isns_servers": [], "listen_port": 3260, "pool_avail_threshold": None,
        "alua": False, "iser": False,
    }  # fmt: skip
    changed = await client.call("iscsi.global.update", {"listen_port": 3261, "pool_avail_threshold": 90})
    assert changed == {**config, "listen_port": 3261, "pool_avail_threshold": 90}
    await target(client)
    await log_in(client)
    [session] = await client.call("iscsi.global.sessions", [["target", "=", f"{IQN}:t"]])
    assert session["initiator"] == "iqn.1993-08.org.debian:n1"
    assert await client.call("iscsi.global.client_count") == 1


@pytest.mark.row("8.1 portal")
async def test_portals_listen_on_addresses_of_their_own(client: Client) -> None:
    [first] = await client.call("iscsi.portal.query")
    assert first == {"id": 1, "listen": [{"ip": "0.0.0.0", "port": 3260}], "tag": 1, "comment": ""}  # noqa: S104
    made = await client.call("iscsi.portal.create", {"listen": [{"ip": "127.0.0.1"}], "comment": "c"})
    assert made == {"id": 2, "listen": [{"ip": "127.0.0.1", "port": 3260}], "tag": 2, "comment": "c"}
    taken = await refusals(client, "iscsi.portal.create", {"listen": [{"ip": "127.0.0.1"}]})
    assert taken == [("iscsiportal_create.listen", "'127.0.0.1' IP is already in use.", 22)]
    assert (await client.call("iscsi.portal.update", 2, {"comment": "d"}))["comment"] == "d"
    assert await client.call("iscsi.portal.delete", 2) is True
    await missing(client, "iscsi.portal", "ISCSIPortal")


@pytest.mark.row("8.1 initiator")
async def test_an_empty_initiator_group_lets_everybody_in(client: Client) -> None:
    assert await client.call("iscsi.initiator.query") == [{"id": 1, "initiators": [], "comment": ""}]
    named = await client.call("iscsi.initiator.create", {"initiators": ["iqn.x:1"], "comment": "c"})
    assert named == {"id": 2, "initiators": ["iqn.x:1"], "comment": "c"}
    await target(client)
    await client.call("fake.block.disconnect", await log_in(client))
    await client.call("iscsi.target.update", 1, {"groups": [{"portal": 1, "initiator": 2}]})
    with pytest.raises(RpcError, match="EACCES"):
        await log_in(client)
    assert await client.call("iscsi.initiator.delete", 2) is True
    await missing(client, "iscsi.initiator", "iSCSITargetAuthorizedInitiator")


@pytest.mark.row("8.1 auth")
async def test_credentials_have_secrets_that_fit_and_only_their_owner_sees(client: Client) -> None:
    data = {"tag": 1, "user": "u", "secret": "s" * 12}
    made = await client.call("iscsi.auth.create", data)
    assert made == {**data, "id": 1, "peeruser": "", "peersecret": "", "discovery_auth": "NONE"}
    assert await client.call("iscsi.auth.query") == [made]
    length = "must be between 12 and 16 characters."
    wrong: list[tuple[dict[str, str], list[tuple[str, str]]]] = [
        ({"secret": "s" * 11}, [("secret", f"Secret {length}")]),
        ({"secret": "s" * 17}, [("secret", f"Secret {length}")]),
        ({"secret": "s" * 11 + "#"}, [("secret", "Secret contains invalid characters: #")]),
        ({"secret": " " + "s" * 11}, [("secret", "Secret contains leading or trailing space.")]),
        ({"peersecret": "p" * 12}, [("peersecret", "The peer user is required if you set a peer secret.")]),
        ({"peeruser": "p"}, [("peersecret", "The peer secret is required if you set a peer user.")]),
        ({"peeruser": "p", "peersecret": "p" * 5}, [("peersecret", f"Peer Secret {length}")]),
        (
            {"peeruser": "p", "peersecret": "s" * 12},
            [("peersecret", "The peer secret cannot be the same as user secret.")],
        ),
        (
            {"discovery_auth": "CHAP_MUTUAL"},
            [("discovery_auth", "Cannot specify CHAP_MUTUAL if peer_user has not been defined.")],
        ),
    ]
    for change, expected in wrong:
        found = await refusals(client, "iscsi.auth.create", {**data, **change})
        assert [(name, text) for name, text, _ in found] == [
            (f"iscsi_auth_create.{name}", text) for name, text in expected
        ]
    mutual = {**data, "tag": 2, "peeruser": "p", "peersecret": "p" * 16, "discovery_auth": "CHAP_MUTUAL"}
    assert (await client.call("iscsi.auth.create", mutual))["peersecret"] == "p" * 16
    found = await refusals(client, "iscsi.auth.create", mutual)
    assert found == [
        ("iscsi_auth_create.discovery_auth", "Cannot specify CHAP_MUTUAL as only one such entry is permitted.", 22)
    ]


@pytest.mark.row("8.1 auth")
async def test_the_last_credential_of_a_used_group_stays(client: Client) -> None:
    await client.call("iscsi.auth.create", {"tag": 7, "user": "u", "secret": "s" * 12})
    groups = [{"portal": 1, "authmethod": "CHAP", "auth": 7}]
    await client.call("iscsi.target.create", {"name": "t", "groups": groups})
    error = await client.refused("iscsi.auth.delete", 1)
    text = "Authorized access of 1 is being used by following target(s): 1"
    assert (error.code, error.reason) == (-32001, f"[EFAULT] {text}")
    assert await refusals(client, "iscsi.auth.update", 1, {"tag": 8}) == [("iscsi_auth_update.tag", text, 22)]
    await client.call("iscsi.target.delete", 1)
    assert await client.call("iscsi.auth.delete", 1) is True
    await missing(client, "iscsi.auth", "iSCSITargetAuthCredential")


TARGET_REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    (
        {"name": "A"},
        "name",
        "Value error, Name can only contain lowercase alphanumeric charactersplus dot (.), dash (-), and colon (:)",
    ),
    ({"name": "n" * 121}, "name", "String should have at most 120 characters"),
    ({"name": "t"}, "name", "Target with this name already exists"),
    ({"alias": "a"}, "alias", "Alias already exists"),
    ({"groups": [{"portal": 9}]}, "groups.0.portal", "9 Portal not found in database"),
    ({"groups": [{"portal": 1, "initiator": 9}]}, "groups.0.initiator", "9 Initiator not found in database"),
    (
        {"groups": [{"portal": 1}, {"portal": 1}]},
        "groups.1.portal",
        "Portal 1 cannot be duplicated on a target",
    ),
    (
        {"groups": [{"portal": 1, "authmethod": "CHAP"}]},
        "groups.0.auth",
        "Authentication group is required for CHAP and CHAP Mutual",
    ),
    (
        {"groups": [{"portal": 1, "authmethod": "CHAP_MUTUAL", "auth": 9}]},
        "groups.0.auth",
        "Authentication group not found",
    ),
    ({"mode": "FC"}, "mode", "Fibre Channel not enabled"),
    ({"auth_networks": ["x"]}, "auth_networks.0", 'Auth network "x" is not a valid IPv4 or IPv6 network'),
]


@pytest.mark.row("8.1 target")
@pytest.mark.parametrize(("data", "attribute", "text"), TARGET_REFUSALS)
async def test_a_target_must_fit(client: Client, data: dict[str, Any], attribute: str, text: str) -> None:
    await client.call("iscsi.target.create", {"name": "t", "alias": "a"})
    found = await refusals(client, "iscsi.target.create", {"name": "new", **data})
    assert [(name, what) for name, what, _ in found] == [(f"iscsi_target_create.{attribute}", text)]


@pytest.mark.row("8.1 target")
async def test_a_target_has_its_fields_and_is_not_deleted_under_a_session(client: Client) -> None:
    groups = [{"portal": 1, "initiator": 1}]
    entry = await client.call("iscsi.target.create", {"name": "t", "groups": groups})
    group = {"portal": 1, "initiator": 1, "authmethod": "NONE", "auth": None}
    assert entry == {
        "id": 1, "name": "t", "alias": None, "mode": "ISCSI", "groups": [group], "auth_networks": [],
        "rel_tgt_id": 1, "iscsi_parameters": None,
    }  # fmt: skip
    shown = await extent(client)
    await client.call("iscsi.targetextent.create", {"target": 1, "extent": shown})
    await log_in(client)
    error = await client.refused("iscsi.target.delete", 1)
    assert (error.code, error.reason) == (-32001, "[EFAULT] Target t is in use.")
    assert await client.call("iscsi.target.delete", 1, True) is True
    assert await client.call("iscsi.targetextent.query") == []
    assert await client.call("iscsi.extent.query", [], {"count": True}) == 1
    again = await target(client)
    await client.call("iscsi.targetextent.create", {"target": again, "extent": shown})
    assert await client.call("iscsi.target.delete", again, False, True) is True
    assert await client.call("iscsi.extent.query") == []
    await missing(client, "iscsi.target", "iSCSITarget")


@pytest.mark.row("8.1 extent")
async def test_an_extent_of_a_zvol_has_its_fields(client: Client) -> None:
    await extent(client)
    [entry] = await client.call("iscsi.extent.query")
    serial, naa = entry.pop("serial"), entry.pop("naa")
    assert (len(serial), len(naa), naa[:15]) == (15, 34, "0x6589cfc000000")
    assert entry == {
        "id": 1, "name": "v", "type": "DISK", "disk": "zvol/tank/v", "path": "zvol/tank/v", "filesize": "0",
        "blocksize": 512, "pblocksize": False, "avail_threshold": None, "comment": "", "insecure_tpc": True,
        "xen": False, "rpm": "SSD", "ro": False, "enabled": True, "vendor": "TrueNAS", "product_id": None,
        "locked": False,
    }  # fmt: skip
    await missing(client, "iscsi.extent", "iSCSITargetExtent")


EXTENT_REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "v"}, "name", "Extent name must be unique"),
    ({"name": "n" * 65}, "name", "String should have at most 64 characters"),
    ({"disk": "zvol/tank/none"}, "disk", "Device '/dev/zvol/tank/none' for volume 'tank/none' does not exist"),
    ({"disk": "zvol/tank/v"}, "disk", "Disk currently in use by extent v"),
    ({"blocksize": 1000}, "blocksize", "Input should be 512, 1024, 2048 or 4096"),
    ({"type": "FILE"}, "path", "This field is required"),
    (
        {"type": "FILE", "path": "/mnt/tank/f", "filesize": 513},
        "filesize",
        "File size (513) must be a multiple of block size (512)",
    ),
    ({"type": "FILE", "path": "/etc/f", "filesize": 512}, "path", "The path must reside within a pool mount point"),
]


@pytest.mark.row("8.1 extent")
@pytest.mark.parametrize(("data", "attribute", "text"), EXTENT_REFUSALS)
async def test_an_extent_must_fit(client: Client, data: dict[str, Any], attribute: str, text: str) -> None:
    await extent(client)
    await volume(client, "tank/w")
    found = await refusals(client, "iscsi.extent.create", {"name": "new", "disk": "zvol/tank/w", **data})
    assert [(name, what) for name, what, _ in found] == [(f"iscsi_extent_create.{attribute}", text)]


@pytest.mark.row("8.1 extent")
async def test_an_extent_takes_its_link_and_on_request_its_file(client: Client) -> None:
    await target(client)
    file = {"name": "f", "type": "FILE", "path": "/mnt/tank/d/f", "filesize": 1 << 20}
    assert (await client.call("iscsi.extent.create", file))["disk"] is None
    await client.call("iscsi.targetextent.create", {"target": 1, "extent": 1})
    await log_in(client)
    error = await client.refused("iscsi.extent.delete", 1)
    assert (error.code, error.reason) == (-32001, "[EFAULT] Associated target(s) t is in use.")
    assert await client.call("iscsi.extent.delete", 1, True, True) is True
    assert await client.call("iscsi.targetextent.query") == []
    assert await client.call("filesystem.listdir", "/mnt/tank/d") == []


@pytest.mark.row("8.1 targetextent")
async def test_luns_show_each_extent_once(client: Client) -> None:
    first, second = await target(client), await target(client, "u")
    extents = [await extent(client, name) for name in ("a", "b", "c")]
    for lun, shown in enumerate(extents[:2]):
        made = await client.call("iscsi.targetextent.create", {"target": first, "extent": shown})
        assert made == {"id": lun + 1, "target": first, "lunid": lun, "extent": shown}
    taken = {"target": first, "extent": extents[2], "lunid": 0}
    assert await refusals(client, "iscsi.targetextent.create", taken) == [
        ("iscsi_targetextent_create.lunid", "LUN ID is already being used for this target.", 22)
    ]
    assert await refusals(client, "iscsi.targetextent.create", {"target": second, "extent": extents[0]}) == [
        ("iscsi_targetextent_create.extent", "Extent is already in use.", 22)
    ]
    gone = await refusals(client, "iscsi.targetextent.create", {"target": 98, "extent": 99})
    assert gone == [
        ("iscsi_targetextent_create.target", "Target with ID 98 does not exist.", 2),
        ("iscsi_targetextent_create.extent", "Extent with ID 99 does not exist.", 2),
    ]
    await log_in(client)
    error = await client.refused("iscsi.targetextent.delete", 1)
    assert (error.code, error.reason) == (-32001, "[EFAULT] Associated target t is in use.")
    assert await client.call("iscsi.targetextent.delete", 1, True) is True
    await missing(client, "iscsi.targetextent", "iSCSITargetToExtent")


async def subsys(client: Client, name: str = "s", **data: Any) -> dict[str, Any]:
    made: dict[str, Any] = await client.call("nvmet.subsys.create", {"name": name, **data})
    return made


async def namespace(client: Client, name: str = "v", **data: Any) -> dict[str, Any]:
    await volume(client, f"tank/{name}")
    given = {"subsys_id": 1, "device_type": "ZVOL", "device_path": f"zvol/tank/{name}", **data}
    made: dict[str, Any] = await client.call("nvmet.namespace.create", given)
    return made


@pytest.mark.row("8.2 global.config")
async def test_the_nvme_service_is_configured(client: Client) -> None:
    config = await client.call("nvmet.global.config")
    assert config.pop("basenqn").startswith("nqn.2011-06.com.truenas:uuid:")
    assert config == {"id": 1, "kernel": True, "ana": False, "rdma": False, "xport_referral": True}
    named = await client.call("nvmet.global.update", {"basenqn": "nqn.2020-01.org.example:nas"})
    assert named == {**config, "basenqn": "nqn.2020-01.org.example:nas"}
    assert (await subsys(client))["subnqn"] == "nqn.2020-01.org.example:nas:s"


@pytest.mark.row("8.2 subsys")
async def test_a_subsystem_has_its_fields_and_lists_ids_on_request(client: Client) -> None:
    entry = await subsys(client, subnqn="nqn.2020-01.org.example:s")
    assert len(entry.pop("serial")) == 20
    assert entry == {
        "id": 1, "name": "s", "subnqn": "nqn.2020-01.org.example:s", "allow_any_host": False, "pi_enable": None,
        "qid_max": None, "ieee_oui": None, "ana": None,
    }  # fmt: skip
    for field, value in (("nqn", "nqn.2020-01.x:1"), ("serial", "1"), ("hosts", [])):
        found = await refusals(client, "nvmet.subsys.create", {"name": "t", field: value})
        assert found == [(f"nvmet_subsys_create.{field}", "Extra inputs are not permitted", 22)]
    same = await refusals(client, "nvmet.subsys.create", {"name": "s"})
    assert same == [("nvmet_subsys_create.name", "Object with this name already exists", 22)]
    await namespace(client)
    await client.call("nvmet.host.create", {"hostnqn": HOST})
    await client.call("nvmet.host_subsys.create", {"host_id": 1, "subsys_id": 1})
    await client.call("nvmet.port_subsys.create", {"port_id": 1, "subsys_id": 1})
    [verbose] = await client.call("nvmet.subsys.query", [], {"extra": {"verbose": True}})
    assert (verbose["hosts"], verbose["namespaces"], verbose["ports"]) == ([1], [1], [1])
    assert "hosts" not in (await client.call("nvmet.subsys.query"))[0]
    assert await refusals(client, "nvmet.subsys.delete", 1) == [
        ("nvmet_subsys_delete.id", "Subsystem s contains 1 namespace: 1", 22),
        ("nvmet_subsys_delete.id", "Subsystem s visible on 1 port", 22),
    ]
    assert await client.call("nvmet.subsys.delete", 1, {"force": True}) is True
    for name in ("namespace", "port_subsys", "host_subsys"):
        assert await client.call(f"nvmet.{name}.query") == []
    await missing(client, "nvmet.subsys", "NVMetSubsys")


@pytest.mark.row("8.2 namespace")
async def test_a_namespace_shows_one_device(client: Client) -> None:
    system = await subsys(client)
    entry = await namespace(client)
    assert len(entry.pop("device_uuid")) == len(entry.pop("device_nguid")) == 36
    assert entry == {
        "id": 1, "nsid": 1, "subsys": system, "device_type": "ZVOL", "device_path": "zvol/tank/v", "filesize": None,
        "enabled": True, "locked": False,
    }  # fmt: skip
    given = {"subsys_id": 1, "device_type": "ZVOL", "device_path": "zvol/tank/v"}
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({}, "device_path", "This device_path already used by subsystem: s"),
        ({"device_path": "zvol/tank/x"}, "device_path", "ZVOL device_path must be a block device: zvol/tank/x"),
        ({"device_path": "tank/w"}, "device_path", 'ZVOL device_path must start with "zvol/": tank/w'),
        ({"subsys_id": 9, "device_path": "zvol/tank/w"}, "subsys_id", "No subsystem with ID 9"),
        ({"nsid": 1, "device_path": "zvol/tank/w"}, "nsid", "This record already exists (Subsystem ID: 1/NSID: 1)"),
    ]
    await volume(client, "tank/w")
    for change, attribute, text in wrong:
        found = await refusals(client, "nvmet.namespace.create", {**given, **change})
        assert found == [(f"nvmet_namespace_create.{attribute}", text, 22)]
    assert (await client.call("nvmet.namespace.query", [["subsys.id", "=", 1]]))[0]["nsid"] == 1
    file = {"subsys_id": 1, "device_type": "FILE", "device_path": "/mnt/tank/f", "filesize": 1 << 20}
    assert (await client.call("nvmet.namespace.create", file))["nsid"] == 2
    assert await client.call("nvmet.namespace.delete", 2, {"remove": True}) is True
    assert await client.call("filesystem.listdir", "/mnt/tank", [["name", "=", "f"]]) == []
    assert await client.call("nvmet.namespace.delete", 1) is True
    await missing(client, "nvmet.namespace", "NVMetNamespace")


@pytest.mark.row("8.2 port")
async def test_a_port_listens_on_an_address(client: Client) -> None:
    data = {"addr_trtype": "TCP", "addr_trsvcid": 4421, "addr_traddr": "127.0.0.1"}
    made = await client.call("nvmet.port.create", data)
    assert made == {
        **data, "id": 2, "index": 2, "addr_adrfam": "IPV4", "inline_data_size": None, "max_queue_size": None,
        "pi_enable": None, "enabled": True,
    }  # fmt: skip
    same = await refusals(client, "nvmet.port.create", data)
    text = "There already is a port using the same transport and address"
    assert same == [("nvmet_port_create.addr_traddr", text, 22)]
    choices = await client.call("nvmet.port.transport_address_choices", "TCP", False)
    assert choices["127.0.0.1"] == "127.0.0.1"
    await subsys(client)
    await client.call("nvmet.port_subsys.create", {"port_id": 2, "subsys_id": 1})
    used = await refusals(client, "nvmet.port.delete", 2)
    assert used == [("nvmet_port_delete.id", "Port #2 used by 1 subsystem: s", 22)]
    assert await client.call("nvmet.port.delete", 2, {"force": True}) is True
    await missing(client, "nvmet.port", "NVMetPort")


@pytest.mark.row("8.2 port_subsys")
async def test_links_are_made_once_and_show_both_sides(client: Client) -> None:
    system = await subsys(client)
    host = await client.call("nvmet.host.create", {"hostnqn": HOST})
    [port] = await client.call("nvmet.port.query")
    for name, other in (("port", port), ("host", host)):
        data = {f"{name}_id": other["id"], "subsys_id": 1}
        link = await client.call(f"nvmet.{name}_subsys.create", data)
        assert link == {"id": 1, name: other, "subsys": system}
        [(attribute, text, _)] = await refusals(client, f"nvmet.{name}_subsys.create", data)
        assert (attribute, text[:26]) == (f"nvmet_{name}_subsys_create.{name}_id", "This record already exists")
        for field in (name, "subsys"):
            assert await client.call(f"nvmet.{name}_subsys.query", [[f"{field}.id", "=", 1]]) == [link]
        assert await client.call(f"nvmet.{name}_subsys.delete", 1) is True


@pytest.mark.row("8.2 host")
async def test_a_host_has_keys_that_its_owner_sees(client: Client) -> None:
    key = await client.call("nvmet.host.generate_key", "SHA-256")
    made = await client.call("nvmet.host.create", {"hostnqn": HOST, "dhchap_key": key})
    assert made == {
        "id": 1, "hostnqn": HOST, "dhchap_key": key, "dhchap_ctrl_key": None, "dhchap_dhgroup": None,
        "dhchap_hash": "SHA-256",
    }  # fmt: skip
    same = await refusals(client, "nvmet.host.create", {"hostnqn": HOST})
    assert same == [("nvmet_host_create.hostnqn", "Object with this hostnqn already exists", 22)]
    await subsys(client)
    await client.call("nvmet.host_subsys.create", {"host_id": 1, "subsys_id": 1})
    used = await refusals(client, "nvmet.host.delete", 1)
    assert used == [("nvmet_host_delete.id", f"Host {HOST} used by 1 subsystem: s", 22)]
    assert await client.call("nvmet.host.delete", 1, {"force": True}) is True
    await missing(client, "nvmet.host", "NVMetHost")


@pytest.mark.row("12 nvmet")
@pytest.mark.parametrize("train", ["25.04", "25.10", "26.0"])
async def test_nvme_came_with_25_10(train: str) -> None:
    async with serving(version=train) as (_, server), dialled(server.url) as client:
        services = [entry["service"] for entry in await client.call("service.query")]
        if train == "25.04":
            assert (await client.refused("nvmet.subsys.query")).code == -32601
        else:
            assert await client.call("nvmet.subsys.query") == []
        assert ("nvmet" in services) is (train != "25.04")
