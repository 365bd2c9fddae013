"""How far the price went against and for each trade while it was open, from the finest candles stored.

Sweeney (1996), Maximum Adverse Excursion: where winners seldom go, a stop may lie; what losers had before they lost,
a target may take.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest.round_trips import sign

Array = NDArray[np.float64]

COLUMNS: Final = ("mae", "mfe")


def with_excursions(trades: pl.DataFrame, candles: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Trades with ``mae`` and ``mfe``: the farthest move against and for them, as fractions >= 0 of the entry price.

    Of the candle that the entry falls into all counts, since a backtest enters at its open. Of the candle that the last
    exit falls into only the exits' prices: what the rest of it did came before or after, nobody knows. So both are
    as exact as the candles, and never larger than what was really seen.

    Parameters
    ----------
    trades
        ``market``, ``side``, ``entry_ts``, ``exit_ts``, ``entry_price``, ``exit_price``; ``exit_low`` and ``exit_high``
        of those that are closed in parts, of which the other is the mean.
    candles
        Market -> ``ts`` (open), ``high``, ``low``, ascending. A trade of a market that is not there has nulls.
    """
    trades = trades.drop(COLUMNS, strict=False)
    numbered = trades.with_row_index("_row")
    known = [
        _of_market(part, candles[str(market)])
        for (market,), part in numbered.group_by("market")
        if str(market) in candles and candles[str(market)].height
    ]
    if not known:
        return trades.with_columns(pl.lit(None, pl.Float64).alias(name) for name in COLUMNS)
    return numbered.join(pl.concat(known), on="_row", how="left", maintain_order="left").drop("_row")


def _of_market(trades: pl.DataFrame, candles: pl.DataFrame) -> pl.DataFrame:
    opens = candles["ts"]
    first = opens.search_sorted(trades["entry_ts"], "right").to_numpy().astype(np.int64) - 1
    after = opens.search_sorted(trades["exit_ts"], "right").to_numpy().astype(np.int64) - 1  # the exit's own candle
    first = np.maximum(first, 0)
    highest = _extreme(candles["high"].to_numpy(), first, after, np.maximum)
    lowest = _extreme(candles["low"].to_numpy(), first, after, np.minimum)
    seen = trades.with_columns(highest=pl.Series(highest, nan_to_null=True), lowest=pl.Series(lowest, nan_to_null=True))
    best, worst = ("exit_high", "exit_low") if "exit_low" in seen.columns else ("exit_price", "exit_price")
    top, bottom = pl.max_horizontal("highest", best), pl.min_horizontal("lowest", worst)
    up, down = top / pl.col("entry_price") - 1, 1 - bottom / pl.col("entry_price")
    against, favour = (
        pl.max_horizontal(pl.when(sign() > 0).then(long).otherwise(short), pl.lit(0.0))
        for long, short in ((down, up), (up, down))
    )
    return seen.select("_row", mae=against, mfe=favour)


def _extreme(values: Array, first: NDArray[np.int64], after: NDArray[np.int64], fold: np.ufunc) -> Array:
    """The extreme of each half-open range; NaN of an empty one."""
    found = np.full(first.size, np.nan)
    some = after > first
    if some.any():
        ranges = np.column_stack([first[some], after[some]]).ravel()
        found[some] = fold.reduceat(np.append(values, values[-1]), ranges)[::2]
    return found
