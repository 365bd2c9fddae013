"""Files and modules of a user that a command is given; without one, the plug-ins of the settings count."""

from __future__ import annotations

from pathlib import Path

from trading_assets.core.errors import SettingsError, TradingError
from trading_assets.core.plugins import Plugin, load


def load_own(name: str) -> Plugin:
    """A file, or a module that can be imported from here; what it imports from beside it is found, too.

    Raises
    ------
    TradingError
        Names the file and line that fail.
    """
    try:
        return load(name, Path.cwd())
    except SettingsError as error:
        raise TradingError(
            f"cannot load it: {error.what}",
            where=error.where,
            remedy="give a file, or a module that can be imported; --debug shows where it fails",
        ) from error
