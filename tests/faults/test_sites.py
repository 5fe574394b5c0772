"""The catalogue: complete, and true of what can be honoured where."""

import pytest

from csisim.faults.actions import KINDS
from csisim.faults.grammar import parse_rule
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
