"""The catalogue: every place where a fault can happen, what can happen there, and what a rule can select by. Pure.

rpc.<Method>.before|after            around a served CSI call
nas.<method>.request|apply|reply     before the NAS looks at a call, around its effect, and around its answer
event.nas                            what it tells unasked
connect.nas                          before the driver connects to the NAS
link.up|down                         the connection to the NAS: what the driver sends, and what it gets
fin.up|down                          its end, as the driver or the NAS says it
mount.<op>  device.<op>  file.<op>   what a node service does to its machine
process.driver|nas|node              passed with every call that the process serves
clock.nas                            passed whenever the NAS reads its clock
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from csisim.faults.codes import GRPC_CODES
from csisim.faults.model import Action, Rule, glob
from csisim.pb import csi_pb2

WAITS: Final = ("delay", "hang", "stall")
"""Actions after which what was about to happen still happens."""

GROWING: Final = ("pool.dataset.create", "pool.dataset.update", "pool.snapshot.create", "pool.snapshot.clone")
"""Calls of the NAS that need space."""

_ALL_KEYS: Final = frozenset({"vol", "snap", "node", "client", "phase", "when"})
_CONTROL: Final = ("off", *WAITS, "crash")


class Refusal(ValueError):
    """A rule could not be honoured. `part`: "" its site, one of its keys, or the number of a term, from 0."""

    def __init__(self, reason: str, part: str | int = "") -> None:
        super().__init__(reason)
        self.part = part


@dataclass(frozen=True, slots=True)
class Site:
    """One place.

    Attributes:
        name: as rules write it.
        about: what is about to happen, or has happened, there.
        actions: kinds of action that can be honoured.
        keys: what a rule may select by.
        words: which words an action may have here; an action that is not listed may have any.
        grpc: whether errors are gRPC codes; else they are errnos.
        fields: the outermost ones that a condition may look at.
    """

    name: str
    about: str
    actions: frozenset[str]
    keys: frozenset[str]
    words: Mapping[str, frozenset[str]]
    grpc: bool = False
    fields: tuple[str, ...] = ()

    def refusal(self, action: Action) -> str | None:
        """Why this action cannot be honoured here, None if it can."""
        if action.kind not in self.actions:
            return f"{action.kind} cannot happen at {self.name}: there are {', '.join(sorted(self.actions))}"
        if action.kind == "error" and (action.word in GRPC_CODES) is not self.grpc:
            wanted = "a gRPC code, such as UNAVAILABLE" if self.grpc else "an errno, such as EBUSY"
            return f"an error at {self.name} is {wanted}, not {action.word}"
        if action.kind == "disconnect" and action.seconds is not None and not self.name.startswith("link."):
            return f"a disconnect at {self.name} happens at once: only one of a link takes a time"
        words = self.words.get(action.kind)
        word = action.word or (str(action.number) if action.kind == "disconnect" else "")
        if words is None or word in words or (action.number and "CODE" in words):
            return None
        known = ", ".join(sorted(words - {""}))
        return f"{action.kind}({word}) cannot happen at {self.name}: there are {known}"


class Catalogue:
    """The sites of one deployment, by name, in the order given."""

    def __init__(self, sites: Iterable[Site]) -> None:
        self.sites: dict[str, Site] = {site.name: site for site in sites}

    def select(self, pattern: str) -> tuple[Site, ...]:
        """The sites that a rule's site means; `*` stands for any characters."""
        if "*" not in pattern:
            site = self.sites.get(pattern)
            return () if site is None else (site,)
        match = re.compile(".*".join(map(re.escape, pattern.split("*")))).fullmatch
        return tuple(site for name, site in self.sites.items() if match(name))

    def check(self, rule: Rule) -> tuple[Site, ...]:
        """The sites of a rule.

        Raises:
            Refusal: there is none, or one where the rule could not be honoured.
        """
        sites = self.select(rule.site)
        if not sites:
            raise Refusal(f"there is no site {rule.site!r}{self._hint(rule.site)}")
        keys = {key for key, _ in rule.match.patterns}
        keys |= {"when"} if rule.match.when is not None else set()
        keys |= {rule.match.per} if rule.match.per else set()
        for number, term in enumerate(rule.terms):
            if term.most is not None and term.action.kind not in WAITS:
                raise Refusal(f"max is for what lasts: {', '.join(WAITS)}", number)
        for site in sites:
            strange = sorted(keys - site.keys)
            if strange:
                known = f"there are {', '.join(sorted(site.keys))}" if site.keys else "nothing can be selected by there"
                raise Refusal(f"{strange[0]} is not known at {site.name}: {known}", strange[0])
            for number, term in enumerate(rule.terms):
                if term.most is not None and site.name.startswith(("link.", "fin.")):
                    raise Refusal(f"max cannot be kept at {site.name}: what waits there are bytes, not calls", number)
                refusal = site.refusal(term.action)
                if refusal:
                    raise Refusal(refusal, number)
        self._check_match(rule, sites)
        return sites

    def _check_match(self, rule: Rule, sites: Iterable[Site]) -> None:
        """What no passing could ever fit is a slip of the pen."""
        code = dict(rule.match.patterns).get("code", "*")
        if not any(map(glob(code).fullmatch, ("OK", *GRPC_CODES))):
            raise Refusal(f"no code is like {code!r}: there are OK, {', '.join(GRPC_CODES)}", "code")
        if rule.match.when is not None:
            known = dict.fromkeys(name for site in sites for name in site.fields)
            strange = sorted(rule.match.when.names - known.keys())
            if strange:
                raise Refusal(f"{strange[0]!r} is no field at {rule.site}: there are {', '.join(known)}", "when")

    def _hint(self, name: str) -> str:
        similar = difflib.get_close_matches(name, self.sites, n=8, cutoff=0.7)
        if not similar:
            similar = [site for site in self.sites if site.startswith(f"{name.partition('.')[0]}.")]
        if similar:
            more = f" and {len(similar) - 8} more" if len(similar) > 8 else ""
            return f"; similar ones: {', '.join(similar[:8])}{more}"
        return f"; the families are {', '.join(dict.fromkeys(site.partition('.')[0] for site in self.sites))}"


