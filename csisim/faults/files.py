"""Rules from files and from the environment: one per line, or a YAML or JSON list. All of them, or an error.

# retry storm                                      - name: storm
rpc.CreateVolume.after: 30%error(UNAVAILABLE)        rule: "rpc.CreateVolume.after: 30%error(UNAVAILABLE)"
mount.umount: 3*error(EBUSY)                       - "mount.umount: 3*error(EBUSY)"
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from csisim.faults.grammar import RuleError, is_blank, parse_rule, refused
from csisim.faults.model import Rule

MAX_BYTES: Final = 1 << 20
MAX_NAME: Final = 100


Check = Callable[[Rule], object]
"""Raises a ValueError for a rule that could not be honoured; see `Catalogue.check`."""


def read_rules(path: Path, check: Check | None = None) -> list[Rule]:
    """The rules of a file: YAML or JSON by its ending, else one rule per line.

    Raises:
        ValueError: it cannot be read, or one of its rules is wrong; says which file, line and column.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 at byte {error.start}") from None
    if len(content) > MAX_BYTES:
        raise ValueError(f"{path}: more than {MAX_BYTES} bytes")
    try:
        if path.suffix in {".yaml", ".yml", ".json"}:
            return rules_of_list(_load(text), check)
        return rules_of_text(text, check)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def rules_of_text(text: str, check: Check | None = None) -> list[Rule]:
    """One rule per line; blank lines and comments are left out.

    Raises:
        RuleError: with the line.
    """
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if not is_blank(line):
            try:
                found.append(checked_rule(line, check))
            except RuleError as error:
                raise RuleError(error.reason, error.text, error.column, number) from None
    return found


def rules_of_environment(value: str, check: Check | None = None) -> list[Rule]:
    """The rules of CSISIM_FAULTS: one per line, several on a line parted by `;`, or `@` and a file's name.

    Raises:
        ValueError: one of them is wrong; says which.
    """
    if value.startswith("@"):
        return read_rules(Path(value[1:]), check)
    found = []
    for number, line in enumerate(value.split("\n"), 1):
        for start, part in _parts(line):
            try:
                found += rules_of_text(part, check)
            except RuleError as error:
                raise RuleError(error.reason, line, start + error.column, number) from None
    return found


def rules_of_list(items: Any, check: Check | None = None) -> list[Rule]:
    """Rules from plain data: texts, or objects with `rule` and, if wanted, `name`.

    Raises:
        ValueError: says which item is wrong.
    """
    if not isinstance(items, list):
        raise ValueError("here should be a list of rules")  # noqa: TRY004 - files are told from programs by this
    found: list[Rule] = []
    names: dict[str, int] = {}
    for number, item in enumerate(items, 1):
        rule = _rule(number, item, check)
        if rule.name and names.setdefault(rule.name, number) != number:
            raise ValueError(f"item {number}: item {names[rule.name]} has the name {rule.name!r} already")
        found.append(rule)
    return found


def _rule(number: int, item: Any, check: Check | None) -> Rule:
    given = {"rule": item} if isinstance(item, str) else item
    if not isinstance(given, dict) or not isinstance(given.get("rule"), str):
        raise ValueError(f"item {number} is neither a rule nor an object with a rule: {item!r:.80}")  # noqa: TRY004
    strange = sorted(map(str, set(given) - {"rule", "name"}))
    if strange:
        raise ValueError(f"item {number}: {strange[0]!r} is not known; there are name and rule")
    name = check_name(given.get("name", ""))
    try:
        return checked_rule(given["rule"], check, name=name)
    except RuleError as error:
        raise ValueError(f"item {number}{f' ({name})' if name else ''}: {error}") from None


def checked_rule(text: str, check: Check | None, *, name: str = "") -> Rule:
    """One rule that can be honoured.

    Raises:
        RuleError: it is none, or cannot be; with the column.
    """
    rule = parse_rule(text, name=name)
    if check is not None:
        try:
            check(rule)
        except ValueError as error:
            raise refused(error, text) from None
    return rule


def check_name(name: Any) -> str:
    """The name, if it may be a rule's; "" is none.

    Raises:
        ValueError: says what is allowed.
    """
    fits = isinstance(name, str) and len(name) <= MAX_NAME and name.isprintable() and "/" not in name
    if not isinstance(name, str) or not fits or name in {".", ".."}:  # it is a step of a URL's path
        raise ValueError(f"{name!r:.120} is not a name: at most {MAX_NAME} printable characters without '/'")
    return name


def _load(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise ValueError(f"{where}not YAML: {getattr(error, 'problem', None) or error}") from None


def _parts(line: str) -> Iterable[tuple[int, str]]:
    """Split at each `;` outside of double quotes; with where each part begins."""
    start, quoted, at = 0, False, 0
    while at < len(line):
        if line[at] == "\\" and quoted:
            at += 1
        elif line[at] == '"':
            quoted = not quoted
        elif line[at] == ";" and not quoted:
            yield start, line[start:at]
            start = at + 1
        at += 1
    yield start, line[start:]
