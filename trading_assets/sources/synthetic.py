"""The price model behind the sample source: SYNTHETIC one-minute candles with, or without, a planted edge.

Everything is drawn once for the whole history from one seed, so a month asked alone is a slice of the same path.

The market without an edge
    One-minute log returns are ``sigma * (z - sigma / 2)``: ``z`` is Student-t (heavy tails), ``sigma`` is a log-normal
    volatility with a slow and a fast autoregressive part (clustering) and a daily season. ``sigma`` is drawn
    independently of ``z``, so the price is a martingale: nothing known before a minute says which way it goes. Within a
    minute the high and the low are those of a Brownian bridge between open and close, hence a barrier touched inside a
    minute is as fair a game as the closes. Volume follows volatility, the size of the move and its own memory.

The flow episodes
    A hidden state is 0 (quiet), +1 (buyers) or -1 (sellers); episodes last about half a day. In an episode volume is
    raised by ``FLOW_VOLUME``, and minutes that move with the flow trade more than those against it (``FLOW_TILT``).
    Every market has them, so volume and volatility look alike everywhere.

The planted edge
    In the markets of ``PLANTED``, an episode also pulls the price by ``EDGE`` standard deviations per hour in its
    direction. That is all: the drift is hidden below the volatility (it needs hours to show in the returns), and its
    tracks in volume come with it, not before it.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

EDGE: Final = 0.75
"""Drift of a flow episode in planted markets, in standard deviations of an hour's return, per hour."""

ANNUAL_VOLATILITY: Final = 0.68
TAIL_DEGREES: Final = 5.0
SLOW_VOLATILITY: Final = (2 * 1440.0, 0.25)
FAST_VOLATILITY: Final = (120.0, 0.25)
SEASON: Final = 0.25
VOLUME_MEMORY: Final = (30.0, 0.3)
VOLUME_NOISE: Final = 0.35
QUIET_HOURS: Final = 9.0
EPISODE_HOURS: Final = 7.0
LAG_MINUTES: Final = 120
FLOW_VOLUME: Final = 0.7
FLOW_TILT: Final = 1.0
TILT_HALF_LIFE: Final = 8.0

_MINUTES_PER_YEAR: Final = 365 * 1440


def stable_rng(seed: int, *names: str) -> np.random.Generator:
    """A generator for a seed and names: the same on every machine, unrelated between names."""
    digest = hashlib.sha256(":".join((str(seed), *names)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16])))


def simulate(minutes: int, *, seed: int, market: str, first_price: float, edge: float) -> dict[str, Array]:
    """Simulate candles of one market.

    Parameters
    ----------
    minutes
        Number of one-minute candles.
    seed, market
        Together they determine the path.
    first_price
        Open of the first candle.
    edge
        Drift of a flow episode, in standard deviations of an hour's return, per hour; 0 for a martingale.

    Returns
    -------
    dict
        ``open, high, low, close`` (rounded to 0.01), ``volume`` (base units, rounded to 0.001).
    """
    rng = stable_rng(seed, market)
    sigma = _volatility(rng, minutes)
    z = np.clip(rng.standard_t(TAIL_DEGREES, minutes) / np.sqrt(TAIL_DEGREES / (TAIL_DEGREES - 2)), -12, 12)
    flow = _flow(rng, minutes)
    pull = np.concatenate((np.zeros(LAG_MINUTES), flow))[:minutes] * edge / np.sqrt(60)
    returns = sigma * (z + pull - sigma / 2)
    path = np.concatenate(([0.0], np.cumsum(returns)))
    prices = np.round(first_price * np.exp(path), 2)
    high, low = _bridge_extremes(rng, path[:-1], path[1:], sigma)
    opens, closes = prices[:-1], prices[1:]
    return {
        "open": opens,
        "high": np.maximum(np.round(first_price * np.exp(high), 2), np.maximum(opens, closes)),
        "low": np.minimum(np.round(first_price * np.exp(low), 2), np.minimum(opens, closes)),
        "close": closes,
        "volume": _volume(rng, sigma, z, flow, first_price),
    }


