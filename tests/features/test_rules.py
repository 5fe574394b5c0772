"""When a fault happens, to what, who sets it, whether it happens again, and what is told of it: over real gRPC."""

import asyncio
import json

import grpc
import pytest

from csisim.faults.files import read_rules, rules_of_environment
from csisim.faults.grammar import RuleError, parse_rule
from csisim.pb import csi_pb2 as csi
from tests.features.world import OK, Caller, create, until, world

Code = grpc.StatusCode
BEFORE = "rpc.CreateVolume.before"


async def hits(w, count, name="v"):
    """Which of so many calls for one volume failed, as x and dots."""
    codes = [await w.first.code(w.first.controller.CreateVolume, create(name)) for _ in range(count)]
    return "".join("." if code is OK else "x" for code in codes)


COUNTS = {
    "at most n times (failpoint)": ("2*error(ABORTED)", "xx...."),
    "skip (Linux space)": ("+2 error(ABORTED)", "..xxxx"),
    "every m-th (Linux interval)": ("/3 error(ABORTED)", "..x..x"),
    "exactly the n-th (Linux fail-nth)": ("#4 error(ABORTED)", "...x.."),
    "cascade (fail(9))": ("1*off->2*error(ABORTED)->off", ".xx..."),
    "probability before count (fail(9))": ("100%1*error(ABORTED)", "x....."),
    "never": ("0%error(ABORTED)", "......"),
}


async def test_counts_skips_and_cascades(tmp_path):
    async with world(tmp_path) as w:
        for feature, (term, seen) in COUNTS.items():
            state = w.add(f"{BEFORE}: {term}")
            assert await hits(w, 6) == seen, feature
            assert state.fired == seen.count("x")  # it tells whether it fired
            w.plane.reset()


async def test_probability_toxiproxy_toxicity(tmp_path):
    async with world(tmp_path, f"{BEFORE}: 40%error(ABORTED)", seed=5) as w:
        assert 0 < (await hits(w, 40)).count("x") < 40


async def test_windows_and_ramps_by_a_controlled_clock_mockserver(tmp_path):
    async with world(tmp_path) as w:
        now = [1000.0]
        w.plane.now = lambda: now[0]
        w.add(f"{BEFORE}: t[10s,12s) error(ABORTED)")
        seen = ""
        for now[0] in (1000, 1009.9, 1010, 1011.9, 1012, 1100):
            seen += await hits(w, 1)
        assert seen == "..xx.."
        w.plane.reset()
        now[0] = 2000.0
        w.add(f"{BEFORE}: ~100s error(ABORTED)")
        shares = []
        for now[0] in (2000.0, 2050.0, 2100.0):
            shares.append((await hits(w, 30)).count("x"))
        assert shares[0] == 0
        assert 3 < shares[1] < 27
        assert shares[2] == 30


async def test_max_concurrent_faults_envoy_max_active_faults(tmp_path):
    async with world(tmp_path, f"{BEFORE}: max 2 hang(gate)") as w:
        calls = [
            asyncio.ensure_future(w.first.ask(w.first.controller.CreateVolume, create(f"v{number}")))
            for number in range(6)
        ]
        await until(lambda: sum(call.done() for call in calls) == 4)
        assert w.plane.barriers.waiting() == {"gate": 2}
        w.plane.barriers.release("gate")
        assert {(await call)[0] for call in calls} == {OK}


async def test_of_two_rules_both_are_asked_and_the_wait_comes_first(tmp_path):
    async with world(tmp_path, f"{BEFORE}: error(ABORTED)", f"{BEFORE}: hang(gate)") as w:
        call = asyncio.ensure_future(w.first.code(w.first.controller.CreateVolume, create("v")))
        await until(w.plane.barriers.waiting)
        w.plane.barriers.release("gate")
        assert await call is Code.ABORTED


