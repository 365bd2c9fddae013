"""Volume: how much was traded, and on which side of the price's move. All relative to the market's own volume."""

from __future__ import annotations

import numpy as np

from trading_assets.features.framework.bars import Bars, ema_memory
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.spans import DAY, FOUR_HOURS, WEEK
from trading_assets.features.framework.windows import (
    Array,
    ewma,
    ratio,
    rolling_mean,
    rolling_sum,
    shift,
    variance_from_sums,
)

_HLCV = ("high", "low", "close", "volume")
_CV = ("close", "volume")
_EQUAL = 1e-12
"""Typical prices that differ by less differ by rounding only."""


@feature(
    "obv_slope_{bars}",
    inputs=_CV,
    each=[{"bars": 20}],
    lookback=lambda bars: bars + 1,
    unit="share of the volume",
    low=-1,
    high=1,
    source="Granville (1963), change of TA-Lib OBV over the volume",
)
def obv_slope(frame: Bars, bars: int) -> Array:
    """Volume of rising minus volume of falling bars over all volume; 0 without volume."""
    return ratio(rolling_sum(np.sign(frame.change) * frame.volume, bars), frame.volume_sum(bars), 0.0)


@feature(
    "vwap_{bars}_distance",
    inputs=_HLCV,
    each=[{"bars": DAY}],
    lookback=lambda bars: bars,
    unit="fraction of the VWAP",
    low=-1,
    source="Berkowitz, Logue & Noser (1988), rolling",
)
def vwap_distance(frame: Bars, bars: int) -> Array:
    """How far the close is above the volume-weighted average price; 0 without volume."""
    return ratio(frame.close * frame.volume_sum(bars), rolling_sum(frame.quote_volume, bars), 1.0) - 1


@feature(
    "cmf_{bars}",
    inputs=_HLCV,
    each=[{"bars": 20}],
    lookback=lambda bars: bars,
    unit="share of the volume",
    low=-1,
    high=1,
    source="Chaikin (1982)",
)
def chaikin_money_flow(frame: Bars, bars: int) -> Array:
    """Volume weighted by where in its range each bar closed (-1 low, 1 high); 0 without volume or range."""
    position = ratio(2 * frame.close - frame.high - frame.low, frame.high - frame.low, 0.0)
    return ratio(rolling_sum(position * frame.volume, bars), frame.volume_sum(bars), 0.0)


@feature(
    "mfi_{bars}",
    inputs=_HLCV,
    each=[{"bars": 14}],
    lookback=lambda bars: bars + 1,
    unit="percent",
    low=0,
    high=100,
    source="Quong & Soudack (1989); TA-Lib MFI",
)
def money_flow_index(frame: Bars, bars: int) -> Array:
    """Share of the traded value in bars with a rising typical price; 50 where none moved or nothing was traded."""
    move = frame.typical - shift(frame.typical, 1)
    moved = np.abs(move) > _EQUAL * frame.typical
    inflow = rolling_sum(frame.quote_volume * (moved & (move > 0)), bars)
    outflow = rolling_sum(frame.quote_volume * (moved & (move < 0)), bars)
    return 100 * ratio(inflow, inflow + outflow, 0.5)


@feature(
    "volume_zscore_{bars}",
    inputs=["volume"],
    each=[{"bars": DAY}],
    lookback=lambda bars: bars,
    unit="standard deviations",
    source="standard score",
)
def volume_zscore(frame: Bars, bars: int) -> Array:
    """Distance of the volume from its mean in standard deviations; 0 at a constant volume."""
    return ratio(frame.volume - frame.volume_sum(bars) / bars, np.sqrt(frame.volume_variance(bars)), 0.0)


@feature(
    "relative_volume_{bars}",
    inputs=["volume"],
    each=[{"bars": 20}],
    lookback=lambda bars: bars,
    unit="multiples of the mean",
    low=0,
    source="volume over its mean",
)
def relative_volume(frame: Bars, bars: int) -> Array:
    """The bar's volume over its mean; 1 without any."""
    return ratio(bars * frame.volume, frame.volume_sum(bars), 1.0)


@feature(
    "volume_trend_{fast}_{slow}",
    inputs=["volume"],
    each=[{"fast": 12, "slow": 48}],
    lookback=lambda fast, slow: ema_memory(slow),
    unit="fraction",
    low=-1,
    source="percentage volume oscillator / 100",
)
def volume_trend(frame: Bars, fast: int, slow: int) -> Array:
    """Short over long exponential mean of the volume, minus 1; 0 without any."""
    return ratio(ewma(frame.volume, 2 / (fast + 1)), ewma(frame.volume, 2 / (slow + 1)), 1.0) - 1


@feature(
    "illiquidity_ratio_{short}_{long}",
    inputs=_HLCV,
    each=[{"short": FOUR_HOURS, "long": WEEK}],
    lookback=lambda short, long: long + 1,
    unit="logarithm of the ratio",
    source="Amihud (2002), ratio of sums on two horizons",
)
def illiquidity_ratio(frame: Bars, short: int, long: int) -> Array:
    """Logarithm of absolute return per traded value, short over long horizon; 0 where either is 0."""
    move = np.abs(frame.log_return)

    def illiquidity(bars: int) -> Array:
        return ratio(rolling_sum(move, bars), rolling_sum(frame.quote_volume, bars), 0.0)

    now, usual = illiquidity(short), illiquidity(long)
    return np.log(np.where((now == 0) | (usual == 0), 1.0, now / usual))


