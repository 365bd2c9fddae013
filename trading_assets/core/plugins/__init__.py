"""Plug-ins: how files of a user's own are read, and the seats that they add to."""

from trading_assets.core.plugins.plugin import (
    Plugin,
    Plugins,
    check_apart,
    check_unchanged,
    load,
    load_again,
    load_module,
    owners,
    plugin_of,
    version_of,
)

__all__ = [
    "Plugin",
    "Plugins",
    "check_apart",
    "check_unchanged",
    "load",
    "load_again",
    "load_module",
    "owners",
    "plugin_of",
    "version_of",
]
