"""What a distance of an exit plan is worth at a decision: one function for labels, backtest, certificate and node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from trading_assets.labels.barrier_distances import average_true_range
from trading_assets.settings.sections.exits import ExitSettings

_PERCENT: Final = 0.01
_PRICES: Final = ["high", "low", "close"]


def unit_lookback(plan: ExitSettings | None) -> int:
    """Bars, the current one included, that a unit depends on; 1 where it is a percent, or there is no plan."""
    return 1 if plan is None or plan.unit == "percent" else plan.atr_bars + 1


def units(bars: pl.DataFrame, plan: ExitSettings) -> pl.Series:
    """The unit of each bar, known when it closes: an average true range as a fraction of the close, or a hundredth.

    Parameters
    ----------
    bars
        Of one market, ascending; ``high, low, close`` unless the unit is a percent.

    Returns
    -------
    polars.Series
        ``unit``; null during the warm-up, where the market did not move at all, and where a price that it depends on is
        not a positive number.
    """
    if plan.unit == "percent":
        return pl.repeat(_PERCENT, bars.height, eager=True).alias("unit")
    return bars.select(_moved(plan))["unit"]


def newest_units(held: Sequence[pl.DataFrame], plan: ExitSettings) -> list[float | None]:
    """The last one of :func:`units` for the bars of each of many markets, in one call; to the bit what each gives."""
    if plan.unit == "percent":
        return [_PERCENT] * len(held)
    tails = [bars[_PRICES].tail(unit_lookback(plan)) for bars in held]
    heights = [bars.height for bars in tails]
    market = pl.Series("market", np.repeat(np.arange(len(held)), heights))
    rows = pl.concat(tails).with_columns(market).select(_moved(plan).over("market"))
    return rows["unit"][np.cumsum(heights) - 1].to_list()


def _moved(plan: ExitSettings) -> pl.Expr:
    scale = average_true_range(plan.atr_bars)
    return pl.when(scale > 0).then(scale).alias("unit")
