"""The price model behind the sample source: SYNTHETIC candles with, or without, a planted edge.

A seed and a market determine the path. Every ingredient is drawn from a random stream of its own, in the order of
time: a longer history goes on where a shorter one ends, and a month asked alone is a slice of the same path.

The market without an edge
    One-minute log returns are ``sigma * (z - sigma / 2)``: ``z`` is Student-t (heavy tails), ``sigma`` is a log-normal
    volatility with a slow and a fast autoregressive part (clustering) and a daily season. ``sigma`` is drawn
    independently of ``z``, so the price is a martingale: nothing known before a minute says which way it goes. Within a
    minute, high and low are the extremes of a Brownian bridge between open and close, so that a barrier touched
    inside a minute is as fair a game as the closes. Volume follows volatility, the size of the move and its own memory.

The flow
    A hidden state is 0 (quiet), +1 (buyers) or -1 (sellers). Episodes of some hours come about one and a half times a
    day; of every two that follow each other, one is of buyers and one of sellers, in random order. In an episode more
    is traded (``FLOW_VOLUME``), and when the price has just moved with the flow, more than when it moved against it
    (``FLOW_TILT``). Every market has these episodes: by volume and volatility the markets look alike.

The planted edge
    In a market with an edge the price follows the flow ``LAG_MINUTES`` later, with a drift of ``EDGE`` standard
    deviations of an hour's return per hour. In one 15-minute bar that is 0.4 standard deviations, too little to see;
    over some hours of price and volume it tells. Without an edge, the same volume says nothing about the price. Buyers
    and sellers come equally often, so there is as much to find for a short position as for a long one.

A planted reversion
    A market may give back a share of each of its moves, half of that within ``REVERSION_MINUTES``, as one does whose
    price is pushed away from its worth by who trades, and comes back. Of returns in standard deviations, the drift is
    against their exponentially weighted sum, so that the wanted share of a move is gone in the end. No market of the
    sample does it: worlds of the placebo do.

The pace
    The sample lives at the pace of 15-minute decisions. At another pace episodes, lag and memories last that many times
    as long, and the drift is as many deviations of a return over that much more time: in bars of a timeframe that is as
    many times coarser the market is what the sample is in bars of 15 minutes. The volatility of a year and the season
    of a day stay what they are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

EDGE: Final = 0.75
"""Strength of the planted edge: drift in standard deviations of an hour's return, per hour of an episode."""

LAG_MINUTES: Final = 120
"""How much later than the flow the price moves."""

REVERSION_MINUTES: Final = 120
"""Half-life of what is left of a move that is given back."""

QUIET_HOURS: Final = 9.0
EPISODE_HOURS: Final = 7.0
"""Mean lengths of the quiet stretches and of the episodes between them."""

FLOW_VOLUME: Final = 0.7
FLOW_TILT: Final = 1.0
TILT_HALF_LIFE: Final = 8.0
"""Effects of the flow on the log of volume; the tilt looks at returns with this half-life in minutes."""

ANNUAL_VOLATILITY: Final = 0.68
"""Root mean square of the volatility, per year of 365 days, before the edge's drift adds to it."""

TAIL_DEGREES: Final = 5.0
"""Degrees of freedom of the Student-t returns."""

SLOW_VOLATILITY: Final = (2 * 1440.0, 0.25)
FAST_VOLATILITY: Final = (120.0, 0.25)
VOLUME_MEMORY: Final = (30.0, 0.3)
"""Half-life in minutes and standard deviation of the autoregressive parts of log volatility and log volume."""

VOLUME_NOISE: Final = 0.35
"""Standard deviation of what is left in log volume."""

SEASON: Final = 0.25
"""Half the distance in log volatility between the busiest and the quietest hour of the day."""

_MINUTES_PER_YEAR: Final = 365 * 1440


def stable_rng(seed: int, *names: str) -> np.random.Generator:
    """A generator for a seed and names: the same on every machine, unrelated between names."""
    digest = hashlib.sha256(":".join((str(seed), *names)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16])))


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a candle is, and how slowly the market lives.

    Attributes
    ----------
    candle_minutes
        Length of a candle.
    stretch
        How many times as long as in the sample everything takes but a year and a day.
    """

    candle_minutes: int = 1
    stretch: float = 1.0

    @property
    def candles_per_year(self) -> float:
        """Of 365 days."""
        return _MINUTES_PER_YEAR / self.candle_minutes

    def candles(self, minutes: float) -> float:
        """How many candles the sample's minutes are at this pace."""
        return minutes * self.stretch / self.candle_minutes


SAMPLE_PACE: Final = Pace()
"""One-minute candles, for decisions on bars of 15 minutes."""


def simulate(
    rows: int,
    *,
    seed: int,
    market: str,
    first_price: float,
    edge: float,
    reversion: float = 0.0,
    pace: Pace = SAMPLE_PACE,
) -> dict[str, Array]:
    """Simulate candles of one market, the first one at midnight UTC.

    Parameters
    ----------
    rows
        Number of candles.
    seed, market
        Together they determine the path.
    first_price
        Open of the first candle.
    edge
        Drift of a flow episode, in standard deviations of an hour's return, per hour; 0 for a martingale.
    reversion
        The share of each move that is given back.
    pace
        Length of the candles, and how long everything takes.

    Returns
    -------
    dict
        ``open, high, low, close`` (rounded to 0.01), ``volume`` (base units, rounded to 0.001).
    """
    streams = _Streams(seed, market, rows, pace)
    sigma = _volatility(streams)
    z = streams.student_t("returns", TAIL_DEGREES)
    flow = _flow(streams)
    lag = round(pace.candles(LAG_MINUTES))
    pull = np.concatenate((np.zeros(lag), flow))[:rows] * edge / np.sqrt(pace.candles(60))
    pull = pull - _given_back(z, reversion, pace)
    path = np.concatenate(([0.0], np.cumsum(sigma * (z + pull - sigma / 2))))
    high, low = _bridge_extremes(streams, path[:-1], path[1:], sigma)
    prices = np.round(first_price * np.exp(path), 2)
    opens, closes = prices[:-1], prices[1:]
    return {
        "open": opens,
        "high": np.maximum(np.round(first_price * np.exp(high), 2), np.maximum(opens, closes)),
        "low": np.minimum(np.round(first_price * np.exp(low), 2), np.minimum(opens, closes)),
        "close": closes,
        "volume": _volume(streams, sigma, z, flow, first_price),
    }


