"""Candles as the price path that the simulated exchange walks, and as the decision bars that the strategy sees.

The engine takes a bar as open, high, low, close, all at the bar's end: a market order sent on a decision would fill a
whole candle late, and a candle that touches both barriers would always hit the high first. So each candle is handed
over in slices, which say when the price was where:

- where a decision bar ends, the next candle's open, as soon as an order can have arrived, and once more one latency
  later, when the stop and target that follow the fill have arrived;
- after a split candle, where a target that fills moves the stop, the next one's open likewise: the stop may lie beyond
  it;
- a candle wide enough to touch both barriers of one trade goes from open to one of its extremes in its first half, and
  over the other one to close in its second. Which extreme comes first is said candle by candle, see
  :mod:`trading_assets.backtest.simulation.extremes`. In a narrower one the order cannot matter, so it stays one bar.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.core.candles import timeframe_delta
from trading_assets.core.errors import SettingsError
from trading_assets.core.precision import MAX_DECIMALS, MAX_QUANTITY, magnitude, price_decimals, step

TICKS_PER_BAR: Final = 4
"""The engine splits a bar's volume over open, high, low and close; each is to offer the candle's whole volume."""

_LOT_SHARE: Final = 1e-5
"""Of the capital: a step of quantity is worth at most so much."""

_END: Final = timedelta(milliseconds=1)
_ROUNDING: Final = 0.95
"""Barriers move by up to a tick when they are rounded: candles a little narrower are split too."""

_OHLC: Final = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class MarketRules:
    """Steps of a market's prices and quantities, read from its candles.

    Attributes
    ----------
    price_decimals, size_decimals
        The steps as powers of ten: 2 is a hundredth, -3 a thousand.
    """

    price_decimals: int
    size_decimals: int

    @classmethod
    def of(cls, candles: pl.DataFrame, *, capital: float = 100_000.0) -> MarketRules:
        """The largest power of ten that all prices are multiples of; quantities in steps worth little of the capital.

        Both follow the prices, so that a market in other units has other steps and the same trades.

        Parameters
        ----------
        candles
            OHLC of one market.
        capital
            What is traded with, in quote currency: a step of quantity is worth a hundred-thousandth of it or less.

        Raises
        ------
        InvalidFrame
            If a price is larger than the engine's numbers hold, or too small for their decimals.
        """
        decimals = price_decimals(pl.Series(candles.select(_OHLC).to_numpy(order="c").ravel()))
        price = float(candles["close"].median() or 1.0)  # type: ignore[arg-type]
        return cls(decimals, min(magnitude(price) - magnitude(capital * _LOT_SHARE) + 1, MAX_DECIMALS))

    @property
    def price_precision(self) -> int:
        """Decimals of a price as text."""
        return max(self.price_decimals, 0)

    @property
    def size_precision(self) -> int:
        """Decimals of a quantity as text."""
        return max(self.size_decimals, 0)

    @property
    def tick(self) -> float:
        """The smallest price step."""
        return step(self.price_decimals)

    @property
    def lot(self) -> float:
        """The smallest step of a quantity."""
        return step(self.size_decimals)


def decision_bars(candles: pl.DataFrame, *, timeframe: str, decision_timeframe: str, until: datetime) -> pl.DataFrame:
    """Closed decision bars of one market from its candles.

    Parameters
    ----------
    candles
        ``ts`` (open time) and OHLCV of one market, ascending.
    until
        Bars that end later are not closed.

    Returns
    -------
    pl.DataFrame
        ``ts`` (open), ``known_at``, OHLCV; one row per closed bar that has a candle.

    Raises
    ------
    SettingsError
        If decision bars are not whole numbers of candles.
    """
    length, candle = timeframe_delta(decision_timeframe), timeframe_delta(timeframe)
    if length % candle:
        raise SettingsError(
            f"decisions every {decision_timeframe} cannot be made from {timeframe} candles",
            remedy=f"use candles of {decision_timeframe} or a divisor of it",
        )
    return (
        candles.lazy()
        .group_by(pl.col("ts").dt.truncate(length), maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum().clip(upper_bound=MAX_QUANTITY),
        )
        .with_columns(known_at=pl.col("ts") + length)
        .filter(pl.col("known_at") <= until)
        .select("ts", "known_at", *_OHLC, "volume")
        .collect()
    )


def price_path(
    candles: pl.DataFrame,
    *,
    timeframe: str,
    decision_timeframe: str,
    latency: timedelta,
    low_first: pl.Series | bool = True,
    barrier_ratio: float = 1.0,
    lot: float = 0.0,
    stops_move: bool = False,
) -> pl.DataFrame:
    """The slices of one market's candles, ascending.

    Parameters
    ----------
    latency
        Between sending an order and its arrival; less than a quarter of a candle.
    low_first
        Whether a candle goes to its low before its high; of all candles, or of each.
    barrier_ratio
        The higher barrier's price over the lower one's; candles whose high over low is less cannot touch both and are
        not split.
    lot
        The least volume of a slice: the engine passes over one without volume, and its price with it.
    stops_move
        Whether a target that fills moves the stop: then what follows a split candle begins with its open too.

    Returns
    -------
    pl.DataFrame
        ``at`` (when the slice ends), ``open``, ``high``, ``low``, ``close``, ``volume`` (four times the candle's).
    """
    candle, decision = timeframe_delta(timeframe), timeframe_delta(decision_timeframe)
    if not timedelta(0) < latency < candle / 4:
        raise SettingsError(
            f"a latency of {latency.total_seconds() * 1e3:g} ms does not fit {timeframe} candles",
            where="backtest.latency_ms",
            remedy=f"use more than 0 and less than {(candle / 4).total_seconds() * 1e3:g} ms",
        )
    volume = (pl.max_horizontal("volume", pl.lit(lot)) * TICKS_PER_BAR).clip(upper_bound=MAX_QUANTITY).alias("volume")
    candles = candles.with_columns(low_first=pl.lit(low_first) if isinstance(low_first, bool) else low_first)
    first = pl.when("low_first").then("low").otherwise("high")
    second = pl.when("low_first").then("high").otherwise("low")
    flat = [pl.col("open").alias(name) for name in _OHLC]
    wide = pl.col("high") >= pl.col("low") * (1 + (barrier_ratio - 1) * _ROUNDING)
    begins = pl.col("ts").dt.truncate(decision).diff().fill_null(decision) > timedelta(0)
    opening = candles.filter(begins | wide.shift(1, fill_value=False) if stops_move else begins)
    end = pl.col("ts") + candle - _END
    parts = [
        opening.select(pl.col("ts") + latency, *flat, volume),
        opening.select(pl.col("ts") + 2 * latency, *flat, volume),
        candles.filter(wide).select(pl.col("ts") + candle / 2, *_leg(pl.col("open"), first, first), volume),
        candles.filter(wide).select(end, *_leg(first, second, pl.col("close")), volume),
        candles.filter(~wide).select(end, *_OHLC, volume),
    ]
    return pl.concat(parts).rename({"ts": "at"}).sort("at", maintain_order=True)


def closing_slices(candles: pl.DataFrame, *, at: datetime, latency: timedelta) -> pl.DataFrame:
    """The last close once more, for the orders that close what is open when the data ends ``at``."""
    flat = [pl.col("close").alias(name) for name in _OHLC]
    volume = pl.lit(MAX_QUANTITY).alias("volume")
    last = candles.tail(1)
    return pl.concat([last.select(pl.lit(at + n * latency).alias("at"), *flat, volume) for n in (1, 2)])


def _leg(*points: pl.Expr) -> list[pl.Expr]:
    """A bar that goes from one of a candle's prices through another to a third."""
    return [
        points[0].alias("open"),
        pl.max_horizontal(points).alias("high"),
        pl.min_horizontal(points).alias("low"),
        points[2].alias("close"),
    ]
