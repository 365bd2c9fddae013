"""Markets as the arrays that screening walks along: one grid of decisions, and the candles that resolve them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.backtest.simulation.inputs import check_candles
from trading_assets.backtest.simulation.slices import MarketRules
from trading_assets.core.candles import EPOCH, PRICES, timeframe_delta
from trading_assets.core.errors import MissingCandles
from trading_assets.core.timeframes import Timeframe
from trading_assets.costs.funding import payments

if TYPE_CHECKING:
    from trading_assets.exits.arrays import Path
    from trading_assets.screening.arrays import World

Floats = npt.NDArray[np.float64]

_MICROSECOND: Final = timedelta(microseconds=1)
_BAR: Final = ("ts", "known_at", *PRICES, "volume")


@dataclass(frozen=True)
class Scene:
    """What all sets are tried on.

    Attributes
    ----------
    markets
        In order: the first axis of all arrays.
    bars
        Closed decision bars of each, ascending, with what rules read.
    rows
        Of each market: which row of the grid a bar is.
    paths
        The candles of each, as exits are resolved on them.
    world
        The grid.
    rules
        Steps of prices and quantities.
    until
        When the candles end, in microseconds.
    """

    markets: tuple[str, ...]
    bars: tuple[pl.DataFrame, ...]
    rows: tuple[npt.NDArray[np.int64], ...]
    paths: tuple[Path, ...]
    world: World
    rules: tuple[MarketRules, ...]
    until: int

    @property
    def width(self) -> int:
        """Bars of the grid."""
        return len(self.world.known)

    @property
    def days(self) -> int:
        """Days (UTC) that the grid touches, and the one on which the last trade ends."""
        return int(self.world.midnights.shape[1])


def make_scene(
    candles: Mapping[str, pl.DataFrame],
    bars: Mapping[str, pl.DataFrame],
    *,
    candle_timeframe: str,
    timeframe: Timeframe,
    capital: float,
    funding: Mapping[str, pl.DataFrame],
    assumed_bps: float,
    volume: bool,
) -> Scene:
    """The arrays of some markets.

    Parameters
    ----------
    candles
        Market -> its finest candles: ``ts`` and OHLCV, ascending.
    bars
        Market -> its closed decision bars: ``ts``, ``known_at`` and OHLCV, ascending.
    candle_timeframe, timeframe
        Of both.
    capital
        What is traded with: quantities are in steps that are worth little of it.
    funding, assumed_bps
        Perpetual -> its payments, and what is charged where there are none: see
        :func:`trading_assets.costs.funding.payments`.
    volume
        Whether volume is looked at.

    Raises
    ------
    MissingCandles
        If a market has no candles or no closed bar.
    InvalidFrame
        If a candle is impossible or out of order.
    """
    from trading_assets.exits.kernel import path
    from trading_assets.screening.arrays import DAY, World

    markets, paths, taken = tuple(candles), [], []
    step = timeframe_delta(candle_timeframe) // _MICROSECOND
    for market in markets:
        frame, own = candles[market], bars[market]
        if frame.is_empty() or own.is_empty():
            raise MissingCandles("no candles to screen on", where=market, remedy="materialize candles of these months")
        check_candles(frame, market, volume=volume)
        taken.append(own.select(_named(own, market), *_BAR))
        arrays: tuple[Any, ...] = tuple(
            _arrays(frame.select("ts", *(pl.col(name).cast(pl.Float64) for name in PRICES)))
        )
        paths.append(path(*arrays, step=step, bar=timeframe.micros))
    ends = [_arrays(one.select("known_at"))[0] for one in taken]
    known = np.unique(np.concatenate(ends))
    until = max(int(one.times[-1]) + step for one in paths)
    first_day = int(known[0]) // DAY
    days = max(until - 1, int(known[-1])) // DAY - first_day + 1
    rows = tuple(np.searchsorted(known, one) for one in ends)
    rules = tuple(MarketRules.of(candles[market], capital=capital) for market in markets)
    start, end = _moment(int(known[0])), _moment(until)
    paid_at, paid, assumed = _payments(
        [
            payments(
                name,
                funding.get(name),
                candles[name],
                timeframe=candle_timeframe,
                start=start,
                end=end,
                assumed_bps=assumed_bps,
            )
            for name in markets
        ]
    )
    on_grid = [_on_grid(own, row, len(known)) for own, row in zip(taken, rows, strict=True)]
    after = [np.searchsorted(one.times, known) for one in paths]
    midnights = (first_day + 1 + np.arange(days)) * DAY
    world = World(
        known=known,
        close=np.stack([close for close, _ in on_grid]),
        volume=np.stack([traded if volume else np.full(len(known), np.inf) for _, traded in on_grid]),
        next_open=np.stack([np.append(one.opens, np.nan)[at] for one, at in zip(paths, after, strict=True)]),
        next_at=np.stack([np.append(one.times, until)[at] for one, at in zip(paths, after, strict=True)]),
        midnights=np.stack([one.closes[np.maximum(np.searchsorted(one.times, midnights) - 1, 0)] for one in paths]),
        first_day=first_day,
        paid_at=paid_at,
        paid=paid,
        assumed=assumed,
        lot=np.array([one.lot for one in rules]),
    )
    return Scene(markets, tuple(taken), rows, tuple(paths), world, rules, until)


def _moment(micros: int) -> datetime:
    return EPOCH + micros * _MICROSECOND


def _named(bars: pl.DataFrame, market: str) -> pl.Expr:
    return pl.col("market") if "market" in bars.columns else pl.lit(market).alias("market")


def _arrays(frame: pl.DataFrame) -> list[npt.NDArray[Any]]:
    return [np.ascontiguousarray(column.to_physical().to_numpy()) for column in frame]


def _on_grid(bars: pl.DataFrame, rows: npt.NDArray[np.int64], width: int) -> tuple[Floats, Floats]:
    """Close and volume at each bar of the grid: the newest close, and no volume, where the market has no bar."""
    close, traded = np.full(width, np.nan), np.zeros(width)
    close[rows] = bars["close"].cast(pl.Float64).to_numpy()
    traded[rows] = bars["volume"].cast(pl.Float64).to_numpy()
    filled = pl.Series(close).fill_nan(None).forward_fill().fill_null(math.nan).to_numpy()
    return np.ascontiguousarray(filled), np.nan_to_num(traded)


def _payments(due: Sequence[pl.DataFrame]) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """Times of funding, and the running sums of rate times price from 0 on: told, and assumed. Padded to one length."""
    most = max(frame.height for frame in due)
    paid_at = np.full((len(due), most), np.iinfo(np.int64).max, np.int64)
    sums = np.zeros((2, len(due), most + 1))
    for market, frame in enumerate(due):
        paid_at[market, : frame.height] = _arrays(frame.select("ts"))[0]
        amount, assumed = (frame["rate"] * frame["price"]).to_numpy(), frame["assumed"].to_numpy()
        for kind, counted in enumerate((~assumed, assumed)):
            sums[kind, market, 1 : frame.height + 1] = np.cumsum(np.where(counted, amount, 0.0))
            sums[kind, market, frame.height + 1 :] = sums[kind, market, frame.height]
    return paid_at, sums[0], sums[1]
