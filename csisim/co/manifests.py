"""Kubernetes manifests: YAML text to API objects, strictly.

A document that Kubernetes would take and this does not model is named in a warning and left out; within a kind that
counts, what could change a volume is checked value by value, and what cannot, such as images, is not looked at.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from csisim.co import manifest_kinds as kinds
from csisim.co.fields import Fields, ManifestError
from csisim.co.objects import Object, PersistentVolumeClaim
from csisim.co.store import fixed_field

__all__ = ["ManifestError", "Manifests", "load", "parse", "read", "without_secrets"]

MAX_BYTES: Final = 1 << 20
MAX_DOCUMENTS: Final = 1000
_MAX_NODES: Final = 100_000
_MAX_DEPTH: Final = 60

_READERS: Final[dict[str, tuple[tuple[str, ...], Callable[[Fields], Object]]]] = {
    "StorageClass": (("storage.k8s.io/v1",), kinds.storage_class),
    "VolumeAttributesClass": (
        ("storage.k8s.io/v1", "storage.k8s.io/v1beta1", "storage.k8s.io/v1alpha1"),
        kinds.volume_attributes_class,
    ),
    "PersistentVolumeClaim": (("v1",), kinds.claim),
    "Pod": (("v1",), kinds.pod),
    "StatefulSet": (("apps/v1",), kinds.stateful_set),
    "VolumeSnapshotClass": (("snapshot.storage.k8s.io/v1",), kinds.snapshot_class),
    "VolumeSnapshot": (("snapshot.storage.k8s.io/v1",), kinds.snapshot),
    "Secret": (("v1",), kinds.secret),
}
_ORDER: Final = (
    *("StorageClass", "VolumeAttributesClass", "VolumeSnapshotClass", "Secret"),
    *("PersistentVolumeClaim", "VolumeSnapshot", "StatefulSet", "Pod"),
)


@dataclass(frozen=True, slots=True)
class Manifests:
    """What was read.

    Attributes:
        objects: classes first, then claims, then what uses them; in the order of the text within a kind.
        changes: what later texts say of the same objects, one after the other: each is to be applied when everything
            before has come true.
        warnings: documents that were left out, in words.
        places: where each object of `objects`, and then of each of `changes`, is, by its `ref`.
    """

    objects: tuple[Object, ...]
    changes: tuple[tuple[Object, ...], ...] = ()
    warnings: tuple[str, ...] = ()
    places: tuple[Mapping[str, str], ...] = ({},)


def load(paths: Iterable[Path]) -> Manifests:
    """Read files, and the *.yaml and *.yml files of directories, by name.

    Raises:
        ManifestError: names file, document, field and value, and what is allowed.
    """
    texts: list[tuple[str, str]] = []
    for path in paths:
        try:
            inside = [path]
            if path.is_dir():
                inside = sorted(each for each in path.iterdir() if each.suffix in {".yaml", ".yml"})
            if not inside:
                raise ManifestError(f"{path}: the directory has no *.yaml and no *.yml file")
            for each in inside:
                if each.stat().st_size > MAX_BYTES:
                    raise ManifestError(f"{each}: more than {MAX_BYTES} bytes")
                texts.append((str(each), each.read_text(encoding="utf-8")))
        except OSError as error:
            raise ManifestError(f"{path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ManifestError(f"{path}: is not UTF-8 text: {error.reason} at byte {error.start}") from error
    return read(texts)


def parse(text: str, source: str = "manifest") -> Manifests:
    """Read YAML text.

    Args:
        text: any number of documents.
        source: what errors call it.

    Raises:
        ManifestError: as for `load`.
    """
    return read([(source, text)])


def read(texts: Iterable[tuple[str, str]]) -> Manifests:
    """Read several texts, each with what errors call it.

    Raises:
        ManifestError: as for `load`; or a later text changes what cannot change.
    """
    stages: list[dict[str, tuple[Object, str]]] = [{}]
    warnings: list[str] = []
    for source, text in texts:
        here: dict[str, str] = {}
        for where, document in _documents(source, text):
            made = _read(where, document, warnings)
            if made is None:
                continue
            if made.ref in here:
                raise ManifestError(f"{where}: {made.ref} is in {here[made.ref]} already")
            here[made.ref] = where
            stage = next((number for number, each in enumerate(stages) if made.ref not in each), len(stages))
            if stage:
                _check_change(*stages[stage - 1][made.ref], made, where)
            if stage == len(stages):
                stages.append({})
            stages[stage][made.ref] = made, where
    ordered = [tuple(sorted((made for made, _ in each.values()), key=lambda made: _ORDER.index(made.kind)))
               for each in stages]  # fmt: skip
    places = tuple({ref: where for ref, (_, where) in each.items()} for each in stages)
    return Manifests(ordered[0], tuple(ordered[1:]), tuple(warnings), places)


def _check_change(known: Object, before: str, made: Object, where: str) -> None:
    """Whether an API server would take it; values are not shown, they may be long."""
    if fixed := fixed_field(known, made):
        first, *more = fixed.split("_")
        field = "".join([first, *(word.capitalize() for word in more)])
        raise ManifestError(f"{where}: {made.ref}: {field} is another one than in {before}, and may not change")
    had, wants = (each.storage if isinstance(each, PersistentVolumeClaim) else 0 for each in (known, made))
    if wants < had:
        raise ManifestError(
            f"{where}: {made.ref}: requests.storage is {wants} bytes, and {had} in {before}: a volume does not shrink"
        )


def without_secrets(text: str, source: str = "manifest") -> str:
    """The same manifests with stand-ins for what Secrets hold, so that they may be shown; equal values stay equal.

    A text without a Secret is given back as it is; one that has some loses its comments, and Secrets their annotations.

    Raises:
        ManifestError: as for `load`.
    """
    parse(text, source)
    documents = list(yaml.load_all(text, Loader=_Loader))
    kept = [each for document in documents if isinstance(document, dict)
            for each in (document.get("items") or [] if document.get("kind") == "List" else [document])]  # fmt: skip
    stand_ins: dict[str, str] = {}
    found = [each for each in kept if each.get("kind") == "Secret"]
    for each in found:
        values = kinds.secret(Fields(source, each)).data
        # Sixteen characters at most: longer ones would be no CHAP secrets.
        shown = {key: stand_ins.setdefault(value, f"stand-in-{len(stand_ins) + 1:04}") for key, value in values.items()}
        each["data"] = {key: base64.b64encode(value.encode()).decode() for key, value in shown.items()}
        each.pop("stringData", None)
        each["metadata"].pop("annotations", None)
    return yaml.safe_dump_all(documents, sort_keys=False) if found else text


def _documents(source: str, text: str) -> Iterator[tuple[str, Any]]:
    """Each document that is not empty, with where it is."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ManifestError(f"{source}: more than {MAX_BYTES} bytes")
    try:
        for number, document in enumerate(yaml.load_all(text, Loader=_Loader), start=1):
            if number > MAX_DOCUMENTS:
                raise ManifestError(f"{source}: more than {MAX_DOCUMENTS} documents")
            where = f"{source}, document {number}"
            if isinstance(document, dict) and document.get("kind") == "List":
                for place, item in enumerate(Fields(where, document).items("items", Fields)):
                    yield f"{where}, item {place + 1}", item.value
            elif document is not None:
                yield where, document
    except yaml.YAMLError as error:
        raise ManifestError(f"{source}: is not YAML: {_problem(error)}") from None
    except RecursionError:
        raise ManifestError(f"{source}: nested more than {_MAX_DEPTH} deep") from None


