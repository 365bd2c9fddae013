"""Rows that look across a step of the price level: which they are, and a data set without them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from trading_assets.core.timeframes import Timeframe
from trading_assets.quality.steps import level_steps
from trading_assets.store import Store
from trading_assets.store.tables import BARS, CANDLES

Steps = Mapping[str, Sequence[datetime]]
"""Market -> when its price or volume came to mean something else: the first open after it."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """Rows of one market that one step made useless.

    Attributes
    ----------
    market
        Whose rows.
    at
        When the step was.
    rows
        How many were left out.
    of
        The market that had it: the leader's counts for its followers.
    """

    market: str
    at: datetime
    rows: int
    of: str

    def __str__(self) -> str:
        its = "a step" if self.of == self.market else f"a step of its leader {self.of}"
        return f"{self.market}: {self.rows:,} rows look across {its} at {self.at:%Y-%m-%d %H:%M}"


def stored_steps(
    store: Store, markets: Collection[str], told: Steps, *, min_factor: float
) -> dict[str, tuple[datetime, ...]]:
    """The told events of markets, and the level steps that their stored candles show, of every timeframe.

    All of the history is looked at: a row may look back on bars from before the first one that is taken.

    Parameters
    ----------
    told
        Events by market; those of other markets are ignored.
    min_factor
        As for :func:`trading_assets.quality.steps.level_steps`.
    """
    found = {}
    for market in markets:
        candles = store.read(CANDLES, where={"market": market}, columns=["timeframe", "ts", "open", "close"])
        seen = set(told.get(market, ()))
        for (timeframe,), own in candles.group_by("timeframe"):
            seen |= set(level_steps(own.sort("ts"), timeframe=str(timeframe), min_factor=min_factor)["ts"])
        found[market] = tuple(sorted(seen))
    return {market: steps for market, steps in found.items() if steps}


def stored_bars(store: Store, markets: Collection[str], timeframe: Timeframe) -> dict[str, pl.Series]:
    """Market -> opens of its stored bars of a timeframe, ascending."""
    return {
        market: store.read(BARS[timeframe.name], where={"market": market}, columns=["ts"])["ts"] for market in markets
    }


def across(rows: pl.DataFrame, bars: pl.Series, at: datetime, *, lookback: int, horizon: timedelta) -> pl.Series:
    """Which rows look across a step: back from it, or ahead of it over a whole horizon.

    Parameters
    ----------
    rows
        ``ts``, ``known_at`` of one market.
    bars
        Opens of the market's bars, ascending: look-backs count them.
    at
        The step: the first open after it.
    lookback
        Bars that a row depends on, its own included.
    horizon
        The longest time from a row's ``known_at`` to its outcome. Of all rows the whole horizon counts: where stops
        are hit sooner than targets, those that ended before the step would be a biased choice.
    """
    length: timedelta = rows["known_at"][0] - rows["ts"][0] if rows.height else timedelta(0)
    first = int(bars.search_sorted(at - length, side="right"))  # the bar that holds the step, or the next one
    ahead = (rows["known_at"] <= at) & (rows["known_at"] + horizon > at)
    if first == 0 or first >= len(bars):  # nothing before it to look back on, or no bar after it
        return ahead
    last = bars[min(first + lookback - 2, len(bars) - 1)]
    return ahead | rows["ts"].is_between(bars[first], last)


def without_crossings(
    frame: pl.DataFrame,
    steps: Steps,
    bars: Mapping[str, pl.Series],
    *,
    lookback: int,
    horizon: timedelta,
    leader: str | None = None,
) -> tuple[pl.DataFrame, tuple[Crossing, ...]]:
    """Rows of several markets without those that look across a step, and what was left out.

    Parameters
    ----------
    frame
        ``market``, ``ts``, ``known_at`` and others.
    leader
        The market whose bars the others read too, if they do.
    """
    left_out, found = pl.repeat(value=False, n=frame.height, eager=True), []
    numbered = frame.select("market", "ts", "known_at").with_row_index("row")
    for market in frame["market"].unique().sort():
        mine = numbered.filter(pl.col("market") == market)
        for of in dict.fromkeys((market, leader or market)):
            for at in steps.get(of, ()):
                reach = horizon if of == market else timedelta(0)
                hit = mine.filter(across(mine, bars[of], at, lookback=lookback, horizon=reach))
                if hit.height:
                    found.append(Crossing(market, at, hit.height, of))
                    left_out = left_out.scatter(hit["row"], values=True)
    return frame.filter(~left_out), tuple(found)
