"""The first moment of the `trading` command: a kill is on its way before the command is loaded."""

from __future__ import annotations

import sys

from trading_cli import urgent


def run() -> None:
    """Entry point; see :func:`trading_cli.main.run`."""
    urgent.kill_first(sys.argv[1:])
    from trading_cli.main import run as command

    command()
