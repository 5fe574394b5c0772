"""Which cases there are."""

import pytest

from csisim.cluster.injection import nas_methods
from csisim.faults.grammar import parse_rule
from csisim.faults.sites import Catalogue, host_sites, link_sites, nas_sites, process_sites, rpc_sites
from csisim.sweep.cases import Case, faults_at, parse_case, plan


def test_every_fault_of_every_site_can_be_honoured():
    sites = [*rpc_sites(local=True), *link_sites(), *host_sites(), *process_sites(), *nas_sites(nas_methods())]
    catalogue = Catalogue(sites)
    cases = plan("nfs", "mount", {site.name: 3 for site in sites})

    for case in cases:
        catalogue.check(parse_rule(case.rule))

    families = {case.site.partition(".")[0] for case in cases}
    assert families == {"rpc", "nas", "link", "mount", "device", "file", "process"}


def test_each_passing_is_failed_once_per_kind_before_and_after_its_effect():
    cases = plan(
        "nfs",
        "mount",
        {"mount.umount": 2, "mount.umount.after": 2, "nas.pool.snapshot.create.apply": 1, "file.read": 0},
    )

    assert [case.rule for case in cases] == [
        *(f"mount.umount: #{n} error({errno})" for n in (1, 2) for errno in ("EIO", "EBUSY", "ENOSPC")),
        *(
            f"mount.umount.after: #{n} {fault}"
            for n in (1, 2)
            for fault in ("error(EIO)", "error(EBUSY)", "error(ENOSPC)", "crash(node)")
        ),
        "nas.pool.snapshot.create.apply: #1 error(EIO)",
        "nas.pool.snapshot.create.apply: #1 exhaust(pool)",
    ]


def test_only_the_sites_that_are_asked_for():
    passes = {"rpc.CreateVolume.before": 1, "rpc.CreateVolume.after": 1, "clock.nas": 40}

    assert {case.site for case in plan("nfs", "mount", passes, "rpc.*.after")} == {"rpc.CreateVolume.after"}
    assert {case.site for case in plan("nfs", "mount", passes)} == {"rpc.CreateVolume.before", "rpc.CreateVolume.after"}


def test_the_codes_of_calls_take_turns():
    codes = {faults_at("rpc.CreateVolume.after", ordinal)[0] for ordinal in range(1, 4)}

    assert codes == {"error(UNAVAILABLE)", "error(ABORTED)", "error(DEADLINE_EXCEEDED)"}


def test_the_command_of_a_case_reads_back_as_the_case():
    case = Case("iscsi", "copies", "nas.pool.snapshot.create.reply", 2, "disconnect(rst)")

    quoted = case.command.split("'")[1]

    assert parse_case("iscsi", quoted) == case
    assert case.command.startswith("csisim sweep --protocol iscsi --case ")


@pytest.mark.parametrize(
    "text", ["", "mount", "mount rpc.X.before", "mount rpc.X.before: 2*drop", "mount x: #one drop", "mount x: #1"]
)
def test_what_is_no_case_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"such as .mount rpc\.CreateVolume\.after: #1 drop"):
        parse_case("nfs", text)


@pytest.mark.parametrize(
    ("site", "fault", "codes"),
    [
        ("mount.bind", "error(ENOSPC)", {"RESOURCE_EXHAUSTED"}),
        ("nas.pool.dataset.create.apply", "exhaust(pool)", {"RESOURCE_EXHAUSTED"}),
        ("nas.pool.dataset.delete.request", "error(EBUSY)", {"FAILED_PRECONDITION"}),
        ("nas.pool.dataset.query.request", "error(EBUSY)", set()),
        ("nas.pool.dataset.create.apply", "error(EIO)", set()),
    ],
)
def test_final_codes_are_right_answers_only_to_what_is_final(site, fault, codes):
    assert Case("nfs", "mount", site, 1, fault).final_codes == codes


def test_a_fault_that_is_none_is_refused_with_its_column():
    with pytest.raises(ValueError, match="column 35: 'bogus' is not an action"):
        parse_case("nfs", "mount nas.pool.dataset.create.reply: #1 bogus")
