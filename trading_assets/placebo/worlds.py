"""Worlds whose truth is known: three kinds with nothing to find, two with something planted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from trading_assets.core.candles import timeframe_minutes
from trading_assets.core.errors import SettingsError
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.placebo.rearranging import (
    FIRST_PRICE,
    excerpt,
    frame_of,
    mirrored,
    permuted,
    shifted,
    turn_of,
)
from trading_assets.sources.candles.synthetic import EDGE, Pace, simulate, stable_rng

RANDOM_WALK: Final = "random walk"
PERMUTED: Final = "permuted returns"
SHIFTED: Final = "shifted labels"
PLANTED: Final = "planted edge"
REVERTING: Final = "planted reversion"

KINDS: Final = {
    RANDOM_WALK: "a martingale with the volatility, tails and volume of the sample, or of a market's candles",
    PERMUTED: "stretches of four bars of a market in random order, without its drift",
    SHIFTED: "a planted world, or a market, whose outcomes were moved in time, away from the features",
    PLANTED: "a market that follows its flow: so many standard deviations of an hour's return per hour of an episode",
    REVERTING: "a market that gives back a share of each of its moves, half of that within eight bars",
}
"""Kind -> what it is. Only the last two have anything to find."""

WITH_EDGE: Final = (PLANTED, REVERTING)
NULL: Final = tuple(kind for kind in KINDS if kind not in WITH_EDGE)

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
        How strong a planted edge is: standard deviations of an hour's return per hour, at the sample's pace; of a
        planted reversion, the share of each move that is given back.
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
        return self.kind in WITH_EDGE

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
            made = self._simulated()
            return self._permuted(made) if self.kind == PERMUTED else made
        if self.kind == PERMUTED:
            return self._permuted(source)
        timeframe, rng = str(source["timeframe"][0]), self._rng()
        stretch = excerpt(source, timeframe, rng, days=self.days)
        return mirrored(stretch, timeframe, rng) if self.kind == RANDOM_WALK else stretch

    def labels(self, labels: pl.DataFrame, *, in_stops: bool = False) -> pl.DataFrame:
        """The labels that its model learns from: the true ones, except where they are moved in time.

        ``in_stops`` as for :func:`trading_assets.placebo.rearranging.shifted`.
        """
        if self.kind != SHIFTED:
            return labels
        return shifted(labels, self._rng(), in_stops=in_stops)

    def turn(self, bars: int) -> int:
        """By how many of so many bars that is moved which a label set says of where it decides: 0 where none is.

        A meta-label's rule says when, whatever its model has learnt: left where it is, its own edge would be found.
        """
        return turn_of(bars, stable_rng(self.seed, f"{self.stream}, where it decides")) if self.kind == SHIFTED else 0

    def wanted(self, rows: pl.DataFrame, column: str) -> pl.DataFrame:
        """What a rule wants on the rows of one market: as it is, except where it is moved in time.

        A rule learns nothing, so that moved labels would leave it what there is to find: it is moved itself.
        """
        if self.kind != SHIFTED:
            return rows
        times = rows["ts"].unique().sort()
        moved = rows.select("ts", column).unique("ts").sort("ts")
        turn = turn_of(len(times), self._rng())
        turned = pl.concat([moved[column].tail(turn), moved[column].head(len(times) - turn)])
        said = pl.DataFrame({"ts": times, column: turned})
        return rows.drop(column).join(said, on="ts", how="left", maintain_order="left").select(rows.columns)

    @property
    def stream(self) -> str:
        """What its random numbers are drawn for: worlds for other decisions, or of another edge, share none with it."""
        sides = " and ".join(side.word for side in self.sides)
        strength = "" if self.edge == EDGE else f", edge of {self.edge:g}"
        return f"placebo {self.kind}, {sides} on {self.timeframe}, candles of {self.candle_timeframe}{strength}"

    def _rng(self) -> np.random.Generator:
        return stable_rng(self.seed, self.stream)

    def _simulated(self) -> pl.DataFrame:
        minutes = timeframe_minutes(self.candle_timeframe)
        pace = Pace(minutes, self.timeframe.minutes / PACE_TIMEFRAME.minutes)
        rows = self.days * 1440 // minutes
        values = simulate(
            rows,
            seed=self.seed,
            market=self.stream,
            first_price=FIRST_PRICE,
            edge=0.0 if self.kind in (RANDOM_WALK, REVERTING) else self.edge,
            reversion=self.edge if self.kind == REVERTING else 0.0,
            pace=pace,
        )
        return frame_of(values, self.candle_timeframe)

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
    reverting: int = 0,
    days: int,
    seed: int = 1,
    timeframe: Timeframe = PACE_TIMEFRAME,
    sides: Sequence[Side] = (Side.LONG,),
    candles: str | None = None,
    edge: float | None = None,
) -> list[World]:
    """``null`` worlds with nothing to find, the three kinds by turns, then those with something planted.

    Parameters
    ----------
    null, planted, reverting
        How many: with nothing to find, with a planted edge, with a planted reversion.
    days
        Length of each history.
    seed
        Of the first of each kind; the next ones count on.
    timeframe, sides
        Of the decisions.
    candles
        Timeframe of synthetic candles; those of :func:`candles_for` where not given.
    edge
        How strong the planted edge is; as the sample's where not given. Of a reversion, the share of a move that is
        given back.

    Raises
    ------
    SettingsError
        If there is no world, more than all of a move is given back, or bars cannot be built from the candles.
    """
    if min(null, planted, reverting) < 0 or null + planted + reverting == 0:
        said = f"{null} null, {planted} planted and {reverting} reverting worlds"
        raise SettingsError(said, where="placebo", remedy="at least one world")
    if reverting and edge is not None and edge > 1:
        raise SettingsError(
            f"a market cannot give back {edge:g} times its moves",
            where="--edge",
            remedy="of reverting worlds it is the share of a move that is given back, at most 1",
        )
    candles = candles or candles_for(timeframe)
    if not timeframe.is_built_from(candles):
        raise SettingsError(
            f"{timeframe} bars cannot be built from candles of {candles}",
            where="placebo",
            remedy=f"candles of {candles_for(timeframe)} are fine enough",
        )
    order = [(NULL[i % len(NULL)], seed + i // len(NULL)) for i in range(null)]
    order += [(PLANTED, seed + i) for i in range(planted)] + [(REVERTING, seed + i) for i in range(reverting)]
    return [World(kind, number, days, timeframe, tuple(sides), candles, edge or EDGE) for kind, number in order]


def until(candles: pl.DataFrame, timeframe: str) -> datetime:
    """When the last candle was known."""
    last: datetime = candles["ts"][-1]
    return last + timedelta(minutes=timeframe_minutes(timeframe))