def _problem(error: yaml.YAMLError) -> str:
    """What is wrong, and where; not the line itself, which may be of a Secret."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    mark = error.problem_mark or error.context_mark
    place = "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
    return ": ".join(each for each in (error.context, error.problem) if each) + place


def _read(where: str, document: Any, warnings: list[str]) -> Object | None:
    if not isinstance(document, dict):
        raise ManifestError(f"{where}: is no mapping, so not a Kubernetes object with apiVersion and kind")
    fields = Fields(where, document)
    kind, version = fields.text("kind"), fields.text("apiVersion")
    if kind not in _READERS:
        warnings.append(f"{where}: {kind} ({version}) is left out: it says nothing about volumes that is modelled here")
        return None
    versions, reader = _READERS[kind]
    if version not in versions:
        raise ManifestError(f"{where}: apiVersion: {version!r} has no {kind}; use {' or '.join(versions)}")
    return reader(fields)


class _Loader(yaml.SafeLoader):
    """Plain data only, no key twice, and an end to what aliases can multiply."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._composed = 0
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Count as nodes are read."""
        if self.check_event(yaml.AliasEvent):
            where: Any = self.peek_event()  # type: ignore[no-untyped-call] # the stubs leave it out
            raise yaml.MarkedYAMLError(
                problem="aliases are not allowed here; write the value out", problem_mark=where.start_mark
            )
        self._composed += 1
        self._depth += 1
        if self._composed > _MAX_NODES:
            raise yaml.MarkedYAMLError(problem=f"more than {_MAX_NODES} values")
        if self._depth > _MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested more than {_MAX_DEPTH} deep")
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that is there twice: YAML's last one would win, silently."""
        seen: dict[str, None] = {}
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key.value!r} is there twice", problem_mark=key.start_mark)
            if isinstance(key.value, str):
                seen[key.value] = None
        return super().construct_mapping(node, deep=deep)


# Dates and the like stay the texts that they are in Kubernetes.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:timestamp"]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
