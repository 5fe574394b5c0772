"""smb.*: the SMB service's configuration (TrueNAS API 25.10)."""

import ipaddress
from typing import Any

from fake_truenas.checked import Checked
from fake_truenas.config_row import Config, add_config, read_config
from fake_truenas.context import Ctx
from fake_truenas.documents import Problems
from fake_truenas.registry import Namespace
from fake_truenas.schema import Bool, Enum, Field, List, Nullable, Obj, Str
from fake_truenas.share_tables import SMB_SHARES
from fake_truenas.smb_flat import is_flat
from fake_truenas.smb_params import aux_problems
from fake_truenas.unix_ids import USERS

smb = Namespace("smb")
namespaces = (smb,)

_CHARSETS = (
    "UTF-8", "GB2312", "HZ-GB-2312", "CP1361", "BIG5", "BIG5HKSCS", "CP037", "CP273", "CP424", "CP437", "CP500",
    "CP775", "CP850", "CP852", "CP855", "CP857", "CP858", "CP860", "CP861", "CP862", "CP863", "CP864", "CP865",
    "CP866", "CP869", "CP932", "CP949", "CP950", "CP1026", "CP1125", "CP1140", "CP1250", "CP1251", "CP1252", "CP1253",
    "CP1254", "CP1255", "CP1256", "CP1257", "CP1258", "EUC_JIS_2004", "EUC_JISX0213", "EUC_JP", "EUC_KR", "GB18030",
    "GBK", "HZ", "ISO2022_JP", "ISO2022_JP_1", "ISO2022_JP_2", "ISO2022_JP_2004", "ISO2022_JP_3", "ISO2022_JP_EXT",
    "ISO2022_KR", "ISO8859_1", "ISO8859_2", "ISO8859_3", "ISO8859_4", "ISO8859_5", "ISO8859_6", "ISO8859_7",
    "ISO8859_8", "ISO8859_9", "ISO8859_10", "ISO8859_11", "ISO8859_13", "ISO8859_14", "ISO8859_15", "ISO8859_16",
    "JOHAB", "KOI8_R", "KZ1048", "LATIN_1", "MAC_CYRILLIC", "MAC_GREEK", "MAC_ICELAND", "MAC_LATIN2", "MAC_ROMAN",
    "MAC_TURKISH", "PTCP154", "SHIFT_JIS", "SHIFT_JIS_2004", "SHIFT_JISX0213", "TIS_620", "UTF_16", "UTF_16_BE",
    "UTF_16_LE",
)  # fmt: skip
_ADDRESSES = ("127.0.0.1",)
_LONGEST_NETBIOS_NAME = 15
_MASK_BITS = 0o11777


def _defaults(ctx: Ctx) -> Config:
    numbers = "-".join(str(ctx.rng.getrandbits(32)) for _ in range(3))
    return {
        "netbiosname": "truenas",
        "netbiosalias": [],
        "workgroup": "WORKGROUP",
        "description": "TrueNAS Server",
        "enable_smb1": False,
        "unixcharset": "UTF-8",
        "localmaster": False,
        "syslog": False,
        "aapl_extensions": False,
        "admin_group": None,
        "guest": "nobody",
        "filemask": "DEFAULT",
        "dirmask": "DEFAULT",
        "ntlmv1_auth": False,
        "multichannel": False,
        "encryption": "DEFAULT",
        "bindip": [],
        "server_sid": f"S-1-5-21-{numbers}",
        "smb_options": "",
        "debug": False,
    }


def smb_config(ctx: Ctx) -> Config:
    """The SMB service's configuration."""
    return read_config(ctx, "smb", _defaults)


