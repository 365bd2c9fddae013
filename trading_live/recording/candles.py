"""Streamed candles on their way into the store: to the spool, and at once on from there, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl
import structlog

from trading_assets.core.errors import NodeError, SettingsError, StoreError
from trading_assets.recordings import Spool, load_streamed
from trading_assets.settings import Settings
from trading_assets.store.tables import STREAMED_CANDLES
from trading_live.venues.contract import Venue

_LOG: Final = structlog.get_logger(__name__)
_AGAIN_S: Final = 5.0
_GATHER_S: Final = 0.02
"""Candles of many markets close at one moment: so long others are waited for, to be written together."""

Take = Callable[[pl.DataFrame], int]
"""Stores rows of ``streamed_candles``; raises StoreError where the store is held by others."""


class StreamedCandle(NamedTuple):
    """A closed candle, in the columns of ``streamed_candles``."""

    market: str
    timeframe: str
    ts: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    known_at: datetime
    source: str


class CandleWriter:
    """Brings candles into the store as they close; what the store does not take now waits on disk.

    Parameters
    ----------
    spool
        In a folder of its own below ``root``.
    root
        The folder that is loaded from.
    take
        Stores rows, with a store that waits for others no longer than a moment.

    Attributes
    ----------
    stored, waits
        Candles that are new in the store, and whether some are left in the spool.
    failure
        Why the disk takes none.
    """

    def __init__(self, spool: Spool, root: Path, take: Take) -> None:
        self.stored = 0
        self.waits = False
        self.failure: str | None = None
        self._spool = spool
        self._root = root
        self._take = take
        self._queue: queue.SimpleQueue[StreamedCandle | None] = queue.SimpleQueue()
        self._unspooled: list[StreamedCandle] = []
        self._thread = threading.Thread(target=self._run, name="candles", daemon=True)
        self._thread.start()

    def put(self, candle: StreamedCandle) -> None:
        """Leave a candle to be written; waits for nothing."""
        self._queue.put(candle)

    def close(self) -> None:
        """Write what is left; what the store does not take stays in the spool for the next load."""
        self._queue.put(None)
        self._thread.join()
        self._spool.close()

    def _run(self) -> None:
        over = False
        while not over:
            over = self._gather()
            self._write()

    def _gather(self) -> bool:
        """Wait for candles; whether these were the last."""
        wait_s = _AGAIN_S if self.waits or self._unspooled else None
        try:
            while (one := self._queue.get(timeout=wait_s)) is not None:
                self._unspooled.append(one)
                wait_s = _GATHER_S
        except queue.Empty:
            return False
        return True

    def _write(self) -> None:
        try:
            if self._unspooled:
                rows = pl.DataFrame(self._unspooled, schema=STREAMED_CANDLES.columns, orient="row")
                self._spool.write({STREAMED_CANDLES.name: rows})
                self._unspooled = []
                self._spool.seal()
            self.failure = None
        except (NodeError, OSError) as error:  # they are kept, and tried again
            self.failure = str(error)
            return
        try:
            self.stored += load_streamed(self._root, self._take, wait_s=0.0)
            self.waits = False
        except (StoreError, NodeError) as error:  # another process holds the store, or loads
            if not self.waits:
                _LOG.warning("candles wait in the spool", error=str(error))
            self.waits = True


@dataclass(frozen=True, slots=True)
class Candles:
    """Which candles a recorder stores.

    Attributes
    ----------
    writer
        Takes them; None where none are stored.
    timeframes
        Market -> of its candles.
    source
        Whose they are: venue and environment.
    """

    writer: CandleWriter | None = None
    timeframes: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


def streamed_from(settings: Settings, venue: Venue, markets: Sequence[str]) -> dict[str, str]:
    """Market -> the timeframe in which its streamed candles are stored; empty where none are wanted.

    A market that the settings do not name has no timeframe: its books and trades are recorded alone.

    Raises
    ------
    SettingsError
        If these are not the market's real prices, or the venue streams no such bars.
    """
    if not settings.record.candles:
        return {}
    if settings.node.environment == "testnet":
        raise SettingsError(
            "record.candles would put a testnet's prices beside the market's own",
            where="record.candles",
            remedy="record with --environment live, or set record.candles: false",
        )
    found = {market: str(settings.markets[market].timeframe) for market in markets if market in settings.markets}
    if refusals := [why for one in found.items() if (why := venue.refusal(*one)) is not None]:
        raise SettingsError("; ".join(refusals), where="record.candles", remedy="set record.candles: false")
    return found