def _words(**words: Iterable[str]) -> dict[str, frozenset[str]]:
    return {kind: frozenset(known) for kind, known in words.items()}


def rpc_methods() -> tuple[str, ...]:
    """The names of all methods of CSI, in the order of the protocol."""
    return tuple(method.name for method in _methods())


def _methods() -> list[Any]:
    return [method for service in csi_pb2.DESCRIPTOR.services_by_name.values() for method in service.methods]


def deployable(sites: Iterable[Site], crashes: Iterable[str], *, closes: bool) -> list[Site]:
    """The same sites without what a deployment does not have.

    Args:
        sites: all that there are.
        crashes: which of driver, nas, node and reboot can be crashed.
        closes: whether the NAS can be made to say goodbye with a close code.
    """
    there = frozenset(crashes) | {""}
    found = []
    for site in sites:
        words = dict(site.words)
        if "crash" in words:
            words["crash"] &= there
        if not closes and "disconnect" in words:
            words["disconnect"] -= {"CODE"}
        found.append(replace(site, words=words))
    return found


def rpc_sites(*, local: bool) -> list[Site]:
    """Around every CSI call. `local`: the driver runs here, so that it can be crashed and its NAS used up."""
    actions = {"off", *WAITS, "error", "drop", "disconnect"}
    before = actions | ({"crash", "exhaust"} if local else set())
    after = actions | {"ready"} | ({"crash"} if local else set())
    found = []
    requests = {method.name: method.input_type.fields_by_name for method in _methods()}
    for method in rpc_methods():
        ready = {"ready"} if method not in {"CreateSnapshot", "ListSnapshots", "GetSnapshot"} else set()
        resources = ("attach", "rate") if method == "ControllerPublishVolume" else ("rate",)
        # A caller on the far side of a half-open connection cannot be told from one behind a black hole.
        words = _words(disconnect=("fin", "rst", "blackhole"), exhaust=resources,
                       crash=("", "driver", "nas", "node", "reboot"))  # fmt: skip
        fields = tuple(requests[method])
        for when, kinds, about in (
            ("before", before, "the call has arrived; nothing was done"),
            ("after", after - ready, "the call has ended, with or without an error; no answer was sent"),
        ):
            keys = _ALL_KEYS | ({"code"} if when == "after" else set())
            found.append(Site(f"rpc.{method}.{when}", about, frozenset(kinds), frozenset(keys), words, True, fields))
    return found


def nas_sites(methods: Iterable[str], can_rehearse: Callable[[str], bool] = lambda _: True) -> list[Site]:
    """Around every call of an embedded NAS.

    Args:
        methods: what it serves.
        can_rehearse: whether it can tell what a method would answer without doing it, for lies.
    """
    keys = frozenset({"vol", "snap", "when", "client"})
    steps: tuple[tuple[str, tuple[str, ...], str], ...] = (
        ("request", (*_CONTROL, "error", "drop", "disconnect", "exhaust"), "the NAS has read the call"),
        ("apply", (*_CONTROL, "error", "lie", "exhaust"), "the effect is about to happen"),
        (
            "reply",
            (*_CONTROL, "error", "drop", "dup", "reorder", "truncate", "corrupt", "oversize", "disconnect"),
            "the effect has happened, or was refused; the answer is about to leave",
        ),
    )
    found = []
    for method in methods:
        words = _words(
            disconnect=("fin", "rst", "blackhole", "CODE"),
            crash=("", "driver", "nas", "node", "reboot"),
            exhaust=("pool", "quota", "rate") if method in GROWING else ("rate",),
            lie=("ok",),
        )
        for step, kinds, about in steps:
            able = frozenset(kinds) - (frozenset() if can_rehearse(method) else {"lie"})
            found.append(Site(f"nas.{method}.{step}", about, able, keys, words, fields=("params",)))
    about = "a notification is about to leave, such as the news of a job"
    of_frames = frozenset(("off", "drop", "dup", "reorder", "truncate", "corrupt", "oversize"))
    return [*found, Site("event.nas", about, of_frames, frozenset(), {})]


