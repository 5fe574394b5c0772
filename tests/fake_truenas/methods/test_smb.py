"""smb.*: behaviour and refusals."""

import re

import pytest

from tests.fake_truenas.methods.conftest import Box

AUX_FORM = 'Auxiliary parameters must be in the format of "key = value": x'
BLACKLISTED = "include is a blacklisted auxiliary parameter. Changes to this parameter are not permitted."


def test_configuration_has_the_defaults(box):
    config = box("smb.config")
    assert re.fullmatch(r"S-1-5-21-\d+-\d+-\d+", config.pop("server_sid"))
    assert config == {
        "id": 1, "netbiosname": "truenas", "netbiosalias": [], "workgroup": "WORKGROUP",
        "description": "TrueNAS Server", "enable_smb1": False, "unixcharset": "UTF-8", "localmaster": False,
        "syslog": False, "aapl_extensions": False, "admin_group": None, "guest": "nobody", "filemask": "DEFAULT",
        "dirmask": "DEFAULT", "ntlmv1_auth": False, "multichannel": False, "encryption": "DEFAULT", "bindip": [],
        "smb_options": "", "debug": False,
    }  # fmt: skip


def test_updates_are_kept(box):
    before = box("smb.config")
    changed = box("smb.update", {"aapl_extensions": True, "bindip": ["127.0.0.1/8"], "dirmask": "0775"})
    assert changed == {**before, "aapl_extensions": True, "bindip": ["127.0.0.1"], "dirmask": "0775"}
    assert box("smb.config") == changed


@pytest.mark.parametrize(
    ("data", "attribute", "text"),
    [
        ({"workgroup": "TrueNAS"}, "netbiosname", "NetBIOS name [truenas] conflicts with workgroup name."),
        ({"netbiosalias": ["workgroup"]}, "netbiosalias.0", "NetBIOS alias [workgroup] conflicts with workgroup name."),
        ({"netbiosname": "a:b"}, "netbiosname", "Value error, a:b: Invalid NetBIOS name"),
        ({"netbiosname": "n" * 16}, "netbiosname", f"Value error, {'n' * 16}: Invalid NetBIOS name"),
        ({"guest": "root"}, "guest", '"root" is not a permitted guest account'),
        ({"guest": "who"}, "guest", "who: user does not exist"),
        ({"filemask": "9"}, "filemask", "Not a valid mask"),
        ({"dirmask": "20000"}, "dirmask", "Not a valid mask"),
        ({"bindip": ["10.0.0.9"]}, "bindip.0", "IP address [10.0.0.9] is not a configured address for this server"),
        ({"bindip": ["x"]}, "bindip.0", "Value error, value is not a valid IPv4 or IPv6 interface"),
        (
            {"enable_smb1": True, "encryption": "REQUIRED"},
            "encryption",
            "Encryption may not be set to REQUIRED while SMB1 support is enabled.",
        ),
        ({"smb_options": "# note\n\nx"}, "smb_options.smb_update.smb_options", AUX_FORM),
        ({"smb_options": "include= /x"}, "smb_options.smb_update.smb_options", BLACKLISTED),
        ({"server_sid": None}, "server_sid", "Extra inputs are not permitted"),
    ],
)
def test_what_does_not_fit_is_refused(box, data, attribute, text):
    before = box("smb.config")
    assert box.refused("smb.update", data) == [(f"smb_update.{attribute}", text, 22)]
    assert box("smb.config") == before


@pytest.mark.parametrize("version", ["25.04", "25.10"])
def test_shares_hold_the_service_to_what_they_need(version):
    box = Box(version)
    box("smb.update", {"aapl_extensions": True})
    path = box.filesystem("tank/fs")
    timemachine = {"purpose": "TIMEMACHINE_SHARE"} if version == "25.10" else {"purpose": "ENHANCED_TIMEMACHINE"}
    box("sharing.smb.create", {"name": "tm", "path": path, **timemachine})
    text = "This option must be enabled when AFP, time machine, or Final Cut Pro shares are present"
    assert box.refused("smb.update", {"aapl_extensions": False}) == [("smb_update.aapl_extensions", text, 22)]
    audit = {"enable": True, "watch_list": ["builtin_users"]}
    box("sharing.smb.create", {"name": "audited", "path": path, "audit": audit})
    text = "The following SMB shares have auditing enabled: audited"
    assert box.refused("smb.update", {"enable_smb1": True}) == [("smb_update.enable_smb1", text, 22)]
    box.nas.close()


def test_choices_are_listed(box):
    assert box("smb.bindip_choices") == {"127.0.0.1": "127.0.0.1"}
    choices = box("smb.unixcharset_choices")
    assert (choices["UTF-8"], len(choices)) == ("UTF-8", 87)
