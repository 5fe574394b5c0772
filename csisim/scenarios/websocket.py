"""The one connection to the NAS: cut, silent, logged out, and full."""

from typing import Final

from csisim.runs.script import Script
from csisim.scenarios.expect import expect, recovered
from csisim.scenarios.scenario import EXPECTATION, Scenario
from csisim.scenarios.wrong_client import each_reconnects, logs_in_once, sends_at_once, waits_for_tcp

_ENDS: Final = {"reset": "disconnect(rst)", "ended": "disconnect(fin)", "closed": "disconnect(1011)"}
_AWAY: Final = "nas.pool.dataset.create.apply: #4 crash(nas, 1s)"
_HALF: Final = "link.down: 1*disconnect(half)"
_MOST_ATTEMPTS: Final = 6


async def _ends_at_once(cluster: Script, how: str) -> None:
    cut = cluster.faults.add("\n".join(_cuts(_ENDS[how])))
    for number in range(4):
        cluster.co.create_claim(f"data-{number}")
    await cluster.fired(cut, 2)
    await cluster.driver.crash(down_s=2 * cluster.times)
    cut.remove()
    await cluster.settled()


def _cuts(end: str) -> tuple[str, ...]:
    return f"link.up: +3 1*{end}", f"link.down: +2 1*{end}", "fin.down: 2*drop"


async def _storm(cluster: Script, _variant: str) -> None:
    cluster.co.create_claim("first")
    await cluster.settled()
    before, tried = _logins(cluster), cluster.faults.passed("connect.nas")
    crash = cluster.faults.add(_AWAY.replace("1s", f"{cluster.times}s"))
    for number in range(12):
        cluster.co.create_claim(f"data-{number}")
    await cluster.fired(crash)
    await cluster.settled()
    expect(_logins(cluster) == before + 1, "one login is enough for all that wait")
    expect(cluster.faults.passed("connect.nas") - tried <= _MOST_ATTEMPTS, "attempts to connect are few")


async def _logged_out(cluster: Script, _variant: str) -> None:
    cluster.co.create_claim("data")
    await cluster.settled()
    before = _logins(cluster)
    await cluster.nas.call("auth.terminate_other_sessions")
    for number in range(6):
        cluster.co.create_claim(f"data-{number}")
    await recovered(cluster)
    await cluster.teardown()
    expect(_logins(cluster) == before + 1, "one login is enough for a burst of calls")


def _logins(cluster: Script) -> int:
    """How often somebody has logged in to the NAS."""
    return sum(event.f.startswith("auth.login") and event.type == "ok" for event in cluster.history.since())


async def _half_open(cluster: Script, _variant: str) -> None:
    cluster.co.create_claim("first")
    await cluster.settled()
    half = cluster.faults.add(_HALF)
    cluster.co.create_claim("data")
    await cluster.fired(half)
    await recovered(cluster)
    expect(cluster.faults.plane.rules, "the link is still what it was: nobody has healed it")
    expect(len(cluster.attempts("CreateVolume", "OK")) == 2, "both claims have their volume")


async def _burst(cluster: Script, _variant: str) -> None:
    for number in range(30):
        cluster.co.create_claim(f"data-{number}")
    await cluster.settled()
    told = {each.code.name for each in cluster.attempts("CreateVolume")}
    expect(told <= {"OK", "DEADLINE_EXCEEDED", "ABORTED"}, "nobody is refused, though some may have to wait")


SCENARIOS: Final = (
    Scenario(
        name="W01",
        title="A connection that ends in several ways at once",
        story=(
            "The connection is cut from both ends while calls are out, and the driver closes it too. Each call must"
            " have one answer, whoever comes first. One that asks whether it is closed, and then closes it, crashes."
        ),
        faults=(*_cuts(_ENDS["reset"]), "the driver is killed while it connects again"),
        expectation="Every call is answered once, nothing crashes, and the claims get their volumes.",
        invariants=("I16",),
        source="review BUG-001; GizmoTickler/truenas-scale-csi@56ab5a1",
        body=_ends_at_once,
        variants=tuple(_ENDS),
        wrong="M-CLOSE2",
        wrong_idea="Whether it is closed already is asked first, so it is closed once.",
        caught_by=("I16",),
    ),
    Scenario(
        name="W02",
        title="A NAS that comes back to everybody who waited for it",
        story=(
            "The NAS goes away with many calls out. If each call that sees the loss connects for itself, the NAS is"
            " flooded with logins when it comes back, slows them down, and never recovers."
        ),
        faults=(_AWAY,),
        expectation="Those who wait share one connection and one login, and attempts are few.",
        invariants=("I18", "I11"),
        source="GizmoTickler/truenas-scale-csi@de1aeda; truenas/webui#12458; fenio/tns-csi",
        body=_storm,
        wrong=each_reconnects,
        wrong_idea="Whoever needs the connection sees to it that there is one.",
        caught_by=("I18", EXPECTATION),
    ),
    Scenario(
        name="W03",
        title="A socket that is up, and a session that is forgotten",
        story=(
            "The middleware forgets its sessions; the socket stays, and pings are answered. Every call is refused as"
            " not authenticated until somebody restarts the driver, unless that logs in again."
        ),
        faults=("auth.terminate_other_sessions on the NAS",),
        expectation="All claims get their volumes, and for a burst of calls there is one login.",
        invariants=("I11",),
        source="fenio/tns-csi#193, #216",
        body=_logged_out,
        wrong=logs_in_once,
        wrong_idea="While pings are answered the session is fine.",
        caught_by=("I11", EXPECTATION),
    ),
    Scenario(
        name="W05",
        title="A connection on which nothing comes back",
        story=(
            "A half-open link. A driver that takes a connection for good until TCP complains waits behind it for ever,"
            " one call after the other."
        ),
        faults=(_HALF,),
        expectation="The silence is noticed, and the calls go out on a new connection.",
        invariants=("I11", "I9"),
        source="GizmoTickler/truenas-scale-csi@de1aeda; sodazone/ocelloids-services#151",
        body=_half_open,
        real=False,
        wrong=waits_for_tcp,
        wrong_idea="A connection that is broken says so.",
        caught_by=(EXPECTATION,),
    ),
    Scenario(
        name="W06",
        title="More calls at once than the NAS takes",
        story=(
            "Thirty claims come at once; on one socket the NAS runs ten calls, queues ten, and refuses the next. A"
            " driver that sends what it has takes refusals for errors, or hammers on."
        ),
        faults=("thirty claims at one time",),
        expectation="None is refused, because the driver holds back what is too much.",
        invariants=("I18", "I11"),
        source="truenas/middleware SoftHardSemaphore(10, 20); GizmoTickler/truenas-scale-csi@235946e",
        body=_burst,
        wrong=sends_at_once,
        wrong_idea="How much it takes is the business of the NAS, which says when it is too much.",
        caught_by=("I18",),
    ),
)
