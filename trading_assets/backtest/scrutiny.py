"""What a backtest is worth: its errors, the luck of all that was tried, and whether choosing by backtest works here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest.metrics import daily_returns, sharpe
from trading_assets.registry import Tried
from trading_assets.settings import BacktestSettings
from trading_assets.store.tables import TRIAL_RETURNS
from trading_assets.validation import (
    OF_DAILY_RETURNS,
    OF_TRADES,
    confidence_intervals,
    credibility,
    cross_validate_choice,
    information_coefficient,
)
from trading_assets.validation.bootstrap import MIN_OBSERVATIONS
from trading_assets.validation.skill import decision_days

BANDS: Final = 10
"""Equally many predictions each, from the least to the most probable: each might have been chosen to trade."""

MAX_BLOCKS: Final = 16
MIN_BLOCKS: Final = 2

Array = NDArray[np.float64]


def scrutinise(
    trades: pl.DataFrame,
    equity: pl.DataFrame,
    predictions: pl.DataFrame,
    *,
    tried: Tried,
    other_trials: pl.DataFrame,
    settings: BacktestSettings,
) -> dict[str, float]:
    """Further metrics of a backtest, which its gates and its report need.

    Parameters
    ----------
    trades, equity, predictions
        Rows of the tables of these names, of one model.
    tried
        All trials on the model's markets, this one included.
    other_trials
        Rows of ``trial_returns`` of the other versions on these markets.
    settings
        Costs and capital.

    Returns
    -------
    dict
        ``psr``, ``dsr``, ``trials``, ``expected_max_sharpe``, ``min_track_record_days`` (see
        :func:`trading_assets.validation.credibility`), ``pbo`` and ``choices`` (see :func:`choice`), ``skill``,
        ``skill_low`` and ``skill_high`` (see :func:`trading_assets.validation.information_coefficient`), and
        ``<metric>_low``, ``<metric>_high``: the 95 % intervals of sharpe, max_drawdown, profit_factor and win_rate,
        where there are ten days or trades. A number that cannot be measured is NaN, which no gate lets pass.
    """
    returns = daily_returns(equity["equity"].to_list(), settings.starting_balance)
    return (
        deflated(returns, remembered(tried, other_trials))
        | choice(equity, returns, predictions, other_trials=other_trials, settings=settings)
        | skill(predictions)
        | _intervals(returns, trades.sort("exit_ts")["pnl"].to_numpy())
    )


def deflated(returns: Array, tried: Tried) -> dict[str, float]:
    """The Sharpe ratio's credibility after all that was tried; NaN where there is no count or under two days."""
    if returns.size < 2 or not tried.sharpes:
        return {"psr": math.nan, "dsr": math.nan, "trials": float(tried.count)}
    return credibility(returns, tried.sharpes, trials=tried.count)


def remembered(tried: Tried, other_trials: pl.DataFrame) -> Tried:
    """The trials, of which the store may know more than a registry that was moved away.

    Parameters
    ----------
    tried
        What the registry counts.
    other_trials
        As for :func:`scrutinise`.
    """
    kept = other_trials.group_by("model", "version", maintain_order=True).agg("return")
    if not tried.count or kept.height < len(tried.sharpes):
        return tried
    sharpes = (sharpe(np.array(returns)) for returns in kept["return"])
    return Tried(max(tried.count, kept.height + 1), (*tried.sharpes, *sharpes))


def choice(
    equity: pl.DataFrame,
    returns: Array,
    predictions: pl.DataFrame,
    *,
    other_trials: pl.DataFrame,
    settings: BacktestSettings,
) -> dict[str, float]:
    """Probability of backtest overfitting over what could have been, and what was, chosen.

    The configurations: this backtest, every other trial that covers its days, and the same predictions traded in bands
    of probability. A band takes the mean return of each day's signals after the fees of entry and exit, without the
    engine: the Sharpe ratios that are compared do not depend on the size of positions. Where probabilities mean
    something, the bands that were best stay among the best.

    Returns
    -------
    dict
        ``pbo`` (NaN below four days) and ``choices``, the number of configurations.
    """
    days = equity.select("ts")
    columns = [pl.Series("traded", returns)]
    columns += _of_bands(days, predictions, 2 * settings.taker_fee_bps / 1e4)
    columns += _of_trials(days, other_trials)
    blocks = min(MAX_BLOCKS, len(returns) // 2) // 2 * 2
    if blocks < MIN_BLOCKS:
        return {"pbo": math.nan, "choices": float(len(columns))}
    matrix = np.column_stack([column.to_numpy() for column in columns])
    return {"pbo": cross_validate_choice(matrix, blocks=blocks).pbo, "choices": float(len(columns))}


def skill(predictions: pl.DataFrame) -> dict[str, float]:
    """How well the probabilities of all predictions rank returns, with its 95 % interval; NaN below ten days."""
    names = ("skill", "skill_low", "skill_high")
    if decision_days(predictions) < MIN_OBSERVATIONS:
        return dict.fromkeys(names, math.nan)
    found = information_coefficient(predictions)
    return dict(zip(names, (found.estimate, found.low, found.high), strict=True))


def trial_rows(
    equity: pl.DataFrame, *, model: str, version: int, markets: Sequence[str], balance: float
) -> pl.DataFrame:
    """The daily returns of a backtest as rows of ``trial_returns``."""
    return equity.select(
        model=pl.lit(model),
        version=pl.lit(version, pl.Int32),
        ts="ts",
        markets=pl.lit(",".join(sorted(markets))),
        **{"return": pl.Series(daily_returns(equity["equity"].to_list(), balance))},
    ).select(*TRIAL_RETURNS.columns)


def others(trials: pl.DataFrame, *, model: str, version: int, markets: Sequence[str]) -> pl.DataFrame:
    """The rows of ``trial_returns`` of all versions but one that share a market with it."""
    shared = pl.col("markets").str.split(",").list.set_intersection(list(markets)).list.len() > 0
    return trials.filter(shared & ~((pl.col("model") == model) & (pl.col("version") == version)))


def _of_bands(days: pl.DataFrame, predictions: pl.DataFrame, costs: float) -> list[pl.Series]:
    """The mean net return of each day's signals, for every band of probability."""
    rank = pl.col("probability").rank("max").cast(pl.Int64) - 1
    daily = (
        predictions.select(
            ts=pl.col("label_end").dt.truncate("1d"), band=rank * BANDS // pl.len(), net=pl.col("return") - costs
        )
        .group_by("ts", "band")
        .agg(pl.col("net").mean())
        .sort("band")
        .pivot("band", index="ts", values="net")
    )
    return days.join(daily, on="ts", how="left", maintain_order="left").drop("ts").fill_null(0.0).get_columns()


def _of_trials(days: pl.DataFrame, trials: pl.DataFrame) -> list[pl.Series]:
    """The daily returns of those trials that cover all days."""
    if trials.is_empty():
        return []
    name = pl.format("{} {}", "model", "version").alias("trial")
    wide = trials.select(name, "ts", "return").pivot("trial", index="ts", values="return")
    table = days.join(wide, on="ts", how="left", maintain_order="left").drop("ts")
    return [column for column in table.get_columns() if column.null_count() == 0]


def _intervals(returns: Array, pnl: Array) -> dict[str, float]:
    bounds: dict[str, float] = {}
    for values, statistics in ((returns, OF_DAILY_RETURNS), (pnl, OF_TRADES)):
        if values.size >= MIN_OBSERVATIONS:
            for name, interval in confidence_intervals(values, statistics).items():
                bounds |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
    return bounds
