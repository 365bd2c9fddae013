"""How far the barriers are from the entry: fixed, or as wide as the market has lately moved."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl

from trading_assets.core.errors import SettingsError
from trading_assets.settings import LabelSettings
from trading_assets.settings.sections.exits import ExitSettings

WIDTHS = ("take_profit", "stop_loss")
PERCENT = 0.01
"""The unit of an exit plan in percent."""

_PRICES = ["high", "low", "close"]


def scale_lookback(settings: LabelSettings) -> int:
    """Bars, the current one included, that a width depends on; 1 where barriers are fixed."""
    if _fixed(settings) is not None:
        return 1
    return (learnt_plan(settings).atr_bars if settings.barriers == "plan" else settings.scale_bars) + 1


def learnt_plan(settings: LabelSettings) -> ExitSettings:
    """The exit plan whose outcome a label set with ``barriers: plan`` is.

    Raises
    ------
    SettingsError
        If it was not filled in.
    """
    if settings.exit_plan is None or not settings.exit_plan.targets:
        raise SettingsError(
            f"exit plan {settings.exit!r} is not filled in, or has no target",
            where="label set",
            remedy="read the settings with load_settings, or give the set an exit_plan",
        )
    return settings.exit_plan


def widths(bars: pl.DataFrame, settings: LabelSettings) -> pl.DataFrame:
    """The barriers' distances of each bar, known when it closes.

    - ``fixed``: ``take_profit_pct`` and ``stop_loss_pct``.
    - ``atr``: multiples of the average true range over ``scale_bars`` bars, as a fraction of the close. The average is
      the simple one: Wilder's never forgets a bar, and a width shall depend on ``scale_bars`` bars alone.
    - ``volatility``: multiples of the standard deviation (n - 1) of ``scale_bars`` log returns, times the root of
      ``horizon_bars``: what a random walk covers within the horizon.
    - ``plan``: first target and stop of the exit plan, in its unit.

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
    if (fixed := _fixed(settings)) is not None:
        return bars.select(
            take_profit=pl.repeat(fixed[0], bars.height),
            stop_loss=pl.repeat(fixed[1], bars.height),
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
    if (fixed := _fixed(settings)) is not None:
        return [fixed] * len(held)
    heights = [bars.height for bars in held]
    together = pl.concat([bars[_PRICES] for bars in held])
    market = pl.Series("market", np.repeat(np.arange(len(held)), heights))
    rows = together.with_columns(market).select(one.over("market") for one in _scaled(settings))
    return rows[np.cumsum(heights) - 1].rows()


def _scaled(settings: LabelSettings) -> tuple[pl.Expr, pl.Expr]:
    """Distances that follow how much a market moves."""
    multiples = settings.take_profit_multiple, settings.stop_loss_multiple
    if settings.barriers == "volatility":
        scale = _volatility(settings)
    elif settings.barriers == "atr":
        scale = average_true_range(settings.scale_bars)
    else:
        plan = learnt_plan(settings)
        scale, multiples = average_true_range(plan.atr_bars), (plan.targets[0].at, plan.stop)
    moved = pl.when(scale > 0).then(scale)
    target, stop = moved * multiples[0], moved * multiples[1]
    return target.alias("take_profit"), stop.alias("stop_loss")


def _fixed(settings: LabelSettings) -> tuple[float, float] | None:
    """Distances that every bar has, as fractions; None where they follow the market."""
    if settings.barriers == "fixed":
        return settings.take_profit_pct / 100, settings.stop_loss_pct / 100
    if settings.barriers == "plan" and (plan := learnt_plan(settings)).unit == "percent":
        return plan.targets[0].at * PERCENT, plan.stop * PERCENT
    return None


def average_true_range(bars: int) -> pl.Expr:
    """The mean true range of so many bars up to each, as a fraction of its close; null where a price is missing."""
    high, low, close = _price("high"), _price("low"), _price("close")
    before = close.shift(1)
    true_range = pl.max_horizontal(high, before) - pl.min_horizontal(low, before)
    all_there = pl.all_horizontal(price.is_not_null() for price in (high, low, before))
    return pl.when(all_there).then(true_range).rolling_mean(bars) / close


def _volatility(settings: LabelSettings) -> pl.Expr:
    returns = _price("close").log().diff()
    return returns.rolling_std(settings.scale_bars) * math.sqrt(settings.horizon_bars)


def _price(name: str) -> pl.Expr:
    """Null where it is not a positive number: NaN counts as the largest, and would be passed over."""
    return pl.when(pl.col(name).is_between(0, math.inf, closed="none")).then(name)
