"""Cross-exchange: how far the price lies from that of the same coin elsewhere; null where that is not known.

The two closes are of one moment: a price that is a bar old says nothing of a difference. Nobody can trade at both of
them here, so these are signals for one market, and for research: the node holds no second exchange.
"""

from __future__ import annotations

import numpy as np

from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.windows import Array, ratio, rolling_mean_var, shift

_BOTH = ("close", "second_exchange.close")
_BPS = 1e4
_WINDOW = 96
_ROUNDING = 1e-9
"""Basis points: a spread that varies by less is at rest."""


def _spread(frame: Bars) -> Array:
    return np.log(frame.close / frame.companion("second_exchange.close")) * _BPS


@feature(
    "exchange_spread_bps",
    inputs=_BOTH,
    lookback=1,
    unit="basis points",
    source="log of close over the second exchange's close of the same moment",
)
def exchange_spread(frame: Bars) -> Array:
    """By how much the market is dearer than the same coin on its second exchange."""
    return frame.once(_spread)


@feature(
    "exchange_spread_change_{bars}",
    inputs=_BOTH,
    each=[{"bars": 1}, {"bars": 4}],
    lookback=lambda bars: bars + 1,
    unit="basis points",
    source="change of the spread between the exchanges",
)
def exchange_spread_change(frame: Bars, bars: int) -> Array:
    """How much of its price the market gained against its second exchange."""
    return frame.once(_spread) - shift(frame.once(_spread), bars)


@feature(
    "exchange_spread_score_{bars}",
    inputs=_BOTH,
    each=[{"bars": _WINDOW}],
    lookback=lambda bars: bars,
    unit="standard deviations",
    source="score of a pair: Gatev, Goetzmann and Rouwenhorst (2006), of one coin on two exchanges",
)
def exchange_spread_score(frame: Bars, bars: int) -> Array:
    """The spread less its mean, in its standard deviations; 0 where it is at rest."""
    spread = frame.once(_spread)
    mean, variance = rolling_mean_var(spread, bars)
    deviation = np.sqrt(variance)
    return ratio(spread - mean, np.where(deviation > _ROUNDING, deviation, 0.0 * deviation), 0.0)
