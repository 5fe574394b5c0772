"""The swarm: the seed draws some of many kinds of passing faults, and where they strike.

Each kind is one that a driver can survive by looking and repeating. Not among them, because they lie to somebody who
has no way to know better:

| left out | because |
|---|---|
| lie(...), truncate of file.write | done, it says, and it is not |
| error(ABORTED) or another definite code after the effect | the caller is told that nothing has happened |
| error(INTERNAL) and the like | callers take it as the end: they stop repeating, and something is left |
| corrupt | one letter of a name or a digit of a size becomes another, and nothing shows it |
| hang, drop at a link, a black hole of a link without an end | nothing ever passes again: there is no way to go on |
| a driver that is back before a call of its former life has taken effect on the NAS | nobody is left who knows of it |
"""

import random
import re
from collections.abc import Callable, Mapping
from typing import Final

_CONTROLLER: Final = (
    "CreateVolume", "DeleteVolume", "ControllerPublishVolume", "ControllerUnpublishVolume", "ControllerExpandVolume",
    "CreateSnapshot", "DeleteSnapshot", "ListVolumes", "ControllerModifyVolume",
)  # fmt: skip
_NODE: Final = (
    "NodeStageVolume", "NodeUnstageVolume", "NodePublishVolume", "NodeUnpublishVolume", "NodeExpandVolume",
)  # fmt: skip
_CHANGING: Final = (
    "pool.dataset.create", "pool.dataset.update", "pool.dataset.delete", "pool.snapshot.create", "pool.snapshot.clone",
    "pool.snapshot.delete", "sharing.nfs.create", "sharing.nfs.delete", "iscsi.target.create", "iscsi.extent.create",
    "iscsi.targetextent.create", "iscsi.target.delete", "iscsi.extent.delete", "nvmet.subsys.create",
    "nvmet.namespace.create", "nvmet.subsys.delete", "nvmet.namespace.delete",
)  # fmt: skip
_READING: Final = ("pool.dataset.query", "pool.snapshot.query", "iscsi.*.query", "nvmet.*.query", "sharing.nfs.query")
_GROWING: Final = ("pool.dataset.create", "pool.dataset.update", "pool.snapshot.create", "pool.snapshot.clone")
_MOUNT: Final = (
    "mount", "bind", "umount", "mounts", "mounts_of", "make_dir", "make_file", "remove_path", "exists", "statfs",
    "resize_fs",
)  # fmt: skip
_DEVICE: Final = ("connect", "present", "size_bytes", "rescan", "format_of", "make_fs", "disconnect")
_FILE: Final = ("read", "write", "remove", "names")


Draw = Callable[[random.Random], str]

