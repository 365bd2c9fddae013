"""Microstructure from candles: what spreads, impact and informed trading leave behind in prices and volume."""

from __future__ import annotations

import math

import numpy as np

from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.windows import Array, ratio, rolling_mean, rolling_sum, shift

_HLC = ("high", "low", "close")
_OHLC = ("open", *_HLC)
_WINDOW = 96
"""An estimate needs a number of bars, whatever their timeframe."""


@feature(
    "corwin_schultz_{bars}",
    inputs=["high", "low"],
    each=[{"bars": _WINDOW}],
    lookback=lambda bars: bars + 1,
    unit="fraction of the price",
    low=0,
    source="Corwin & Schultz (2012), negative estimates as 0",
)
def corwin_schultz_spread(frame: Bars, bars: int) -> Array:
    """Mean spread that the ranges of one and of two bars imply together."""
    single = frame.log_range**2
    beta = single + shift(single, 1)
    highest, lowest = np.maximum(frame.high, shift(frame.high, 1)), np.minimum(frame.low, shift(frame.low, 1))
    gamma = np.log(highest / lowest) ** 2
    width = 3 - 2 * math.sqrt(2)
    alpha = np.maximum((math.sqrt(2) - 1) * np.sqrt(beta) / width - np.sqrt(gamma / width), 0)
    growth = np.exp(alpha)
    return rolling_mean(2 * (growth - 1) / (1 + growth), bars)


@feature(
    "roll_spread_{bars}",
    inputs=["close"],
    each=[{"bars": _WINDOW}],
    lookback=lambda bars: bars + 2,
    unit="fraction of the price",
    low=0,
    source="Roll (1984), 0 where the covariance is positive",
)
def roll_spread(frame: Bars, bars: int) -> Array:
    """Twice the root of the negative covariance of successive log returns."""
    now, before = frame.log_return, shift(frame.log_return, 1)
    covariance = rolling_sum(now * before, bars) / bars - rolling_sum(now, bars) * rolling_sum(before, bars) / bars**2
    noise = 1e-12 * frame.realised_variance(bars)
    return 2 * np.sqrt(np.maximum(-covariance, 0) * (covariance < -noise))


@feature(
    "abdi_ranaldo_{bars}",
    inputs=_HLC,
    each=[{"bars": _WINDOW}],
    lookback=lambda bars: bars + 1,
    unit="fraction of the price",
    low=0,
    source="Abdi & Ranaldo (2017), 0 where the estimate is negative",
)
def abdi_ranaldo_spread(frame: Bars, bars: int) -> Array:
    """Spread from how far closes are from the middle of their own range and of the next."""
    middle = np.log(frame.high * frame.low) / 2
    close = shift(frame.log_close, 1)
    product = rolling_mean((close - shift(middle, 1)) * (close - middle), bars)
    return 2 * np.sqrt(np.maximum(product, 0))


@feature(
    "kyle_lambda_{bars}",
    inputs=[*_HLC, "volume"],
    each=[{"bars": _WINDOW}],
    lookback=lambda bars: bars + 1,
    unit="log return per mean traded value",
    source="Kyle (1985), slope of returns on traded value signed by the return",
)
def kyle_lambda(frame: Bars, bars: int) -> Array:
    """Price impact of the window's mean traded value; 0 without volume."""
    signed = np.sign(frame.change) * frame.quote_volume
    slope = ratio(rolling_sum(frame.log_return * signed, bars), rolling_sum(signed**2, bars), 0.0)
    return slope * rolling_sum(frame.quote_volume, bars) / bars


@feature(
    "amihud_{bars}",
    inputs=[*_HLC, "volume"],
    each=[{"bars": _WINDOW}],
    lookback=lambda bars: bars + 1,
    unit="log return per mean traded value",
    low=0,
    source="Amihud (2002), bars without volume left out",
)
def amihud(frame: Bars, bars: int) -> Array:
    """Mean absolute log return per traded value, times the window's mean traded value; 0 without volume."""
    impact = ratio(np.abs(frame.log_return), frame.quote_volume, 0.0)
    return rolling_mean(impact, bars) * rolling_mean(frame.quote_volume, bars)


@feature(
    "return_reversal_{bars}",
    inputs=[*_HLC, "volume"],
    each=[{"bars": _WINDOW}],
    lookback=lambda bars: bars + 2,
    unit="correlation",
    low=-1,
    high=1,
    source="after Pastor & Stambaugh (2003): returns on the signed traded value before",
)
def return_reversal(frame: Bars, bars: int) -> Array:
    """Correlation around zero of returns with the signed traded value of the bar before; 0 without either."""
    before = shift(np.sign(frame.change) * frame.quote_volume, 1)
    scale = np.sqrt(frame.realised_variance(bars) * rolling_sum(before**2, bars))
    return np.clip(ratio(rolling_sum(frame.log_return * before, bars), scale, 0.0), -1, 1)


@feature(
    "zero_return_share_{bars}",
    inputs=["close"],
    each=[{"bars": _WINDOW}],
    lookback=lambda bars: bars + 1,
    unit="share of the bars",
    low=0,
    high=1,
    source="Lesmond, Ogden & Trzcinka (1999)",
)
def zero_returns(frame: Bars, bars: int) -> Array:
    """Share of the bars that closed where the one before did."""
    return rolling_mean((frame.change == 0) + 0 * frame.change, bars)


@feature(
    "bulk_imbalance_{bars}",
    inputs=["close", "volume"],
    each=[{"bars": 48}],
    lookback=lambda bars: 2 * bars,
    unit="share of the volume",
    low=0,
    high=1,
    source="Easley, Lopez de Prado & O'Hara (2012): VPIN by bulk classification, bars for buckets",
)
def bulk_volume_imbalance(frame: Bars, bars: int) -> Array:
    """Share of the volume by which buyers and sellers differ, classified by the size of each move; 0 without volume."""
    deviation = np.sqrt(frame.realised_variance(bars) / bars)
    score = ratio(frame.log_return, deviation, 0.0)
    # the normal distribution's 2 Phi(z) - 1, to 4e-4 (Page 1977)
    signed = np.tanh(math.sqrt(2 / math.pi) * (score * (1 + 0.044715 * score * score)))
    return ratio(rolling_sum(np.abs(signed) * frame.volume, bars), frame.volume_sum(bars), 0.0)


@feature(
    "upper_shadow_share",
    "lower_shadow_share",
    inputs=_OHLC,
    lookback=1,
    unit="share of the range",
    low=0,
    high=1,
    source="candlestick shadows",
)
def shadows(frame: Bars) -> tuple[Array, ...]:
    """Upper and lower shadow over the range; 0 without a range."""
    range_ = frame.high - frame.low
    upper = ratio(frame.high - np.maximum(frame.open, frame.close), range_, 0.0)
    return upper, ratio(np.minimum(frame.open, frame.close) - frame.low, range_, 0.0)


@feature(
    "close_location", inputs=_HLC, lookback=1, unit="share of the range", low=-1, high=1, source="close location value"
)
def close_location(frame: Bars) -> Array:
    """Where in its range the bar closed (-1 low, 1 high); 0 without a range."""
    return ratio(2 * frame.close - frame.high - frame.low, frame.high - frame.low, 0.0)


@feature("opening_gap", inputs=["open", "close"], lookback=2, unit="log return", source="open against the close before")
def opening_gap(frame: Bars) -> Array:
    """Logarithm of the open over the close before."""
    return np.log(frame.open / frame.previous_close)
