"""Worlds whose truth is known: three kinds with nothing to find, one with a planted edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from trading_assets.core.candles import OHLCV, PRICES, timeframe_delta, timeframe_minutes
from trading_assets.core.errors import SettingsError
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.sources.candles.synthetic import EDGE, Pace, simulate, stable_rng

RANDOM_WALK: Final = "random walk"
PERMUTED: Final = "permuted returns"
SHIFTED: Final = "shifted labels"
PLANTED: Final = "planted edge"

KINDS: Final = {
    RANDOM_WALK: "a martingale with the volatility, tails and volume of the sample, or of a market's candles",
    PERMUTED: "stretches of four bars of a market in random order, without its drift",
    SHIFTED: "a planted world, or a market, whose outcomes were moved in time, away from the features",
    PLANTED: "a market that follows its flow: so many standard deviations of an hour's return per hour of an episode",
}
"""Kind -> what it is. Only the last one has anything to find."""

MARKET: Final = "sample:PLACEBO/USDT:USDT"
"""What every world's market is called: synthetic, whatever it was made from."""

START: Final = datetime(2025, 1, 1, tzinfo=UTC)
FIRST_PRICE: Final = 10_000.0
"""Prices have steps of 0.01, which must stay small where a price of years has fallen far."""

BLOCK_BARS: Final = 4
"""Permuted blocks: short against a label's horizon, long enough to keep bars as they were traded."""

PACE_TIMEFRAME: Final = Timeframe(15)
"""Of the decisions that the sample's edge is planted for."""

CANDLES: Final = tuple(Timeframe.parse(name) for name in ("1h", "15m", "5m", "1m"))
CANDLES_PER_BAR: Final = 12
"""Worlds are made of the coarsest of these candles that give a bar so many: outcomes are resolved well inside a bar."""


