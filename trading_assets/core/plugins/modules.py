"""Python files that are no part of a package, such as a user's own, and what they import from beside them."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Final

from trading_assets.core.syntax import meaning

PACKAGES: Final = frozenset({"trading_assets", "trading_live", "trading_cli"})
"""The project's own."""

_neighbours: dict[Path, dict[str, tuple[ModuleType, str]]] = {}
"""Folder -> modules that a user's file imported from there, and what their files said."""


def load_file(path: Path, known_as: str) -> ModuleType:
    """Run a Python file as a module of the given name.

    Raises
    ------
    ImportError
        If it is no Python file; whatever the file itself raises comes as it is.
    """
    spec = importlib.util.spec_from_file_location(known_as, path)
    if spec is None or spec.loader is None:
        raise ImportError("no Python file")
    parents = known_as.split(".")[:-1]
    for place in range(len(parents)):  # pickle looks a class up through them
        name = ".".join(parents[: place + 1])
        sys.modules.setdefault(name, ModuleType(name)).__dict__.setdefault("__path__", [])
    module = sys.modules[known_as] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[known_as]
        raise
    return module


def said_by(path: Path) -> str:
    """sha256 of what a file says, whatever its comments, docstrings and formatting; empty where it is gone."""
    try:
        content = path.read_bytes()
    except OSError:
        return ""
    with suppress(SyntaxError, ValueError):  # told where it is run
        content = meaning(content.decode()).encode()
    return hashlib.sha256(content).hexdigest()


@contextmanager
def beside(folder: Path) -> Iterator[None]:
    """Inside, ``import`` finds what lies in a folder; modules of other folders that are called alike stand aside.

    What was imported from there before is found as it was, unless a file there has changed since. Later, functions of
    such a module still find what lies beside it, as long as no other folder has a module of that name.

    No bytecode is kept: Python takes it for a file's own until a second has passed or the file has another size.
    """
    own = _neighbours.setdefault(folder, {})
    if any(said_by(Path(str(one.__file__))) != said for one, said in own.values()):
        for name in own:
            sys.modules.pop(name, None)
        own.clear()
    aside = {
        name: sys.modules.pop(name, None) for other, found in _neighbours.items() if other != folder for name in found
    }
    sys.modules.update({name: one for name, (one, _) in own.items()})
    before = set(sys.modules)
    finder = _Beside(folder)
    sys.meta_path.insert(0, finder)
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = kept
        sys.meta_path.remove(finder)
        for name, module in list(sys.modules.items()):
            if name not in before and is_below(module, folder) and not name.startswith("own."):
                own[name] = module, said_by(Path(str(module.__file__)))
        sys.modules.update({name: one for name, one in aside.items() if one is not None and name not in sys.modules})
        if str(folder) not in sys.path:
            sys.path.append(str(folder))


def is_below(module: ModuleType, folder: Path) -> bool:
    """Whether a module is a file of a user's below a folder: none of the project, and not installed there."""
    file = getattr(module, "__file__", None)
    if not file or module.__name__.split(".")[0] in PACKAGES:
        return False
    path = Path(file).resolve()
    return path.is_relative_to(folder) and "site-packages" not in path.parts


def imported_by(module: ModuleType, folder: Path) -> dict[str, ModuleType]:
    """What a module imports from its folder, and what that imports from there."""
    known = {name: one for name, (one, _) in _neighbours.get(folder, {}).items()}
    found: dict[str, ModuleType] = {}
    pending = [module]
    while pending:
        values = vars(pending.pop()).values()
        names = {one.__name__ if isinstance(one, ModuleType) else getattr(one, "__module__", "") for one in values}
        further = {name: known[name] for name in names if name in known and name not in found}
        found |= further
        pending += further.values()
    return found


class _Beside:
    """Finds modules in one folder; those of the standard library and of the project come first."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As Python's import system asks; folders without ``__init__.py`` are left to it."""
        if path is not None or name in sys.stdlib_module_names or name in PACKAGES:
            return None
        spec = PathFinder.find_spec(name, [self._folder], target)
        return spec if spec is not None and spec.origin is not None else None
