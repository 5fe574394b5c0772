"""How methods are declared, and the table they end up in.

A methods module is one `Namespace` (or several) with functions hung on it. Every module of `fake_truenas.methods` is
found by itself; what it puts into its module-level tuple `namespaces` is served:

    nfs = Namespace("sharing.nfs", tables="create table nfs_share (id integer primary key, path text not null, ...)")
    namespaces = (nfs,)

    @nfs.method("create", Field("data", Obj(Field("path", Str()), ...)))
    def create(ctx: Ctx, data: dict[str, Any]) -> dict[str, Any]:
        share_id = ctx.db.insert("insert into nfs_share (path) values (?)", (data["path"],))
        ctx.emit("sharing.nfs.query", "added", share_id, entry)
        return entry

Three kinds of handler, told apart by their form:

* `def` handlers run inside one transaction: committed when they return, rolled back when they raise. They cannot
  wait. This is the usual kind. Events that they emit leave after the commit. One whose answer can take long to make
  returns it in steps (`fake_truenas.steps`), which only read.
* `async def` handlers run outside of a transaction and may wait; they change state in `with ctx.transaction():`
  blocks only.
* `async def` handlers declared with `job=Job(...)` get `(ctx, job, *args)` and run as jobs (`fake_truenas.jobs`).

Refusals are raised as the exceptions of `fake_truenas.errors`. Time comes from `ctx.now()`, chance from `ctx.rng`.

Tables are `create table` statements run when a new store is made. Reactions to what happens to datasets (a share that
vanishes with its dataset, a session that keeps a zvol busy, blocks that a clone inherits) are `DatasetHooks`, given
to the namespace.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from fake_truenas.persona import TRAINS, Persona
from fake_truenas.redaction import secret_names
from fake_truenas.schema import Field, Validator, compile_params

if TYPE_CHECKING:
    from fake_truenas.context import Ctx

Handler = TypeVar("Handler", bound=Callable[..., Any])


DEFAULT_PERSONA = Persona()


class DatasetHooks:
    """Reactions to changes of datasets and snapshots; override what is needed. All run inside the causing transaction.

    `pk` arguments are the row ids of the tables `dataset` and `snapshot`; `name` is the full path (`tank/csi/pvc-1`).
    """

    def busy(self, ctx: "Ctx", name: str) -> str | None:  # noqa: ARG002 - for overriding
        """Why the dataset cannot be destroyed or renamed now (an open session on it), or None."""
        return None

    def detach(self, ctx: "Ctx", name: str) -> None:
        """A client deletes the dataset: remove enabled shares, extents and namespaces on it.

        They stay gone if ZFS then refuses. Not called for datasets that ZFS destroys for other reasons.
        """

    def dataset_deleted(self, ctx: "Ctx", pk: int, name: str) -> None:
        """The dataset is about to be destroyed: free what is kept for it."""

    def dataset_renamed(self, ctx: "Ctx", pk: int, old: str, new: str) -> None:
        """The dataset (each descendant is announced too) has a new name."""

    def dataset_resized(self, ctx: "Ctx", pk: int, volsize_bytes: int) -> None:
        """A zvol has grown."""

    def snapshot_created(self, ctx: "Ctx", dataset_pk: int, snapshot_pk: int, txg: int) -> None:
        """A snapshot holds the dataset's present blocks from now on."""

    def snapshot_deleted(self, ctx: "Ctx", dataset_pk: int, snapshot_pk: int) -> None:
        """The snapshot is about to be destroyed."""

    def cloned(self, ctx: "Ctx", snapshot_pk: int, dataset_pk: int) -> None:
        """The new dataset starts with the snapshot's blocks."""

    def rolled_back(self, ctx: "Ctx", dataset_pk: int, snapshot_pk: int) -> None:
        """The dataset has the snapshot's blocks again."""

    def received(self, ctx: "Ctx", dataset_pk: int, snapshot_pk: int, base_pk: int | None) -> None:
        """The dataset gets the content of a snapshot of another dataset.

        It has the content of the other dataset's snapshot `base_pk` already; None if it is not known what it has.
        """

    def promoted(self, ctx: "Ctx", clone_pk: int, origin_dataset_pk: int, snapshot_pks: Sequence[int]) -> None:
        """The clone took over these snapshots from the dataset it came from."""