@dataclass(frozen=True, slots=True)
class World:
    """One world.

    Attributes
    ----------
    kind
        One of :data:`KINDS`.
    seed
        Together with kind and length it determines every candle.
    days
        Length of its history.
    timeframe
        Of the decisions that it is made for: its edge lives in bars of this timeframe.
    sides
        Of the model that it is made for. What is planted is the same for all, as buyers and sellers come equally often;
        each choice has worlds of its own.
    candle_timeframe
        Of the candles of a synthetic one.
    edge
        How strong a planted edge is: standard deviations of an hour's return per hour, at the sample's pace.
    """

    kind: str
    seed: int
    days: int
    timeframe: Timeframe = PACE_TIMEFRAME
    sides: tuple[Side, ...] = (Side.LONG,)
    candle_timeframe: str = "1m"
    edge: float = EDGE

    @property
    def has_edge(self) -> bool:
        """Whether there is something to find."""
        return self.kind == PLANTED

    @property
    def name(self) -> str:
        """Its name among all worlds of a run."""
        return f"{self.kind} {self.seed}"

    def candles(self, source: pl.DataFrame | None = None) -> pl.DataFrame:
        """Its candles.

        Parameters
        ----------
        source
            Candles of a real market, ascending, of the timeframe that its column says: what null worlds are made from.
            Without, a synthetic one.

        Returns
        -------
        polars.DataFrame
            Rows of the ``candles`` table of :data:`MARKET`, without gaps, from :data:`START` on.

        Raises
        ------
        SettingsError
            If ``source`` is shorter than the world.
        """
        if source is None or self.has_edge:
            made = self._simulated(0.0 if self.kind == RANDOM_WALK else self.edge)
            return self._permuted(made) if self.kind == PERMUTED else made
        if self.kind == PERMUTED:
            return self._permuted(source)
        timeframe, rng = str(source["timeframe"][0]), self._rng()
        stretch = excerpt(source, timeframe, rng, days=self.days)
        return mirrored(stretch, timeframe, rng) if self.kind == RANDOM_WALK else stretch

    def labels(self, labels: pl.DataFrame) -> pl.DataFrame:
        """The labels that its model learns from: the true ones, except where they are moved in time."""
        if self.kind != SHIFTED:
            return labels
        return shifted(labels, self._rng())

    @property
    def stream(self) -> str:
        """What its random numbers are drawn for: worlds for other decisions, or of another edge, share none with it."""
        sides = " and ".join(side.word for side in self.sides)
        strength = "" if self.edge == EDGE else f", edge of {self.edge:g}"
        return f"placebo {self.kind}, {sides} on {self.timeframe}, candles of {self.candle_timeframe}{strength}"

    def _rng(self) -> np.random.Generator:
        return stable_rng(self.seed, self.stream)

    def _simulated(self, edge: float) -> pl.DataFrame:
        minutes = timeframe_minutes(self.candle_timeframe)
        pace = Pace(minutes, self.timeframe.minutes / PACE_TIMEFRAME.minutes)
        rows = self.days * 1440 // minutes
        values = simulate(rows, seed=self.seed, market=self.stream, first_price=FIRST_PRICE, edge=edge, pace=pace)
        return _frame(values, self.candle_timeframe)

    def _permuted(self, source: pl.DataFrame) -> pl.DataFrame:
        candles = str(source["timeframe"][0])
        block = max(BLOCK_BARS * self.timeframe.minutes // timeframe_minutes(candles), 1)
        return permuted(source, candles, self._rng(), days=self.days, block=block)


def candles_for(timeframe: Timeframe) -> str:
    """The candles that worlds for decisions of a timeframe are made of.

    >>> [candles_for(Timeframe.parse(name)) for name in ("1m", "15m", "1h", "4h", "1d")]
    ['1m', '1m', '5m', '15m', '1h']
    """
    for candle in CANDLES:
        if candle.minutes * CANDLES_PER_BAR <= timeframe.minutes and timeframe.is_built_from(candle.name):
            return candle.name
    return CANDLES[-1].name


def worlds(
    *,
    null: int,
    planted: int,
    days: int,
    seed: int = 1,
    timeframe: Timeframe = PACE_TIMEFRAME,
    sides: Sequence[Side] = (Side.LONG,),
    candles: str | None = None,
    edge: float | None = None,
) -> list[World]:
    """``null`` worlds with nothing to find, the three kinds by turns, then ``planted`` ones.

    Parameters
    ----------
    null, planted
        How many.
    days
        Length of each history.
    seed
        Of the first of each kind; the next ones count on.
    timeframe, sides
        Of the decisions.
    candles
        Timeframe of synthetic candles; those of :func:`candles_for` where not given.
    edge
        How strong the planted edge is; as the sample's where not given.

    Raises
    ------
    SettingsError
        If there is no world, or bars cannot be built from the candles.
    """
    if null < 0 or planted < 0 or null + planted == 0:
        raise SettingsError(f"{null} null and {planted} planted worlds", where="placebo", remedy="at least one world")
    candles = candles or candles_for(timeframe)
    if not timeframe.is_built_from(candles):
        raise SettingsError(
            f"{timeframe} bars cannot be built from candles of {candles}",
            where="placebo",
            remedy=f"candles of {candles_for(timeframe)} are fine enough",
        )
    kinds = [kind for kind in KINDS if kind != PLANTED]
    order = [(kinds[i % len(kinds)], seed + i // len(kinds)) for i in range(null)]
    order += [(PLANTED, seed + i) for i in range(planted)]
    return [World(kind, number, days, timeframe, tuple(sides), candles, edge or EDGE) for kind, number in order]


def permuted(source: pl.DataFrame, timeframe: str, rng: np.random.Generator, *, days: int, block: int) -> pl.DataFrame:
    """Candles of a market in random order, ``block`` by block, some of them again where ``days`` need more than it has.

    Every candle keeps its shape and volume; the mean return is taken out, so that holding the market earns nothing
    either. Order beyond a block, and with it whatever could be predicted further ahead, is destroyed.
    """
    wanted = days * 1440 // timeframe_minutes(timeframe)
    blocks = source.height // block
    if blocks < 2:
        raise SettingsError(
            f"{source.height} candles cannot be permuted", where="placebo", remedy="give a longer market"
        )
    drawn = [rng.permutation(blocks) for _ in range(-(-wanted // (block * blocks)))]
    rows = (np.concatenate(drawn)[:, None] * block + np.arange(block)).ravel()[:wanted]
    shapes = {name: shape[rows] for name, shape in _shapes(source).items()}
    drift = float(np.mean(np.exp(shapes["close"]) - 1))
    volume = source["volume"].to_numpy()[rows]
    return _strung({name: shape - np.log1p(drift) for name, shape in shapes.items()}, volume, timeframe)


def mirrored(source: pl.DataFrame, timeframe: str, rng: np.random.Generator) -> pl.DataFrame:
    """Candles of a market, each of which a coin turns upside down: its volatility and volume, and no direction.

    Each step is rid of what a fair coin earns on a log scale (the log of the cosh of the move), so that the closes are
    a martingale whatever is known of sizes and volumes, which keep their order and so all that can be told from them.
    """
    shapes, coin = _shapes(source), np.where(rng.random(source.height) < 0.5, 1.0, -1.0)
    toll = np.log(np.cosh(shapes["close"]))
    turned = {name: coin * shape - toll for name, shape in shapes.items()}
    turned["high"], turned["low"] = np.maximum(turned["high"], turned["low"]), np.minimum(turned["high"], turned["low"])
    return _strung(turned, source["volume"].to_numpy(), timeframe)


def excerpt(source: pl.DataFrame, timeframe: str, rng: np.random.Generator, *, days: int) -> pl.DataFrame:
    """``days`` of a market from a random candle on, as if there were no gaps.

    Raises
    ------
    SettingsError
        If the market is shorter.
    """
    per_day = 1440 // timeframe_minutes(timeframe)
    if source.height < days * per_day:
        raise SettingsError(
            f"{source.height // per_day} days of candles make no world of {days}",
            where="placebo",
            remedy="give a longer market, or fewer --days",
        )
    first = int(rng.integers(source.height - days * per_day + 1))
    stretch = source[first : first + days * per_day]
    return _frame({name: stretch[name].to_numpy() for name in OHLCV}, timeframe)


def shifted(labels: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Labels whose outcomes belong to another time, turned by between a fifth and four fifths of the history.

    Keys, ``known_at`` and how long an outcome took (of the row that it came from) stay together as they must for
    purging.
    """
    rows = labels.height
    turn = int(rng.integers(rows // 5, max(rows * 4 // 5, rows // 5 + 1)))
    moved = labels.select(
        pl.col("label", "return", "barrier", "bars_to_hit"), (pl.col("label_end") - pl.col("known_at")).alias("lasted")
    )
    moved = pl.concat([moved.tail(turn), moved.head(rows - turn)])
    return (
        labels.drop("label", "return", "barrier", "bars_to_hit", "label_end")
        .hstack(moved)
        .with_columns(label_end=pl.col("known_at") + pl.col("lasted"))
        .select(labels.columns)
    )


def _shapes(source: pl.DataFrame) -> dict[str, np.ndarray]:
    """The logs of each candle's prices over the close before it."""
    before = np.concatenate((source["open"].to_numpy()[:1], source["close"].to_numpy()[:-1]))
    return {name: np.log(source[name].to_numpy() / before) for name in PRICES}


def _strung(shapes: dict[str, np.ndarray], volume: np.ndarray, timeframe: str) -> pl.DataFrame:
    """Candles of these shapes, each beginning where the one before it closed."""
    start = np.concatenate(([0.0], np.cumsum(shapes["close"])[:-1]))
    prices = {name: FIRST_PRICE * np.exp(start + shape) for name, shape in shapes.items()}
    return _frame(prices | {"volume": volume}, timeframe)


def _frame(values: dict[str, np.ndarray], timeframe: str) -> pl.DataFrame:
    bar, rows = timeframe_delta(timeframe), len(values["close"])
    ts = pl.datetime_range(START, START + rows * bar, bar, closed="left", time_unit="us", eager=True)
    return pl.DataFrame({"ts": ts, **{name: values[name] for name in OHLCV}}).select(
        pl.lit(MARKET).alias("market"), pl.lit(timeframe).alias("timeframe"), "ts", *OHLCV
    )


def until(candles: pl.DataFrame, timeframe: str) -> datetime:
    """When the last candle was known."""
    last: datetime = candles["ts"][-1]
    return last + timedelta(minutes=timeframe_minutes(timeframe))
