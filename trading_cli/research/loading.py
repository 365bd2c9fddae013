"""Modules of a user, by file or by name."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from trading_assets.core.errors import TradingError
from trading_assets.core.modules import load_file


def load_module(name: str) -> ModuleType:
    """A file, or a module that can be imported from here; what it imports from beside it is found, too."""
    path = Path(name)
    sys.path.append(str(path.parent.resolve() if path.suffix == ".py" else Path.cwd()))
    try:
        if path.suffix != ".py":
            return importlib.import_module(name)
        if not path.is_file():
            raise ImportError("no such file")
        return load_file(path, f"own.{path.stem}")  # not its bare name, which may be that of a module in use
    except Exception as error:  # whatever a module of a user raises
        raise TradingError(
            f"cannot load it: {type(error).__name__}: {error}",
            where=name,
            remedy="give a file, or a module that can be imported; --debug shows where it fails",
        ) from error