async def test_method_volume_snapshot_node_phase_and_client(tmp_path):
    async with world(tmp_path, metadata=True) as w:
        staged = await w.staged("v")
        await w.create("other")
        snapshot = csi.CreateSnapshotRequest(source_volume_id="v", name="s1")
        get = csi.ControllerGetVolumeRequest(volume_id="v")
        for rule, method, request, hit in (
            ("rpc.*.before{vol=oth*}: error(ABORTED)", "ControllerGetVolume", get, False),
            ("rpc.*.before{vol=v}: error(ABORTED)", "ControllerGetVolume", get, True),
            ("rpc.*.before{snap=s?}: error(ABORTED)", "CreateSnapshot", snapshot, True),
            ("rpc.*.before{snap=t*}: error(ABORTED)", "CreateSnapshot", snapshot, False),
            ("nas.*.request{snap=v@s1}: error(EBUSY)", "DeleteSnapshot",
             csi.DeleteSnapshotRequest(snapshot_id="v@s1"), True),
            ("rpc.*.before{client=x}: error(ABORTED)", "ControllerGetVolume", get, False),
        ):  # fmt: skip
            w.add(rule)
            code = await w.first.code(getattr(w.first.controller, method), request)
            assert (code is not OK) == hit, rule
            w.plane.reset()
        w.add("rpc.*.before{client=x}: error(ABORTED)")
        code = await w.first.code(w.first.controller.ControllerGetVolume, get, metadata=(("csisim-client", "x"),))
        assert code is Code.ABORTED
        w.plane.reset()
        w.add("mount.*{phase=unstage}: error(EBUSY)")
        w.add("mount.*{node=n2}: error(EBUSY)")
        assert await w.first.code(w.first.node.NodeStageVolume, staged) is OK
        gone = csi.NodeUnstageVolumeRequest(volume_id="v", staging_target_path=staged.staging_target_path)
        assert await w.first.code(w.first.node.NodeUnstageVolume, gone) is not OK
        assert w.mounted() == ["staging-v"]


async def test_predicate_on_the_request_mockserver(tmp_path):
    rule = (
        BEFORE + "{when=\"capacity_range.required_bytes > 1073741824 and name.startswith('v')\"}: error(OUT_OF_RANGE)"
    )
    async with world(tmp_path, rule) as w:
        stub = w.first.controller.CreateVolume
        assert await w.first.code(stub, create("v1", size_bytes=2 << 30)) is Code.OUT_OF_RANGE
        assert await w.first.code(stub, create("w1", size_bytes=2 << 30)) is OK
        assert await w.first.code(stub, create("v2")) is OK


async def test_a_condition_on_the_outcome(tmp_path):
    async with world(tmp_path, "rpc.ControllerGetVolume.after{code=NOT_FOUND}: error(UNAVAILABLE, flaky)") as w:
        await w.create("v")
        stub = w.first.controller.ControllerGetVolume
        assert await w.first.code(stub, csi.ControllerGetVolumeRequest(volume_id="v")) is OK
        assert await w.first.ask(stub, csi.ControllerGetVolumeRequest(volume_id="x")) == (Code.UNAVAILABLE, "flaky")


async def test_a_caller_asks_for_its_own_fault_envoy_headers(tmp_path):
    def own(*rules):
        return {"metadata": tuple(("csisim-fault", rule) for rule in rules)}

    async with world(tmp_path, metadata=True) as w:
        stub = w.first.controller.CreateVolume
        assert await w.first.code(stub, create("v"), **own("after: error(DATA_LOSS)")) is Code.DATA_LOSS
        assert w.datasets() == ["v"]
        assert await w.first.code(stub, create("v")) is OK  # nobody else has it
        staged = await w.staged("v")
        code = await w.first.code(w.first.node.NodeStageVolume, staged, **own("mount.mount: #1 error(EIO)"))
        assert (code is not OK, w.mounted()) == (True, [])
        assert await w.first.code(w.first.node.NodeStageVolume, staged) is OK
        for rule, reason in (
            ("after: bug", "'bug' is not an action"),
            ("nas.pool.dataset.create.request: error(EBUSY)", "not passed within the call"),
            ("link.up: drop", "not passed within the call"),
            ("mount.umount: max 2 hang", "max counts over all calls"),
        ):
            code, details = await w.first.ask(stub, create("x"), **own(rule))
            assert code is Code.INVALID_ARGUMENT
            assert reason in details
        shares = [await w.first.code(stub, create("p"), **own("before: 50%error(ABORTED)")) for _ in range(30)]
        assert 3 < shares.count(Code.ABORTED) < 27
        assert "x" not in w.datasets()
    async with world(tmp_path) as w:  # off unless enabled
        assert await w.first.code(w.first.controller.CreateVolume, create("v"), **own("before: error(ABORTED)")) is OK


