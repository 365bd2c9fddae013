"""What a backtest's trades and account come to; definitions and sources are with each function."""

from trading_assets.backtest.metrics.account import (
    cagr,
    calmar,
    daily_returns,
    drawdowns,
    max_drawdown,
    rolling_sharpe,
    sharpe,
    sortino,
)
from trading_assets.backtest.metrics.benchmark import buy_and_hold, regress
from trading_assets.backtest.metrics.breakdown import breakdown
from trading_assets.backtest.metrics.computing import compute, compute_further
from trading_assets.backtest.metrics.excursions import with_excursions
from trading_assets.backtest.metrics.trades import (
    by_side,
    costs,
    expectancy,
    exposure,
    hit_rates,
    longest_losing_streak,
    payoff,
    profit_factor,
    turnover,
    win_rate,
)
from trading_assets.validation.performance import UNBOUNDED

__all__ = [
    "UNBOUNDED",
    "breakdown",
    "buy_and_hold",
    "by_side",
    "cagr",
    "calmar",
    "compute",
    "compute_further",
    "costs",
    "daily_returns",
    "drawdowns",
    "expectancy",
    "exposure",
    "hit_rates",
    "longest_losing_streak",
    "max_drawdown",
    "payoff",
    "profit_factor",
    "regress",
    "rolling_sharpe",
    "sharpe",
    "sortino",
    "turnover",
    "win_rate",
    "with_excursions",
]
