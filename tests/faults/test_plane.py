"""The plane: what it decides, that it decides the same again, and what it remembers."""

import asyncio
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csisim.faults.grammar import parse_rule
from csisim.faults.model import Rule
from csisim.faults.plane import FaultPlane, Firing, Passing
from csisim.faults.sites import Catalogue, host_sites, link_sites, nas_sites, rpc_sites

BUSY = "mount.umount: error(EBUSY)"


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def plane(
    *rules: str, seed: int = 1, now: Callable[[], float] | None = None, on_fire: Callable[[Firing], None] | None = None
) -> FaultPlane:
    catalogue = Catalogue([*rpc_sites(local=True), *nas_sites(["pool.query"]), *link_sites(), *host_sites()])
    made = FaultPlane(catalogue, seed=seed, now=now or Clock(), on_fire=on_fire)
    made.add_all(map(parse_rule, rules))
    return made


def umount(vol: str = "pvc-1", **more: str) -> Passing:
    return Passing("mount.umount", vol=vol, **more)


def fired(tested: FaultPlane, passings: Iterable[Passing]) -> list[str]:
    return ["+".join(str(each.action) for each in tested.decide(passing)) for passing in passings]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("error(EBUSY)", "xxxxxx"),
        ("off", "......"),
        ("2*error(EBUSY)", "xx...."),
        ("+2 error(EBUSY)", "..xxxx"),
        ("/3 error(EBUSY)", "..x..x"),
        ("+1 /2 error(EBUSY)", "..x.x."),
        ("#4 error(EBUSY)", "...x.."),
        ("2*off->error(EBUSY)", "..xxxx"),
        ("1*off->1*error(EBUSY)->off", ".x...."),
        ("0%error(EBUSY)", "......"),
        ("0%error(EIO)->error(EBUSY)", "xxxxxx"),
    ],
)
def test_counts(rule: str, expected: str) -> None:
    got = fired(plane(f"mount.umount: {rule}"), [umount()] * 6)
    assert "".join("x" if each == "error(EBUSY)" else "." for each in got) == expected


def test_the_probability_is_drawn_before_the_count() -> None:
    got = fired(plane("mount.umount: 50%5*error(EBUSY)"), [umount()] * 100)
    first = [index for index, each in enumerate(got) if each]
    assert len(first) == 5
    assert first[-1] > 5  # a count drawn first would have been used up by the first five


def test_the_first_term_that_fires_decides_and_every_rule_is_asked() -> None:
    both = plane("mount.umount: 1*error(EIO)->error(EBUSY)", "mount.umount: delay(1s)")
    assert fired(both, [umount()] * 2) == ["error(EIO)+delay(1s)", "error(EBUSY)+delay(1s)"]


@given(st.floats(1, 99), st.integers(0, 2**64))
def test_a_share_of_the_passings_is_hit(percent: float, seed: int) -> None:
    tested = plane(f"mount.umount: {percent:.3f}%error(EBUSY)", seed=seed)
    hits = sum(bool(each) for each in fired(tested, [umount(f"pvc-{number}") for number in range(400)]))
    assert abs(hits / 400 - percent / 100) < 0.14  # 5.6 standard deviations


