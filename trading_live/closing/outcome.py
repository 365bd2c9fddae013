"""What a kill closed, what it left open, and how the next process hears of it."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from trading_assets.core.errors import NodeError
from trading_assets.core.sides import Side
from trading_assets.journal import JOURNAL_FILE, NODE, Journal, newest_events
from trading_assets.journal.state import KILL, KILL_WITHDRAWN
from trading_assets.store.tables import POSITIONS
from trading_live.operations.heartbeat import NodeLock, holder, is_running
from trading_live.operations.kill_switch import KillSwitch
from trading_live.operations.status import Book, is_deaf

_GRACE_S: Final = 10.0
_NEWEST: Final = 1000


@dataclass(frozen=True, slots=True)
class ClosedPosition:
    """A position that was closed since; quantity negative for a short one, result in quote currency after fees."""

    market: str
    quantity: float
    price: float
    realized_pnl: float

    @property
    def side(self) -> Side:
        """Long or short."""
        return Side.LONG if self.quantity > 0 else Side.SHORT


def as_of(book: Book, live_dir: Path, switch: KillSwitch | None) -> Book:
    """A book that was read while the node closed it already, as of the moment when the node saw the switch."""
    if switch is None or switch.at is None:
        return book
    told = newest_events(live_dir / JOURNAL_FILE, NODE, _NEWEST) if not book.problem else None
    if told is None:
        return book
    seen = told.filter((pl.col("event") == KILL) & (pl.col("ts") >= switch.at))["seq"]
    return book if seen.is_empty() else replace(book, seq=min(book.seq, int(seen[0])))


def closed_since(live_dir: Path, before: Book) -> list[ClosedPosition]:
    """The positions that were closed after a moment, the newest last."""
    path = live_dir / JOURNAL_FILE
    ended = newest_events(path, POSITIONS.name, _NEWEST).filter(
        (pl.col("seq") > before.seq) & (pl.col("event") == "closed")
    )
    fills = newest_events(path, "fills", _NEWEST)
    held = {one.market: one.quantity for one in before.positions}
    found = []
    for row in ended.iter_rows(named=True):
        mine = fills.filter(pl.col("signal_id") == row["signal_id"])
        side = _side(held.pop(row["market"], 0.0), mine)
        closing = mine.filter(
            (pl.col("seq") > before.seq) & (pl.col("side") == ("sell" if side is Side.LONG else "buy"))
        )
        quantity = float(closing["quantity"].sum())
        price = float((closing["quantity"] * closing["price"]).sum()) / quantity if quantity else 0.0
        found.append(ClosedPosition(row["market"], side * quantity, price, row["realized_pnl"]))
    return found


def _side(held: float, fills: pl.DataFrame) -> Side:
    """Of a trade, from what was held of it before or, where nothing was, from the first of its fills."""
    if held:
        return Side.LONG if held > 0 else Side.SHORT
    return Side.SHORT if fills.height and fills["side"][0] == "sell" else Side.LONG


def await_end(live_dir: Path, seconds: float, *, while_heard: bool = False) -> bool:
    """Wait for the node's end; whether it came.

    Parameters
    ----------
    live_dir
        The node's folder.
    seconds
        At most.
    while_heard
        Whether to give up at once where the node gives no sign of life: it will not end by itself.
    """
    deadline = time.monotonic() + seconds
    while is_running(live_dir):
        if time.monotonic() > deadline or (while_heard and is_deaf(live_dir)):
            return False
        time.sleep(0.1)
    return True


def end_by_force(live_dir: Path) -> str:
    """End a node that does not answer: SIGTERM, then SIGKILL; what was done, or empty where its process is unknown."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        process = holder(live_dir)
        if process is None:
            break
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)
        if await_end(live_dir, _GRACE_S):
            return f"process {process} was ended with {number.name}"
    return ""


def leave_to_next_process(live_dir: Path, node: str, reason: str) -> bool:
    """Journal the kill for positions that no process closed, so that the next one does; whether it could."""
    return _tell(live_dir, node, KILL, reason)


def withdraw(live_dir: Path, node: str) -> bool:
    """Journal that open positions go on as they were; whether it could."""
    return _tell(live_dir, node, KILL_WITHDRAWN, "trading kill --reset --keep-positions")


def _tell(live_dir: Path, node: str, event: str, detail: str) -> bool:
    presence = NodeLock(live_dir)
    try:
        presence.acquire()
    except NodeError:
        return False  # a node runs, and heeds the switch itself
    try:
        with closing(Journal(live_dir / JOURNAL_FILE, node)) as journal:
            journal.record(NODE, {"ts": datetime.now(UTC), "event": event, "detail": detail})
    except NodeError:
        return False
    finally:
        presence.release()
    return True
