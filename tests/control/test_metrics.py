import asyncio
import re

from csisim.faults.grammar import parse_rule
from csisim.faults.plane import Passing


async def figures(http):
    answer = await http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    rows = re.findall(r"^([a-z_]+(?:\{[^}]*\})?) (\S+)$", answer.text, re.MULTILINE)
    return {name: float(value) for name, value in rows}


async def test_calls_are_counted_by_method_and_code_with_their_time(http, world):
    now = iter([1.0, 1.05, 2.0, 5.0, 6.0, 6.0])
    world.history._now = lambda: next(now)
    for call, type_, value in (("c1", "ok", {}), ("c2", "info", {"code": "UNAVAILABLE"}), ("c3", "fail", {})):
        world.history.add("invoke", "rpc", "CreateVolume", call=call)
        world.history.add(type_, "rpc", "CreateVolume", call=call, value=value)

    found = await figures(http)

    labels = 'driver_name="csi.example.org",grpc_status_code="{}",method_name="/csi.v1.Controller/CreateVolume"'
    ok, away = labels.format("OK"), labels.format("UNAVAILABLE")
    assert found[f"csi_plugin_operations_seconds_count{{{ok}}}"] == 1
    assert found[f"csi_plugin_operations_seconds_sum{{{away}}}"] == 3.0
    assert found[f"csi_plugin_operations_seconds_count{{{labels.format('UNKNOWN')}}}"] == 1
    buckets = [name for name in found if name.startswith("csi_plugin_operations_seconds_bucket") and "OK" in name]
    assert re.findall(r'le="([^"]+)"', " ".join(buckets)) == [
        "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "15.0", "25.0", "50.0", "120.0", "300.0", "600.0", "+Inf",
    ]  # fmt: skip


async def test_calls_of_the_nas_are_counted_and_made_up_methods_are_one(http, world):
    for method, type_ in (
        ("pool.dataset.create", "ok"),
        ("pool.dataset.create", "fail"),
        ("x" * 99, "fail"),
        ("y", "fail"),
    ):
        world.history.add("invoke", "nas", method)
        world.history.add(type_, "nas", method)

    found = await figures(http)

    assert {name: value for name, value in found.items() if name.startswith("csisim_nas_calls_total")} == {
        'csisim_nas_calls_total{method="pool.dataset.create",outcome="ok"}': 1,
        'csisim_nas_calls_total{method="pool.dataset.create",outcome="fail"}': 1,
        'csisim_nas_calls_total{method="other",outcome="fail"}': 2,
    }


async def test_faults_sites_rules_and_events_are_counted(http, world):
    world.plane.add(parse_rule("mount.umount: #2 error(EBUSY)", name="busy"))
    for _ in range(3):
        world.plane.decide(Passing("mount.umount"))

    found = await figures(http)

    assert found['csisim_faults_total{rule="busy",site="mount.umount"}'] == 1
    assert found['csisim_site_passed_total{site="mount.umount"}'] == 3
    assert found["csisim_rules"] == 1
    assert found["csisim_events_total"] == 1


async def test_names_of_rules_do_not_grow_without_end(http, world):
    for number in range(1100):
        world.history.add("info", "fault", "link.up", value={"rule": f"r{number}"})

    found = await figures(http)

    assert found['csisim_faults_total{rule="r999",site="link.up"}'] == 1
    assert found['csisim_faults_total{rule="other",site="link.up"}'] == 100


async def test_two_servers_count_for_themselves(serve, world):
    first, second = await serve(), await serve()
    world.history.add("info", "fault", "link.up", value={"rule": "r"})
    await first.close()
    world.history.add("info", "fault", "link.up", value={"rule": "r"})

    assert b'csisim_faults_total{rule="r",site="link.up"} 2.0' in second._app._metrics.text()
    assert b'csisim_faults_total{rule="r",site="link.up"} 1.0' in first._app._metrics.text()


async def test_who_waits_at_which_barrier_is_a_gauge(http, world):
    call = asyncio.create_task(world.plane.barriers.wait('a "quoted" one'))
    await asyncio.sleep(0)
    text = (await http.get("/metrics")).text
    call.cancel()

    assert 'csisim_barrier_waiting{barrier="a \\"quoted\\" one"} 1.0' in text
