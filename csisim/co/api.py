"""The API server in memory: objects by kind and name, finalizers, watches, and events as `kubectl describe` shows them.

Everybody reads what is true now: there are no stale caches. What is here outlives every controller.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, cast

from csisim.co.objects import Object

T = TypeVar("T", bound=Object)
Watcher = Callable[[Object, bool], None]
"""Told of an object as it is now, and whether it is gone."""

_KEPT_EVENTS = 2000


class ApiError(Exception):
    """The API refused; nothing was changed."""


class NotFound(ApiError):
    """There is no such object, or it is another one of that name by now."""


class AlreadyExists(ApiError):
    """An object of that kind and name is there."""


@dataclass(frozen=True, slots=True)
class ApiEvent:
    """Something that a controller had to say about an object.

    Attributes:
        at_s: when it was said last, loop time.
        count: how often in a row.
    """

    at_s: float
    ref: str
    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    count: int = 1


class Api:
    """See the module.

    Args:
        rng: of uids.
        uid_prefix: up to eight hex digits that every uid begins with.
    """

    def __init__(self, rng: random.Random, uid_prefix: str = "") -> None:
        self._rng = rng
        self._uid_prefix = uid_prefix
        self._objects: dict[str, dict[str, Object]] = {}
        self._watchers: dict[Watcher, None] = {}
        self._version = 0
        self._events: dict[tuple[str, str, str], ApiEvent] = {}

    def create(self, new: T) -> T:
        """Store an object and give it a uid.

        Raises:
            AlreadyExists: there is one of that name.
        """
        objects = self._objects.setdefault(new.kind, {})
        if new.key in objects:
            raise AlreadyExists(f"{new.ref} already exists")
        made = replace(new, uid=self._uid())
        return self._store(made)

    def get(self, kind: type[T], name: str, namespace: str = "", *, uid: str = "") -> T | None:
        """The object of that name, and if a uid is given only if it is that very one."""
        found = self._objects.get(kind.kind, {}).get(f"{namespace}/{name}" if namespace else name)
        return cast("T", found) if found is not None and uid in {"", found.uid} else None

    def at(self, kind: type[T], key: str) -> T | None:
        """The object with that key."""
        return cast("T | None", self._objects.get(kind.kind, {}).get(key))

    def all_of(self, kind: type[T]) -> list[T]:
        """All of a kind, oldest first."""
        return cast("list[T]", list(self._objects.get(kind.kind, {}).values()))

    def everything(self) -> list[Object]:
        """All objects."""
        return [each for objects in self._objects.values() for each in objects.values()]

    def patch(self, known: T, **changes: Any) -> T:
        """Change fields of an object as it is now, whatever version of it is given.

        Taking the last finalizer off one that has been deleted ends it.

        Raises:
            NotFound: it is gone.
        """
        current = self._current(known)
        changed = replace(current, **changes)
        if changed == current:
            return current
        if changed.deleting and not changed.finalizers:
            return self._remove(changed)
        return self._store(changed)

    def delete(self, known: Object) -> None:
        """Mark an object as deleted, or end it if it has no finalizers. One that is gone is fine."""
        try:
            current = self._current(known)
        except NotFound:
            return
        if not current.finalizers:
            self._remove(current)
        elif not current.deleting:
            self._store(replace(current, deletion_timestamp_s=_now_s()))

    def add_finalizer(self, known: T, finalizer: str) -> T:
        """Keep an object until the finalizer is taken off; one that is being deleted gets no new ones."""
        current = self._current(known)
        if finalizer in current.finalizers or current.deleting:
            return current
        return self.patch(current, finalizers=(*current.finalizers, finalizer))

    def remove_finalizer(self, known: T, finalizer: str) -> None:
        """The opposite; it is fine if there is no such finalizer or object."""
        try:
            current = self._current(known)
        except NotFound:
            return
        self.patch(current, finalizers=tuple(each for each in current.finalizers if each != finalizer))

    def force_delete(self, known: Object) -> None:
        """End an object whatever finalizers it has."""
        try:
            self._remove(self._current(known))
        except NotFound:
            return

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Have a function called after every change, in the same step; gives the function that ends this."""
        self._watchers[watcher] = None
        return lambda: self._watchers.pop(watcher, None)

    def event(self, about: Object, type_: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Note what a controller has to say; the same thing again is only counted."""
        key = (about.ref, reason, message)
        before = self._events.pop(key, None)
        count = 1 if before is None else before.count + 1
        self._events[key] = ApiEvent(_now_s(), about.ref, type_, reason, message, count)
        if len(self._events) > _KEPT_EVENTS:
            del self._events[next(iter(self._events))]

    def events(self, ref: str = "") -> list[ApiEvent]:
        """What was said, about one object or all, oldest first."""
        return [each for each in self._events.values() if ref in {"", each.ref}]

    def _current(self, known: T) -> T:
        current = self._objects.get(known.kind, {}).get(known.key)
        if current is None or (known.uid and current.uid != known.uid):
            raise NotFound(f"{known.ref} is gone")
        return cast("T", current)

    def _store(self, changed: T) -> T:
        self._version += 1
        stored = replace(changed, resource_version=self._version)
        self._objects[stored.kind][stored.key] = stored
        self._tell(stored, gone=False)
        return stored

    def _remove(self, known: T) -> T:
        del self._objects[known.kind][known.key]
        self._tell(known, gone=True)
        return known

    def _tell(self, changed: Object, *, gone: bool) -> None:
        for watcher in tuple(self._watchers):
            if watcher in self._watchers:
                watcher(changed, gone)

    def _uid(self) -> str:
        text = f"{self._rng.getrandbits(128):032x}"
        text = self._uid_prefix + text[len(self._uid_prefix) :]
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{text[16:20]}-{text[20:]}"


def _now_s() -> float:
    return asyncio.get_running_loop().time()
