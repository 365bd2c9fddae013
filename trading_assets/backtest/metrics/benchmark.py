"""Buy and hold of the same markets over the same period, and what the account did beyond it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from trading_assets.backtest.metrics.account import daily_returns, max_drawdown, sharpe
from trading_assets.validation.performance import DAYS_PER_YEAR, FLAT

Array = NDArray[np.float64]

MIN_DAYS: Final = 30
"""Below it a regression on a market says nothing."""


class Regression(NamedTuple):
    """The account's daily returns as a share of the market's, and what is left.

    Attributes
    ----------
    alpha
        A year's return that the market does not explain: the daily intercept times 365.
    alpha_low, alpha_high
        Its 95 % interval, by ordinary least squares.
    beta
        How much of the market's move the account made.
    """

    alpha: float
    alpha_low: float
    alpha_high: float
    beta: float


def buy_and_hold(
    closes: Mapping[str, pl.DataFrame], days: pl.Series, *, start: datetime, balance: float
) -> pl.DataFrame:
    """An account that buys equal amounts of all markets at the start and holds them: no costs, nothing rebalanced.

    Parameters
    ----------
    closes
        Market -> ``known_at`` and ``close``, ascending.
    days
        Opens of the days (UTC) that have a row.
    start
        The beginning: each market is bought at its first close known after it.
    balance
        The starting balance.

    Returns
    -------
    polars.DataFrame
        ``ts`` (the day's open), ``equity`` (at its close). A market without a candle stays cash.
    """
    frame = pl.DataFrame({"ts": days}).with_columns(until=pl.col("ts").dt.offset_by("1d")).sort("ts")
    held = []
    for market, prices in closes.items():
        bought = prices.filter(pl.col("known_at") > start)
        paid = bought["close"].first() if bought.height else None
        marked = frame.join_asof(bought, left_on="until", right_on="known_at", strategy="backward")["close"]
        held.append((marked / paid).fill_null(1.0) if paid else pl.Series([1.0] * frame.height).alias(market))
    worth = pl.mean_horizontal(*held) if held else pl.lit(1.0)
    return frame.select("ts", equity=balance * worth)


def regress(returns: Array, market: Array) -> Regression:
    """Regress the account's daily returns on the market's; Jensen (1968), with a risk-free rate of 0.

    All NaN below thirty days or where one of them never moved. An account that is seldom in the market has a small
    ``beta`` whatever its trades do, so ``alpha`` is what it made beside the market, not what its trades made better.
    """
    if returns.size < MIN_DAYS or market.std() < FLAT or returns.std() < FLAT:
        return Regression(math.nan, math.nan, math.nan, math.nan)
    line = stats.linregress(market, returns)
    error = float(line.intercept_stderr) * float(stats.t.ppf(0.975, returns.size - 2))
    alpha = float(line.intercept)
    low, high = alpha - error, alpha + error
    return Regression(DAYS_PER_YEAR * alpha, DAYS_PER_YEAR * low, DAYS_PER_YEAR * high, float(line.slope))


def beside(equity: pl.DataFrame, benchmark: pl.DataFrame, *, balance: float) -> dict[str, float]:
    """Figures of buy and hold, and of the account beside it.

    Parameters
    ----------
    equity, benchmark
        ``equity`` on the same days.

    Returns
    -------
    dict
        ``buy_hold_return``, ``buy_hold_sharpe``, ``buy_hold_drawdown``; ``excess_return``, the account's total return
        less that of buy and hold; ``alpha``, ``alpha_low``, ``alpha_high``, ``beta`` of :func:`regress`, NaN where
        nothing can be said.
    """
    curve, held = equity["equity"].to_list(), benchmark["equity"].to_list()
    returns, market = daily_returns(curve, balance), daily_returns(held, balance)
    gained, final = (curve[-1] / balance - 1, held[-1] / balance - 1) if curve else (0.0, 0.0)
    return {
        "buy_hold_return": final,
        "buy_hold_sharpe": sharpe(market),
        "buy_hold_drawdown": max_drawdown(held, balance),
        "excess_return": gained - final,
        **regress(returns, market)._asdict(),
    }
