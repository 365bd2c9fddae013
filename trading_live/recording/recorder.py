"""The recorder inside the engine: an actor that takes down what the venue sends, and writes it every second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import polars as pl
import structlog
from nautilus_trader.common import DataActor, SocketState, SocketStateChanged
from nautilus_trader.model import BookType, InstrumentId, OrderBook, TradeTick

from trading_assets.core.errors import NodeError
from trading_assets.recordings import Spool
from trading_assets.settings import RecordSettings
from trading_assets.strategies.instruments import exact
from trading_live.recording.buffer import RecordingBuffer

_LOG: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RecordStats:
    """How a recording goes.

    Attributes
    ----------
    trades, books, gaps
        Rows so far.
    lag_s
        By how much the newest message's arrival is behind the exchange's time of it; None in a replay.
    reconnects
        Connections that were lost.
    connected
        Whether all connections stand.
    """

    seconds: float
    trades: int
    books: int
    gaps: int
    bytes: int
    lag_s: float | None
    reconnects: int
    connected: bool


@dataclass(frozen=True, slots=True)
class RecordHooks:
    """What the recorder tells the process that it runs in: progress at every write, and what happened."""

    progress: Callable[[RecordStats], None] = lambda _stats: None
    event: Callable[[str], None] = lambda _text: None


def base_units(size: float, multiplier: Decimal) -> float:
    """A size in contracts as base units, without the dust of binary fractions.

    >>> base_units(3.0, Decimal("0.1"))
    0.3
    """
    return float(Decimal(str(size)) * multiplier)


class Recorder(DataActor):
    """Listens in the engine, on the engine's thread.

    Parameters
    ----------
    instruments
        Market -> the venue's instrument.
    spool
        Where rows go.
    buffer
        What was heard since the last write.
    settings
        Depth and intervals.
    hooks
        Told how it goes.
    historic
        Whether the exchange's times are historic: then the newest of them is the clock.
    levels
        How deep the adapter keeps the book.
    seconds
        How long to record; None for no end.
    stop
        Stops the engine.
    """

    def __new__(cls, *_: Any, **__: Any) -> Recorder:
        """The engine's base class takes its own config at this point."""
        return super().__new__(cls)

    def __init__(
        self,
        instruments: Mapping[str, InstrumentId],
        spool: Spool,
        buffer: RecordingBuffer,
        settings: RecordSettings,
        hooks: RecordHooks,
        *,
        historic: bool,
        levels: int,
        seconds: float | None,
        stop: Callable[[], None],
    ) -> None:
        super().__init__()
        self.failure: NodeError | None = None
        self._markets = {iid: market for market, iid in instruments.items()}
        self._spool = spool
        self._buffer = buffer
        self._settings = settings
        self._hooks = hooks
        self._historic = historic
        self._levels = levels
        self._seconds = seconds
        self._stop = stop
        self._begun = self._heard = time.monotonic()
        self._market_us = 0
        self._lag_us: int | None = None
        self._bytes = 0
        self._unwritten: deque[dict[str, pl.DataFrame]] = deque()
        self._reconnects = 0
        self._down: set[str] = set()
        self._units: dict[InstrumentId, Decimal] = {}

    # -- the engine's handlers ------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Subscribe."""
        found = {iid: self.cache.instrument(iid) for iid in self._markets}
        if unknown := [str(iid) for iid, instrument in found.items() if instrument is None]:
            self._fail(f"the venue does not have {', '.join(unknown)}", "check the markets that are to be recorded")
            return
        units = {iid: Decimal(str(instrument.multiplier)) for iid, instrument in found.items() if instrument}
        self._units = {iid: unit for iid, unit in units.items() if unit != 1}
        self._begun = self._heard = time.monotonic()
        self.subscribe_socket_state()
        interval_ms = round(self._settings.book_interval_s * 1000)
        for iid in self._markets:
            self.subscribe_trades(iid)
            self.subscribe_book_at_interval(iid, BookType.L2_MBP, interval_ms, depth=self._levels)
        self.clock.set_timer("flush", timedelta(seconds=self._settings.flush_s), callback=lambda _: self._turn())

    def on_trade(self, trade: TradeTick) -> None:
        """Take down a trade."""
        ts_us, wall_us = trade.ts_event // 1000, trade.ts_init // 1000
        self._hear(ts_us)
        self._lag_us = wall_us - ts_us
        self._buffer.trade(
            self._markets[trade.instrument_id],
            str(trade.trade_id),
            exact(trade.price),
            self._base(trade.instrument_id, exact(trade.size)),
            {"BUY": "buy", "SELL": "sell"}.get(trade.aggressor_side.name, ""),
            ts_us=ts_us,
            received_us=self._market_us if self._historic else wall_us,
        )

    def on_book(self, book: OrderBook) -> None:
        """Take down the best levels; the engine keeps the book and gives it at each interval."""
        ts_us, depth = book.ts_event // 1000, self._settings.depth
        iid = book.instrument_id
        bids, asks = (
            [(exact(one.price), self._base(iid, one.size())) for one in side]
            for side in (book.bids(depth), book.asks(depth))
        )
        changed = self._buffer.book(
            self._markets[iid],
            bids,
            asks,
            sequence=book.sequence,
            ts_us=ts_us,
            received_us=max(self._market_us, ts_us) if self._historic else time.time_ns() // 1000,
        )
        if changed:  # the engine gives an old book again at each interval
            self._hear(ts_us)

    def on_socket_state(self, event: SocketStateChanged) -> None:
        """Note that a connection was lost or is there again."""
        if event.state == SocketState.CONNECTED:
            if event.endpoint in self._down:
                self._down.discard(event.endpoint)
                self._hooks.event(f"connected again: {event.endpoint}")
                _LOG.info("connected again", endpoint=event.endpoint)
        elif event.endpoint not in self._down:
            self._down.add(event.endpoint)
            self._reconnects += 1
            self._buffer.broken()
            self._hooks.event(f"connection lost: {event.endpoint}; connects again")
            _LOG.warning("connection lost", endpoint=event.endpoint)

    # -- the clock ------------------------------------------------------------------------------------------------

    def stats(self) -> RecordStats:
        """How it goes."""
        buffer = self._buffer
        return RecordStats(
            seconds=time.monotonic() - self._begun,
            trades=buffer.trades,
            books=buffer.books,
            gaps=buffer.gaps,
            bytes=self._bytes,
            lag_s=None if self._historic or self._lag_us is None else self._lag_us / 1e6,
            reconnects=self._reconnects,
            connected=not self._down,
        )

    def flush(self, *, last: bool = False) -> None:
        """Write what was heard; on disk when this returns."""
        try:
            now_us = self._market_us if self._historic else time.time_ns() // 1000
            self._unwritten.append(self._buffer.take(None if last else now_us))
            while self._unwritten:  # what a disk refused is tried again before the newer
                self._bytes += self._spool.write(self._unwritten[0])
                self._unwritten.popleft()
            self._buffer.remember()
        except (NodeError, OSError) as error:
            what = (
                error.what
                if isinstance(error, NodeError)
                else f"the recording cannot be written: {error.strerror or error}"
            )
            self._fail(what, "check the disk and its rights; what was written is kept", stop=not last)

    def let_go(self) -> None:
        """Forget how to stop the engine, which else would live as long as this."""
        self._stop = lambda: None

    def _turn(self) -> None:
        try:
            self.flush()
            self._hooks.progress(self.stats())
            silent = time.monotonic() - self._heard
            if self._seconds is not None and time.monotonic() - self._begun >= self._seconds:
                self._stop()
            elif silent >= self._settings.give_up_s:
                self._fail(f"the venue has sent nothing for {silent:.0f} s", "check the network, then record again")
        except Exception as error:
            _LOG.exception("recorder")
            self._fail(f"the recorder failed: {type(error).__name__}: {error}", "see the log")

    def _base(self, iid: InstrumentId, size: float) -> float:
        """A size in base units; some venues (OKX swaps) count contracts."""
        unit = self._units.get(iid)
        return size if unit is None else base_units(size, unit)

    def _hear(self, ts_us: int) -> None:
        """The venue is there; in a replay the newest of its times is the clock, which only goes on."""
        self._heard = time.monotonic()
        self._market_us = max(self._market_us, ts_us)

    def _fail(self, what: str, remedy: str, *, stop: bool = True) -> None:
        self.failure = self.failure or NodeError(what, where="record", remedy=remedy)
        if stop:
            self._stop()