KINDS: Final[Mapping[str, str]] = {
    "rpc refused": "rpc.{rpc}.before: {often}error({UNAVAILABLE|ABORTED})",
    "rpc answer unknown": "rpc.{rpc}.after: {often}error({UNAVAILABLE|DEADLINE_EXCEEDED|CANCELLED})",
    "rpc request lost": "rpc.{rpc}.before: {often}drop",
    "rpc answer lost": "rpc.{rpc}.after: {often}drop",
    "rpc caller cut off": "rpc.{rpc}.{before|after}: {often}disconnect({fin|rst})",
    "rpc late": "rpc.{rpc}.{before|after}: {often}delay({0.1..70})",
    "rpc stalled": "rpc.{rpc}.{before|after}: {often}stall({0.01..10})",
    "nas refuses": "nas.{nas}.request: {often}error({EBUSY|EIO|ETIMEDOUT})",
    "nas fails": "nas.{changing}.apply: {often}error({EIO|EBUSY})",
    "nas denies": "nas.{changing}.reply: {often}error(EIO)",
    "nas request lost": "nas.{nas}.request: {often}drop",
    "nas answer lost": "nas.{nas}.reply: {often}drop",
    "nas answers twice": "nas.{nas}.reply: {often}dup",
    "nas answers out of order": "nas.{nas}.reply: {often}reorder({1-4})",
    "nas slow": "nas.{nas}.request: {often}delay({0.01..0.5})",
    "nas answers late": "nas.{nas}.reply: {often}delay({0.05..40})",
    "nas answer cut short": "nas.{nas}.reply: {often}truncate({1-60})",
    "nas hangs up": "nas.{nas}.{request|reply}: {often}disconnect({fin|rst|1001|1011})",
    "nas falls silent": "nas.{nas}.{request|reply}: #{1-12} disconnect(blackhole)",
    "nas full": "nas.{growing}.{request|apply}: {often}exhaust({pool|quota})",
    "nas overrun": "nas.{nas}.request: {often}exhaust(rate)",
    "nas notification lost": "event.nas: {often}{drop|dup|reorder(2)}",
    "nas clock wrong": "clock.nas: {window}skew({-1h|-30s|30s|1h})",
    "nas not reached": "connect.nas: {1-4}*error({ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH})",
    "nas crashes": "process.nas: #{1-40} crash(nas, {1.5..8})",
    "nas crashes having done it": "nas.{changing}.reply: #{1-4} crash(nas, {1.5..8})",
    "link cut": "link.{up|down}: #{1-150} disconnect({fin|rst})",
    "link silent": "link.{up|down}: {window}disconnect({blackhole|half})",
    "link slow": "link.{up|down}: {window}{throttle(2KiB/s)|slice(40B, 2ms)}",
    "link late": "link.{up|down}: {window}delay({0.01..2})",
    "driver crashes": "process.driver: #{1-20} crash(driver, {1.5..8})",
    "driver crashes having done it": "rpc.{rpc}.after: #{1-6} crash(driver, {1.5..8})",
    "node crashes": "process.node: #{1-8} crash(node, {1.5..8})",
    "node crashes half-way": "{mount.{mount}|file.{file}|device.{device}}.after: #{1-6} crash(node, {1.5..8})",
    "node reboots": "{process.node|mount.{mount}}: #{1-8} crash(reboot, {1.5..8})",
    "mount fails": "mount.{mount}: {often}error({EBUSY|EIO|ENOMEM})",
    "mount done and denied": "mount.{mount}.after: {often}error({EIO|EINTR})",
    "mount slow": "mount.{mount}: {often}{delay|stall}({0.05..90})",
    "device fails": "device.{device}: {often}error({EIO|EBUSY|ETIMEDOUT})",
    "device done and denied": "device.{device}.after: {often}error({EIO|ETIMEDOUT})",
    "device late": "device.present: {often}ready({0.1..20})",
    "record fails": "file.{file}: {often}error({EIO|ENOSPC|EROFS})",
    "record done and denied": "file.{file}.after: {often}error({EIO|ENOSPC})",
}
"""Rules by what goes wrong. In braces what is drawn: one of several, a whole number, seconds, or something below."""

_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_SECONDS: Final = re.compile(r"([\d.]+)\.\.([\d.]+)")
_NUMBERS: Final = re.compile(r"(\d+)-(\d+)")


def _often(rng: random.Random) -> str:
    """One certain passing, or a few with some chance."""
    if rng.random() < 0.5:
        return f"#{rng.choice((1, 1, 2, 2, 3, 5, 8))} "
    return f"{rng.choice((3, 10, 30, 60))}%{rng.randint(1, 6)}*"


_DRAWS: Final[Mapping[str, Draw]] = {
    "rpc": lambda rng: rng.choice((*_CONTROLLER, *_NODE, *["*"] * 7)),
    "nas": lambda rng: rng.choice((*_CHANGING, *_READING, *["*"] * 11)),
    "changing": lambda rng: rng.choice(_CHANGING),
    "growing": lambda rng: rng.choice(_GROWING),
    "mount": lambda rng: rng.choice((*_MOUNT, *["*"] * 5)),
    "device": lambda rng: rng.choice((*_DEVICE, *["*"] * 3)),
    "file": lambda rng: rng.choice((*_FILE, "*")),
    "often": _often,
}


def draw(rng: random.Random, *, times: float = 1.0) -> tuple[str, ...]:
    """The rules of one run: of no kind, of some, seldom of many.

    Args:
        rng: draws.
        times: what times are multiplied by.
    """
    count = rng.choice((0, 1, 1, 2, 2, 3, 4, 6, 10))
    found = [rule_of(kind, rng, times=times) for kind in rng.sample(list(KINDS), count)]
    return tuple(dict.fromkeys(found))


def rule_of(kind: str, rng: random.Random, *, times: float = 1.0) -> str:
    """One rule of a kind."""

    def drawn(match: re.Match[str]) -> str:
        what = match[1]
        if "|" in what:
            return str(rng.choice(what.split("|")))
        if found := _SECONDS.fullmatch(what):
            shortest_s, longest_s = float(found[1]), float(found[2])  # short ones as likely as long ones
            return _time(shortest_s * (longest_s / shortest_s) ** rng.random() * times)
        if found := _NUMBERS.fullmatch(what):
            return str(rng.randint(int(found[1]), int(found[2])))
        if what == "window":
            begins_s = rng.uniform(0, 2) * times
            return f"t[{_time(begins_s)},{_time(begins_s + rng.choice((0.05, 0.5, 3, 20)) * times + 0.001)})"
        return _DRAWS[what](rng)

    text = KINDS[kind]
    while "{" in text:
        text = _BRACES.sub(drawn, text)
    return text


def _time(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"
