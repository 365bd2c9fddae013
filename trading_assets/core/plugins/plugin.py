"""Plug-ins: Python files of a user's own that register what settings can name.

A plug-in is a file as it was when it was read. The same file read twice is one plug-in; another folder or other content
is another one, so that a process may hold two projects whose files, or whose features, are called alike.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import Final

from trading_assets.core.errors import SettingsError, TradingError
from trading_assets.core.plugins.modules import PACKAGES, beside, imported_by, load_file, said_by
from trading_assets.core.plugins.seats import SEATS, Given, registering, taken


@dataclass(frozen=True, slots=True)
class Plugin:
    """A user's file as it was when it was read.

    Attributes
    ----------
    name
        As the settings write it: a file, or a module.
    folder
        What the name is relative to: the folder of the settings file.
    owner
        What it is called in this process, and in those that it starts.
    module
        The name of its module.
    sources
        The file, and those that it imports from beside it, with the hashes of what they said.
    gives
        What it registers.
    """

    name: str
    folder: Path
    owner: str
    module: str
    sources: tuple[tuple[Path, str], ...]
    gives: tuple[Given, ...]

    @property
    def file(self) -> Path:
        """The file that was run."""
        return self.sources[0][0]

    @property
    def digest(self) -> str:
        """sha256 over its code, whatever comments, docstrings and formatting, and wherever it lies."""
        return hashlib.sha256("".join(digest for _, digest in self.sources).encode()).hexdigest()

    @property
    def changed(self) -> Path | None:
        """The first of its files that says something else by now."""
        return next((file for file, digest in self.sources if said_by(file) != digest), None)

    def of(self, what: str) -> list[str]:
        """The names of a kind that it registers."""
        return [one.name for one in self.gives if one.what == what]


Plugins = tuple[Plugin, ...]
"""Those of a project, in the order of its settings."""

_ORDINAL: Final = count(2)
_lock = RLock()
_known: dict[tuple[str, Path], Plugin] = {}
_by_owner: dict[str, Plugin] = {}
_running: set[tuple[str, Path]] = set()


def plugin_of(owner: str) -> Plugin | None:
    """The plug-in of that name in this process."""
    return _by_owner.get(owner)


def version_of(made: type[object], owner: str) -> str:
    """Which code a class of a plug-in is, or one of any other file: the hash of what the file said."""
    if (plugin := plugin_of(owner)) is not None:
        return plugin.digest[:16]
    source = inspect.getsourcefile(made)
    return hashlib.sha256(Path(source).read_bytes() if source is not None else b"").hexdigest()[:16]


def load_again(plugins: Plugins) -> None:
    """Load in a process what the one that started it has loaded, under the same names.

    Raises
    ------
    SettingsError
        A file has changed since.
    """
    for one in plugins:
        check_unchanged(one)
        if one.owner not in _by_owner:
            load(one.name, one.folder, owner=one.owner)


def check_unchanged(plugin: Plugin) -> None:
    """Refuse a plug-in that a further process would load as another than the one that runs.

    Raises
    ------
    SettingsError
        Names the file that has changed.
    """
    if (file := plugin.changed) is not None:
        raise SettingsError(
            f"the plug-in {plugin.name} has changed since this process read it",
            where=str(file),
            remedy="start it again",
        )


def load_module(name: str, folder: Path) -> ModuleType:
    """The module of a plug-in, as :func:`load` finds it."""
    return sys.modules[load(name, folder).module]


def load(name: str, folder: Path, *, owner: str | None = None) -> Plugin:
    """Run a plug-in, or find it as it was run before.

    Parameters
    ----------
    name
        A file (``my_features.py``), or a module that can be imported; what lies in the folder comes first.
    folder
        The folder of the settings file.
    owner
        What to call it; by default a name of its own.

    Raises
    ------
    SettingsError
        The place is the plug-in's file, with the line where there is one.
    """
    folder = folder.resolve()
    with _lock:
        known = _known.get((name, folder))
        if known is not None and known.changed is None:
            return known
        if (name, folder) in _running:
            raise SettingsError("it reads the settings that load it", where=name, remedy="read them in a function")
        _running.add((name, folder))
        try:
            found = _run_file(name, folder, owner) if name.endswith(".py") else _run_module(name, folder, known)
        finally:
            _running.discard((name, folder))
        _known[name, folder] = _by_owner[found.owner] = found
        return found


def check_apart(plugins: Sequence[Plugin]) -> None:
    """Refuse two plug-ins of one project that register one name.

    Raises
    ------
    SettingsError
        The place is that of the second registration.
    """
    seen: dict[tuple[str, str], Given] = {}
    for plugin in plugins:
        for one in plugin.gives:
            if (first := seen.setdefault((one.what, one.name), one)) is not one:
                raise SettingsError(
                    taken(one.what, one.name, first.place),
                    where=one.place,
                    remedy="give one of the two another name",
                )


def owners(plugins: Sequence[Plugin]) -> tuple[str, ...]:
    """What they are called in this process, each once."""
    return tuple(dict.fromkeys(one.owner for one in plugins))


def _run_file(name: str, folder: Path, given: str | None) -> Plugin:
    file = (folder / Path(name).expanduser()).resolve()
    if not file.is_file():
        raise SettingsError("no such file", where=str(file), remedy="name a file below the settings file's folder")
    key = hashlib.sha256(f"{file} {said_by(file)}".encode()).hexdigest()[:8]
    owner = given or f"own.{key}.{file.stem}"
    if owner in sys.modules:  # it says the same, but what lies beside it does not
        owner = f"own.{key}-{next(_ORDINAL)}.{file.stem}"
    there = [
        one for one in sys.modules.values() if _is(one, file) and not one.__name__.startswith(("own.", "__main__"))
    ]

    def run() -> dict[str, ModuleType]:
        with beside(file.parent):
            module = there[0] if there else load_file(file, owner)
        return {module.__name__: module, **imported_by(module, file.parent)}

    return _registered(name, folder, owner, there[0].__name__ if there else owner, file, run)


def _run_module(name: str, folder: Path, before: Plugin | None) -> Plugin:
    top = name.split(".")[0]
    if before is not None:  # it has changed
        for part in [part for part in sys.modules if part.split(".")[0] == top]:
            del sys.modules[part]
    file = _origin(name, folder)
    owner = name if name not in _by_owner else f"{name}-{next(_ORDINAL)}"

    def run() -> dict[str, ModuleType]:
        with beside(folder):
            module = importlib.import_module(name)
            return {name: module} | {key: one for key, one in sys.modules.items() if key.split(".")[0] == top}

    return _registered(name, folder, owner, name, file, run)


def _registered(
    name: str, folder: Path, owner: str, module: str, file: Path, run: Callable[[], dict[str, ModuleType]]
) -> Plugin:
    """Run it, and see what it registered."""
    try:
        with registering(owner):
            parts = run()
    except (Exception, SystemExit) as error:
        for seat in SEATS:
            seat.withdraw(owner)
        raise SettingsError(_said(error), where=_place(error, file), remedy=_remedy(error)) from error
    for seat in SEATS:
        seat.claim(parts, owner)
    files = {Path(one.__file__).resolve() for one in parts.values() if one.__file__ is not None} - {file}
    sources = tuple((one, said_by(one)) for one in (file, *sorted(files, key=lambda one: (one.name, str(one)))))
    return Plugin(name, folder, owner, module, sources, tuple(one for seat in SEATS for one in seat.given(owner)))


def _origin(name: str, folder: Path) -> Path:
    """The file of a module that can be imported."""
    try:
        with beside(folder):
            spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        spec = None
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise SettingsError(
            f"there is no module {name!r}, neither in {folder} nor installed",
            where=name,
            remedy="write a file with its .py, or the dotted name of a module that can be imported",
        )
    return Path(spec.origin).resolve()


def _is(module: ModuleType, file: Path) -> bool:
    path = getattr(module, "__file__", None)
    return isinstance(path, str) and path.endswith(file.name) and Path(path).resolve() == file


def _said(error: BaseException) -> str:
    if isinstance(error, TradingError):
        return error.what
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _remedy(error: BaseException) -> str:
    if isinstance(error, TradingError) and error.remedy:
        return error.remedy
    return "mend the file, or take it out of `plugins`"


def _place(error: BaseException, file: Path) -> str:
    """File and line of the user's own code that failed."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).suffix == ".py":
        return f"{error.filename}:{error.lineno}"
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename) == file or _is_own(Path(frame.filename), file.parent)
    ]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else str(file)


def _is_own(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts if path.is_relative_to(folder) else ()
    return bool(parts) and not PACKAGES.intersection(parts) and "site-packages" not in parts
