"""How far the barriers are from the entry: fixed, or as wide as the market has lately moved."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl

from trading_assets.settings import LabelSettings

WIDTHS = ("take_profit", "stop_loss")
_PRICES = ["high", "low", "close"]


def scale_lookback(settings: LabelSettings) -> int:
    """Bars, the current one included, that a width depends on; 1 where barriers are fixed."""
    return 1 if settings.barriers == "fixed" else settings.scale_bars + 1


def widths(bars: pl.DataFrame, settings: LabelSettings) -> pl.DataFrame:
    """The barriers' distances of each bar, known when it closes.

    - ``fixed``: ``take_profit_pct`` and ``stop_loss_pct``.
    - ``atr``: multiples of the average true range over ``scale_bars`` bars, as a fraction of the close. The average is
      the simple one: Wilder's never forgets a bar, and a width shall depend on ``scale_bars`` bars alone.
    - ``volatility``: multiples of the standard deviation (n - 1) of ``scale_bars`` log returns, times the root of
      ``horizon_bars``: what a random walk covers within the horizon.

    Source of both: M. López de Prado, *Advances in Financial Machine Learning* (2018), section 3.3 (dynamic
    thresholds); W. Wilder, *New Concepts in Technical Trading Systems* (1978) for the true range.

    Parameters
    ----------
    bars
        Bars of one market, ascending; ``high, low, close`` unless barriers are fixed. Taken row by row: over a gap, the
        bar before it is the previous one. ``volatility`` wants bars of the set's timeframe.

    Returns
    -------
    polars.DataFrame
        ``take_profit``, ``stop_loss`` (Float64, fractions of the entry price), a row per bar; null during the
        warm-up, where the market did not move at all, and where a price that they depend on is not a positive number.
    """
    if settings.barriers == "fixed":
        return bars.select(
            take_profit=pl.repeat(settings.take_profit_pct / 100, bars.height),
            stop_loss=pl.repeat(settings.stop_loss_pct / 100, bars.height),
        )
    return bars.select(_scaled(settings))


def newest_widths(held: Sequence[pl.DataFrame], settings: LabelSettings) -> list[tuple[float | None, float | None]]:
    """The last row of :func:`widths` for the bars of each of many markets, in one call; to the bit what each gives.

    Parameters
    ----------
    held
        The newest bars of one market each, at least one and as many as :func:`scale_lookback` says.
    settings
        Of one label set.
    """
    if settings.barriers == "fixed":
        return [(settings.take_profit_pct / 100, settings.stop_loss_pct / 100)] * len(held)
    heights = [bars.height for bars in held]
    together = pl.concat([bars[_PRICES] for bars in held])
    market = pl.Series("market", np.repeat(np.arange(len(held)), heights))
    rows = together.with_columns(market).select(one.over("market") for one in _scaled(settings))
    return rows[np.cumsum(heights) - 1].rows()


def _scaled(settings: LabelSettings) -> tuple[pl.Expr, pl.Expr]:
    """Distances that follow how much a market moves."""
    scale = _true_range(settings) if settings.barriers == "atr" else _volatility(settings)
    moved = pl.when(scale > 0).then(scale)
    target, stop = moved * settings.take_profit_multiple, moved * settings.stop_loss_multiple
    return target.alias("take_profit"), stop.alias("stop_loss")


def _true_range(settings: LabelSettings) -> pl.Expr:
    high, low, close = _price("high"), _price("low"), _price("close")
    before = close.shift(1)
    true_range = pl.max_horizontal(high, before) - pl.min_horizontal(low, before)
    all_there = pl.all_horizontal(price.is_not_null() for price in (high, low, before))
    return pl.when(all_there).then(true_range).rolling_mean(settings.scale_bars) / close


def _volatility(settings: LabelSettings) -> pl.Expr:
    returns = _price("close").log().diff()
    return returns.rolling_std(settings.scale_bars) * math.sqrt(settings.horizon_bars)


def _price(name: str) -> pl.Expr:
    """Null where it is not a positive number: NaN counts as the largest, and would be passed over."""
    return pl.when(pl.col(name).is_between(0, math.inf, closed="none")).then(name)
