"""The catalogue: complete, and true of what can be honoured where."""

import pytest

from csisim.faults.actions import KINDS
from csisim.faults.files import checked_rule
from csisim.faults.grammar import RuleError, parse_rule
from csisim.faults.sites import (
    Catalogue,
    clock_sites,
    host_sites,
    link_sites,
    nas_sites,
    process_sites,
    rpc_methods,
    rpc_sites,
)  # fmt: skip
from csisim.host import Devices, Mounter, StateFiles

ALL = Catalogue([
    *rpc_sites(local=True), *nas_sites(["pool.query"]), *link_sites(), *host_sites(), *process_sites(), *clock_sites(),
])  # fmt: skip


def test_every_csi_method_has_a_site_before_and_one_after() -> None:
    assert len(rpc_methods()) == 36
    assert {f"rpc.{method}.{when}" for method in rpc_methods() for when in ("before", "after")} <= set(ALL.sites)


@pytest.mark.parametrize(("family", "protocol"), [("mount", Mounter), ("device", Devices), ("file", StateFiles)])
def test_every_operation_on_a_host_has_a_site(family: str, protocol: type) -> None:
    operations = {f"{family}.{name}{end}" for name in vars(protocol) if name[0] != "_" for end in ("", ".after")}
    assert {name for name in ALL.sites if name.startswith(f"{family}.")} == operations


def test_every_action_can_happen_somewhere() -> None:
    assert set(KINDS) == {kind for site in ALL.sites.values() for kind in site.actions}


def test_a_pattern_selects_sites() -> None:
    assert [site.name for site in ALL.select("link.*")] == ["link.up", "link.down"]
    assert [site.name for site in ALL.select("nas.*.reply")] == ["nas.pool.query.reply"]
    assert len(ALL.select("rpc.*.after")) == 36
    assert ALL.select("rpc.X") == ()


def test_a_proxy_cannot_crash_what_is_not_its_own() -> None:
    ALL.check(parse_rule("rpc.Probe.before: crash(nas)"))
    with pytest.raises(ValueError, match=r"crash cannot happen at rpc\.Probe\.before"):
        Catalogue(rpc_sites(local=False)).check(parse_rule("rpc.Probe.before: crash"))


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("  rpc.Foo.before: off", 3, "there is no site 'rpc.Foo.before'"),
        ("rpc.*.before{vol=a, code=OK}: off", 21, "code is not known at"),
        ("link.up{vol=a}: off", 9, "nothing can be selected by there"),
        ("mount.umount: 2*off -> 5%error(ABORTED)", 26, "is an errno, such as EBUSY, not ABORTED"),
        ("mount.umount: delay(1s)->max 2 drop", 32, "max is for what lasts"),
        ("rpc.CreateVolume.after{code=FOO}: drop", 24, "no code is like 'FOO': there are OK, CANCELLED"),
        ('rpc.CreateVolume.after{when="len(nam) > 3"}: drop', 24, "'nam' is no field at rpc.CreateVolume.after: "),
        ("mount.umount{when=\"path == '/a'\"}: off", 14, "there are subject"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_the_column(text: str, column: int, reason: str) -> None:
    with pytest.raises(RuleError) as refused:
        checked_rule(text, ALL.check)

    assert refused.value.column == column
    assert reason in refused.value.reason


def test_a_condition_may_look_at_what_one_of_its_sites_has() -> None:
    ALL.check(parse_rule("rpc.*.before{when=\"volume_id == 'a' or name == 'a'\"}: off"))
    ALL.check(parse_rule("nas.pool.query.apply{when=\"params[0] == 'tank'\"}: off"))
    ALL.check(parse_rule('rpc.*.after{code="*_EX*"}: off'))
