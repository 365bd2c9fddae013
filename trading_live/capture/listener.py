"""Listening to order books and public trades inside the engine: what comes goes into a buffer."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any, Final, Self

import structlog
from nautilus_trader.common import DataActor, SocketState, SocketStateChanged
from nautilus_trader.model import BookType, InstrumentId, OrderBook, TradeTick

from trading_assets.settings import RecordSettings
from trading_assets.strategies.instruments import exact
from trading_live.capture.buffer import RecordingBuffer

_LOG: Final = structlog.get_logger(__name__)


def base_units(size: float, multiplier: Decimal) -> float:
    """A size in contracts as base units, without the dust of binary fractions.

    >>> base_units(3.0, Decimal("0.1"))
    0.3
    """
    return float(Decimal(str(size)) * multiplier)


class Listener(DataActor):
    """Takes down what a venue sends of its books and trades, on the engine's thread.

    Parameters
    ----------
    instruments
        Market -> the venue's instrument.
    buffer
        What was heard since the last write.
    settings
        Depth and interval of the snapshots.
    historic
        Whether the exchange's times are historic: then the newest of them is the clock.
    levels
        How deep the adapter keeps the book.
    event
        Told of lost connections.
    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """The engine's base class takes its own config at this point."""
        return super().__new__(cls)

    def __init__(
        self,
        instruments: Mapping[str, InstrumentId],
        buffer: RecordingBuffer,
        settings: RecordSettings,
        *,
        historic: bool,
        levels: int,
        event: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._instruments = dict(instruments)
        self._markets = {iid: market for market, iid in instruments.items()}
        self._buffer = buffer
        self._settings = settings
        self._historic = historic
        self._levels = levels
        self._event = event
        self._market_us = 0
        self._lag_us: int | None = None
        self._reconnects = 0
        self._down: set[str] = set()
        self._units: dict[InstrumentId, Decimal] = {}
        self._stamps: dict[str, tuple[int, int]] = {}

    @property
    def now_us(self) -> int:
        """The time by which what is received is known, in microseconds."""
        return self._market_us if self._historic else time.time_ns() // 1000

    def absent(self) -> list[str]:
        """The instruments that the venue does not have."""
        return [str(iid) for iid in self._markets if self.cache.instrument(iid) is None]

    def subscribe(self, *, books: Collection[str], trades: Collection[str]) -> None:
        """Ask for the books and the trades of markets."""
        found = {iid: self.cache.instrument(iid) for iid in self._markets}
        units = {iid: Decimal(str(instrument.multiplier)) for iid, instrument in found.items() if instrument}
        self._units = {iid: unit for iid, unit in units.items() if unit != 1}
        self.subscribe_socket_state()
        interval_ms = round(self._settings.book_interval_s * 1000)
        for market, iid in self._instruments.items():
            if market in trades:
                self.subscribe_trades(iid)
            if market in books:
                self.subscribe_book_at_interval(iid, BookType.L2_MBP, interval_ms, depth=self._levels)

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
        market = self._markets[iid]
        if self._stamps.get(market) == (stamp := (ts_us, book.sequence)):  # the engine gives an old book again
            return
        self._stamps[market] = stamp
        bids, asks = (
            [(exact(one.price), self._base(iid, one.size())) for one in side]
            for side in (book.bids(depth), book.asks(depth))
        )
        self._hear(ts_us)
        self._take_book(market, bids, asks, sequence=book.sequence, ts_us=ts_us, received_us=self.now_us)

    def _take_book(
        self,
        market: str,
        bids: list[tuple[float, float]],
        asks: list[tuple[float, float]],
        *,
        sequence: int,
        ts_us: int,
        received_us: int,
    ) -> None:
        """Take down a changed book."""
        self._buffer.book(market, bids, asks, sequence=sequence, ts_us=ts_us, received_us=received_us)

    def on_socket_state(self, event: SocketStateChanged) -> None:
        """Note that a connection was lost or is there again."""
        if event.state == SocketState.CONNECTED:
            if event.endpoint in self._down:
                self._down.discard(event.endpoint)
                self._event(f"connected again: {event.endpoint}")
                _LOG.info("connected again", endpoint=event.endpoint)
        elif event.endpoint not in self._down:
            self._down.add(event.endpoint)
            self._reconnects += 1
            self._buffer.broken()
            self._event(f"connection lost: {event.endpoint}; connects again")
            _LOG.warning("connection lost", endpoint=event.endpoint)

    def _base(self, iid: InstrumentId, size: float) -> float:
        """A size in base units; some venues (OKX swaps) count contracts."""
        unit = self._units.get(iid)
        return size if unit is None else base_units(size, unit)

    def _hear(self, ts_us: int) -> None:
        """The venue is there; in a replay the newest of its times is the clock, which only goes on."""
        self._market_us = max(self._market_us, ts_us)