async def test_rules_from_the_environment_and_from_files_gofail(tmp_path):
    (tmp_path / "rules.txt").write_text(f"# a storm\n{BEFORE}{{vol=a}}: error(ABORTED)\n")
    (tmp_path / "rules.yaml").write_text(f'- name: late\n  rule: "{BEFORE}{{vol=b}}: error(UNAVAILABLE)"\n')
    (tmp_path / "rules.json").write_text(json.dumps([f"{BEFORE}{{vol=c}}: error(DATA_LOSS)"]))
    rules = [rule for name in ("rules.txt", "rules.yaml", "rules.json") for rule in read_rules(tmp_path / name)]
    rules += rules_of_environment(f"{BEFORE}{{vol=d}}: error(INTERNAL); {BEFORE}{{vol=e}}: error(UNKNOWN)")
    async with world(tmp_path) as w:
        w.plane.add_all(rules)
        codes = [await w.first.code(w.first.controller.CreateVolume, create(name)) for name in "abcdef"]
        assert codes == [Code.ABORTED, Code.UNAVAILABLE, Code.DATA_LOSS, Code.INTERNAL, Code.UNKNOWN, OK]


async def test_a_rule_for_the_length_of_a_block_failpoint_with_hook(tmp_path):
    async with world(tmp_path) as w:
        with w.plane.scoped(parse_rule(f"{BEFORE}: error(ABORTED)"), parse_rule(f"{BEFORE}{{vol=x}}: hang")) as states:
            assert await hits(w, 2) == "xx"
            assert [state.fired for state in states] == [2, 0]
            hung = asyncio.ensure_future(w.first.code(w.first.controller.CreateVolume, create("x")))
            await until(w.plane.barriers.waiting)
        assert await hung is Code.ABORTED
        assert await hits(w, 2) == ".."
        assert w.plane.rules == ()


async def test_reset_heals_everything_toxiproxy_reset(tmp_path):
    async with world(tmp_path, "rpc.ListVolumes.before: hang", "rpc.GetCapacity.after: drop",
                     "rpc.ControllerGetCapabilities.before: delay(1h)", "nas.core.ping.request: disconnect(blackhole)",
                     "nas.system.version.reply: reorder(9)", "nas.system.info.reply: delay(1h)",
                     "mount.umount: lie(lazy)", "clock.nas: skew(1h)") as w, w.raw() as raw, w.raw() as other:  # fmt: skip
        stub = w.first.controller
        calls = [
            asyncio.ensure_future(w.first.code(method, request))
            for method, request in (
                (stub.ListVolumes, csi.ListVolumesRequest()),
                (stub.GetCapacity, csi.GetCapacityRequest()),
                (stub.ControllerGetCapabilities, csi.ControllerGetCapabilitiesRequest()),
            )
        ]
        await raw.send("core.ping")
        held = [await other.send("system.version"), await other.send("system.info")]
        lasting = [state for state in w.plane.rules if state.rule.site not in ("mount.umount", "clock.nas")]
        await until(lambda: all(state.fired for state in lasting))
        w.add("link.*: disconnect(blackhole)")
        calls.append(asyncio.ensure_future(w.first.code(stub.CreateVolume, create("v"))))
        await until(lambda: w.plane.fired["link.up"])
        w.plane.reset()
        assert [await call for call in calls] == [OK, Code.UNAVAILABLE, OK, OK]
        assert sorted([(await other.reply())["id"], (await other.reply())["id"]]) == held
        assert (w.plane.rules, w.plane.barriers.waiting()) == ((), {})
        await w.life("after")


@pytest.mark.parametrize("clients", [1, 4, 16])
async def test_decisions_on_a_volume_do_not_depend_on_how_many_clients_there_are(tmp_path, clients):
    """The pattern for seed 3 is written down: another process, machine or number of clients decides the same."""
    rules = f"{BEFORE}{{vol=a*}}: 50%error(ABORTED)", "rpc.CreateVolume.after: 30%error(UNAVAILABLE)"
    async with world(tmp_path, *rules, seed=3) as w:
        callers = [Caller(w.cluster.endpoint.target) for _ in range(clients)]
        found = {}

        async def one(caller, name):
            codes = [await caller.code(caller.controller.CreateVolume, create(name)) for _ in range(8)]
            found[name] = "".join({OK: ".", Code.ABORTED: "b", Code.UNAVAILABLE: "a"}[code] for code in codes)

        names = ["a1", "a2", "z1", *(f"other-{number}" for number in range(clients - 1))]
        pairs = [(callers[number % clients], name) for number, name in enumerate(names)]
        if clients == 1:
            for caller, name in pairs:
                await one(caller, name)
        else:
            await asyncio.gather(*(one(caller, name) for caller, name in reversed(pairs)))
        for caller in callers:
            await caller.channel.close()
        assert {name: found[name] for name in ("a1", "a2", "z1")} == DECIDED


DECIDED = {"a1": "abababab", "a2": "...a.bbb", "z1": "..a...a."}


