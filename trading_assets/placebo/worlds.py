"""Worlds whose truth is known: three kinds with nothing to find, one with a planted edge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from trading_assets.core.candles import OHLCV, PRICES, timeframe_delta, timeframe_minutes
from trading_assets.core.errors import SettingsError
from trading_assets.sources.candles.synthetic import EDGE, simulate, stable_rng

RANDOM_WALK: Final = "random walk"
PERMUTED: Final = "permuted returns"
SHIFTED: Final = "shifted labels"
PLANTED: Final = "planted edge"

KINDS: Final = {
    RANDOM_WALK: "a martingale with the volatility, tails and volume of the sample, or of a market's candles",
    PERMUTED: "hours of a market in random order, without its drift",
    SHIFTED: "a planted world, or a market, whose outcomes were moved in time, away from the features",
    PLANTED: f"the sample's edge: {EDGE:g} standard deviations of an hour's return per hour of an episode",
}
"""Kind -> what it is. Only the last one has anything to find."""

MARKET: Final = "sample:PLACEBO/USDT:USDT"
"""What every world's market is called: synthetic, whatever it was made from."""

START: Final = datetime(2025, 1, 1, tzinfo=UTC)
FIRST_PRICE: Final = 100.0
BLOCK_MINUTES: Final = 60
"""Permuted blocks: short against the label's horizon of hours, long enough to keep bars as they were traded."""


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
    """

    kind: str
    seed: int
    days: int

    @property
    def has_edge(self) -> bool:
        """Whether there is something to find."""
        return self.kind == PLANTED

    @property
    def name(self) -> str:
        """Its name among all worlds of a run."""
        return f"{self.kind} {self.seed}"

    def candles(self, source: pl.DataFrame | None = None, timeframe: str = "1m") -> pl.DataFrame:
        """Its candles.

        Parameters
        ----------
        source
            Candles of a real market, ascending: what null worlds are made from. Without, a synthetic one.
        timeframe
            Of ``source``; planted worlds have one minute.

        Returns
        -------
        polars.DataFrame
            Rows of the ``candles`` table of :data:`MARKET`, without gaps, from :data:`START` on.

        Raises
        ------
        SettingsError
            If ``source`` is shorter than the world.
        """
        rng = stable_rng(self.seed, "placebo", self.kind)
        if self.kind == PERMUTED:
            return permuted(_simulated(self, EDGE) if source is None else source, timeframe, rng, days=self.days)
        if source is None or self.has_edge:
            return _simulated(self, 0.0 if self.kind == RANDOM_WALK else EDGE)
        stretch = excerpt(source, timeframe, rng, days=self.days)
        return mirrored(stretch, timeframe, rng) if self.kind == RANDOM_WALK else stretch

    def labels(self, labels: pl.DataFrame) -> pl.DataFrame:
        """The labels that its model learns from: the true ones, except where they are moved in time."""
        if self.kind != SHIFTED:
            return labels
        return shifted(labels, stable_rng(self.seed, "placebo", self.kind))


def worlds(*, null: int, planted: int, days: int, seed: int = 1) -> list[World]:
    """``null`` worlds with nothing to find, the three kinds by turns, then ``planted`` ones.

    Raises
    ------
    SettingsError
        If there is no world, or a history is too short to train on.
    """
    if null < 0 or planted < 0 or null + planted == 0:
        raise SettingsError(f"{null} null and {planted} planted worlds", where="placebo", remedy="at least one world")
    kinds = [kind for kind in KINDS if kind != PLANTED]
    nothing = [World(kinds[i % len(kinds)], seed + i // len(kinds), days) for i in range(null)]
    return nothing + [World(PLANTED, seed + i, days) for i in range(planted)]


def permuted(source: pl.DataFrame, timeframe: str, rng: np.random.Generator, *, days: int) -> pl.DataFrame:
    """Candles of a market whose hours are in random order, drawn with replacement where ``days`` need more than it has.

    Every candle keeps its shape and volume; the mean return is taken out, so that holding the market earns nothing
    either. Order beyond an hour, and with it whatever could be predicted hours ahead, is destroyed.
    """
    size = max(BLOCK_MINUTES // timeframe_minutes(timeframe), 1)
    wanted = days * 1440 // timeframe_minutes(timeframe)
    blocks = source.height // size
    if blocks < 2:
        raise SettingsError(
            f"{source.height} candles cannot be permuted", where="placebo", remedy="give a longer market"
        )
    drawn = [rng.permutation(blocks) for _ in range(-(-wanted // (size * blocks)))]
    rows = (np.concatenate(drawn)[:, None] * size + np.arange(size)).ravel()[:wanted]
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


def _simulated(world: World, edge: float) -> pl.DataFrame:
    market = f"placebo {world.kind}"
    values = simulate(world.days * 1440, seed=world.seed, market=market, first_price=FIRST_PRICE, edge=edge)
    return _frame(values, "1m")


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