def decisions(tested: FaultPlane, passings: Iterable[Passing]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for passing in passings:
        found.setdefault(passing.vol, []).extend(fired(tested, [passing]))
    return found


def test_the_same_seed_decides_the_same_on_a_volume_whoever_else_is_there() -> None:
    rule = "mount.umount{per=vol}: 30%4*error(EBUSY)->20%delay(1s..2s)"
    alone = decisions(plane(rule), [umount("pvc-1")] * 50)
    crowd = [umount(f"pvc-{number}", client=f"c{number}") for _ in range(50) for number in range(9)]
    for passings in (crowd, crowd[::-1]):
        assert decisions(plane("rpc.*.before: off", rule, "mount.*: 50%delay(1s)", seed=1), passings)["pvc-1"] == [
            each if not extra else f"{each}+{extra}".strip("+")
            for each, extra in zip(
                alone["pvc-1"], fired(plane("mount.*: 50%delay(1s)"), [umount("pvc-1")] * 50), strict=True
            )
        ]
    assert decisions(plane(rule, seed=2), [umount("pvc-1")] * 50) != alone


def test_counts_are_kept_per_volume_if_asked_for() -> None:
    passings = [umount("a"), umount("b"), umount("a"), umount("b")]
    assert fired(plane("mount.umount{per=vol}: 1*error(EBUSY)"), passings) == ["error(EBUSY)", "error(EBUSY)", "", ""]
    assert fired(plane("mount.umount: 1*error(EBUSY)"), passings) == ["error(EBUSY)", "", "", ""]


def test_a_window_opens_and_closes_and_counts_from_when_the_rule_was_added() -> None:
    clock = Clock()
    tested = plane("mount.umount: t[10s,12s) error(EBUSY)", now=clock)
    got = []
    for _ in range(14):
        got += fired(tested, [umount()])
        clock.now_s += 1
    assert [index for index, each in enumerate(got) if each] == [10, 11]


def test_a_ramp_grows_to_the_whole_probability() -> None:
    clock = Clock()
    tested = plane("mount.umount: ~100s 80%error(EBUSY)", now=clock)
    hits = []
    for _ in range(4):
        hits.append(sum(bool(each) for each in fired(tested, [umount(f"pvc-{number}") for number in range(1000)])))
        clock.now_s += 50
    assert hits[0] == 0
    assert [abs(each - expected) < 70 for each, expected in zip(hits[1:], (400, 800, 800), strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("match", "passing", "hit"),
    [
        ("{vol=pvc-*}", umount("pvc-9"), True),
        ("{vol=pvc-?}", umount("pvc-10"), False),
        ("{vol=a[1]}", umount("a[1]"), True),
        ("{vol=a[1]}", umount("a1"), False),
        ("{vol=a, node=n1}", umount("a", node="n1"), True),
        ("{vol=a, node=n1}", umount("a", node="n2"), False),
        ("{snap=*@s}", umount(snap="v@s"), True),
        ("{phase=unstage}", umount(phase="stage"), False),
        ("{when=\"subject == 'x'\"}", Passing("mount.umount", fields=lambda: {"subject": "x"}), True),
        ("{when=\"subject == 'x'\"}", umount(), False),
    ],
)
def test_a_rule_selects(match: str, passing: Passing, hit: bool) -> None:
    assert bool(plane(f"mount.umount{match}: error(EBUSY)").decide(passing)) is hit


def test_the_code_that_a_call_ended_with_selects_too() -> None:
    tested = plane("rpc.CreateVolume.after{code=OK}: error(UNAVAILABLE)")
    assert fired(tested, [Passing("rpc.CreateVolume.after", code=code) for code in ("OK", "ABORTED")]) == [
        "error(UNAVAILABLE)", "",
    ]  # fmt: skip


def test_each_firing_is_recorded_with_its_call_site_volume_and_ordinal() -> None:
    record: list[Firing] = []
    tested = plane("mount.umount{per=vol}: /2 error(EBUSY)", on_fire=record.append)
    tested.add(parse_rule("rpc.*.before: drop", name="mine"))
    for passing in [umount("a", call_id="c1", node="n1"), umount("b"), umount("a", call_id="c2", node="n1")]:
        tested.decide(passing)
    tested.decide(Passing("rpc.Probe.before", call_id="c3"))
    assert [each.to_json() for each in record] == [
        {"seq": 1, "at_s": 100.0, "rule": "rule-1", "site": "mount.umount", "action": "error(EBUSY)", "ordinal": 2, "vol": "a", "node": "n1", "call_id": "c2"},
        {"seq": 2, "at_s": 100.0, "rule": "mine", "site": "rpc.Probe.before", "action": "drop", "ordinal": 1, "call_id": "c3"},
    ]  # fmt: skip
    assert (tested.passed["mount.umount"], tested.fired["mount.umount"], tested.fired["rpc.Probe.before"]) == (3, 1, 1)
    assert [(state.asked, state.fired) for state in tested.rules] == [(3, 1), (1, 1)]


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("mount.unmount: off", "there is no site 'mount.unmount'; similar ones: mount.umount"),
        ("xyzzy: off", "the families are rpc, nas, event, link, fin, connect, mount, device, file"),
        ("mount.umount: drop", "drop cannot happen at mount.umount: there are"),
        ("mount.umount: error(UNAVAILABLE)", "an error at mount.umount is an errno, such as EBUSY, not UNAVAILABLE"),
        ("rpc.Probe.before: error(EBUSY)", "is a gRPC code, such as UNAVAILABLE, not EBUSY"),
        ("mount.umount: lie(ro)", r"lie\(ro\) cannot happen at mount.umount: there are lazy, ok"),
        ("rpc.Probe.after: disconnect(1011)", r"disconnect\(1011\) cannot happen"),
        ("link.up{vol=a}: drop", "vol is not known at link.up"),
        ("nas.pool.query.apply{node=a}: off", "node is not known at nas.pool.query.apply"),
        ("rpc.Probe.before{code=OK}: off", "code is not known at rpc.Probe.before"),
        ("*: drop", "drop cannot happen at nas.pool.query.apply"),
    ],
)
def test_a_rule_that_cannot_be_honoured_is_refused_when_it_is_added(rule: str, reason: str) -> None:
    tested = plane()
    with pytest.raises(ValueError, match=reason):
        tested.add(parse_rule(rule))
    assert tested.rules == ()


def test_of_several_rules_all_come_into_force_or_none() -> None:
    tested = plane()
    with pytest.raises(ValueError, match="there is no site"):
        tested.add_all([parse_rule(BUSY), parse_rule("nowhere: off")])
    with pytest.raises(ValueError, match="there is a rule 'a' already"):
        tested.add_all([parse_rule(BUSY, name="a"), parse_rule(BUSY, name="a")])
    assert tested.rules == ()
    assert fired(tested, [umount()]) == [""]