def link_sites() -> list[Site]:
    """The connection between driver and NAS, each direction for itself."""
    kinds = frozenset(
        ("off", "delay", "hang", "drop", "throttle", "slice", "limit", "corrupt", "truncate", "disconnect")
    )
    words = _words(disconnect=("fin", "rst", "half", "blackhole", "CODE"))
    about = {"up": "bytes that the driver sends to the NAS", "down": "bytes that the NAS sends to the driver"}
    found = [Site(f"link.{way}", text, kinds, frozenset(), words) for way, text in about.items()]
    ends = {"up": "the driver ends the connection", "down": "the NAS ends the connection"}
    at_end = frozenset({"off", "delay", "hang", "drop"})
    found += [Site(f"fin.{way}", text, at_end, frozenset(), {}) for way, text in ends.items()]
    before = frozenset({"off", *WAITS, "error"})
    return [*found, Site("connect.nas", "the driver is about to connect to the NAS", before, frozenset(), {})]


_HOST: Final[Mapping[str, Callable[[str], str]]] = {
    "mount": "the mount table: {}".format,
    "device": "block devices: {}".format,
    "file": "the node service's records: {}".format,
}
MOUNT_OPS: Final = (
    "mount", "bind", "umount", "mounts", "mounts_of", "make_dir", "make_file", "remove_path", "exists", "statfs",
    "resize_fs",
)  # fmt: skip
DEVICE_OPS: Final = (
    "connect", "present", "size_bytes", "rescan", "format_of", "make_fs", "disconnect",
)  # fmt: skip
FILE_OPS: Final = ("read", "write", "remove", "names")
_LIES: Final[Mapping[str, tuple[str, ...]]] = {
    "mount.mount": ("ok", "ro"),
    "mount.bind": ("ok", "ro"),
    "mount.umount": ("ok", "lazy"),
    "mount.make_dir": ("ok",),
    "mount.make_file": ("ok",),
    "mount.remove_path": ("ok",),
    "mount.resize_fs": ("ok",),
    "device.connect": ("ok", "wrong"),
    "device.present": ("gone",),
    "device.rescan": ("ok",),
    "device.make_fs": ("ok",),
    "device.disconnect": ("ok",),
    "file.read": ("empty", "gone"),
    "file.write": ("ok",),
    "file.remove": ("ok",),
}


def host_sites() -> list[Site]:
    """What a node service does to its machine."""
    found = []
    subject = ("subject",)
    for family, ops in (("mount", MOUNT_OPS), ("device", DEVICE_OPS), ("file", FILE_OPS)):
        for op in ops:
            name = f"{family}.{op}"
            kinds = {*_CONTROL, "error"}
            if name in _LIES:
                kinds.add("lie")
            if name == "device.present":
                kinds.add("ready")
            if name == "file.write":
                kinds.add("truncate")
            words = _words(lie=_LIES.get(name, ()), crash=("", "driver", "nas", "node", "reboot"))
            found.append(Site(name, _HOST[family](op), frozenset(kinds), _ALL_KEYS, words, fields=subject))
            after = frozenset({*_CONTROL, "error"})
            found.append(Site(f"{name}.after", f"{_HOST[family](op)}, done", after, _ALL_KEYS, words, fields=subject))
    return found


def process_sites() -> list[Site]:
    """What a process does from time to time."""
    kinds = frozenset({"off", "crash"})
    about = {
        "driver": "a CSI call has arrived at the controller or a node",
        "nas": "a call has arrived at the NAS",
        "node": "a CSI call has arrived at a node",
    }
    return [
        Site(f"process.{name}", text, kinds, frozenset({"node"} if name == "node" else ()), _words(
            crash=("", name, *(("reboot",) if name == "node" else ()))))
        for name, text in about.items()
    ]  # fmt: skip


def clock_sites() -> list[Site]:
    """The clocks that can go wrong."""
    return [Site("clock.nas", "the NAS reads its clock", frozenset({"off", "skew"}), frozenset(), {})]
