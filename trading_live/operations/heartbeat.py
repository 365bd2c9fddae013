"""One node per folder, and a heartbeat that says what it is doing."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Final, Literal

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from trading_assets.core.errors import NodeError
from trading_assets.core.locks import lock_now
from trading_assets.journal import JOURNAL_FILE
from trading_live.operations.files import HEARTBEAT_FILE, KILL_MARK, LOCK_FILE

_LOG: Final = structlog.get_logger(__name__)

State = Literal["starting", "connecting", "warming up", "trading", "silent", "managing", "closing", "stopped"]
"""``silent``: no market that a model trades sends bars any more; the node listens on.
``managing``: no model is in use, so nothing is entered; what is open keeps its stop, target and expiry."""


class RunningModel(BaseModel):
    """A model that the node trades with."""

    model_config = ConfigDict(frozen=True)

    model: str
    version: int
    bundle_hash: str
    markets: tuple[str, ...]


class Heartbeat(BaseModel):
    """What a node says about itself once a second.

    Attributes
    ----------
    market_time
        The newest bar's end: the market's clock.
    last_bars
        Market -> end of its newest decision bar.
    next_bars
        Market -> when the next one ends, of the timeframe whose is due first.
    waiting
        Market -> why nothing is decided there.
    untrusted
        Market -> why its feed is not trusted: quarantined, or silent.
    halted
        Why the strategy enters nothing any more; None while it does.
    journal
        Why the journal cannot be written, and how much waits in memory; empty while it can.
    open_markets
        Where a trade is open or on its way, by the node's own memory.
    refused
        Model (or the manifest) -> why it is not in use.
    challengers, challengers_aside
        What decides in shadow; and challenger -> why it is set aside.
    detail
        What the state waits for, where there is more to say.
    """

    model_config = ConfigDict(frozen=True)

    pid: int
    state: State
    node: str
    venue: str
    environment: str
    mode: str
    started_at: AwareDatetime
    beat_at: AwareDatetime
    market_time: AwareDatetime | None = None
    models: tuple[RunningModel, ...] = ()
    challengers: tuple[RunningModel, ...] = ()
    challengers_aside: dict[str, str] = {}
    last_bars: dict[str, AwareDatetime] = {}
    next_bars: dict[str, AwareDatetime] = {}
    waiting: dict[str, str] = {}
    untrusted: dict[str, str] = {}
    halted: str | None = None
    refused: dict[str, str] = {}
    detail: str = ""
    journal: str = ""
    open_markets: tuple[str, ...] = ()

    @property
    def age_s(self) -> float:
        """Seconds since the heartbeat."""
        return (datetime.now(UTC) - self.beat_at).total_seconds()


class NodeLock:
    """The right to be the node of a folder: a lock that the system frees when the process ends, however it ends."""

    def __init__(self, live_dir: Path) -> None:
        self._live_dir = live_dir
        self._handle: FileIO | None = None
        self._failed = ""

    def acquire(self) -> None:
        """Take the lock.

        Raises
        ------
        NodeError
            If another node runs on the folder; says which process.
        """
        try:
            self._live_dir.mkdir(parents=True, exist_ok=True)
            handle = (self._live_dir / LOCK_FILE).open("ab", buffering=0)  # nothing is left for close() to write
        except OSError as error:
            raise NodeError(
                f"the node's folder cannot be used: {error.strerror or error}",
                where=str(self._live_dir),
                remedy="make it a folder that this user may write, on a disk with room",
            ) from None
        if not lock_now(handle):
            handle.close()
            beat = read_heartbeat(self._live_dir)
            raise NodeError(
                "a node is running here already" + (f" (process {beat.pid})" if beat else ""),
                where=str(self._live_dir),
                remedy="stop it with Ctrl-C or trading kill, or give this one another data folder",
            )
        self._handle = handle
        with contextlib.suppress(OSError):  # a full disk: the heartbeat says it, too
            mark = KILL_MARK if KILL_MARK in (self._live_dir / LOCK_FILE).read_bytes() else b""
            handle.truncate(0)
            handle.write(str(os.getpid()).encode() + mark)

    def beat(self, heartbeat: Heartbeat) -> None:
        """Write the heartbeat; a reader sees the former one or this one. A folder that refuses it does not raise."""
        file, text = self._live_dir / HEARTBEAT_FILE, heartbeat.model_dump_json()
        beside = file.with_name(f".{HEARTBEAT_FILE}.{os.getpid()}")
        try:
            beside.write_text(text)
            beside.replace(file)
        except OSError as error:
            self._beat_in_place(file, text, error)
        else:
            self._failed = ""

    def _beat_in_place(self, file: Path, text: str, failure: OSError) -> None:
        """On a full disk, over the former heartbeat, whose place on the disk is there; padded, as it may be longer."""
        with contextlib.suppress(OSError):
            file.with_name(f".{HEARTBEAT_FILE}.{os.getpid()}").unlink(missing_ok=True)
        try:
            with file.open("r+b") as handle:
                handle.write(text.encode().ljust(file.stat().st_size))
        except OSError as error:
            failure = error
        if str(failure) != self._failed:
            self._failed = str(failure)
            _LOG.error("heartbeat", error=self._failed)

    def release(self) -> None:
        """Free the lock."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def is_running(live_dir: Path) -> bool:
    """Whether a node holds the folder's lock."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), (live_dir / LOCK_FILE).open() as handle:
        return not lock_now(handle, shared=True)
    return False


def holder(live_dir: Path) -> int | None:
    """The process that holds the folder's lock; None where there is none, or it could not say who it is."""
    if not is_running(live_dir):
        return None
    with contextlib.suppress(OSError, ValueError):
        return int((live_dir / LOCK_FILE).read_bytes().removesuffix(KILL_MARK))
    beat = read_heartbeat(live_dir)
    return beat.pid if beat is not None else None


def read_heartbeat(live_dir: Path) -> Heartbeat | None:
    """The newest heartbeat, also of a node that has ended; None where there is none."""
    try:
        return Heartbeat.model_validate_json((live_dir / HEARTBEAT_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def missing_journal(live_dir: Path) -> NodeError | None:
    """What is wrong where the last heartbeat speaks of open trades that only a lost journal knows."""
    beat = read_heartbeat(live_dir)
    if beat is None or not beat.open_markets or (live_dir / JOURNAL_FILE).is_file():
        return None
    return NodeError(
        f"the journal of {beat.node} is missing, and it held trades open in {', '.join(beat.open_markets)}",
        where=str(live_dir / JOURNAL_FILE),
        remedy=f"put it or an export back, or remove {HEARTBEAT_FILE} beside it to begin without them",
    )
