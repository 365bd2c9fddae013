"""Performance of many return or profit series at once: every function works along the last axis.

The same definitions as in the backtest's metrics: the risk-free rate is 0, ratios stay finite.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from trading_assets.core.errors import InvalidFrame

DAYS_PER_YEAR: Final = 365
"""Crypto markets never close."""

UNBOUNDED: Final = 1000.0
"""Stands for infinity in a ratio with a zero denominator; larger values are cut to it."""

FLAT: Final = 1e-15
"""A spread of returns below this is rounding."""

Array = npt.NDArray[np.float64]


def finite(values: npt.ArrayLike, name: str, *, dimensions: int) -> Array:
    """Values as float64.

    Raises
    ------
    InvalidFrame
        If they are no numbers, have another number of dimensions, or one is missing or infinite.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidFrame(f"{name} are no numbers: {error}", where="validation") from None
    if array.ndim != dimensions:
        raise InvalidFrame(f"{name} have {array.ndim} dimensions, not {dimensions}", where="validation")
    if bad := int(array.size - np.isfinite(array).sum()):
        raise InvalidFrame(f"{bad} of {array.size} {name} are not finite", where="validation")
    return array


def sharpe(returns: Array, periods_per_year: float = DAYS_PER_YEAR) -> Array:
    """Annualised Sharpe ratio: mean over standard deviation (n - 1), times the root of the periods per year."""
    if returns.shape[-1] < 2:
        return np.zeros(returns.shape[:-1])
    spread = returns.std(axis=-1, ddof=1)
    mean = returns.mean(axis=-1)
    ratio: Array = np.divide(mean, spread, out=np.zeros_like(mean), where=spread >= FLAT)
    return np.asarray(ratio * np.sqrt(periods_per_year))


def max_drawdown(returns: Array) -> Array:
    """The deepest fall of the compounded returns below their running peak, as a fraction >= 0; the start is a peak."""
    curve = np.cumprod(np.maximum(1 + returns, 0), axis=-1)
    peak = np.maximum(np.maximum.accumulate(curve, axis=-1), 1)
    return np.asarray(np.max(1 - curve / peak, axis=-1, initial=0.0))


def win_rate(pnl: Array) -> Array:
    """The share of trades with a profit."""
    return np.asarray((pnl > 0).mean(axis=-1)) if pnl.shape[-1] else np.zeros(pnl.shape[:-1])


def profit_factor(pnl: Array) -> Array:
    """Gross profit over gross loss, at most :data:`UNBOUNDED`; 0 without a profit."""
    gross_profit, gross_loss = np.maximum(pnl, 0).sum(axis=-1), np.maximum(-pnl, 0).sum(axis=-1)
    bounded = gross_loss <= gross_profit / UNBOUNDED
    limit: Array = np.where(gross_profit > 0, UNBOUNDED, 0.0)
    return np.asarray(np.divide(gross_profit, gross_loss, out=limit, where=~bounded))
