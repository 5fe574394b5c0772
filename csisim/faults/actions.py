"""The actions of the rule language and their arguments. Pure.

off                              no fault, and no further term of the rule
error(CODE|ERRNO[, text])        refuse with a gRPC code, or with an errno
delay(50ms | 1s..2s | exp:1s | 2us/B)
hang([barrier])                  wait until the barrier is released
stall(50ms)                      as delay, for a task that is ready to run
drop                             no answer; on a link: the bytes
dup | reorder(2) | truncate(100B) | corrupt | oversize(20MiB)      of messages
throttle(64KiB/s) | slice(16B[, 10ms]) | limit(4KiB)               of a link
disconnect(fin|rst|half|blackhole|CODE[, 1s])     the time: of a link, nothing gets through until then
crash([driver|nas|node|reboot][, 1s])     what comes back after that time
lie([ok|ro|lazy|gone|wrong|empty])        says something that is not so
exhaust(pool|quota|attach|rate)
ready(3) | ready(2s)             not ready until the third look, or for so long
skew(1h) | skew(-30s)            of a clock
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from csisim.faults.codes import ERRNOS, GRPC_CODES, NAS_ERRNOS
from csisim.faults.model import Action
from csisim.faults.values import parse_delay, parse_duration, parse_rate, parse_size

T = TypeVar("T")

DISCONNECTS: Final = ("fin", "rst", "half", "blackhole")
CLOSE_CODES: Final = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))
"""Of websockets, those that an endpoint may send (RFC 6455 section 7.4)."""
CRASHES: Final = ("driver", "nas", "node", "reboot")
LIES: Final = ("ok", "ro", "lazy", "gone", "wrong", "empty")
RESOURCES: Final = ("pool", "quota", "attach", "rate")
MAX_TEXT: Final = 1000
MAX_NUMBER: Final = 1_000_000
MAX_OVERSIZE_BYTES: Final = 256 << 20
"""It is built in memory."""


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument as written; `column` is where it begins."""

    text: str
    column: int


class ActionError(ValueError):
    """The arguments do not fit; `column` is where, None for the action's own place."""

    def __init__(self, text: str, column: int | None = None) -> None:
        super().__init__(text)
        self.column = column


Build = Callable[[str, Sequence[Arg]], Action]


def build(kind: str, args: Sequence[Arg]) -> Action:
    """The action of this name with these arguments.

    Raises:
        ActionError: there is none, or the arguments are wrong; says what is allowed.
    """
    maker = _MAKERS.get(kind)
    if maker is None:
        raise ActionError(f"{kind!r} is not an action; there are {', '.join(_MAKERS)}")
    return maker(kind, args)


def _read(arg: Arg, parse: Callable[[str], T]) -> T:
    try:
        return parse(arg.text)
    except ValueError as error:
        raise ActionError(str(error), arg.column) from None


def _count(kind: str, args: Sequence[Arg], least: int, most: int, example: str) -> None:
    if not least <= len(args) <= most:
        at = args[most].column if len(args) > most else None
        raise ActionError(f"{kind} is written as {example}", at)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:12]) <= MAX_NUMBER:
        raise ValueError(f"{text!r} is not a number from 1 to {MAX_NUMBER}")
    return int(text)


def _plain(kind: str, args: Sequence[Arg]) -> Action:
    _count(kind, args, 0, 0, f"{kind}, without arguments")
    return Action(kind)


def _error(kind: str, args: Sequence[Arg]) -> Action:
    _count(kind, args, 1, 2, "error(CODE) or error(CODE, text)")
    code = args[0].text
    if code not in GRPC_CODES and code not in ERRNOS and code not in NAS_ERRNOS:
        known = f"{', '.join(GRPC_CODES)}, or an errno such as EBUSY or ENOTAUTHENTICATED"
        raise ActionError(f"{code!r} is neither a gRPC code nor an errno; there are {known}", args[0].column)
    text = args[1].text if len(args) > 1 else ""
    if len(text) > MAX_TEXT:
        raise ActionError(f"an error's text has at most {MAX_TEXT} characters", args[1].column)
    return Action(kind, word=code, text=text)


def _delay(kind: str, args: Sequence[Arg]) -> Action:
    _count(kind, args, 1, 1, "delay(50ms), delay(1s..2s), delay(exp:1s) or delay(2us/B)")
    return Action(kind, delay=_read(args[0], parse_delay))


def _hang(kind: str, args: Sequence[Arg]) -> Action:
    _count(kind, args, 0, 1, "hang or hang(barrier)")
    name = args[0].text if args else ""
    if len(name) > 64 or not name.isprintable():
        raise ActionError("a barrier's name has at most 64 printable characters", args[0].column)
    return Action(kind, word=name)


