"""Cross-asset: how the market moves with and after a configured leader; null where the leader's bars are not known."""

from __future__ import annotations

import numpy as np

from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.spans import DAY
from trading_assets.features.framework.windows import Array, ratio, rolling_sum, shift, variance_from_sums

_LEADER = ("leader.close",)
_BOTH = ("close", *_LEADER)
_WINDOW = 96
"""A slope or correlation needs a number of bars, whatever their timeframe."""


def _leader_return(frame: Bars) -> Array:
    close = frame.companion("leader.close")
    return np.log(close / shift(close, 1))


@feature(
    "leader_return_{bars}",
    inputs=_LEADER,
    each=[{"bars": 1}, {"bars": 4}, {"bars": 16}],
    lookback=lambda bars: bars + 1,
    unit="log return",
    source="return of the leader",
)
def leader_return(frame: Bars, bars: int) -> Array:
    """Log return of the leader."""
    close = frame.companion("leader.close")
    return np.log(close / shift(close, bars))


@feature(
    "leader_return_1_lag_{lag}",
    inputs=_LEADER,
    each=[{"lag": 1}, {"lag": 2}, {"lag": 3}],
    lookback=lambda lag: lag + 2,
    unit="log return",
    source="return of the leader some bars ago",
)
def leader_lag(frame: Bars, lag: int) -> Array:
    """Log return of the leader in one bar, some bars ago."""
    return shift(frame.once(_leader_return), lag)


@feature(
    "leader_beta_{bars}",
    "leader_correlation_{bars}",
    inputs=_BOTH,
    each=[{"bars": _WINDOW}],
    lookback=lambda bars: bars + 1,
    unit=("slope", "correlation"),
    low=(None, -1),
    high=(None, 1),
    source="Sharpe (1964): slope on, and Pearson's correlation with, the leader's log returns",
)
def leader_beta(frame: Bars, bars: int) -> tuple[Array, ...]:
    """Slope of the log returns on the leader's, and their correlation; 0 where either is at rest."""
    return frame.once(_slope, bars=bars)


def _slope(frame: Bars, bars: int) -> tuple[Array, Array]:
    own, lead = frame.log_return, frame.once(_leader_return)
    own_sum, lead_sum = rolling_sum(own, bars), rolling_sum(lead, bars)
    covariance = (rolling_sum(own * lead, bars) - own_sum * lead_sum / bars) / bars
    variance = variance_from_sums(lead_sum, rolling_sum(lead**2, bars), bars)
    scale = np.sqrt(variance * variance_from_sums(own_sum, frame.realised_variance(bars), bars))
    return ratio(covariance, variance, 0.0), np.clip(ratio(covariance, scale, 0.0), -1, 1)


@feature(
    "leader_lead_{bars}",
    inputs=_BOTH,
    each=[{"bars": _WINDOW}],
    lookback=lambda bars: bars + 2,
    unit="correlation",
    low=-1,
    high=1,
    source="Lo & MacKinlay (1990), around zero",
)
def leader_lead(frame: Bars, bars: int) -> Array:
    """Correlation of the log returns with the leader's of the bar before; 0 where either is at rest."""
    before = shift(frame.once(_leader_return), 1)
    scale = np.sqrt(frame.realised_variance(bars) * rolling_sum(before**2, bars))
    return np.clip(ratio(rolling_sum(frame.log_return * before, bars), scale, 0.0), -1, 1)


@feature(
    "relative_strength_{bars}",
    inputs=_BOTH,
    each=[{"bars": 16}, {"bars": DAY}],
    minimum=2,
    lookback=lambda bars: bars + 1,
    unit="log return",
    source="return minus the leader's",
)
def relative_strength(frame: Bars, bars: int) -> Array:
    """By how much the market rose more than the leader."""
    return np.log(frame.close / shift(frame.close, bars)) - leader_return(frame, bars)


@feature(
    "leader_residual",
    inputs=_BOTH,
    lookback=_WINDOW + 1,
    unit="log return",
    source="return minus the beta of 96 bars times the leader's",
)
def leader_residual(frame: Bars) -> Array:
    """The part of the bar's log return that the leader's does not explain."""
    return frame.log_return - frame.once(_slope, bars=_WINDOW)[0] * frame.once(_leader_return)
