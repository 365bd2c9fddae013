"""Every figure of a backtest at once."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from trading_assets.backtest.metrics.account import of_account
from trading_assets.backtest.metrics.benchmark import beside
from trading_assets.backtest.metrics.trades import by_side, excursions, hit_rates, of_trades


def compute(
    trades: pl.DataFrame,
    equity: pl.DataFrame,
    *,
    starting_balance: float,
    markets: int,
    start: datetime,
    end: datetime,
) -> dict[str, float]:
    """The figures of trades and account, every one a finite number.

    Parameters
    ----------
    trades, equity
        The tables of these names.
    start, end
        The period, for exposure and growth.
    """
    mean = equity["equity"].mean()
    days = (end - start).total_seconds() / 86_400
    return (
        of_trades(
            trades,
            markets=markets,
            mean_equity=mean if isinstance(mean, float) else starting_balance,
            start=start,
            end=end,
        )
        | of_account(equity, starting_balance=starting_balance, days=days)
        | by_side(trades)
    )


def compute_further(
    trades: pl.DataFrame, equity: pl.DataFrame, benchmark: pl.DataFrame, *, starting_balance: float
) -> dict[str, float]:
    """Hit rates of targets, excursions, and what buy and hold did; NaN where something cannot be measured."""
    return hit_rates(trades) | excursions(trades) | beside(equity, benchmark, balance=starting_balance)
