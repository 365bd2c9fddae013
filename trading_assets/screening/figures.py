"""What the accounts of many sets say: the usual figures, each with one operation for all sets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.validation import performance
from trading_assets.validation.performance import DAYS_PER_YEAR, FLAT, UNBOUNDED

if TYPE_CHECKING:
    from trading_assets.screening.arrays import State

Array = npt.NDArray[np.float64]

_DAY: int = 86_400_000_000


def daily_returns(state: State, balance: float) -> Array:
    """Simple returns of each account on each day (sets x days), open positions marked to market."""
    curve = balance + np.cumsum(state.change, axis=1)
    before = np.concatenate([np.full((len(curve), 1), balance), curve[:, :-1]], axis=1)
    returns: Array = np.divide(curve, before, out=np.ones_like(curve), where=before > 0) - 1
    return returns


def figures(state: State, returns: Array, balance: float, *, markets: int, needed: float = 0.0) -> pl.DataFrame:
    """A row per set.

    Parameters
    ----------
    state
        The accounts at the end.
    returns
        Of :func:`daily_returns`.
    markets
        How many an account trades.
    needed
        Trades that count in full.

    Returns
    -------
    polars.DataFrame
        ``trades``, ``net`` (the account's return), ``sharpe`` (annualised, of daily returns), ``value`` (see
        :func:`worth`), ``max_drawdown`` (of the account at the days' ends), ``win_rate``, ``profit_factor``,
        ``avg_pnl``, ``fees``, ``funding`` (in quote currency), ``exposure`` (share of market time), ``missed`` (signals
        without a candle to enter on), ``refused`` and ``capped`` (by limits).
    """
    from trading_assets.screening.arrays import (
        CAPPED,
        ENTERED,
        FEES,
        FUNDING,
        GAINED,
        HELD,
        LOST,
        MISSED,
        REFUSED,
        WON,
    )

    trades, won = state.counts[:, ENTERED], state.counts[:, WON]
    gained, lost = state.sums[:, GAINED], state.sums[:, LOST]
    some = np.maximum(trades, 1)
    bounded = lost <= gained / UNBOUNDED
    factor = np.divide(gained, lost, out=np.where(gained > 0, UNBOUNDED, 0.0), where=~bounded)
    sharpe = performance.sharpe(returns)
    period = max(returns.shape[1], 1) * _DAY * markets
    return pl.DataFrame(
        {
            "trades": trades,
            "net": state.change.sum(axis=1) / balance,
            "sharpe": sharpe,
            "value": worth(returns, trades, needed),
            "max_drawdown": performance.max_drawdown(returns),
            "win_rate": won / some,
            "profit_factor": factor,
            "avg_pnl": (gained - lost) / some,
            "fees": state.sums[:, FEES],
            "funding": state.sums[:, FUNDING],
            "exposure": state.sums[:, HELD] / period,
            "missed": state.counts[:, MISSED],
            "refused": state.counts[:, REFUSED],
            "capped": state.counts[:, CAPPED],
        }
    )


def worth(returns: Array, trades: npt.NDArray[np.int64], needed: float) -> Array:
    """By what sets are ranked: the annualised Sharpe ratio less one standard error, as a search values its trials.

    The error is that of Mertens (2002), with no credit for skewness; where trades are fewer than ``needed``, what is
    positive counts in proportion.
    """
    year, days = math.sqrt(DAYS_PER_YEAR), returns.shape[1]
    nothing = -year / math.sqrt(max(days - 1, 1))
    if days < 3:
        return np.full(len(returns), nothing)
    spread = returns.std(axis=1)
    alive = spread >= FLAT
    mean = returns.mean(axis=1)
    scaled = (returns - mean[:, None]) / np.where(alive, spread, 1.0)[:, None]
    skewness, kurtosis = (scaled**3).mean(axis=1), (scaled**4).mean(axis=1)
    ratio = performance.sharpe(returns, 1)
    variance = 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2
    value = (ratio - np.sqrt(np.maximum(variance, 1.0) / (days - 1))) * year
    if needed > 0:
        value = np.where(value > 0, value * np.minimum(trades / needed, 1.0), value)
    return np.where(alive, value, nothing)
