"""Where the project, its settings file and its relative paths are."""

from __future__ import annotations

import os
import re
from pathlib import Path

from trading_assets.core.errors import SettingsError

SETTINGS_FILE_VARIABLE = "TRADING_SETTINGS"
DEFAULT_SETTINGS_FILE = Path("trading.yaml")
PROJECT_ROOT = Path(__file__).resolve().parents[2]


def from_root(path: str | Path) -> Path:
    """A path as absolute; relative ones start at the project's folder, wherever the process runs.

    ``~`` and environment variables are expanded.

    Raises
    ------
    SettingsError
        If the path names an environment variable that is not set.
    """
    expanded = os.path.expandvars(path)
    if missing := re.search(r"\$\{?(\w+)", expanded):
        raise SettingsError(f"the environment variable {missing[1]} is not set", where=str(path))
    return PROJECT_ROOT / Path(expanded).expanduser()


def settings_file() -> Path:
    """The settings file in force: ``TRADING_SETTINGS`` or ``trading.yaml``."""
    return from_root(os.environ.get(SETTINGS_FILE_VARIABLE) or DEFAULT_SETTINGS_FILE)
