"""The candles that a backtest replays: those of its period, and none that no trade can have made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from trading_assets.candles import OHLCV, PRICES, require_columns, require_times
from trading_assets.errors import InvalidFrame, MissingCandles


def window(candles: Mapping[str, pl.DataFrame], market: str, start: datetime, end: datetime) -> pl.DataFrame:
    """The candles of a market that open in ``[start, end)``.

    Raises
    ------
    MissingCandles
        If there are none.
    """
    frame = candles.get(market)
    cut = frame.filter(pl.col("ts").is_between(start, end, closed="left")) if frame is not None else pl.DataFrame()
    if cut.is_empty():
        raise MissingCandles(
            f"no candles from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}",
            where=market,
            remedy="materialize candles for these months",
        )
    return cut


def check_candles(candles: pl.DataFrame, market: str, *, volume: bool) -> None:
    """Refuse candles that would give wrong trades without a word.

    Parameters
    ----------
    candles
        ``ts`` and OHLCV of one market.
    volume
        Whether volume is looked at.

    Raises
    ------
    InvalidFrame
        If they are not in the order of time, a price is not a positive number, open or close is not between low and
        high, or the volume is not a number from 0 on.
    """
    columns = OHLCV if volume else PRICES
    if candles.is_empty():
        return
    require_columns(candles, ("ts", *OHLCV), where=market)
    require_times(candles, ("ts",), where=market)
    impossible = candles.filter(~_sound(columns).fill_null(value=False))
    if impossible.height:
        ts, *values = impossible.select("ts", *columns).row(0)
        said = ", ".join(
            f"{name} {'missing' if value is None else f'{value:.10g}'}"
            for name, value in zip(columns, values, strict=True)
        )
        raise InvalidFrame(
            f"{impossible.height:,} candles are impossible, first {ts:%Y-%m-%d %H:%M}: {said}",
            where=market,
            remedy="leave such candles out: a missing candle fills nothing",
        )
    if (candles["ts"].diff().dt.total_microseconds() <= 0).any():
        raise InvalidFrame("ts is not strictly ascending", where=market, remedy="sort the candles, each once")


def _sound(columns: tuple[str, ...]) -> pl.Expr:
    numbers = pl.all_horizontal(pl.col(name).cast(pl.Float64).is_finite() for name in columns)
    low = (pl.col("low") > 0) & (pl.col("low") <= pl.min_horizontal("open", "close"))
    sound = numbers & low & (pl.col("high") >= pl.max_horizontal("open", "close"))
    return sound & (pl.col("volume") >= 0) if "volume" in columns else sound
