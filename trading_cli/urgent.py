"""A kill goes out before anything is loaded: the rest of the command takes a second to import, and a node listens now.

Standard library, the YAML parser and the kill switch alone. What it does not understand it leaves to the command.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from trading_live.operations.kill_switch import KillSwitch

_WITH_VALUE: Final = ("--settings", "--data-dir", "--log-level", "--log-format")
_NOT_A_KILL: Final = ("--reset", "--help", "-h")

sent: KillSwitch | None = None
"""The switch that this process put in its place already."""


def kill_first(arguments: Sequence[str]) -> None:
    """Put the kill file in its place where the command line asks for that; whatever fails, the command does it again.

    Parameters
    ----------
    arguments
        Of the command line, without the program.
    """
    global sent
    with suppress(Exception):
        if (asked := parsed(arguments)) is None:
            return
        from trading_live.operations import kill_switch

        live_dir = data_dir(asked) / "live"
        if live_dir.is_dir():  # else no node ever ran there, or this is not the folder that is meant
            sent = kill_switch.engage(live_dir, asked.get("--reason", ""))


def parsed(arguments: Sequence[str]) -> dict[str, str] | None:
    """The options of a kill; None for every other command.

    >>> parsed(["--data-dir", "d", "kill", "--reason=why"])
    {'--data-dir': 'd', '--reason': 'why'}
    >>> parsed(["kill", "--reset"]), parsed(["status"])
    (None, None)
    """
    found: dict[str, str] = {}
    words: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, joined, value = word.partition("=")
        if word in _NOT_A_KILL:
            return None
        if name in (*_WITH_VALUE, "--reason", "--wait"):
            found[name] = value if joined else rest.pop(0)
        elif not word.startswith("-"):
            words.append(word)
    return found if words == ["kill"] else None


def data_dir(options: dict[str, str]) -> Path:
    """The data folder as the settings have it: the flag, the environment, the file, the default."""
    from trading_assets.core.paths import SETTINGS_FILE_VARIABLE, from_root, settings_file

    if "--data-dir" in options:
        return Path(options["--data-dir"]).expanduser().resolve()
    told = [value for name, value in os.environ.items() if name.upper() == "TRADING_DATA_DIR"]
    if told:
        return from_root(told[0])
    if "--settings" in options:
        os.environ[SETTINGS_FILE_VARIABLE] = str(Path(options["--settings"]).expanduser().resolve())
    import yaml

    with settings_file().open(encoding="utf-8") as opened:
        return from_root(str((yaml.load(opened, Loader=yaml.CSafeLoader) or {}).get("data_dir", "data")))
