"""The tape: stored candles of the replayed markets, and the longer bars that are built from them, in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge
from typing import Any, Final

import numpy as np
import polars as pl

from trading_assets.core.candles import EPOCH, OHLCV, timeframe_delta, timeframe_minutes
from trading_assets.core.errors import InvalidFrame, MissingCandles
from trading_assets.core.precision import check_volumes, fixed, price_decimals, step, volume_decimals
from trading_assets.core.timeframes import Timeframe
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES, FUNDING_RATES
from trading_assets.strategies.instruments import raw_symbol
from trading_live.replay.funding import NO_FUNDING, Funding

INTERVALS: Final = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
"""Of the venue's bars; of a market those are served that its candles build."""


@dataclass(frozen=True, slots=True)
class Kline:
    """One closed bar as the venue writes it; times in milliseconds, ``close_ms`` inclusive (``...59999``)."""

    symbol: str
    interval: str
    open_ms: int
    close_ms: int
    texts: tuple[str, str, str, str, str]

    def message(self) -> dict[str, Any]:
        """The websocket's ``kline`` event of a closed bar."""
        first, high, low, last, volume = self.texts
        bar = {"t": self.open_ms, "T": self.close_ms, "s": self.symbol, "i": self.interval, "f": 1, "L": 2}
        bar |= {"o": first, "c": last, "h": high, "l": low, "v": volume, "n": 1, "x": True}
        bar |= {"q": "0", "V": "0", "Q": "0", "B": "0"}
        return {"e": "kline", "E": self.close_ms + 1, "s": self.symbol, "k": bar}


