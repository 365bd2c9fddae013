"""Which code made something: the package's version and, in a checkout, its commit."""

from __future__ import annotations

import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

from trading_assets.settings import PROJECT_ROOT

DISTRIBUTION: Final = "trading-assets"


@cache
def code_version(root: Path = PROJECT_ROOT) -> str:
    """The package's version, followed by ``+g<commit>`` in a checkout and ``.dirty`` where tracked files were changed.

    Needs neither git nor a checkout: without them it is the package's version alone.

    >>> code_version(Path("/nonexistent")).count("+")
    0
    """
    try:
        version = metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        version = "0"
    if not (root / ".git").exists():  # an installed package may lie inside somebody else's repository
        return version
    command = ["git", "-C", str(root), "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=.dirty"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return version
    return f"{version}+g{commit}"
