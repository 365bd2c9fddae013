"""Figures of round trips: what a trade earns, how often targets are reached, what it costs. Pure, finite where said.

Money is of the quote currency, after costs; a trade that ends at exactly nothing is neither a win nor a loss.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest.metrics.account import ratio
from trading_assets.core.sides import Side
from trading_assets.validation import performance

Array = NDArray[np.float64]

TARGETS: Final = 3
"""Targets whose hit rates are figures of their own."""


def win_rate(pnl: Array) -> float:
    """The share of trades with a profit after fees."""
    return float(performance.win_rate(pnl))


def profit_factor(pnl: Array) -> float:
    """Gross profit over gross loss of trades, after fees."""
    return float(performance.profit_factor(pnl))


def payoff(pnl: Array) -> float:
    """The mean win over the mean loss; Vince (1990), Portfolio Management Formulas. 0 without a win."""
    return ratio(_mean(pnl[pnl > 0]), -_mean(pnl[pnl < 0]))


def expectancy(pnl: Array) -> float:
    """What a trade earns on average for each unit that a losing one costs; Tharp (1998), Trade Your Way.

    The share of wins times the payoff, less the share of losses: the mean profit over the mean loss. In money it is
    the average profit, which is what NautilusTrader calls expectancy.
    """
    return ratio(_mean(pnl), -_mean(pnl[pnl < 0]))


def longest_losing_streak(pnl: Array) -> int:
    """The most losing trades in a row, in the order given."""
    longest = current = 0
    for lost in (pnl < 0).tolist():
        current = current + 1 if lost else 0
        longest = max(longest, current)
    return longest


def hit_rates(trades: pl.DataFrame) -> dict[str, float]:
    """``hit_tp1``, ``hit_tp2``, ``hit_tp3``: of the trades whose plan has such a target, the share that filled it.

    NaN where no trade has one, or where it was not written down: no figure, and no gate lets it pass.
    """
    if trades.is_empty() or not {"targets", "targets_filled"} <= set(trades.columns):
        return {f"hit_tp{number}": float("nan") for number in range(1, TARGETS + 1)}
    shares = trades.select(
        (pl.col("targets_filled") >= number).filter(pl.col("targets") >= number).mean().alias(f"hit_tp{number}")
        for number in range(1, TARGETS + 1)
    ).row(0, named=True)
    return {name: float("nan") if share is None else float(share) for name, share in shares.items()}


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
    return _notional(trades) / mean_equity


def costs(trades: pl.DataFrame) -> dict[str, float]:
    """What trading cost, in all and by kind, in money; and the whole in basis points of the notional traded.

    ``total_fees`` were paid, with what stands for slippage in them; ``total_funding`` was received where positive.
    ``total_costs`` is what the profit would have been higher by. Kinds that a table of older backtests lacks are 0.
    """
    found = {f"total_{kind}": _total(trades, kind) for kind in ("fees", "funding")}
    whole = found["total_fees"] - found["total_funding"]
    traded = _notional(trades) if trades.height else 0.0
    return found | {"total_costs": whole, "costs_bps": 1e4 * whole / traded if traded > 0 else 0.0}


def excursions(trades: pl.DataFrame) -> dict[str, float]:
    """Mean adverse and favourable excursion of the trades where they are known; NaN where of none."""
    means = [trades[name].mean() if name in trades.columns else None for name in ("mae", "mfe")]
    return {
        name: float(mean) if isinstance(mean, float) else float("nan")
        for name, mean in zip(("avg_mae", "avg_mfe"), means, strict=True)
    }


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


def of_trades(
    trades: pl.DataFrame, *, markets: int, mean_equity: float, start: datetime, end: datetime
) -> dict[str, float]:
    """The figures of round trips.

    Parameters
    ----------
    trades
        Rows of the table of this name.
    markets
        How many there are to be in, for exposure.
    mean_equity
        For turnover.
    start, end
        The period, for exposure.
    """
    pnl = trades.sort("exit_ts")["pnl"].to_numpy().astype(np.float64)
    gains = trades["return"].to_numpy().astype(np.float64)
    return {
        "trades": float(trades.height),
        "win_rate": win_rate(pnl),
        "profit_factor": profit_factor(pnl),
        "payoff": payoff(pnl),
        "expectancy": expectancy(pnl),
        "exposure": exposure(trades, markets=markets, start=start, end=end),
        "turnover": turnover(trades, mean_equity),
        "avg_trade_pnl": _mean(pnl),
        "avg_trade_return": _mean(gains),
        "best_trade": float(gains.max()) if gains.size else 0.0,
        "worst_trade": float(gains.min()) if gains.size else 0.0,
        "avg_hold_hours": _mean_hours(trades),
        "losing_streak": float(longest_losing_streak(pnl)),
        "total_pnl": float(pnl.sum()),
    } | costs(trades)


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else 0.0


def _mean_hours(trades: pl.DataFrame) -> float:
    if trades.is_empty():
        return 0.0
    held = trades.select((pl.col("exit_ts") - pl.col("entry_ts")).dt.total_microseconds().mean()).item()
    return float(held) / 3.6e9


def _notional(trades: pl.DataFrame) -> float:
    return float(trades.select(((pl.col("entry_price") + pl.col("exit_price")) * pl.col("quantity")).sum()).item())


def _total(trades: pl.DataFrame, column: str) -> float:
    return float(trades[column].sum()) if column in trades.columns else 0.0