@dataclass(frozen=True, slots=True)
class _Streams:
    """Random numbers by purpose: each purpose has its own stream, and the n-th number of it is that of candle n."""

    seed: int
    market: str
    rows: int
    pace: Pace

    def generator(self, purpose: str) -> np.random.Generator:
        return stable_rng(self.seed, self.market, purpose)

    def normal(self, purpose: str) -> Array:
        return self.generator(purpose).standard_normal(self.rows)

    def student_t(self, purpose: str, degrees: float) -> Array:
        """Of unit variance; a dozen deviations are the end."""
        drawn: Array = self.generator(purpose).standard_t(degrees, self.rows) * np.sqrt((degrees - 2) / degrees)
        return drawn.clip(-12, 12)

    def remembering(self, purpose: str, half_life: float, deviation: float) -> Array:
        """A stationary AR(1) with the given half-life in minutes and standard deviation."""
        return deviation * _smooth(self.normal(purpose), self.pace.candles(half_life))


def _smooth(shocks: Array, half_life: float) -> Array:
    """Exponentially weighted sum of unit shocks, its half-life in candles, of unit variance from the first value on."""
    from scipy.signal import lfilter

    keep = 0.5 ** (1 / half_life)
    scaled = shocks * np.sqrt(1 - keep**2)
    scaled[0] = shocks[0]
    series: Array = np.asarray(lfilter([1.0], [1.0, -keep], scaled), dtype=np.float64)
    return series


def _given_back(shocks: Array, share: float, pace: Pace) -> Array:
    """What each candle takes back of the moves before it: of a unit shock, ``share`` in the end."""
    from scipy.signal import lfilter

    if not share:
        return np.zeros_like(shocks)
    keep = 0.5 ** (1 / pace.candles(REVERSION_MINUTES))
    left: Array = np.asarray(lfilter([0.0, 1.0], [1.0, -keep], shocks), dtype=np.float64)
    left *= share * (1 - keep)
    return left


def _volatility(streams: _Streams) -> Array:
    """Standard deviation of each candle's log return; its mean square matches ``ANNUAL_VOLATILITY``."""
    hour = (np.arange(streams.rows) * streams.pace.candle_minutes / 60.0) % 24
    season = SEASON * np.cos(2 * np.pi * (hour - 15) / 24)  # busiest around 15:00 UTC
    log = streams.remembering("slow volatility", *SLOW_VOLATILITY)
    log += streams.remembering("fast volatility", *FAST_VOLATILITY) + season
    variance = SLOW_VOLATILITY[1] ** 2 + FAST_VOLATILITY[1] ** 2 + SEASON**2 / 2
    sigma: Array = ANNUAL_VOLATILITY / np.sqrt(streams.pace.candles_per_year) * np.exp(log - variance)
    return sigma


def _flow(streams: _Streams) -> Array:
    """The hidden state of each candle: -1, 0 or +1, in quiet stretches and episodes by turns."""
    hour = streams.pace.candles(60)
    episodes = 2 * int(streams.rows / hour / (QUIET_HOURS + EPISODE_HOURS)) + 20
    quiet = streams.generator("quiet").gamma(3.0, QUIET_HOURS / 3, episodes)
    busy = streams.generator("episodes").gamma(4.0, EPISODE_HOURS / 4, episodes)
    sign = np.where(streams.generator("signs").random(episodes // 2) < 0.5, 1.0, -1.0)
    states = np.stack((np.zeros(episodes), np.stack((sign, -sign), axis=1).ravel()), axis=1)
    lengths = np.maximum(np.round(np.stack((quiet, busy), axis=1) * hour), 1).astype(np.int64)
    flow: Array = np.repeat(states.ravel(), lengths.ravel())[: streams.rows]
    return flow


def _bridge_extremes(streams: _Streams, start: Array, end: Array, sigma: Array) -> tuple[Array, Array]:
    """Maximum and minimum of a Brownian bridge from ``start`` to ``end`` over one candle (each exact on its own)."""
    move = end - start
    above, below = (
        -2 * sigma**2 * np.log(1 - streams.generator(side).random(streams.rows)) for side in ("highs", "lows")
    )
    return start + (move + np.sqrt(move**2 + above)) / 2, start + (move - np.sqrt(move**2 + below)) / 2


def _volume(streams: _Streams, sigma: Array, z: Array, flow: Array, first_price: float) -> Array:
    """Base units traded in each candle."""
    log = np.log(sigma * np.sqrt(streams.pace.candles_per_year) / ANNUAL_VOLATILITY) + 0.4 * np.log1p(np.abs(z))
    log += streams.remembering("volume memory", *VOLUME_MEMORY) + VOLUME_NOISE * streams.normal("volume")
    log += FLOW_VOLUME * np.abs(flow) + FLOW_TILT * flow * np.tanh(_smooth(z, streams.pace.candles(TILT_HALF_LIFE)))
    volume: Array = np.round(streams.pace.candle_minutes * 20_000.0 / first_price * np.exp(log), 3)
    return np.maximum(volume, 0.001)
