"""Rules are read as written, printed so that they read back, and refused with the column."""

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csisim.faults.actions import CLOSE_CODES, DISCONNECTS, LIES, RESOURCES
from csisim.faults.codes import ERRNOS, GRPC_CODES
from csisim.faults.expressions import Expression
from csisim.faults.grammar import MAX_LENGTH, RuleError, parse_rule
from csisim.faults.model import MATCH_KEYS, PER_KEYS, Action, Match, Rule, Term
from csisim.faults.values import Delay


@pytest.mark.parametrize(
    "text",
    [
        "mount.umount{vol=pvc-7*}: 2*off->30%3*error(EBUSY)->off",
        "rpc.ControllerExpandVolume.after{node=n1}: #2 disconnect(rst)",
        "nas.pool.snapshot.create.reply: 5%delay(50ms..2s)",
        "link.down: t[10s,12s) disconnect(blackhole)",
        'rpc.*.before{vol="a, b", when="name == \'x\'", per=vol}: ~30s max 3 50%hang(gate)',
        "link.up: t[1m,) +2 /3 slice(16B, 10ms)",
        'rpc.CreateVolume.before: error(ABORTED, "say \\"hi\\", you \\\\")',
        "nas.pool.query.reply: disconnect(1011)->oversize(20MiB)->crash(nas, 1s)->reorder(2)->throttle(64KiB/s)",
        "clock.nas: skew(-30s)->skew(1h)",
        "file.write: truncate(0B)",
    ],
)
def test_a_rule_is_printed_as_it_was_written(text: str) -> None:
    assert str(parse_rule(text)) == text


def test_every_part_of_a_rule_is_read() -> None:
    rule = parse_rule(
        "rpc.CreateVolume.after{vol=pvc-*,phase=create}:t[1s,2s)~3s+4/5max 6 12.5%7*error(ABORTED,no way)"
    )
    term = Term(Action("error", "ABORTED", "no way"), 12.5, 7, 4, 5, None, 1.0, 2.0, 3.0, 6)
    assert rule == Rule("rpc.CreateVolume.after", (term,), Match((("vol", "pvc-*"), ("phase", "create"))))


@pytest.mark.parametrize(
    "text", ["a.b: off # why", "a.b: #2 drop      # grown on the NAS", "  a.b :  off#  x".replace("#", " #")]
)
def test_a_comment_ends_a_rule(text: str) -> None:
    assert parse_rule(text).site == "a.b"


_names = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), min_size=1, max_size=12)
_times = st.integers(1, 10**7).map(lambda number: number / 1000)
_delays = st.one_of(
    _times.map(lambda time: Delay("fixed", time, time)),
    st.tuples(_times, _times).map(lambda pair: Delay("uniform", min(pair), max(pair))),
    _times.map(lambda time: Delay("exp", time, time)),
    _times.map(lambda time: Delay("per-byte", time, time)),
)
_actions = st.one_of(
    st.sampled_from(["off", "drop", "dup", "corrupt", "hang"]).map(Action),
    st.builds(Action, st.just("error"), st.sampled_from([*GRPC_CODES, *ERRNOS]), st.just("") | _names),
    st.builds(Action, st.just("delay"), delay=_delays),
    st.builds(Action, st.just("stall"), seconds=_times),
    st.builds(Action, st.just("skew"), seconds=_times | _times.map(lambda time: -time)),
    st.builds(Action, st.sampled_from(["reorder", "ready"]), number=st.integers(1, 10**6)),
    st.builds(Action, st.sampled_from(["truncate", "limit"]), size_bytes=st.integers(0, 1 << 40)),
    st.builds(Action, st.just("oversize"), size_bytes=st.integers(0, 256 << 20)),
    st.builds(Action, st.just("disconnect"), st.sampled_from(DISCONNECTS)),
    st.builds(Action, st.just("disconnect"), number=st.sampled_from(sorted(CLOSE_CODES))),
    st.builds(Action, st.just("lie"), st.sampled_from(LIES)),
    st.builds(Action, st.just("exhaust"), st.sampled_from(RESOURCES)),
)
_terms = st.builds(
    Term,
    _actions,
    percent=st.just(100.0) | st.integers(0, 99).map(float),
    times=st.none() | st.integers(1, 10**9),
    skip=st.integers(0, 100),
    every=st.integers(1, 100),
    nth=st.none() | st.integers(1, 10**9),
    from_s=st.just(0.0) | _times,
    until_s=st.none() | _times.map(lambda time: time + 10**5),
    ramp_s=st.just(0.0) | _times,
    most=st.none() | st.integers(1, 100),
)
_matches = st.builds(
    Match,
    st.dictionaries(st.sampled_from([key for key in MATCH_KEYS if key != "phase"]), _names, max_size=3).map(
        lambda found: tuple(found.items())
    ),
    st.none() | st.sampled_from(["a == 'b'", 'name in ("x", "y")']).map(Expression),
    st.sampled_from(["", *PER_KEYS]),
).filter(lambda match: all(pattern.count("*") <= 8 for _, pattern in match.patterns))