def _autoregressive(rng: np.random.Generator, minutes: int, half_life: float, deviation: float) -> Array:
    """A stationary AR(1) with the given half-life in minutes and standard deviation."""
    return deviation * _smooth(rng.standard_normal(minutes), half_life)


def _smooth(shocks: Array, half_life: float) -> Array:
    """Exponentially weighted sum of unit shocks, scaled to unit variance from the first value on."""
    from scipy.signal import lfilter

    keep = 0.5 ** (1 / half_life)
    scaled = shocks * np.sqrt(1 - keep**2)
    scaled[0] = shocks[0]
    series: Array = np.asarray(lfilter([1.0], [1.0, -keep], scaled), dtype=np.float64)
    return series


def _season(minutes: int) -> Array:
    """The log of the daily pattern: busiest around 15:00 UTC, quietest around 03:00."""
    hour = (np.arange(minutes) / 60.0) % 24
    return SEASON * np.cos(2 * np.pi * (hour - 15) / 24)


def _volatility(rng: np.random.Generator, minutes: int) -> Array:
    """Standard deviation of each minute's log return; its mean square matches ``ANNUAL_VOLATILITY``."""
    log = _autoregressive(rng, minutes, *SLOW_VOLATILITY) + _autoregressive(rng, minutes, *FAST_VOLATILITY)
    variance = SLOW_VOLATILITY[1] ** 2 + FAST_VOLATILITY[1] ** 2 + SEASON**2 / 2
    sigma: Array = ANNUAL_VOLATILITY / np.sqrt(_MINUTES_PER_YEAR) * np.exp(log + _season(minutes) - variance)
    return sigma


def _flow(rng: np.random.Generator, minutes: int) -> Array:
    """The hidden state of each minute: -1, 0 or +1, in quiet stretches and episodes by turns."""
    episodes = 2 * int(minutes / 60 / (QUIET_HOURS + EPISODE_HOURS)) + 20
    hours = np.stack((rng.gamma(3.0, QUIET_HOURS / 3, episodes), rng.gamma(4.0, EPISODE_HOURS / 4, episodes)), axis=1)
    first = np.where(rng.random(episodes // 2) < 0.5, 1.0, -1.0)
    states = np.stack((np.zeros(episodes), np.stack((first, -first), axis=1).ravel()), axis=1)
    lengths = np.maximum(np.round(hours * 60), 1).astype(np.int64)
    flow: Array = np.repeat(states.ravel(), lengths.ravel())[:minutes]
    return flow


def _bridge_extremes(rng: np.random.Generator, start: Array, end: Array, sigma: Array) -> tuple[Array, Array]:
    """Maximum and minimum of a Brownian bridge from ``start`` to ``end`` over one minute (each exact on its own)."""
    move = end - start
    spread = -2 * sigma**2 * np.log(1 - rng.random((2, len(start))))
    high = start + (move + np.sqrt(move**2 + spread[0])) / 2
    low = start + (move - np.sqrt(move**2 + spread[1])) / 2
    return high, low


def _volume(rng: np.random.Generator, sigma: Array, z: Array, flow: Array, first_price: float) -> Array:
    """Base units traded in each minute."""
    minutes = len(sigma)
    relative = np.log(sigma * np.sqrt(_MINUTES_PER_YEAR) / ANNUAL_VOLATILITY)
    log = relative + _autoregressive(rng, minutes, *VOLUME_MEMORY) + VOLUME_NOISE * rng.standard_normal(minutes)
    log += (
        0.4 * np.log1p(np.abs(z)) + FLOW_VOLUME * np.abs(flow) + FLOW_TILT * flow * np.tanh(_smooth(z, TILT_HALF_LIFE))
    )
    volume: Array = np.round(20_000.0 / first_price * np.exp(log), 3)
    return np.maximum(volume, 0.001)
