import re
from html.parser import HTMLParser
from typing import Any

import pytest

from csisim.check.verdicts import Violation
from csisim.reports.html import page
from csisim.reports.markup import asset, digest
from tests.reports.runs_told import Told, crowd, data_loss, report

VOID = {"meta", "link", "br", "hr", "img", "input"}
MOST_BYTES = 5 * 2**20


class Balance(HTMLParser):
    """Reads a page strictly: every element that opens closes, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: dict[str, int] = {}
        self.attributes: list[tuple[str, str]] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.attributes += [(key, value or "") for key, value in attrs]
        self.ids += [value or "" for key, value in attrs if key == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def read(text: str) -> Balance:
    found = Balance()
    found.feed(text)
    found.close()
    assert found.open == []
    return found


def test_a_page_is_whole_and_every_link_in_it_leads_somewhere() -> None:
    given, events = data_loss()
    found = read(page(given, events, [events[40].seq]))
    links = [value for key, value in found.attributes if key == "href"]
    assert all(link.startswith("#") for link in links)
    assert {link[1:] for link in links} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert {f"e{event.seq}" for event in events} <= set(found.ids)


def test_what_went_wrong_comes_first_then_verdicts_lanes_calls_faults_and_events() -> None:
    given, events = data_loss()
    heads = re.findall(r"<h[12]>([^<]+)<", page(given, events))
    assert heads == [
        "1 violation of I1",
        "What went wrong",
        "Verdicts",
        "Timeline",
        "Calls",
        "Faults",
        "Plan",
        "Events",
    ]


def test_a_page_loads_nothing_and_runs_only_its_own_script() -> None:
    given, events = data_loss()
    text = page(given, events)
    found = read(text)
    assert found.tags["script"] == found.tags["style"] == 1
    assert found.tags.keys().isdisjoint({"link", "img", "iframe", "object", "embed", "form", "base"})
    keys = {key for key, _ in found.attributes}
    assert not any(key.startswith("on") or key in {"src", "style", "srcset", "xlink:href"} for key in keys)
    (policy,) = [value for _, value in found.attributes if value.startswith("default-src")]
    assert policy.startswith("default-src 'none'; ")
    assert {digest(asset("page.css")), digest(asset("page.js"))} <= set(re.findall(r"'sha256-[^']+'", policy))
    assert f"<style>{asset('page.css')}</style>" in text
    assert f"<script>{asset('page.js')}</script>" in text


def test_a_good_run_says_so() -> None:
    _, events = data_loss()
    text = page(report(), events)
    assert '<header class="ok">' in text
    assert "Everything held: 3 checks had something to judge" in text
    assert "What went wrong" not in text


def test_a_run_that_could_not_be_judged_does_not_look_good() -> None:
    text = page(report(verdict="unknown", unknown={"I1": "why"}), [])
    assert '<header class="info">' in text
    assert "not everything could be decided" in text


HOSTILE = "</script></style></svg><script>alert(1)</script><img src=x onerror=alert(1)>\"'><!--]]>\x00\x1b\ud800\u202e"


def hostile_run(text: str) -> tuple[dict[str, Any], list[Any]]:
    told = Told()
    for kind in ("call", "rpc", "nas", "mount", "lock", "data", "fault", "intent", "truth", "world", "state", text):
        for f in (text, "phase", "mount", "left", "read"):
            call = told.history.new_call()
            value = dict.fromkeys(
                ("volume_id", "name", "path", "source", "object", "phase", "action", "rule", "vol", text), text
            )
            told.add("invoke", kind, f, value | {"params": [text], "objects": [text]}, call=call, process=text)
            told.add(
                "info",
                kind,
                f,
                {"code": text, "message": text, text: [{text: text}]},
                call=call,
                process=text,
                parent=text,
            )
    told.add(text, "call", text, {}, call=text)
    given = report(Violation(text, text, text, (1, 2), 0.0, text), seed=text, strategy=text, replay=text, trace_hash=text,
                   verdict=text, unknown={text: text}, looked_at={text: text}, invariants={text: text}, faults=[text], plan={text: text})  # fmt: skip
    return given, told.events


def test_nothing_of_the_run_can_break_or_add_to_the_page() -> None:
    given, events = hostile_run(HOSTILE)
    text = page(given, events, [3, 999_999])
    text.encode()
    found = read(text)
    assert found.tags["script"] == found.tags["style"] == 1
    assert "img" not in found.tags
    assert not any(key.startswith("on") for key, _ in found.attributes)
    assert not re.search("[\x00\x1b\u202e]", text)


def test_texts_without_end_do_not_make_a_page_without_end() -> None:
    given, events = hostile_run(HOSTILE + "x" * 1_000_000)
    assert len(page(given, events).encode()) < MOST_BYTES


@pytest.mark.parametrize("value", ["<", "&é" * 2_500])
def test_twenty_thousand_events_fit_into_five_mebibytes_with_every_cut_stated(value: str) -> None:
    events = crowd(20_000 if value == "<" else 3_000)
    told = Told()
    for event in events:
        told.at_s = event.at_s
        told.add(event.type, event.kind, event.f, {"x": value}, call=event.call, process=event.process)
    text = page(report(), told.events)
    assert len(text.encode()) < MOST_BYTES
    if len(value) > 1_000:
        assert re.search(r"[Vv]alues longer than \d+ characters are shortened", text)


def test_a_report_without_events_or_members_is_still_a_page() -> None:
    assert "reported without its events" in page(report(), [])
    read(page({}, []))