def test_rules_are_changed_and_taken_out_by_name() -> None:
    tested = plane(BUSY)
    tested.change("rule-1", parse_rule("mount.umount: error(EIO)"))
    assert fired(tested, [umount()]) == ["error(EIO)"]
    with pytest.raises(ValueError, match="drop cannot happen"):
        tested.change("rule-1", parse_rule("mount.umount: drop"))
    assert fired(tested, [umount()]) == ["error(EIO)"]
    tested.remove("rule-1")
    assert fired(tested, [umount()]) == [""]
    for call in (tested.remove, lambda name: tested.change(name, parse_rule(BUSY))):
        with pytest.raises(KeyError):
            call("rule-1")
    assert tested.add(parse_rule(BUSY)).rule.name == "rule-2"


async def hanging(tested: FaultPlane, passing: Passing) -> "asyncio.Task[Firing | None]":
    task = asyncio.create_task(tested.meet(passing))
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_what_hangs_goes_on_when_its_barrier_is_released_and_then_meets_the_next_rule() -> None:
    tested = plane("mount.umount: 1*hang(gate)", BUSY)
    task = await hanging(tested, umount())
    assert tested.barriers.waiting() == {"gate": 1}
    assert tested.barriers.release("gate") == 1
    firing = await task
    assert firing is not None
    assert str(firing.action) == "error(EBUSY)"


@pytest.mark.parametrize("heal", ["reset", "remove", "change"])
async def test_nothing_hangs_on_a_rule_that_is_gone(heal: str) -> None:
    tested = plane("mount.umount: hang", "mount.umount: max 1 hang(other)")
    calls: list[str] = []
    tested.on_change("me", lambda _: calls.append("healed"))
    task = await hanging(tested, umount())
    if heal == "reset":
        tested.reset()
        assert tested.rules == ()
    elif heal == "remove":
        tested.remove("rule-1")
    else:
        tested.change("rule-1", parse_rule("mount.umount: off"))
    await asyncio.sleep(0)
    tested.barriers.release_all()
    assert await task is None
    assert calls == ["healed"]


async def test_a_barrier_that_another_rule_uses_stays_closed() -> None:
    tested = plane("mount.umount: hang(gate)", "mount.mount: hang(gate)")
    task = await hanging(tested, umount())
    tested.remove("rule-1")
    await asyncio.sleep(0)
    assert not task.done()
    tested.remove("rule-2")
    assert await task is None


async def test_at_most_so_many_last_at_the_same_time() -> None:
    tested = plane("mount.umount: max 2 hang(gate)")
    tasks = [asyncio.create_task(tested.meet(umount(f"pvc-{number}"))) for number in range(5)]
    await asyncio.sleep(0)
    assert (tested.barriers.waiting(), tested.fired["mount.umount"]) == ({"gate": 2}, 2)
    assert sum(task.done() for task in tasks) == 3
    tested.reset()
    await asyncio.gather(*tasks)


async def test_a_caller_that_gives_up_leaves_the_barrier() -> None:
    tested = plane("mount.umount: max 1 hang(gate)")
    task = await hanging(tested, umount())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tested.barriers.waiting() == {}
    await hanging(tested, umount())  # its place is free again
    tested.reset()


@pytest.mark.parametrize(
    ("action", "least_s", "most_s"),
    [
        ("delay(1s)", 1, 1),
        ("delay(1s..3s)", 1, 3),
        ("delay(exp:1s)", 0, 40),
        ("delay(1ms/B)", 0.5, 0.5),
        ("stall(2s)", 2, 2),
    ],
)
def test_delays_are_drawn_for_each_firing(action: str, least_s: float, most_s: float) -> None:
    tested = plane(f"mount.umount: {action}")
    passings = [Passing("mount.umount", vol=f"pvc-{number}", size_bytes=500) for number in range(200)]
    delays = [tested.decide(passing)[0].delay_s() for passing in passings]
    assert least_s <= min(delays) <= max(delays) <= most_s
    assert (len(set(delays)) == 1) is (least_s == most_s)
    if action == "delay(exp:1s)":
        assert 0.8 < sum(delays) / len(delays) < 1.2


def test_what_becomes_ready_does_so_at_its_nth_look_or_after_a_time() -> None:
    clock = Clock()
    tested = plane("device.present{vol=a}: ready(3)", "device.present{vol=b}: ready(2s)", now=clock)
    got: dict[str, list[str]] = {"a": [], "b": []}
    for _ in range(4):
        for vol, found in got.items():
            found.extend(fired(tested, [Passing("device.present", vol=vol)]))
        clock.now_s += 1
    assert got == {"a": ["ready(3)", "ready(3)", "", ""], "b": ["ready(2s)", "ready(2s)", "", ""]}


def test_ten_thousand_rules_are_the_most() -> None:
    tested = plane()
    rules = [Rule("mount.umount", parse_rule(BUSY).terms) for _ in range(10_000)]
    tested.add_all(rules)
    with pytest.raises(ValueError, match="at most 10000 rules"):
        tested.add(rules[0])