def _check(ctx: Ctx, config: Config, problems: Problems) -> None:
    for text in aux_problems(config["smb_options"]):
        problems.add("smb_options.smb_update.smb_options", text)  # the name is really there twice
    if config["enable_smb1"] and config["encryption"] == "REQUIRED":
        problems.add("encryption", "Encryption may not be set to REQUIRED while SMB1 support is enabled.")
    _check_names(config, problems)
    if config["guest"] == "root":
        problems.add("guest", '"root" is not a permitted guest account')
    elif config["guest"] not in USERS:
        problems.add("guest", f"{config['guest']:.100}: user does not exist")
    for field in ("filemask", "dirmask"):
        if config[field] != "DEFAULT" and not _is_mask(config[field]):
            problems.add(field, "Not a valid mask")
    config["bindip"] = [str(ipaddress.ip_interface(address).ip) for address in config["bindip"]]
    for index, address in enumerate(config["bindip"]):
        if address not in _ADDRESSES:
            text = f"IP address [{address}] is not a configured address for this server"
            problems.add(f"bindip.{index}", text)
    _check_shares(ctx, config, problems)


def _check_names(config: Config, problems: Problems) -> None:
    group = config["workgroup"].casefold()
    if config["netbiosname"].casefold() == group:
        problems.add("netbiosname", f"NetBIOS name [{config['netbiosname']}] conflicts with workgroup name.")
    for index, alias in enumerate(config["netbiosalias"]):
        if alias.casefold() == group:
            problems.add(f"netbiosalias.{index}", f"NetBIOS alias [{alias}] conflicts with workgroup name.")


def _check_shares(ctx: Ctx, config: Config, problems: Problems) -> None:
    shares = SMB_SHARES.find(ctx.db)
    if not config["aapl_extensions"] and any(_is_apples(share) for share in shares):
        text = "This option must be enabled when AFP, time machine, or Final Cut Pro shares are present"
        problems.add("aapl_extensions", text)
    audited = [share["name"] for share in shares if share["audit"]["enable"]]
    if config["enable_smb1"] and audited:
        problems.add("enable_smb1", f"The following SMB shares have auditing enabled: {', '.join(audited)}")


def _is_apples(share: dict[str, Any]) -> bool:
    options = share if is_flat(share) else share["options"]
    return bool(share["purpose"] == "TIMEMACHINE_SHARE" or options.get("afp") or options.get("timemachine"))


def _is_mask(text: str) -> bool:
    try:
        return not int(text, 8) & ~_MASK_BITS
    except ValueError:
        return False


def _netbios_problem(name: str) -> str | None:
    if not name or len(name) > _LONGEST_NETBIOS_NAME or set(name) & set('\\/:*?"<>|'):
        return f"{name:.100}: Invalid NetBIOS name"
    return None


def _address_problem(text: str) -> str | None:
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return "value is not a valid IPv4 or IPv6 interface"
    return None


_NETBIOS = Checked(Str(), _netbios_problem)

add_config(
    smb,
    _defaults,
    "smb_update",
    Obj(
        Field("netbiosname", _NETBIOS),
        Field("netbiosalias", List(_NETBIOS)),
        Field("workgroup", _NETBIOS),
        Field("description", Str()),
        Field("enable_smb1", Bool()),
        Field("unixcharset", Enum(*_CHARSETS)),
        Field("localmaster", Bool()),
        Field("syslog", Bool()),
        Field("aapl_extensions", Bool()),
        Field("admin_group", Nullable(Str())),
        Field("guest", Str(min_length=1)),
        Field("filemask", Str()),
        Field("dirmask", Str()),
        Field("ntlmv1_auth", Bool()),
        Field("multichannel", Bool()),
        Field("encryption", Enum("DEFAULT", "NEGOTIATE", "DESIRED", "REQUIRED")),
        Field("bindip", List(Checked(Str(), _address_problem))),
        Field("smb_options", Str()),
        Field("debug", Bool()),
        partial=True,
    ),
    _check,
)


@smb.method("bindip_choices")
def bindip_choices(ctx: Ctx) -> dict[str, str]:  # noqa: ARG001 - every handler gets its context
    """Addresses that the SMB service can be bound to."""
    return {address: address for address in _ADDRESSES}


@smb.method("unixcharset_choices")
def unixcharset_choices(ctx: Ctx) -> dict[str, str]:  # noqa: ARG001 - every handler gets its context
    """Character sets that file names can have."""
    return {charset: charset for charset in _CHARSETS}
