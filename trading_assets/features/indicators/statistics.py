"""Statistics of the returns: how they are distributed, how they hang together, how much memory they have."""

from __future__ import annotations

import math
from functools import cache
from typing import Final

import numpy as np

from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.windows import (
    Array,
    ratio,
    rolling_mean,
    rolling_mean_var,
    rolling_sum,
    rolling_sum_by_count,
    shift,
    variance_from_sums,
)

_SOME = 96
_MANY = 672
"""An estimate needs a number of returns, whatever their timeframe: these windows are bars."""


@feature(
    "skewness_{bars}",
    "kurtosis_{bars}",
    inputs=["close"],
    each=[{"bars": _MANY}],
    lookback=lambda bars: bars + 1,
    unit="standardised moment",
    low=(None, 0),
    source="Pearson's moments around the mean; kurtosis of a normal distribution is 3",
)
def moments(frame: Bars, bars: int) -> tuple[Array, ...]:
    """Skewness and kurtosis of the log returns around their mean; both 0 at a constant price."""
    r = frame.log_return
    first, second = rolling_sum(r, bars) / bars, frame.realised_variance(bars) / bars
    third, fourth = (
        rolling_sum(r * frame.squared_return, bars) / bars,
        rolling_sum(frame.squared_return**2, bars) / bars,
    )
    variance = variance_from_sums(first * bars, second * bars, bars)
    skewness = ratio(third - 3 * first * second + 2 * first * first * first, variance * np.sqrt(variance), 0.0)
    return skewness, ratio(
        fourth - 4 * first * third + 6 * first * first * second - 3 * (first * first) ** 2, variance**2, 0.0
    )


@feature(
    "permutation_entropy_{bars}",
    inputs=["close"],
    each=[{"bars": _SOME}],
    lookback=lambda bars: bars + 2,
    unit="share of the greatest",
    low=0,
    high=1,
    source="Bandt & Pompe (2002), order 3",
)
def permutation_entropy(frame: Bars, bars: int) -> Array:
    """Entropy of the orders in which three successive closes stand (equal ones as falling); 0 where all are alike."""
    older, middle = shift(frame.close, 2), shift(frame.close, 1)
    rises, goes_on, above = middle > older, frame.close > middle, frame.close > older
    # falls twice 0, falls and rises 1 or above the first 2, rises and falls 3 or above the first 4, rises twice 5
    return _entropy(3.0 * rises + goes_on + above + 0 * older, 6, bars)


_EDGES: Final = (-1.0, -0.25, 0.25, 1.0)


@feature(
    "return_entropy_{bars}",
    inputs=["close"],
    each=[{"bars": _SOME}],
    lookback=lambda bars: 2 * bars,
    unit="share of the greatest",
    low=0,
    high=1,
    source="Shannon (1948), returns in five classes by their root mean square",
)
def return_entropy(frame: Bars, bars: int) -> Array:
    """Entropy of the sizes of log returns; 0 where all are alike."""
    score = ratio(frame.log_return, np.sqrt(frame.realised_variance(bars) / bars), 0.0)
    codes = 0 * score
    for edge in _EDGES:
        codes += score > edge
    return _entropy(codes, len(_EDGES) + 1, bars)


def _entropy(codes: Array, classes: int, bars: int) -> Array:
    """The Shannon entropy of the shares of classes over the window, as a share of the greatest."""
    return np.clip(rolling_sum_by_count(codes, classes, bars, _entropies(classes, bars)), 0, 1)


@cache
def _entropies(classes: int, bars: int) -> Array:
    """What a class adds to the entropy by how many of the bars are in it."""
    shares = np.arange(bars + 1) / bars
    return np.asarray(-shares * np.log(np.where(shares == 0, 1.0, shares)) / math.log(classes))


@cache
def _cumulated_weights(order: float, width: int) -> Array:
    """The weights of (1 - L)^order, summed from the newest on: those of the returns instead of the prices."""
    k = np.arange(1, width)
    return np.cumsum(np.concatenate([[1.0], np.cumprod((k - 1 - order) / k)]))