class Series:
    """Bars of one symbol and interval, addressed by the replayed clock."""

    def __init__(self, name: str, interval: str, frame: pl.DataFrame, decimals: tuple[int, int]) -> None:
        self.symbol = name
        self.interval = interval
        self.open_ms = frame["ts"].dt.epoch("ms").to_numpy()
        self.close_ms = self.open_ms + timeframe_minutes(interval) * 60_000 - 1
        self._values = frame.select(OHLCV).to_numpy()
        self._price, self._volume = decimals

    def kline(self, index: int) -> Kline:
        """The bar at a position."""
        *prices, volume = self._values[index]
        texts = [fixed(price, self._price) for price in prices] + [fixed(volume, self._volume)]
        first, high, low, last, traded = texts
        return Kline(
            self.symbol,
            self.interval,
            int(self.open_ms[index]),
            int(self.close_ms[index]),
            (first, high, low, last, traded),
        )

    @property
    def closes(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The closing prices, oldest first."""
        closes: np.ndarray[Any, np.dtype[np.float64]] = self._values[:, 3]
        return closes

    def ticks(self, index: int) -> list[int]:
        """Open, high, low and close of a bar in ticks."""
        tick = step(self._price)
        return [round(float(price) / tick) for price in self._values[index, :4]]

    def lots(self, index: int) -> int:
        """The volume of a bar in lots."""
        return round(float(self._values[index, 4]) / step(self._volume))

    def closed(self, now_ms: int, *, start_ms: int | None, end_ms: int | None, limit: int) -> list[Kline]:
        """At most ``limit`` bars closed before ``now_ms``, opened in [start, end]; without start, the last ones."""
        return [self.kline(index) for index in self._closed(now_ms, start_ms, end_ms, limit)]

    def rows(self, now_ms: int, *, start_ms: int | None, end_ms: int | None, limit: int) -> str:
        """The same bars as the JSON that ``GET /fapi/v1/klines`` returns."""
        closed = self._closed(now_ms, start_ms, end_ms, limit)
        found = slice(closed.start, closed.stop)
        price = f'"%.{max(self._price, 0)}f",' * 4
        row = f'[%d,{price}"%.{max(self._volume, 0)}f",%d,"0",1,"0","0","0"]'
        values = zip(*self._values[found].T.tolist(), strict=True)
        times = zip(self.open_ms[found].tolist(), self.close_ms[found].tolist(), strict=True)
        return f"[{','.join(row % (begin, *bar, end) for (begin, end), bar in zip(times, values, strict=True))}]"

    def _closed(self, now_ms: int, start_ms: int | None, end_ms: int | None, limit: int) -> range:
        stop = int(np.searchsorted(self.close_ms, now_ms, side="left"))
        if end_ms is not None:
            stop = min(stop, int(np.searchsorted(self.open_ms, end_ms, side="right")))
        begin = 0 if start_ms is None else int(np.searchsorted(self.open_ms, start_ms, side="left"))
        if start_ms is None:
            begin = max(begin, stop - limit)
        return range(begin, max(min(stop, begin + limit), begin))

    def after(self, ms: int) -> Iterator[Kline]:
        """Bars that close at or after an instant, in order."""
        for index in range(int(np.searchsorted(self.close_ms, ms, side="left")), len(self.close_ms)):
            yield self.kline(index)


@dataclass(frozen=True)
class Instrument:
    """One replayed market: its name at the venue, its bars and its funding payments.

    Tick and lot are powers of ten: ``price_decimals`` of 2 mean a hundredth, of -3 a thousand.
    """

    market: str
    symbol: str
    price_decimals: int
    volume_decimals: int
    series: Mapping[str, Series]
    funding: Funding


class Tape:
    """All replayed markets between two instants.

    Parameters
    ----------
    instruments
        The markets.
    start, end
        The replayed window: the clock begins at ``start``; a bar is played if it closes in (start, end].
    """

    def __init__(self, instruments: Sequence[Instrument], start: datetime, end: datetime) -> None:
        self.instruments = {instrument.symbol: instrument for instrument in instruments}
        self.start = start
        self.end = end

    def play(self) -> Iterator[Kline]:
        """Closed bars in the order in which a venue sends them: by close time, short intervals before long ones."""
        start_ms, end_ms = epoch_ms(self.start), epoch_ms(self.end)
        streams = [series.after(start_ms) for one in self.instruments.values() for series in one.series.values()]
        for kline in merge(*streams, key=lambda bar: (bar.close_ms, bar.close_ms - bar.open_ms, bar.symbol)):
            if kline.close_ms >= end_ms:
                return
            yield kline


def read_tape(
    store: Store,
    markets: Mapping[str, str],
    *,
    start: datetime,
    end: datetime | None = None,
    history: timedelta = timedelta(days=60),
) -> Tape:
    """Read the replayed markets' candles and funding once, with enough history before ``start`` for a node's warm-up.

    Parameters
    ----------
    store
        Where the candles are.
    markets
        Market -> timeframe of its candles.
    start, end
        The replayed window; without ``end``, up to the last stored candle.
    history
        How far before ``start`` the venue's REST history reaches.

    Raises
    ------
    MissingCandles
        If a market has no candles in the window.
    InvalidFrame
        If a candle cannot be, e.g. its close is above its high.
    """
    instruments = []
    last = start
    first = (start - history).replace(hour=0, minute=0, second=0, microsecond=0)  # where a bar of any interval opens
    for market, timeframe in markets.items():
        candles = store.read(CANDLES, where={"market": market, "timeframe": timeframe}, start=first, end=end).select(
            "ts", *OHLCV
        )
        _refuse_impossible(market, candles)
        played = candles.filter(pl.col("ts") >= start)
        if played.is_empty():
            span = f"{start:%Y-%m-%d %H:%M} - {end:%Y-%m-%d %H:%M}" if end else f"from {start:%Y-%m-%d %H:%M}"
            raise MissingCandles(
                f"no {timeframe} candles to replay {span}", where=market, remedy="run trading backfill, or replay less"
            )
        newest = played["ts"].max()
        assert isinstance(newest, datetime)
        last = max(last, newest + timeframe_delta(timeframe))
        funding = store.read(FUNDING_RATES, where={"market": market}, start=start - history, end=end)
        instruments.append(_instrument(market, timeframe, candles, funding))
    return Tape(instruments, start, end or last)


def whole_tape(
    candles: Mapping[str, pl.DataFrame], timeframe: str = "1m", *, funding: Mapping[str, pl.DataFrame] | None = None
) -> Tape:
    """Candles in memory, all of them in the past: a venue that only serves history, without a store.

    Parameters
    ----------
    candles
        Market -> frame with ts, open, high, low, close, volume, sorted by ts.
    timeframe
        Of all of them; longer bars are built from them. The clock stands at the end of the last day.
    funding
        Market -> rows of the table ``funding_rates``; a market that is not named has none.
    """
    payments = funding or {}
    newest = [last for frame in candles.values() if isinstance(last := frame["ts"].max(), datetime)]
    end = max(newest, default=EPOCH - timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    end += timedelta(days=1)
    instruments = [
        _instrument(market, timeframe, frame, payments.get(market, NO_FUNDING), end)
        for market, frame in candles.items()
    ]
    return Tape(instruments, end, end)


def _refuse_impossible(market: str, candles: pl.DataFrame) -> None:
    """A node's adapter builds each bar in Rust, where one that cannot be ends the node's process."""
    prices = ("open", "high", "low", "close")
    possible = (
        pl.all_horizontal(pl.col(*prices).is_finite() & (pl.col(*prices) > 0))
        & (pl.col("high") >= pl.max_horizontal(prices))
        & (pl.col("low") <= pl.min_horizontal(prices))
        & (pl.col("volume").is_finite() & (pl.col("volume") >= 0))
    )
    impossible = candles.filter(~possible)
    if impossible.height:
        ts, *values = impossible.select("ts", *OHLCV).row(0)
        row = ", ".join(f"{name} {value:g}" for name, value in zip(OHLCV, values, strict=True))
        raise InvalidFrame(
            f"{impossible.height} candles cannot be, the first of {ts:%Y-%m-%d %H:%M}: {row}",
            where=market,
            remedy="backfill that month again: what an exchange sends like this goes into quarantine",
        )


def longer_bars(candles: pl.DataFrame, timeframe: str, interval: str, until: datetime | None = None) -> pl.DataFrame:
    """The bars of an interval that have closed by an instant, as the SQL model of the bars builds them from candles.

    Without ``until``, these are the bars that closed when the newest candle did.
    """
    columns = [pl.first("open"), pl.max("high"), pl.min("low"), pl.last("close"), pl.sum("volume")]
    bars = candles.group_by_dynamic("ts", every=interval).agg(columns)
    newest = pl.lit(candles["ts"].max(), candles.schema["ts"]) + timeframe_delta(timeframe)
    known_until = newest if until is None else pl.lit(until, candles.schema["ts"])
    return bars.filter(pl.col("ts") + timeframe_delta(interval) <= known_until)


def _instrument(
    market: str, timeframe: str, candles: pl.DataFrame, funding: pl.DataFrame, until: datetime | None = None
) -> Instrument:
    name = raw_symbol(market)
    frames = {timeframe: candles} | {
        interval: longer_bars(candles, timeframe, interval, until)
        for interval in INTERVALS
        if interval != timeframe and Timeframe.parse(interval).is_built_from(timeframe)
    }
    try:
        price = price_decimals(candles.select(pl.concat_list("open", "high", "low", "close").explode()).to_series())
        for frame in frames.values():
            check_volumes(frame["volume"])
    except InvalidFrame as error:
        raise InvalidFrame(error.what, where=market, remedy=error.remedy) from None
    volume = max(volume_decimals(frame["volume"]) for frame in frames.values())
    series = {interval: Series(name, interval, frame, (price, volume)) for interval, frame in frames.items()}
    return Instrument(market, name, price, volume, series, Funding(name, funding))


def epoch_ms(instant: datetime) -> int:
    """Milliseconds since 1970."""
    return round(instant.timestamp() * 1000)