def _stall(kind: str, args: Sequence[Arg]) -> Action:
    _count(kind, args, 1, 1, "stall(50ms)")
    return Action(kind, seconds=_read(args[0], parse_duration))


def _numbered(kind: str, args: Sequence[Arg]) -> Action:
    _count(kind, args, 1, 1, f"{kind}(2)")
    return Action(kind, number=_read(args[0], _number))


def _sized(kind: str, args: Sequence[Arg]) -> Action:
    _count(kind, args, 1, 1, f"{kind}(4KiB)")
    size_bytes = _read(args[0], parse_size)
    if kind == "oversize" and size_bytes > MAX_OVERSIZE_BYTES:
        raise ActionError(f"a message is made at most {MAX_OVERSIZE_BYTES >> 20}MiB large", args[0].column)
    return Action(kind, size_bytes=size_bytes)


def _throttle(kind: str, args: Sequence[Arg]) -> Action:
    _count(kind, args, 1, 1, "throttle(64KiB/s)")
    return Action(kind, size_bytes=_read(args[0], parse_rate))


def _slice(kind: str, args: Sequence[Arg]) -> Action:
    _count(kind, args, 1, 2, "slice(16B) or slice(16B, 10ms)")
    size = _read(args[0], parse_size)
    if size == 0:
        raise ActionError("a slice has at least one byte", args[0].column)
    return Action(kind, size_bytes=size, seconds=_read(args[1], parse_duration) if len(args) > 1 else None)


def _disconnect(kind: str, args: Sequence[Arg]) -> Action:
    _count(kind, args, 0, 2, "disconnect(fin), (rst), (half), (blackhole), or a close code such as (1011)")
    how = args[0].text if args else "rst"
    seconds = _read(args[1], parse_duration) if len(args) > 1 else None
    if how.isascii() and how.isdigit() and int(how[:5]) in CLOSE_CODES:
        return Action(kind, number=int(how), seconds=seconds)
    word = _one_of(kind, how, DISCONNECTS, args, " or a close code: 1000 to 1003, 1007 to 1014, 3000 to 4999")
    return Action(kind, word=word, seconds=seconds)


def _crash(kind: str, args: Sequence[Arg]) -> Action:
    _count(kind, args, 0, 2, "crash, crash(nas) or crash(nas, 1s)")
    what = _one_of(kind, args[0].text, CRASHES, args) if args else ""
    return Action(kind, word=what, seconds=_read(args[1], parse_duration) if len(args) > 1 else None)


def _lie(kind: str, args: Sequence[Arg]) -> Action:
    _count(kind, args, 0, 1, "lie(ok)")
    return Action(kind, word=_one_of(kind, args[0].text if args else "ok", LIES, args))


def _exhaust(kind: str, args: Sequence[Arg]) -> Action:
    _count(kind, args, 1, 1, "exhaust(pool)")
    return Action(kind, word=_one_of(kind, args[0].text, RESOURCES, args))


def _ready(kind: str, args: Sequence[Arg]) -> Action:
    _count(kind, args, 1, 1, "ready(3) for the third look, or ready(2s)")
    if args[0].text.isdigit():
        return Action(kind, number=_read(args[0], _number))
    return Action(kind, seconds=_read(args[0], parse_duration))


def _skew(kind: str, args: Sequence[Arg]) -> Action:
    _count(kind, args, 1, 1, "skew(1h) or skew(-30s)")
    text = args[0].text
    seconds = _read(Arg(text.removeprefix("-"), args[0].column), parse_duration)
    return Action(kind, seconds=-seconds if text.startswith("-") else seconds)


def _one_of(kind: str, word: str, known: Sequence[str], args: Sequence[Arg], more: str = "") -> str:
    if word not in known:
        raise ActionError(f"{kind}({word}): there are {', '.join(known)}{more}", args[0].column if args else None)
    return word


_MAKERS: Final[Mapping[str, Build]] = {
    "off": _plain, "error": _error, "delay": _delay, "hang": _hang, "stall": _stall, "drop": _plain, "dup": _plain,
    "reorder": _numbered, "truncate": _sized, "corrupt": _plain, "oversize": _sized, "throttle": _throttle,
    "slice": _slice, "limit": _sized, "disconnect": _disconnect, "crash": _crash, "lie": _lie, "exhaust": _exhaust,
    "ready": _ready, "skew": _skew,
}  # fmt: skip

KINDS: Final = tuple(_MAKERS)