@dataclass(frozen=True, slots=True)
class Job:
    """How a method's job behaves.

    Attributes:
        lock: gives the name of the lock from the method's arguments; jobs of one lock run one at a time. None: no lock.
        queue: how many may wait for the lock; None means any number, 0 refuses with EBUSY while one runs.
        abortable: whether core.job_abort may end it while it runs.
        description: gives the text shown with the job.
        transient: not listed once finished, and without events.
        logs: it keeps a log; the handler writes lines with `job.log(...)`.
        arguments: gives the arguments to show, from the call's context and them; by default those declared as secret
            are hidden.
    """

    lock: Callable[..., str] | None = None
    queue: int | None = None
    abortable: bool = False
    description: Callable[..., str] | None = None
    transient: bool = False
    logs: bool = False
    arguments: Callable[["Ctx", list[Any]], list[Any]] | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """One served method; `since` and `until` (the first train without it) say in which release trains."""

    name: str
    params: tuple[Field, ...]
    handler: Callable[..., Any]
    validate: Validator
    public: bool
    private: bool
    job: Job | None
    is_async: bool
    since: str = TRAINS[0]
    until: str | None = None


@dataclass(slots=True)
class Namespace:
    """Methods with a common prefix, the tables they keep, and what they do when datasets change.

    Attributes:
        name: prefix without the last dot, for example "sharing.nfs".
        tables: SQL that creates the namespace's tables and indexes.
        hooks: reactions to dataset changes.
        since: the first release train that has the namespace.
        until: the first release train that no longer has it; None if all later ones do.
        private_since: the train from which on its methods are private.
    """

    name: str
    tables: str = ""
    hooks: DatasetHooks | None = None
    since: str = TRAINS[0]
    until: str | None = None
    private_since: str | None = None
    methods: list[Method] = field(default_factory=list)

    def method(
        self,
        name: str,
        *params: Field,
        public: bool = False,
        private: bool = False,
        job: Job | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> Callable[[Handler], Handler]:
        """Serve the decorated function as `<namespace>.<name>`.

        Args:
            name: last part of the method's name.
            params: its positional parameters, in order.
            public: callable without a login.
            private: only callable after core.set_options has switched private_methods on.
            job: makes it a job.
            since: the first release train that has it, if not the namespace's.
            until: the first release train without it, if not the namespace's.
        """

        def add(handler: Handler) -> Handler:
            is_async = inspect.iscoroutinefunction(handler)
            if job is not None and not is_async:
                raise TypeError(f"{self.name}.{name} is a job: its handler must be async")
            method = Method(
                f"{self.name}.{name}", params, handler, compile_params(params), public, private, job, is_async,
                since or self.since, until or self.until,
            )  # fmt: skip
            self.methods.append(method)
            return handler

        return add

    def alias(
        self, name: str, *, since: str = TRAINS[0], until: str | None = None, private_since: str | None = None
    ) -> "Namespace":
        """The methods declared so far under another name, in other trains; tables and hooks stay with this one."""
        methods = [
            replace(one, name=f"{name}{one.name.removeprefix(self.name)}", since=since, until=until)
            for one in self.methods
        ]
        return Namespace(name, since=since, until=until, private_since=private_since, methods=methods)


class Registry:
    """The methods that a release serves, by name, and the tables and hooks that come with all of them.

    Args:
        namespaces: what there is in any release; tables are made for all of it.
        persona: the release.
    """

    def __init__(self, namespaces: Iterable[Namespace], persona: Persona = DEFAULT_PERSONA) -> None:
        self.namespaces = tuple(namespaces)
        self.persona = persona
        self.methods: dict[str, Method] = {}
        self.tables: list[str] = []
        self.hooks: list[DatasetHooks] = []
        for namespace in self.namespaces:
            private = namespace.private_since is not None and persona.at_least(namespace.private_since)
            if namespace.tables:
                self.tables.append(namespace.tables)
            if namespace.hooks is not None:
                self.hooks.append(namespace.hooks)
            for method in namespace.methods:
                if not persona.at_least(method.since) or (method.until and persona.at_least(method.until)):
                    continue
                if method.name in self.methods:
                    raise ValueError(f"{method.name} is declared twice")
                self.methods[method.name] = replace(method, private=True) if private else method
        self.secret_names = secret_names(field for method in self.methods.values() for field in method.params)

    def serving(self, persona: Persona) -> "Registry":
        """The same namespaces as another release serves them."""
        return self if persona.train == self.persona.train else Registry(self.namespaces, persona)