@feature(
    "fractional_difference_{bars}",
    inputs=["close"],
    each=[{"bars": 64}],
    lookback=lambda bars: bars + 1,
    unit="log price",
    source="Lopez de Prado (2018), order 0.4, fixed width, against the oldest price",
)
def fractional_difference(frame: Bars, bars: int) -> Array:
    """Log price differenced 0.4 times: nearly stationary, with some of the price's memory left."""
    result = np.full(len(frame), np.nan)
    if len(frame) >= bars:
        result[bars - 1 :] = np.convolve(frame.log_return, _cumulated_weights(0.4, bars), mode="valid")
    return result


@feature(
    "dependence_{lags}_{bars}",
    inputs=["close"],
    each=[{"lags": 5, "bars": _SOME}],
    lookback=lambda lags, bars: bars + lags + 1,
    unit="mean squared correlation times bars",
    low=0,
    source="Box & Pierce (1970), around zero, per lag",
)
def portmanteau(frame: Bars, lags: int, bars: int) -> Array:
    """Mean over the lags of the squared autocorrelation of returns, times the bars (1 random walk); 0 at rest."""
    variance = frame.realised_variance(bars)
    parts = [
        ratio(rolling_sum(frame.log_return * shift(frame.log_return, lag), bars) ** 2, variance**2, 0.0)
        for lag in range(1, lags + 1)
    ]
    total: Array = np.add.reduce(parts) * (bars / lags)
    return total


@feature(
    "volatility_clustering_{bars}",
    inputs=["close"],
    each=[{"bars": _SOME}],
    lookback=lambda bars: bars + 2,
    unit="correlation",
    low=-1,
    high=1,
    source="Engle (1982): first autocorrelation of absolute returns",
)
def volatility_clustering(frame: Bars, bars: int) -> Array:
    """Correlation of absolute log returns with those before; 0 at a constant price."""
    now = np.abs(frame.log_return)
    before = shift(now, 1)
    total, earlier = rolling_sum(now, bars), rolling_sum(before, bars)
    covariance = (rolling_sum(now * before, bars) - total * earlier / bars) / bars
    spread = variance_from_sums(total, frame.realised_variance(bars), bars)
    spread_before = variance_from_sums(earlier, rolling_sum(before**2, bars), bars)
    return np.clip(ratio(covariance, np.sqrt(spread * spread_before), 0.0), -1, 1)


@feature(
    "tail_share_{bars}",
    inputs=["close"],
    each=[{"bars": _MANY}],
    lookback=lambda bars: 2 * bars,
    unit="share of the bars",
    low=0,
    high=1,
    source="share of returns beyond two root mean squares",
)
def tail_share(frame: Bars, bars: int) -> Array:
    """Share of the bars whose log return was beyond twice the root mean square up to then."""
    usual = frame.realised_variance(bars)
    return rolling_mean((frame.squared_return * bars > 4 * usual) + 0 * usual, bars)


@feature(
    "turning_share_{bars}",
    inputs=["close"],
    each=[{"bars": _SOME}],
    lookback=lambda bars: bars + 2,
    unit="share of the bars",
    low=0,
    high=1,
    source="Wald & Wolfowitz (1940): runs of signs",
)
def runs(frame: Bars, bars: int) -> Array:
    """Share of the bars that moved against the bar before (0.5 random walk); 0 at a constant price."""
    return rolling_mean((frame.change * shift(frame.change, 1) < 0) + 0 * shift(frame.change, 1), bars)


@feature(
    "reversion_speed_{bars}",
    "reversion_t_{bars}",
    inputs=["close"],
    each=[{"bars": _SOME}],
    lookback=lambda bars: bars + 1,
    unit=("share per bar", "t statistic"),
    source="Dickey & Fuller (1979): change on the price before",
)
def mean_reversion(frame: Bars, bars: int) -> tuple[Array, ...]:
    """How much of its distance from the mean the log price made good per bar, and the t statistic; 0 at rest."""
    log_price = np.log(frame.close)
    mean, of_prices = rolling_mean_var(shift(log_price, 1), bars)
    way, squares = log_price - shift(log_price, bars), frame.realised_variance(bars)
    # sum of return times price before, from the window's start: half of (way squared minus squared returns)
    covariance = (way * way - squares) / (2 * bars) - (mean - shift(log_price, bars)) * way / bars
    speed = ratio(covariance, of_prices, 0.0)
    of_returns = variance_from_sums(way, squares, bars)
    rest = np.maximum(of_returns - speed * covariance, 0)
    return speed, ratio(speed * np.sqrt(of_prices * (bars - 2)), np.sqrt(rest), 0.0)
