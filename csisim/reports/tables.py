"""What is counted: verdicts, calls by method and code, faults."""

from collections.abc import Mapping
from typing import Any, Final

from csisim.reports.markup import table, tag, text
from csisim.reports.record import Pair, Record
from csisim.reports.remarks import idle
from csisim.reports.rules import TITLES, order
from csisim.reports.text import counted, duration, plain, seconds
from csisim.reports.words import code, ending, what

_MOST_ROWS: Final = 200
_MOST_CODES: Final = 8
_LOOKS: Final = {"ok": "ok", "violation": "wrong", "unknown": "info"}
_KINDS: Final = {
    "call": "As callers saw them", "rpc": "As the driver served them", "nas": "Asked of the NAS",
    "mount": "Asked of the machines", "data": "Workloads",
}  # fmt: skip


def verdicts(report: Mapping[str, Any]) -> str:
    """Each check, what it says, and how much it looked at."""
    violations = [str(each.get("check", "?")) for each in report.get("violations") or []]
    given = {str(name): str(verdict) for name, verdict in (report.get("invariants") or {}).items()}
    given |= dict.fromkeys(violations, "violation")
    looked_at, unknown = report.get("looked_at") or {}, report.get("unknown") or {}
    rows = []
    for name in sorted(given, key=order)[:_MOST_ROWS]:
        count = looked_at.get(name)
        verdict = "not met" if count == 0 and given[name] == "ok" else plain(given[name], 40)
        note = plain(unknown.get(name, ""), 400)
        if name in violations:
            note = counted(violations.count(name), "violation")
        elif verdict == "not met":
            note = idle(report, name)
        shown = tag("span", text(verdict), class_=f"verdict {_LOOKS.get(verdict, 'idle')}")
        rows.append([text(plain(name, 60)), text(TITLES.get(name, "")), shown, text(_count(count)), text(note)])
    return table(["check", "what it holds the run to", "verdict", "looked at", ""], rows, "verdicts")


def calls(record: Record) -> str:
    """Calls by method: how many, how they ended, how long they took."""
    methods: dict[str, dict[str, list[Pair]]] = {kind: {} for kind in _KINDS}
    for pair in record.calls.values():
        entry = pair.begin or pair.end
        if entry is not None and entry.kind in methods:
            methods[entry.kind].setdefault(entry.f, []).append(pair)
    parts = []
    for kind, title in _KINDS.items():
        rows = [_method(name, pairs) for name, pairs in sorted(methods[kind].items())[:_MOST_ROWS]]
        if rows:
            parts += [tag("h3", title), table(["method", "calls", "ended", "median", "95 %", "longest"], rows, "calls")]
    return "\n".join(parts) or tag("p", "No call was made.")


def _method(name: str, pairs: list[Pair]) -> list[str]:
    codes: dict[str, int] = {}
    looks: dict[str, str] = {}
    for pair in pairs:
        ended = code(pair.end)
        codes[ended] = codes.get(ended, 0) + 1
        looks[ended] = plain(ending(pair.end), 10) if pair.end else "open"
    most = sorted(codes, key=lambda each: (-codes[each], each))
    shown = [
        tag("span", f"{text(each)} {tag('b', f'{codes[each]:,}')}", class_=f"code {looks[each]}")
        for each in most[:_MOST_CODES]
    ]
    if len(most) > _MOST_CODES:
        shown.append(f"and {counted(len(most) - _MOST_CODES, 'more code')}")
    took = sorted(pair.end.at_s - pair.begin.at_s for pair in pairs if pair.begin and pair.end)
    times = [duration(took[int(part * (len(took) - 1))]) if took else "" for part in (0.5, 0.95, 1.0)]
    return [text(plain(name, 80)), f"{len(pairs):,}", " ".join(shown), *times]


def faults(record: Record) -> str:
    """What fired, when, and into what."""
    fired = [entry for entry in record.entries if entry.kind == "fault"]
    if not fired:
        return tag("p", "No fault fired.")
    rows = [
        [tag("a", text(seconds(entry.at_s)), href=f"#e{entry.seq}"), text(what(entry, record))]
        for entry in fired[:_MOST_ROWS]
    ]
    more = f"{len(fired) - _MOST_ROWS:,} more are in the list of events."
    return table(["time", "what it did"], rows, "faults") + (tag("p", more) if len(fired) > _MOST_ROWS else "")


def facts(report: Mapping[str, Any]) -> str:
    """What kind of run it was, as terms and descriptions."""
    plan, driver = report.get("plan") or {}, report.get("driver") or {}
    given = {
        "driver": f"WITH THE KNOWN BUG {plan['mutant']}" if plan.get("mutant") else driver.get("name", ""),
        "version": driver.get("version", ""),
        "endpoint": plan.get("endpoint", ""),
        "run": plan.get("run", ""),
        "seed": report.get("seed", "?"),
        "strategy": report.get("strategy", "?"),
        "time": f"{seconds(report.get('virtual_s'))}{'' if report.get('real') else ' virtual'}",
        "calls": _count(report.get("calls")),
        "faults fired": _count(report.get("faults_fired")),
        "steps": "" if report.get("real") else _count(report.get("steps")),
        "trace": report.get("trace_hash") or "",
        "ran on": "real sockets" if report.get("real") else "the simulated loop",
    }
    return "".join(
        tag("div", tag("dt", name) + tag("dd", text(plain(value, 120)))) for name, value in given.items() if value != ""
    )


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "" if value is None else plain(value, 40)
