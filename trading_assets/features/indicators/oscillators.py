"""Oscillators: further measures of momentum that swing around a centre or within bounds."""

from __future__ import annotations

import numpy as np

from trading_assets.features.framework.bars import Bars, ema_memory
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.spans import DAY, HOUR
from trading_assets.features.framework.windows import (
    Array,
    ewma,
    ewma_memory,
    linear_mean,
    ratio,
    rolling_mean,
    rolling_share_below,
    rolling_sum,
    shift,
)

_HLC = ("high", "low", "close")
_OHLC = ("open", *_HLC)


@feature(
    "kst",
    inputs=["close"],
    lookback=30 + 15,
    unit="percent",
    source="Pring (1992), weighted mean instead of sum",
)
def know_sure_thing(frame: Bars) -> Array:
    """Weighted mean of four smoothed rates of change."""
    parts = ((10, 10, 1), (15, 10, 2), (20, 10, 3), (30, 15, 4))
    weighted = [weight * rolling_mean(frame.close / shift(frame.close, bars) - 1, mean) for bars, mean, weight in parts]
    return np.asarray(10 * np.add.reduce(weighted))


@feature(
    "coppock", inputs=["close"], lookback=15 + 10 - 1, unit="fraction", source="Coppock (1962), 14, 11 and 10 bars"
)
def coppock(frame: Bars) -> Array:
    """Linearly weighted mean of two rates of change."""
    return linear_mean(frame.close / shift(frame.close, 14) + frame.close / shift(frame.close, 11) - 2, 10)


@feature(
    "awesome_oscillator",
    "accelerator_oscillator",
    inputs=_HLC,
    lookback=38,
    unit="fraction of the close",
    source="Williams (1995), means of 5 and 34 bars, over the close",
)
def awesome_oscillator(frame: Bars) -> tuple[Array, ...]:
    """Short minus long mean of the middle of the range, and that minus its own mean of 5 bars."""
    middle = (frame.high + frame.low) / 2
    line = (rolling_mean(middle, 5) - rolling_mean(middle, 34)) / frame.close
    return line, line - rolling_mean(line, 5)


@feature(
    "vigor_{bars}",
    inputs=_OHLC,
    each=[{"bars": 10}],
    lookback=lambda bars: bars + 3,
    unit="share of the range",
    low=-1,
    high=1,
    source="Ehlers (2002), relative vigor index",
)
def relative_vigor(frame: Bars, bars: int) -> Array:
    """Smoothed bodies over smoothed ranges; 0 without a range."""

    def smooth(values: Array) -> Array:
        return (values + 2 * shift(values, 1) + 2 * shift(values, 2) + shift(values, 3)) / 6

    bodies = rolling_sum(smooth(frame.close - frame.open), bars)
    return ratio(bodies, rolling_sum(smooth(frame.high - frame.low), bars), 0.0)


@feature(
    "stochastic_momentum_{bars}",
    inputs=_HLC,
    each=[{"bars": 10, "smooth": 3}],
    lookback=lambda bars, smooth: bars + 2 * (ema_memory(smooth) - 1),
    unit="percent",
    low=-100,
    high=100,
    source="Blau (1993)",
)
def stochastic_momentum(frame: Bars, bars: int, smooth: int) -> Array:
    """Twice smoothed distance from the middle of the range over the smoothed half range; 0 without a range."""

    def twice(values: Array) -> Array:
        return ewma(ewma(values, 2 / (smooth + 1)), 2 / (smooth + 1))

    highest, lowest = frame.highest(bars), frame.lowest(bars)
    place = ratio(twice(frame.close - (highest + lowest) / 2), twice(highest - lowest) / 2, 0.0)
    return 100 * np.clip(place, -1, 1)


@feature(
    "fisher_{bars}",
    inputs=_HLC,
    each=[{"bars": 9}],
    lookback=lambda bars: bars + ewma_memory(0.33) + ewma_memory(0.5) - 2,
    unit="Fisher transform",
    source="Ehlers (2002)",
)
def fisher_transform(frame: Bars, bars: int) -> Array:
    """The smoothed place of the middle price in its range, stretched at both ends; 0 without a range."""
    middle = (frame.high + frame.low) / 2
    highest, lowest = frame.highest(bars), frame.lowest(bars)
    place = np.clip(ewma(2 * ratio(middle - lowest, highest - lowest, 0.5) - 1, 0.33), -0.999, 0.999)
    return ewma(np.log((1 + place) / (1 - place)), 0.5)


@feature(
    "psychological_line_{bars}",
    inputs=["close"],
    each=[{"bars": 12}],
    lookback=lambda bars: bars + 1,
    unit="share of the bars",
    low=0,
    high=1,
    source="share of rising bars",
)
def psychological_line(frame: Bars, bars: int) -> Array:
    """Share of the bars with a higher close than the one before."""
    return rolling_mean((frame.change > 0) + 0 * frame.change, bars)


@feature(
    "buying_will_{bars}",
    inputs=_OHLC,
    each=[{"bars": 26}],
    lookback=lambda bars: bars,
    unit="share of the range",
    low=0,
    high=1,
    source="AR indicator as a share",
)
def buying_will(frame: Bars, bars: int) -> Array:
    """Summed way from open to high over that from low to high; 0.5 without a range."""
    up = rolling_sum(frame.high - frame.open, bars)
    return ratio(up, up + rolling_sum(frame.open - frame.low, bars), 0.5)


@feature(
    "buying_power_{bars}",
    inputs=_HLC,
    each=[{"bars": 26}],
    lookback=lambda bars: bars + 1,
    unit="share of the ways",
    low=0,
    high=1,
    source="BR indicator as a share",
)
def buying_power(frame: Bars, bars: int) -> Array:
    """Way from the close before up to the high over both ways; 0.5 without any."""
    up = rolling_sum(np.maximum(frame.high - frame.previous_close, 0), bars)
    down = rolling_sum(np.maximum(frame.previous_close - frame.low, 0), bars)
    return ratio(up, up + down, 0.5)


@feature(
    "intraday_momentum_{bars}",
    inputs=["open", "close"],
    each=[{"bars": 14}],
    lookback=lambda bars: bars,
    unit="percent",
    low=0,
    high=100,
    source="Chande & Kroll (1994)",
)
def intraday_momentum(frame: Bars, bars: int) -> Array:
    """Share of rising bodies in all bodies; 50 without any."""
    body = frame.close - frame.open
    return 100 * ratio(rolling_sum(np.maximum(body, 0), bars), rolling_sum(np.abs(body), bars), 0.5)


@feature(
    "close_percentile_{bars}",
    inputs=["close"],
    each=[{"bars": DAY}],
    lookback=lambda bars: bars + 1,
    unit="share of the samples",
    low=0,
    high=1,
    source="percentile within a day, sampled every hour, or every bar where bars are longer",
)
def close_percentile(frame: Bars, bars: int) -> Array:
    """The share of the last day's closes, one an hour, that were below the present one."""
    return rolling_share_below(frame.close, bars, HOUR.bars(frame.timeframe))