async def test_another_seed_decides_otherwise_and_the_same_one_the_same_jepsen_random(tmp_path):
    patterns = []
    for seed in (1, 1, 2):
        async with world(tmp_path, f"{BEFORE}: 50%error(ABORTED)", seed=seed) as w:
            patterns.append(await hits(w, 12))
    assert patterns[0] == patterns[1] != patterns[2]


async def test_each_firing_is_recorded_with_its_call_site_volume_and_ordinal_jepsen_history(tmp_path):
    async with world(tmp_path, f"{BEFORE}: #2 error(ABORTED)", "nas.pool.dataset.create.reply: #1 delay(1ms)") as w:
        await hits(w, 2)
        told = [event.to_json() for event in w.history.since()]
        calls = [each["call"] for each in told if each["f"] == "CreateVolume" and each["type"] == "invoke"]
        faults = [each for each in told if each["kind"] == "fault"]
        assert [(each["f"], each["value"]["ordinal"], each["value"]["vol"]) for each in faults] == [
            ("nas.pool.dataset.create.reply", 1, "v"),
            (BEFORE, 2, "v"),
        ]
        assert faults[1]["parent"] == calls[1]
        of_nas = [each["call"] for each in told if each["f"] == "pool.dataset.create" and each["type"] == "invoke"]
        assert faults[0]["parent"] in of_nas
        ends = {each["call"]: (each["type"], each["value"].get("code")) for each in told if each["type"] != "invoke"
                and each["kind"] == "rpc"}  # fmt: skip
        assert ends[calls[0]][0] == "ok"
        assert ends[calls[1]][1] == "ABORTED"


async def test_the_catalogue_tells_which_sites_were_passed_and_which_never_fired_failpoint_list(tmp_path):
    async with world(tmp_path, f"{BEFORE}: 1*error(ABORTED)", "mount.umount: error(EBUSY)") as w:
        await hits(w, 3)
        assert (w.plane.passed[BEFORE], w.plane.fired[BEFORE]) == (3, 1)
        assert (w.plane.passed["rpc.CreateVolume.after"], w.plane.fired["rpc.CreateVolume.after"]) == (2, 0)
        assert [state.rule.site for state in w.plane.rules if not state.fired] == ["mount.umount"]
        assert w.plane.passed["link.up"]
        assert w.plane.passed["nas.pool.dataset.create.apply"]


REFUSED = [
    ("rpc.CreateVolume.before: disconnect(half)", "there are blackhole, fin, rst"),
    ("rpc.CreateVolume.before: exhaust(attach)", "there are rate"),
    ("rpc.CreateVolume.before: error(EBUSY)", "is a gRPC code"),
    ("rpc.CreateVolume.after: ready(3)", "ready cannot happen"),
    ("nas.core.ping.reply: disconnect(half)", "there are CODE, blackhole, fin, rst"),
    ("nas.core.ping.apply: exhaust(pool)", "there are rate"),
    ("nas.auth.login_with_api_key.apply: lie(ok)", "lie cannot happen"),
    ("nas.core.subscribe.apply: lie(ok)", "lie cannot happen"),
    ("mount.umount: max 2 error(EBUSY)", "max is for what lasts"),
    ("link.up: max 2 delay(1s)", "max cannot be kept at link.up"),
    ("event.nas: delay(1s)", "delay cannot happen"),
    ("file.read: truncate(3B)", "truncate cannot happen"),
    ("mount.mount: disconnect(rst)", "disconnect cannot happen"),
    ("clock.nas: delay(1s)", "delay cannot happen"),
]


async def test_what_cannot_be_honoured_is_refused_when_it_is_added(tmp_path):
    async with world(tmp_path) as w:
        for rule, reason in REFUSED:
            with pytest.raises(ValueError, match=reason):
                w.add(rule)
        assert w.plane.rules == ()


WRONG = [
    ("mount.umount: 2*error(EBUSYY)", 23, "'EBUSYY' is neither a gRPC code nor an errno"),
    ("mount.umount error(EBUSY)", 14, "here should be ':'"),
    ("mount.umount{vl=x}: off", 14, "'vl' is not one of"),
    ("mount.umount: off -> explode", 22, "'explode' is not an action"),
]


async def test_a_bad_rule_is_refused_with_reason_and_position(tmp_path):
    async with world(tmp_path) as w:
        for text, column, reason in WRONG:
            with pytest.raises(RuleError) as refused:
                w.add(text)
            assert refused.value.column == column
            assert reason in str(refused.value)
        assert w.plane.rules == ()
