"""What else could have come of the same trades: other orders, other draws, other days; seeded, with bands.

Two questions, two ways to draw:

- **Order.** The trades that were made, in random orders: the profit stays, the drawdown does not. It says how far the
  drawdown that happened was a fortunate order.
- **Trades.** As many trades, drawn with replacement from those that were made: profit and drawdown both differ.
- **Days.** The account's days drawn in blocks, by the stationary bootstrap (Politis and Romano, 1994): what depends on
  the days before stays together, which drawn trades lose.

No draw knows anything but what happened: an account that never met a crash has none in its bands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.validation.bootstrap import MIN_OBSERVATIONS, optimal_block_length, resample

Array = NDArray[np.float64]

DRAWS: Final = 1000
PERCENT: Final = (5, 50, 95)
_STEPS: Final = 200


@dataclass(frozen=True, slots=True)
class Bands:
    """The draws of one way.

    Attributes
    ----------
    returns, drawdowns
        Total return and maximum drawdown of each draw, as fractions.
    steps
        Where along the way the fan is: trades or days, from 0 on.
    fan
        ``(3, steps)``: the account at these steps as a multiple of its beginning; 5, 50 and 95 % of the draws are at or
        below.
    """

    returns: Array
    drawdowns: Array
    steps: Array
    fan: Array

    def figures(self, way: str, *names: str) -> dict[str, float]:
        """Percentiles as metrics, ``mc_<way>_<name>_<percent>``; of ``return`` and ``drawdown``, as asked."""
        values = {"return": self.returns, "drawdown": self.drawdowns}
        return {
            f"mc_{way}_{name}_{percent}": float(np.percentile(values[name], percent))
            for name in names
            for percent in PERCENT
        }


def trade_returns(trades: pl.DataFrame, *, starting_balance: float) -> Array:
    """What each trade made of the account as it was before its exit, in the order of exits; never below -1."""
    pnl = trades.sort("exit_ts", maintain_order=True)["pnl"].to_numpy().astype(np.float64)
    before = starting_balance + np.concatenate(([0.0], np.cumsum(pnl)[:-1])) if pnl.size else pnl
    gained: Array = np.divide(pnl, before, out=np.full_like(pnl, -1.0), where=before > 0)
    return np.maximum(gained, -1.0)


def by_order(returns: Array, *, draws: int = DRAWS, seed: int = 7) -> Bands:
    """The trades in random orders."""
    rng = np.random.default_rng(seed)
    return compounded(rng.permuted(np.broadcast_to(returns, (draws, returns.size)), axis=1))


def by_trades(returns: Array, *, draws: int = DRAWS, seed: int = 7) -> Bands:
    """As many trades, drawn with replacement."""
    rng = np.random.default_rng(seed)
    return compounded(returns[rng.integers(0, returns.size, (draws, returns.size))])


def by_days(returns: Array, *, draws: int = DRAWS, seed: int = 7) -> Bands:
    """The account's days in blocks as long as their memory asks for."""
    length = optimal_block_length(returns)
    return compounded(returns[resample(returns.size, block_length=length, resamples=draws, seed=seed)])


def simulate(
    trades: pl.DataFrame, daily: Array, *, starting_balance: float, draws: int = DRAWS, seed: int = 7
) -> dict[str, Bands]:
    """All three ways by name (order, trades, days); a way with fewer than ten trades or days is left out.

    Parameters
    ----------
    trades
        Rows of the table of this name.
    daily
        The account's daily returns.
    """
    each = trade_returns(trades, starting_balance=starting_balance)
    found: dict[str, Bands] = {}
    if each.size >= MIN_OBSERVATIONS:
        found |= {"order": by_order(each, draws=draws, seed=seed), "trades": by_trades(each, draws=draws, seed=seed)}
    if daily.size >= MIN_OBSERVATIONS and np.ptp(daily) > 0:
        found["days"] = by_days(daily, draws=draws, seed=seed)
    return found


def figures(found: Mapping[str, Bands]) -> dict[str, float]:
    """The percentiles of all ways as metrics; NaN of a way that was left out, which no gate lets pass."""
    asked = {"order": ("drawdown",), "trades": ("return", "drawdown"), "days": ("return", "drawdown")}
    told: dict[str, float] = {}
    for way, names in asked.items():
        if way in found:
            told |= found[way].figures(way, *names)
        else:
            told |= {f"mc_{way}_{name}_{percent}": float("nan") for name in names for percent in PERCENT}
    return told


def compounded(drawn: Array) -> Bands:
    """Bands of accounts that grow by the returns of each row, one after the other."""
    curves = np.concatenate([np.ones((drawn.shape[0], 1)), np.cumprod(1 + drawn, axis=1)], axis=1)
    peaks = np.maximum.accumulate(curves, axis=1)
    steps = np.unique(np.linspace(0, drawn.shape[1], min(_STEPS, drawn.shape[1] + 1)).round().astype(np.int64))
    fan = np.percentile(curves[:, steps], PERCENT, axis=0)
    drawdowns = np.max(1 - curves / peaks, axis=1)
    return Bands(curves[:, -1] - 1, drawdowns, steps.astype(np.float64), np.asarray(fan))
