"""Results as JUnit XML, the form that build servers read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from csisim.reports.remarks import idle, remarks
from csisim.reports.rules import TITLES, order
from csisim.reports.text import plain, printable

_LONGEST = 20_000
_MOST_REMARKS = 200


def suite(reports: Sequence[Mapping[str, Any]], *, name: str = "csisim") -> str:
    """One test suite with one test case per check and run, as GitLab and Jenkins read it.

    A violation is a failure. What could not be decided is one too, because it did not pass: it is never shown as
    skipped, which build servers count as fine. A check that had nothing to judge is skipped.

    Args:
        reports: plain data of runs; see `csisim.runs`.
        name: of the suite.
    """
    cases = [case for report in reports for case in _cases(report, len(reports) > 1)]
    counts = {"tests": len(cases), "failures": sum(case.find("failure") is not None for case in cases),
              "errors": 0, "skipped": sum(case.find("skipped") is not None for case in cases)}  # fmt: skip
    time_s = sum(_seconds(report) for report in reports)
    shown = {key: str(count) for key, count in counts.items()} | {"time": f"{time_s:.3f}"}
    root = Element("testsuites", {"name": printable(name), **shown})
    found = SubElement(root, "testsuite", {"name": printable(name), **shown})
    found.extend(cases)
    if lines := [line for report in reports for line in _remarks(report, len(reports) > 1)]:
        SubElement(found, "system-out").text = "\n".join(lines)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _cases(report: Mapping[str, Any], many: bool) -> Iterator[Element]:
    verdicts = report.get("invariants") or {}
    violations: dict[str, list[Mapping[str, Any]]] = {}
    for violation in report.get("violations") or []:
        violations.setdefault(str(violation.get("check", "?")), []).append(violation)
    seed = plain(report.get("seed", "?"), 60)
    mutant = plain((report.get("plan") or {}).get("mutant", ""), 60)
    suffix = f".{mutant}" if mutant else ""
    for number, check in enumerate(sorted({*map(str, verdicts), *violations}, key=order)):
        title = TITLES.get(check)
        shown = f"{plain(check, 100)}: {title}" if title else plain(check, 100)
        # The run's time belongs to all its checks; the first bears it, so that the sum is right.
        time_s = 0.0 if number else _seconds(report)
        case = Element("testcase", {
            "classname": f"csisim{suffix}.seed-{seed}" if many else f"csisim{suffix}",
            "name": f"{shown} [seed {seed}]" if many else shown,
            "time": f"{time_s:.3f}",
        })  # fmt: skip
        found = violations.get(check, [])
        if found or verdicts.get(check) == "violation":
            _fail(case, "violation", _summary(found), _text(found, report))
        elif verdicts.get(check) == "unknown":
            reason = plain((report.get("unknown") or {}).get(check, "it could not be decided"), 1_000)
            _fail(case, "unknown", reason, f"{reason}\n{_replay(report)}")
        elif (report.get("looked_at") or {}).get(check) == 0:
            SubElement(case, "skipped", {"message": idle(report, check)})
        yield case


def _remarks(report: Mapping[str, Any], many: bool) -> Iterator[str]:
    seed = f"seed {plain(report.get('seed', '?'), 60)}: " if many else ""
    yield from (f"{seed}{each}" for each in remarks(report)[:_MOST_REMARKS])


def _fail(case: Element, kind: str, message: str, text: str) -> None:
    SubElement(case, "failure", {"type": kind, "message": message}).text = text


def _summary(violations: Sequence[Mapping[str, Any]]) -> str:
    first = plain(violations[0].get("summary", ""), 500) if violations else "a violation"
    return first if len(violations) < 2 else f"{first} (and {len(violations) - 1} more)"


def _text(violations: Sequence[Mapping[str, Any]], report: Mapping[str, Any]) -> str:
    parts = []
    for violation in violations:
        parts += [
            plain(violation.get("summary", ""), 2_000),
            f"Why it is wrong: {plain(violation.get('why', ''), 2_000)}",
        ]
        if detail := printable(violation.get("detail") or ""):
            parts.append(detail if len(detail) <= _LONGEST else f"{detail[:_LONGEST]}... ({len(detail)} characters)")
    text = "\n".join(parts)
    if len(text) > 4 * _LONGEST:
        text = f"{text[: 4 * _LONGEST]}... ({len(text)} characters)"
    return f"{text}\n{_replay(report)}"


def _replay(report: Mapping[str, Any]) -> str:
    return f"replay: {plain(report.get('replay', ''), 4_000)}"


def _seconds(report: Mapping[str, Any]) -> float:
    given = report.get("virtual_s")
    return float(given) if isinstance(given, int | float) else 0.0
