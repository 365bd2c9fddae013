"""The recorder inside the engine: an actor that takes down what the venue sends, and writes it every second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl
import structlog
from nautilus_trader.model import Bar, BarType, InstrumentId

from trading_assets.core.errors import NodeError
from trading_assets.recordings import Spool
from trading_assets.settings import RecordSettings
from trading_assets.strategies.instruments import bar_type, close_time, exact, open_time
from trading_live.capture.buffer import RecordingBuffer
from trading_live.capture.listener import Listener
from trading_live.recording.candles import Candles, StreamedCandle

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
    candles
        Streamed candles that are new in the store; None where none are to be stored.
    """

    seconds: float
    trades: int
    books: int
    gaps: int
    bytes: int
    lag_s: float | None
    reconnects: int
    connected: bool
    candles: int | None = None


@dataclass(frozen=True, slots=True)
class RecordHooks:
    """What the recorder tells the process that it runs in: progress at every write, and what happened."""

    progress: Callable[[RecordStats], None] = lambda _stats: None
    event: Callable[[str], None] = lambda _text: None


class Recorder(Listener):
    """Listens in the engine, on the engine's thread, and writes every second.

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
    candles
        Which candles are stored as they close.
    """

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
        candles: Candles | None = None,
    ) -> None:
        super().__init__(
            instruments, buffer, settings, historic=historic, levels=levels, event=lambda text: hooks.event(text)
        )
        self.failure: NodeError | None = None
        self._spool = spool
        self._hooks = hooks
        self._candles = candles or Candles()
        self._bars = {
            BarType.from_str(bar_type(str(instruments[market]), one)): (market, one)
            for market, one in self._candles.timeframes.items()
        }
        self._seconds = seconds
        self._stop = stop
        self._begun = self._looked = time.monotonic()
        self._silent_s = 0.0
        self._bytes = 0
        self._told: str | None = None
        self._unwritten: deque[dict[str, pl.DataFrame]] = deque()

    # -- the engine's handlers ------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Subscribe."""
        if unknown := self.absent():
            self._fail(f"the venue does not have {', '.join(unknown)}", "check the markets that are to be recorded")
            return
        self._begun = self._looked = time.monotonic()
        self._silent_s = 0.0
        self.subscribe(books=self._instruments, trades=self._instruments)
        for kind in self._bars:
            self.subscribe_bars(kind)
        self.clock.set_timer("flush", timedelta(seconds=self._settings.flush_s), callback=lambda _: self._turn())

    def on_bar(self, bar: Bar) -> None:
        """Take a closed candle."""
        market, timeframe = self._bars[bar.bar_type]
        ts = open_time(bar.ts_event, timeframe)
        prices = (exact(bar.open), exact(bar.high), exact(bar.low), exact(bar.close))
        volume = self._base(self._instruments[market], exact(bar.volume))
        if self._candles.writer is not None:
            known_at = close_time(bar.ts_event) if self._historic else datetime.now(UTC)
            source = self._candles.source
            self._candles.writer.put(StreamedCandle(market, timeframe, ts, *prices, volume, known_at, source))

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
            candles=None if self._candles.writer is None else self._candles.writer.stored,
        )

    def flush(self, *, last: bool = False) -> None:
        """Write what was heard; on disk when this returns."""
        try:
            self._unwritten.append(self._buffer.take(None if last else self.now_us))
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
            self._tell_of_candles()
            self._listen()
            if self._seconds is not None and self._looked - self._begun >= self._seconds:
                self._stop()
            elif self._silent_s >= self._settings.give_up_s:
                what = f"the venue has sent nothing for {self._silent_s:.0f} s"
                self._fail(what, "check the network, then record again")
        except Exception as error:
            _LOG.exception("recorder")
            self._fail(f"the recorder failed: {type(error).__name__}: {error}", "see the log")

    def _tell_of_candles(self) -> None:
        """Say once that the disk takes no candles."""
        why = None if self._candles.writer is None else self._candles.writer.failure
        if why is not None and why != self._told:
            self._hooks.event(f"candles cannot be written: {why}; tried again")
        self._told = why

    def _listen(self) -> None:
        """Count the silence; time in which this process itself stood still (a laptop asleep) is not the venue's."""
        now = time.monotonic()
        self._silent_s += min(now - self._looked, 2 * self._settings.flush_s)
        self._looked = now

    def _hear(self, ts_us: int) -> None:
        super()._hear(ts_us)
        self._silent_s = 0.0

    def _fail(self, what: str, remedy: str, *, stop: bool = True) -> None:
        self.failure = self.failure or NodeError(what, where="record", remedy=remedy)
        if stop:
            self._stop()
