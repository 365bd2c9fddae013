"""Performance figures from round trips and a daily equity curve. Pure, and finite for every input.

Ratios that would be infinite (no losing trade, no drawdown) are ``UNBOUNDED``; those without anything to measure are 0.
What the bootstrap resamples too is defined once, in :mod:`trading_assets.validation.performance`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.core.sides import Side
from trading_assets.validation import performance
from trading_assets.validation.performance import DAYS_PER_YEAR, UNBOUNDED

Array = NDArray[np.float64]


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
    return _ratio(float(returns.mean()) * math.sqrt(DAYS_PER_YEAR), downside)


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
    return _ratio(growth, drawdown)


def win_rate(pnl: Array) -> float:
    """The share of trades with a profit after fees."""
    return float(performance.win_rate(pnl))


def profit_factor(pnl: Array) -> float:
    """Gross profit over gross loss of trades, after fees."""
    return float(performance.profit_factor(pnl))


def exposure(trades: pl.DataFrame, *, markets: int, start: datetime, end: datetime) -> float:
    """The share of market time with an open position."""
    period = (end - start).total_seconds() * markets
    if trades.is_empty() or period <= 0:
        return 0.0
    held = trades.select((pl.col("exit_ts") - pl.col("entry_ts")).dt.total_microseconds().sum()).item()
    return float(held) / 1e6 / period


def turnover(trades: pl.DataFrame, mean_equity: float) -> float:
    """Notional bought and sold, whatever the side, over mean equity."""
    if trades.is_empty() or mean_equity <= 0:
        return 0.0
    traded = trades.select(((pl.col("entry_price") + pl.col("exit_price")) * pl.col("quantity")).sum()).item()
    return float(traded) / mean_equity


def by_side(trades: pl.DataFrame) -> dict[str, float]:
    """Number, win rate, profit and profit factor of the long and of the short trades: ``long_trades`` and so on."""
    found: dict[str, float] = {}
    for side in Side:
        pnl = trades.filter(pl.col("side") == side.word)["pnl"].to_numpy().astype(np.float64)
        figures = {
            "trades": float(pnl.size),
            "win_rate": win_rate(pnl),
            "pnl": float(pnl.sum()),
            "profit_factor": profit_factor(pnl),
        }
        found |= {f"{side.word}_{name}": value for name, value in figures.items()}
    return found


def compute(
    trades: pl.DataFrame,
    equity: pl.DataFrame,
    *,
    starting_balance: float,
    markets: int,
    start: datetime,
    end: datetime,
) -> dict[str, float]:
    """Every metric of a backtest.

    Parameters
    ----------
    trades, equity
        The tables of these names.
    start, end
        The period, for exposure and growth.
    """
    curve: list[float] = equity["equity"].to_list()
    returns = daily_returns(curve, starting_balance)
    pnl = trades["pnl"].to_numpy().astype(np.float64)
    final = curve[-1] if curve else starting_balance
    days = (end - start).total_seconds() / 86_400
    growth, drawdown = cagr(final, starting_balance, days), max_drawdown(curve, starting_balance)
    volatility = float(returns.std(ddof=1)) * math.sqrt(DAYS_PER_YEAR) if returns.size > 1 else 0.0
    return {
        "trades": float(trades.height),
        "win_rate": win_rate(pnl),
        "profit_factor": profit_factor(pnl),
        "sharpe": sharpe(returns),
        "sortino": sortino(returns),
        "max_drawdown": drawdown,
        "total_return": final / starting_balance - 1,
        "cagr": growth,
        "calmar": calmar(growth, drawdown),
        "volatility": volatility,
        "exposure": exposure(trades, markets=markets, start=start, end=end),
        "turnover": turnover(trades, float(np.mean(curve)) if curve else starting_balance),
        "avg_trade_pnl": float(pnl.mean()) if pnl.size else 0.0,
        "avg_trade_return": float(trades["return"].mean() or 0.0) if pnl.size else 0.0,  # type: ignore[arg-type]
        "total_fees": float(trades["fees"].sum()),
        "total_pnl": float(pnl.sum()),
        "final_equity": final,
        "days": days,
    } | by_side(trades)


def _ratio(numerator: float, denominator: float) -> float:
    if numerator == 0:
        return 0.0
    if denominator <= abs(numerator) / UNBOUNDED:
        return math.copysign(UNBOUNDED, numerator)
    return numerator / denominator