@settings(max_examples=150)
@given(
    st.builds(
        Rule,
        st.sampled_from(["rpc.*.after", "mount.umount"]),
        st.lists(_terms, min_size=1, max_size=4).map(tuple),
        _matches,
    )
)
def test_any_rule_that_can_be_made_reads_back_as_itself(rule: Rule) -> None:
    assert parse_rule(str(rule)) == rule


@settings(max_examples=250)
@given(st.text(max_size=60) | st.text(alphabet='abr.:{}=%*+#/~[]()->," 1sm', max_size=60))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    try:
        rule = parse_rule(text)
    except RuleError as error:
        column = error.column
    else:
        column = 1
        assert parse_rule(str(rule)) == rule
    assert 1 <= column <= len(text) + 1


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("", 1, "a site such as"),
        ("mount.umount", 13, "':' and what happens there"),
        ("mount.umount: 200%off", 15, "more than 100%"),
        ("a: error(EFOO)", 10, "neither a gRPC code nor an errno"),
        ("a: error()", 4, r"error\(CODE\) or error\(CODE, text\)"),
        ("a{vol=x: off", 10, "',' and the next condition, or '}'"),
        ("a{vol=x, vol=y}: off", 10, "vol is given twice"),
        ("a{size=1}: off", 3, "'size' is not one of vol, snap, node, client, phase, code, when, per"),
        ("a{phase=born}: off", 9, "'born' is not one of create"),
        ("a{per=phase}: off", 7, "'phase' is not one of vol"),
        ('a{when="x + 1"}: off', 9, "are allowed here"),
        ('a{vol="x}: off', 7, "no closing"),
        ("a: hang(", 9, r"the next argument, or '\)'"),
        ("a: 2* 3* off", 7, "given twice"),
        ("a: off off", 8, "'->' and the next term, or the end"),
        ("a: t[5s,2s) off", 4, "ends after it begins"),
        ("a: t[x,2s) off", 6, "is not a duration"),
        ("a: delay(5)", 10, "is not a duration"),
        ("a: delay(1s, 2s)", 14, "is written as"),
        ("a: /0 off", 5, "a number from 1"),
        ("a: 0*off", 4, "a number from 1"),
        ("a: disconnect(99)", 15, "or a close code: 1000 to 1003, 1007"),
        ("a: disconnect(1006)", 15, "or a close code: 1000 to 1003, 1007"),
        ("a: oversize(10GiB)", 13, "at most 256MiB"),
        ('a: error(EBUSY, "two\nlines")', 21, "a line break cannot be part of a text"),
        ("a: explode", 4, "'explode' is not an action; there are off, error"),
        ("a: slice(0B)", 10, "at least one byte"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_column_and_what_is_allowed_there(
    text: str, column: int, reason: str
) -> None:
    with pytest.raises(RuleError, match=reason) as caught:
        parse_rule(text)
    assert caught.value.column == column
    assert f"column {column}: " in str(caught.value)


def test_the_caret_stands_below_the_column() -> None:
    with pytest.raises(RuleError) as caught:
        parse_rule("rpc.CreateVolume.before: delay(5)")
    _, line, caret = str(caught.value).split("\n")
    assert line[caret.index("^")] == "5"


def test_a_rule_that_is_too_long_is_refused() -> None:
    with pytest.raises(RuleError, match="at most 4000 characters"):
        parse_rule("a: off" + "->off" * MAX_LENGTH)
    with pytest.raises(RuleError, match="at most 50 terms"):
        parse_rule("a: off" + "->off" * 60)


def test_an_error_comes_out_of_another_process_as_it_was() -> None:
    error = RuleError("here should be more", "a.b", 4, 2)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (str(again), again.column, again.line) == (str(error), 4, 2)