@feature(
    "volume_move_correlation_{bars}",
    inputs=_CV,
    each=[{"bars": 96}],
    lookback=lambda bars: bars + 1,
    unit="correlation",
    low=-1,
    high=1,
    source="Karpoff (1987)",
)
def volume_move_correlation(frame: Bars, bars: int) -> Array:
    """Correlation of volume and absolute log return; 0 where either is constant."""
    move = np.abs(frame.log_return)
    total = rolling_sum(move, bars)
    covariance = (rolling_sum(frame.volume * move, bars) - frame.volume_sum(bars) * total / bars) / bars
    scale = frame.volume_variance(bars) * variance_from_sums(total, frame.realised_variance(bars), bars)
    return np.clip(ratio(covariance, np.sqrt(scale), 0.0), -1, 1)


@feature(
    "force_{bars}",
    inputs=_HLCV,
    each=[{"bars": 13}],
    lookback=lambda bars: ema_memory(bars) + 1,
    unit="share of range times volume",
    low=-1,
    high=1,
    source="Elder (1993), force index over the mean of true range times volume",
)
def force(frame: Bars, bars: int) -> Array:
    """Exponential mean of change times volume, over that of true range times volume; 0 without either."""
    alpha = 2 / (bars + 1)
    return ratio(ewma(frame.change * frame.volume, alpha), ewma(frame.true_range * frame.volume, alpha), 0.0)


@feature(
    "traded_share_{bars}",
    inputs=["volume"],
    each=[{"bars": DAY}],
    lookback=lambda bars: bars,
    unit="share of the bars",
    low=0,
    high=1,
    source="share of bars with volume",
)
def traded_share(frame: Bars, bars: int) -> Array:
    """Share of the bars in which anything was traded."""
    return rolling_mean((frame.volume > 0).astype(np.float64), bars)


@feature(
    "chaikin_oscillator_{fast}_{slow}",
    inputs=_HLCV,
    each=[{"fast": 3, "slow": 10}],
    lookback=lambda fast, slow: ema_memory(slow),
    unit="multiples of the mean volume",
    source="Chaikin (1980s); TA-Lib ADOSC over the exponential mean of the volume",
)
def chaikin_oscillator(frame: Bars, fast: int, slow: int) -> Array:
    """Fast minus slow mean of the accumulation line, written as weights of its steps; 0 without volume."""
    position = ratio(2 * frame.close - frame.high - frame.low, frame.high - frame.low, 0.0) * frame.volume

    def lag(bars: int) -> Array:
        return ewma(position, 2 / (bars + 1), ema_memory(slow)) * ((bars - 1) / 2)

    return ratio(lag(slow) - lag(fast), ewma(frame.volume, 2 / (slow + 1)), 0.0)


@feature(
    "ease_of_movement_{bars}",
    inputs=["high", "low", "volume"],
    each=[{"bars": 14}],
    lookback=lambda bars: bars + 1,
    unit="share of the ranges, by volume",
    source="Arms (1983), over the window's mean volume and mean range",
)
def ease_of_movement(frame: Bars, bars: int) -> Array:
    """How far the middle of the range moved per volume, in the window's own terms; 0 without range or volume."""
    middle, range_ = (frame.high + frame.low) / 2, frame.high - frame.low
    eased = ratio((middle - shift(middle, 1)) * range_, frame.volume, 0.0)
    return ratio(rolling_sum(eased, bars) * frame.volume_sum(bars), rolling_sum(range_, bars) ** 2, 0.0)


@feature(
    "price_volume_trend_{bars}",
    inputs=_CV,
    each=[{"bars": 20}],
    lookback=lambda bars: bars + 1,
    unit="fraction per bar",
    source="change of the price volume trend over the volume",
)
def price_volume_trend(frame: Bars, bars: int) -> Array:
    """Mean relative change of the close, weighted by volume; 0 without volume."""
    change = frame.close / frame.previous_close - 1
    return ratio(rolling_sum(change * frame.volume, bars), frame.volume_sum(bars), 0.0)


@feature(
    "quiet_return_{bars}",
    inputs=_CV,
    each=[{"bars": DAY}],
    lookback=lambda bars: bars + 1,
    unit="log return",
    source="Dysart (1936), change of the negative volume index",
)
def negative_volume_index(frame: Bars, bars: int) -> Array:
    """Log return of those bars that had less volume than the one before."""
    return rolling_sum(frame.log_return * (frame.volume < shift(frame.volume, 1)), bars)


@feature(
    "busy_return_{bars}",
    inputs=_CV,
    each=[{"bars": DAY}],
    lookback=lambda bars: bars + 1,
    unit="log return",
    source="Dysart (1936), change of the positive volume index",
)
def positive_volume_index(frame: Bars, bars: int) -> Array:
    """Log return of those bars that had more volume than the one before."""
    return rolling_sum(frame.log_return * (frame.volume > shift(frame.volume, 1)), bars)


@feature(
    "volume_concentration_{bars}",
    inputs=["volume"],
    each=[{"bars": DAY}],
    lookback=lambda bars: bars,
    unit="multiples of an even spread",
    low=0,
    source="Herfindahl index",
)
def volume_concentration(frame: Bars, bars: int) -> Array:
    """How unevenly the volume was spread over the bars (1 evenly); 1 without any."""
    total = frame.volume_sum(bars)
    return ratio(bars * rolling_sum(frame.volume**2, bars), total * total, 1.0)
