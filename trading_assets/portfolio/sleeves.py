"""The daily returns of each sleeve, and when a day's could be known for good."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import polars as pl

from trading_assets.core.candles import TS
from trading_assets.core.errors import InvalidFrame

TIMES: Final = ("ts", "known_at")
"""The columns of a wide frame that are no sleeves."""

_DAY: Final = timedelta(days=1)


def sleeve_returns(equity: pl.DataFrame, trades: pl.DataFrame, *, starting_balance: float) -> pl.DataFrame:
    """The daily returns of several backtests side by side, each on an account of its own.

    A day is marked to market at its end, but what a position that was open then is worth is settled at its exit alone.
    So a day is known when its end and the exits of all trades that were open on it are past: what is purged.

    Parameters
    ----------
    equity
        ``model, ts, equity``: rows of the table ``equity``, of one version of each model.
    trades
        ``model, entry_ts, exit_ts``: rows of ``trades``, of the same versions.
    starting_balance
        Of each account, in quote currency.

    Returns
    -------
    pl.DataFrame
        ``ts`` (the day's open, UTC), ``known_at``, and a column for each model, by name: the day's return as a
        fraction, null where its backtest has no such day.

    Raises
    ------
    InvalidFrame
        If a model is named like a column of times.
    """
    names = sorted(equity["model"].unique())
    if strange := sorted(set(names) & set(TIMES)):
        raise InvalidFrame(f"a model cannot be named {strange[0]}", where="portfolio", remedy="give it another name")
    if equity.is_empty():
        return pl.DataFrame(schema=dict.fromkeys(TIMES, TS))
    before = pl.col("equity").shift(1).over("model").fill_null(starting_balance)
    told = equity.sort("model", "ts").with_columns(
        pl.when(before > 0).then(pl.col("equity") / before - 1).otherwise(0.0).alias("return")
    )
    wide = told.pivot(on="model", index="ts", values="return").sort("ts")
    held = (
        trades.filter(pl.col("exit_ts") >= pl.col("entry_ts"))
        .with_columns(first=pl.col("entry_ts").dt.truncate("1d"), last=pl.col("exit_ts").dt.truncate("1d"))
        .with_columns(ts=pl.datetime_ranges("first", "last", "1d"))
        .explode("ts")
        .group_by("ts")
        .agg(pl.col("exit_ts").max())
    )
    return (
        wide.join(held.select(pl.col("ts").cast(TS), "exit_ts"), on="ts", how="left", maintain_order="left")
        .with_columns(known_at=pl.max_horizontal(pl.col("ts") + _DAY, "exit_ts"))
        .select(*TIMES, *names)
    )


def sleeves_of(returns: pl.DataFrame) -> list[str]:
    """The sleeves of a wide frame."""
    return [name for name in returns.columns if name not in TIMES]


def known_days(returns: pl.DataFrame, sleeves: Sequence[str]) -> pl.DataFrame:
    """The days that all of some sleeves have."""
    return returns.select(*TIMES, *sleeves).drop_nulls(list(sleeves))
