"""Figures of a daily equity curve: growth, risk, drawdowns, rolling Sharpe ratio. Pure, and finite for every input.

Ratios that would be infinite (no drawdown, no falling day) are ``UNBOUNDED``; those without anything to measure are 0.
What the bootstrap resamples too is defined once, in :mod:`trading_assets.validation.performance`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.validation import performance
from trading_assets.validation.performance import DAYS_PER_YEAR, UNBOUNDED

Array = NDArray[np.float64]

ROLLING_DAYS: Final = 90
"""Window of the rolling Sharpe ratio: a quarter is the shortest that a few bad days do not decide."""


def daily_returns(equity: Sequence[float], starting_balance: float) -> Array:
    """Simple returns of a daily equity curve; the first is against the starting balance; 0 once nothing is left."""
    curve = np.concatenate(([starting_balance], np.asarray(equity, dtype=np.float64)))
    before, after = curve[:-1], curve[1:]
    returns: Array = np.divide(after, before, out=np.ones_like(after), where=before > 0) - 1
    return returns


def sharpe(returns: Array) -> float:
    """Annualised Sharpe ratio: mean over standard deviation (n - 1) of daily returns, times the root of 365.

    Sharpe (1994), The Sharpe Ratio; the risk-free rate is 0. Days without a trade count.
    """
    return float(performance.sharpe(returns))


def sortino(returns: Array) -> float:
    """Annualised Sortino ratio: mean over downside deviation (target 0, over all days), times the root of 365.

    Sortino and Price (1994).
    """
    if returns.size == 0:
        return 0.0
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    return ratio(float(returns.mean()) * math.sqrt(DAYS_PER_YEAR), downside)


def max_drawdown(equity: Sequence[float], starting_balance: float) -> float:
    """The deepest fall below the running peak, as a fraction >= 0; the starting balance is the first peak."""
    curve = np.concatenate(([starting_balance], np.asarray(equity, dtype=np.float64)))
    peak = np.maximum.accumulate(curve)
    return float(np.max((peak - curve) / peak))


def cagr(end_equity: float, starting_balance: float, days: float) -> float:
    """Compound annual growth rate; -1 where nothing is left, 0 for an empty period."""
    if days <= 0:
        return 0.0
    if end_equity <= 0:
        return -1.0
    growth = math.log(end_equity / starting_balance) * DAYS_PER_YEAR / days
    return min(math.expm1(min(growth, 50.0)), UNBOUNDED)


def calmar(growth: float, drawdown: float) -> float:
    """CAGR over maximum drawdown."""
    return ratio(growth, drawdown)


def rolling_sharpe(equity: pl.DataFrame, *, starting_balance: float, days: int = ROLLING_DAYS) -> pl.DataFrame:
    """The annualised Sharpe ratio of the days up to each one: ``ts``, ``sharpe``, from the first whole window on.

    Parameters
    ----------
    equity
        ``ts``, ``equity``: one row a day.
    days
        The window; a shorter history has no row.
    """
    returns = pl.Series("return", daily_returns(equity["equity"].to_list(), starting_balance))
    spread = pl.col("return").rolling_std(days)
    value = pl.when(spread >= performance.FLAT).then(pl.col("return").rolling_mean(days) / spread).otherwise(0.0)
    rows = equity.select("ts").with_columns(returns).with_columns(sharpe=value * math.sqrt(DAYS_PER_YEAR))
    return rows.select("ts", "sharpe").slice(days - 1)


def drawdowns(equity: pl.DataFrame, *, starting_balance: float) -> pl.DataFrame:
    """Every fall below a peak, the deepest first.

    A drawdown starts on the first day that closes below the peak and ends on the first that closes at it again or
    above; Magdon-Ismail and Atiya (2004), Maximum Drawdown.

    Parameters
    ----------
    equity
        ``ts``, ``equity``: one row a day, ascending.

    Returns
    -------
    polars.DataFrame
        ``start``, ``trough``, ``end`` (null where it is not over), ``depth`` (fraction of the peak, > 0), ``days``
        (from the first day below to the recovery, or to the last day).
    """
    peak = pl.max_horizontal(pl.col("equity").cum_max(), pl.lit(starting_balance))
    fall = pl.when(peak > 0).then(1 - pl.col("equity") / peak).otherwise(0.0)
    return (
        equity.select("ts", depth=fall)
        .with_columns(below=pl.col("depth") > 0, next=pl.col("ts").shift(-1))
        .with_columns(spell=pl.col("below").rle_id())
        .filter("below")
        .group_by("spell", maintain_order=True)
        .agg(
            start=pl.col("ts").first(),
            trough=pl.col("ts").get(pl.col("depth").arg_max()),
            end=pl.col("next").last(),
            depth=pl.col("depth").max(),
            days=pl.len().cast(pl.Int64),
        )
        .drop("spell")
        .sort("depth", "start", descending=[True, False])
    )


def of_account(equity: pl.DataFrame, *, starting_balance: float, days: float) -> dict[str, float]:
    """The figures of an account.

    Parameters
    ----------
    equity
        Rows of the table of this name: one a day.
    days
        Of the period, for growth.
    """
    curve: list[float] = equity["equity"].to_list()
    returns = daily_returns(curve, starting_balance)
    final = curve[-1] if curve else starting_balance
    growth, drawdown = cagr(final, starting_balance, days), max_drawdown(curve, starting_balance)
    volatility = float(returns.std(ddof=1)) * math.sqrt(DAYS_PER_YEAR) if returns.size > 1 else 0.0
    falls = drawdowns(equity, starting_balance=starting_balance)["days"]
    return {
        "sharpe": sharpe(returns),
        "sortino": sortino(returns),
        "max_drawdown": drawdown,
        "max_drawdown_days": float(falls.max() or 0),  # type: ignore[arg-type]
        "total_return": final / starting_balance - 1,
        "cagr": growth,
        "calmar": calmar(growth, drawdown),
        "volatility": volatility,
        "final_equity": final,
        "days": days,
    }


def ratio(numerator: float, denominator: float) -> float:
    """A ratio that stays finite: 0 of nothing, at most ``UNBOUNDED``."""
    if numerator == 0:
        return 0.0
    if denominator <= abs(numerator) / UNBOUNDED:
        return math.copysign(UNBOUNDED, numerator)
    return numerator / denominator
