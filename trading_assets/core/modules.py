"""Python files that are no part of a package, such as a user's own."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


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
    module = sys.modules[known_as] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
