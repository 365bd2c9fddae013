"""Seats: what settings choose by name, of the project and of plug-ins, each seen by those who have that plug-in."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from trading_assets.core.errors import SettingsError
from trading_assets.core.plugins.modules import PACKAGES

Owners = tuple[str, ...]
"""The plug-ins of a project by what they are called in this process, in the order of its settings."""

EVERYBODY: Final = ""
"""The owner of what is no plug-in's."""


SEATS: Final[list[Seat[Any]]] = []
"""All that a plug-in may add to: each seat, as its module is loaded."""


@dataclass(frozen=True, slots=True)
class Given:
    """Something that is registered.

    Attributes
    ----------
    what
        Of which kind: ``feature``, ``estimator``, ``rule``.
    name
        What settings call it.
    place
        File and line; the module, of what the project brings.
    """

    what: str
    name: str
    place: str


@dataclass(frozen=True, slots=True)
class _Entry[T]:
    thing: T
    module: str
    place: str


class Seat[T]:
    """Things of one kind that are chosen by name.

    Parameters
    ----------
    what
        The kind, as messages call it.

    Attributes
    ----------
    version
        Grows with each change.
    """

    def __init__(self, what: str) -> None:
        self.what: Final = what
        self.version = 0
        self._entries: dict[str, dict[str, _Entry[T]]] = {EVERYBODY: {}}
        SEATS.append(self)

    def add(self, name: str, thing: T, *, module: str, line: int | None = None) -> None:
        """Register a thing: for the plug-in that is being loaded, else for everybody; again, if it stands elsewhere.

        Raises
        ------
        ValueError
            The project has one of that name, or the same plug-in registered it already.
        """
        owner = EVERYBODY if module.split(".")[0] in PACKAGES else _loading.get()  # a plug-in may import the project
        for one in (EVERYBODY, owner):
            if (known := self._entries.get(one, {}).get(name)) is not None and known.thing is not thing:
                raise ValueError(taken(self.what, name, known.place))
        self._entries.setdefault(owner, {})[name] = _Entry(thing, module, _place(module, line))
        self.version += 1

    def add_made(self, name: str, kind: type[T], *, called: str = "name") -> None:
        """Register what a class makes without arguments, under a name that the class gives.

        Raises
        ------
        SettingsError
            If another one has that name; ``called`` is what the class calls it.
        """
        try:
            self.add(name, kind(), module=kind.__module__, line=getattr(kind, "__firstlineno__", None))
        except ValueError as error:
            raise SettingsError(str(error), where=kind.__qualname__, remedy=f"give it another {called}") from None

    def known(self, owners: Owners | None = None) -> dict[str, T]:
        """By name: the project's own, then those of plug-ins; by default of those in force."""
        chosen = in_force() if owners is None else owners
        return {name: thing for owner in (EVERYBODY, *chosen) for name, thing in self.of(owner).items()}

    def of(self, owner: str) -> dict[str, T]:
        """By name, what one plug-in registered; or the project, as :data:`EVERYBODY`."""
        return {name: entry.thing for name, entry in self._entries.get(owner, {}).items()}

    def owner_of(self, thing: object) -> str:
        """The plug-in that registered a thing; :data:`EVERYBODY` where none did."""
        for owner, entries in self._entries.items():
            if any(entry.thing is thing for entry in entries.values()):
                return owner
        return EVERYBODY

    def given(self, owner: str) -> list[Given]:
        """What a plug-in registered."""
        return [Given(self.what, name, entry.place) for name, entry in self._entries.get(owner, {}).items()]

    def claim(self, modules: Collection[str], owner: str) -> None:
        """What these modules registered before they were known as a plug-in is the plug-in's."""
        own = self._entries[EVERYBODY]
        for name in [name for name, entry in own.items() if entry.module in modules]:
            self._entries.setdefault(owner, {})[name] = own.pop(name)
            self.version += 1

    def withdraw(self, owner: str) -> None:
        """Forget what a plug-in registered."""
        self._entries.pop(owner, None)
        self.version += 1


_loading: ContextVar[str] = ContextVar("loading", default=EVERYBODY)
_asked: ContextVar[Owners | None] = ContextVar("asked", default=None)
_newest: Owners = ()


def in_force() -> Owners:
    """The plug-ins that count where none are given: those of :func:`using`, else of the settings read last."""
    asked = _asked.get()
    return _newest if asked is None else asked


def put_in_force(owners: Owners) -> None:
    """Let these count from now on wherever none are given."""
    global _newest  # of the process: threads that it starts later ask too
    _newest = owners


@contextmanager
def using(owners: Owners | None) -> Iterator[None]:
    """Let these plug-ins count for what runs inside, in this thread; None leaves those that do."""
    token = _asked.set(_asked.get() if owners is None else owners)
    try:
        yield
    finally:
        _asked.reset(token)


@contextmanager
def registering(owner: str) -> Iterator[None]:
    """What is registered inside is a plug-in's."""
    token = _loading.set(owner)
    try:
        yield
    finally:
        _loading.reset(token)


def taken(what: str, name: str, place: str) -> str:
    """What is said of a name that something else has."""
    return f"the {what} {name!r} is there already, in {place}"


def _place(module: str, line: int | None) -> str:
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None or module.split(".")[0] in PACKAGES:
        return module
    return str(file) if line is None else f"{file}:{line}"
