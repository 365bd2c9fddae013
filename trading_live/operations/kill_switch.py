"""The kill switch: a file that closes positions and stops the node, and keeps it stopped until it is removed."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from os import SEEK_END
from pathlib import Path

from trading_assets.core.atomic_files import write_file
from trading_assets.core.errors import NodeError
from trading_live.operations.files import HEARTBEAT_FILE, KILL_FILE, KILL_MARK, LOCK_FILE


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """The engaged switch: since when (UTC; None where the file does not say) and why."""

    at: datetime | None
    reason: str


def engage(live_dir: Path, reason: str = "") -> KillSwitch:
    """Put the kill file in its place; a running node sees it within some twenty milliseconds.

    Where the disk takes no new file, an empty one is tried, and then the heartbeat is renamed: a kill file that says
    nothing is on, too. Where the folder takes no name either, the lock file that is there is marked: a node that a
    supervisor starts again finds that as well.

    Raises
    ------
    NodeError
        If the folder refuses all of them.
    """
    switch = KillSwitch(datetime.now(UTC), reason or "trading kill")
    content = {"at": switch.at.isoformat() if switch.at else None, "reason": switch.reason}
    try:
        write_file(live_dir / KILL_FILE, json.dumps(content).encode())
    except OSError as error:
        if engaged(live_dir) is None and not _engage_without_room(live_dir):
            raise NodeError(
                f"the kill file cannot be written: {error.strerror or error}",
                where=str(live_dir),
                remedy="make the folder writable, then run trading kill again",
            ) from None
    return switch


def _engage_without_room(live_dir: Path) -> bool:
    with suppress(OSError):
        (live_dir / KILL_FILE).touch()
        return True
    with suppress(OSError):
        (live_dir / HEARTBEAT_FILE).rename(live_dir / KILL_FILE)
        return True
    with suppress(OSError), (live_dir / LOCK_FILE).open("r+b") as lock:
        lock.seek(0, SEEK_END)
        lock.write(KILL_MARK)
        return True
    return False


def is_marked(live_dir: Path) -> bool:
    """Whether the lock file says that the switch is on."""
    with suppress(OSError):
        return KILL_MARK in (live_dir / LOCK_FILE).read_bytes()
    return False


def engaged(live_dir: Path) -> KillSwitch | None:
    """The switch, if it is on. A file that cannot be understood is on too."""
    try:
        content = (live_dir / KILL_FILE).read_bytes()
    except FileNotFoundError:
        return KillSwitch(None, "the folder took no kill file") if is_marked(live_dir) else None
    except OSError as error:
        return KillSwitch(None, f"the kill file cannot be read: {error.strerror}")
    try:
        fields = json.loads(content)
        return KillSwitch(datetime.fromisoformat(fields["at"]), str(fields["reason"]))
    except (ValueError, TypeError, KeyError):
        return KillSwitch(None, "a kill file without a readable reason")


def reset(live_dir: Path) -> bool:
    """Remove the kill file; whether there was one.

    Raises
    ------
    NodeError
        If it cannot be removed.
    """
    file = live_dir / KILL_FILE
    marked = is_marked(live_dir)
    there = file.exists() or marked
    try:
        if marked:
            file = live_dir / LOCK_FILE
            with file.open("r+b") as lock:  # in its place: a node may hold it
                kept = lock.read().replace(KILL_MARK, b"")
                lock.seek(0)
                lock.write(kept)
                lock.truncate()
            file = live_dir / KILL_FILE
        if there:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise NodeError(
            f"the kill file cannot be removed: {error.strerror or error}", where=str(file), remedy="remove it by hand"
        ) from None
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
