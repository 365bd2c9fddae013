"""The trades in groups: by side, market, what ended them, hour, weekday and the market's regime."""

from __future__ import annotations

from typing import Final

import polars as pl

from trading_assets.validation.performance import UNBOUNDED

_WEEKDAYS: Final = pl.Enum(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
_SESSION_HOURS: Final = 4


def breakdown(trades: pl.DataFrame, moods: pl.DataFrame | None = None) -> pl.DataFrame:
    """What the trades of each group did.

    Parameters
    ----------
    trades
        Rows of the table of this name.
    moods
        Of :func:`trading_assets.backtest.regimes.regimes`: the regime at each trade's signal.

    Returns
    -------
    polars.DataFrame
        ``by`` (side, market, exit, hour of entry in blocks of four, weekday of entry, both UTC, volatility, trend),
        ``group``, ``trades``, ``win_rate``, ``payoff``, ``expectancy`` (see :mod:`trading_assets.backtest.metrics`),
        ``avg_return`` (of the notional), ``pnl``, ``avg_mae``, ``avg_mfe`` (null where not known); in this order of
        groups, each from its first to its last.
    """
    block = pl.col("entry_ts").dt.hour() // _SESSION_HOURS * _SESSION_HOURS
    begin, end = (hour.cast(pl.String).str.zfill(2) for hour in (block, block + _SESSION_HOURS))
    weekday = (pl.col("entry_ts").dt.weekday() - 1).replace_strict(
        dict(enumerate(_WEEKDAYS.categories)), return_dtype=_WEEKDAYS
    )
    groups = {
        "side": pl.col("side"),
        "market": pl.col("market"),
        "exit": pl.col("exit_reason"),
        "hour": pl.format("{} to {} h", begin, end),
        "weekday": weekday,
    }
    known = trades.with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in ("mae", "mfe") if name not in trades.columns
    )
    if moods is not None and not moods.is_empty():
        known = known.join(moods, left_on=["market", "signal_ts"], right_on=["market", "ts"], how="left")
        groups |= {"volatility": pl.col("volatility"), "trend": pl.col("trend")}
    return pl.concat([_grouped(known, name, key) for name, key in groups.items()])


def _grouped(trades: pl.DataFrame, name: str, key: pl.Expr) -> pl.DataFrame:
    pnl = pl.col("pnl")
    win, loss = pnl.filter(pnl > 0).mean(), -pnl.filter(pnl < 0).mean()
    return (
        trades.with_columns(group=key)
        .drop_nulls("group")
        .group_by("group")
        .agg(
            trades=pl.len().cast(pl.Int64),
            win_rate=(pnl > 0).mean(),
            payoff=_bounded(win, loss),
            expectancy=_bounded(pnl.mean(), loss),
            avg_return=pl.col("return").mean(),
            pnl=pnl.sum(),
            avg_mae=pl.col("mae").mean(),
            avg_mfe=pl.col("mfe").mean(),
        )
        .sort("group")
        .select(pl.lit(name).alias("by"), pl.col("group").cast(pl.String), pl.exclude("group"))
    )


def _bounded(numerator: pl.Expr, loss: pl.Expr) -> pl.Expr:
    """As :func:`trading_assets.backtest.metrics.account.ratio`: 0 of nothing, the largest number without a loss."""
    over = numerator.fill_null(0.0)
    large = pl.when(over == 0).then(0.0).otherwise(UNBOUNDED * over.sign())
    return pl.when(loss.is_null() | (loss <= over.abs() / UNBOUNDED)).then(large).otherwise(over / loss)
