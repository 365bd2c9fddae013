"""The kill switch: a file that closes positions and stops the node, and keeps it stopped until it is removed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from trading_assets.errors import NodeError
from trading_assets.models.durable import write_file

KILL_FILE: Final = "kill.json"


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """The engaged switch: since when (UTC; None where the file does not say) and why."""

    at: datetime | None
    reason: str


def engage(live_dir: Path, reason: str = "") -> KillSwitch:
    """Write the kill file, whole or not at all; a running node sees it within about a second."""
    switch = KillSwitch(datetime.now(UTC), reason or "trading kill")
    content = {"at": switch.at.isoformat() if switch.at else None, "reason": switch.reason}
    write_file(live_dir / KILL_FILE, json.dumps(content).encode())
    return switch


def engaged(live_dir: Path) -> KillSwitch | None:
    """The switch, if it is on. A file that cannot be understood is on too."""
    try:
        content = (live_dir / KILL_FILE).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        return KillSwitch(None, f"the kill file cannot be read: {error.strerror}")
    try:
        fields = json.loads(content)
        return KillSwitch(datetime.fromisoformat(fields["at"]), str(fields["reason"]))
    except (ValueError, TypeError, KeyError):
        return KillSwitch(None, "a kill file without a readable reason")


def reset(live_dir: Path) -> bool:
    """Remove the kill file; whether there was one."""
    file = live_dir / KILL_FILE
    there = file.exists()
    file.unlink(missing_ok=True)
    return there


def require_off(live_dir: Path) -> None:
    """Refuse to go on while the switch is on.

    Raises
    ------
    NodeError
        Says since when and why.
    """
    switch = engaged(live_dir)
    if switch is not None:
        since = f" since {switch.at:%Y-%m-%d %H:%M:%S} UTC" if switch.at else ""
        raise NodeError(
            f"the kill switch is on{since}: {switch.reason}",
            where=str(live_dir / KILL_FILE),
            remedy="look at what happened, then run trading kill --reset",
        )
