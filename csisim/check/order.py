"""What was surely done, or surely undone, when a call was under way.

A call whose outcome nobody knows may take effect at any later time, so with enough of them nothing is sure, and nothing
is a violation.
"""

from collections.abc import Iterable

from csisim.check.index import Call


def surely_done(does: Iterable[Call], undoes: Iterable[Call], begin: int, end: int) -> Call | None:
    """The last call that did something before `begin`, where nothing can have undone it up to `end`.

    Args:
        does: the calls that do it.
        undoes: the calls that undo it.
        begin: number of the first event of that time.
        end: number of the last.
    """
    done = [call for call in does if call.effect == "yes" and call.end < begin]
    if not done:
        return None
    last = max(done, key=lambda call: call.begin)
    for undo in undoes:
        if undo.effect != "no" and undo.begin <= end and undo.settled > last.begin:
            return None
    return last


def surely_undone(does: Iterable[Call], undoes: Iterable[Call], begin: int, end: int) -> bool:
    """Whether it was not done at any time from `begin` to `end`: never before, or undone and not done again.

    Args:
        does: the calls that do it.
        undoes: the calls that undo it.
        begin: number of the first event of that time.
        end: number of the last.
    """
    since = max((call.begin for call in undoes if call.effect == "yes" and call.end < begin), default=0)
    return not any(call.effect != "no" and call.begin < end and call.settled > since for call in does)


def latest_undo(undoes: Iterable[Call], before: int) -> Call | None:
    """The last call that surely undid something before an event."""
    done = [call for call in undoes if call.effect == "yes" and call.end < before]
    return max(done, key=lambda call: call.begin, default=None)
