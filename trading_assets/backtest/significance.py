"""What a backtest is worth: its errors, the luck of all that was tried, and whether choosing by backtest works here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest import monte_carlo
from trading_assets.backtest.entries import entries
from trading_assets.backtest.metrics import daily_returns, sharpe
from trading_assets.registry import Tried
from trading_assets.settings import BacktestSettings, LabelSettings, RuleStrategySettings, StrategySettings
from trading_assets.store.tables import TRIAL_RETURNS
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.stored_signals import with_side
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
from trading_assets.validation.superiority import superior_ability

BANDS: Final = 10
"""Equally many predictions each, from the least to the most probable: each might have been chosen to trade."""

MAX_BLOCKS: Final = 16
MIN_BLOCKS: Final = 2

Array = NDArray[np.float64]


def measure_significance(
    trades: pl.DataFrame,
    equity: pl.DataFrame,
    predictions: pl.DataFrame,
    *,
    tried: Tried,
    other_trials: pl.DataFrame,
    model: StrategySettings,
    labels: LabelSettings,
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
    model, labels
        The rule of entry; the barriers and costs of the predictions' outcomes.
    settings
        Costs and capital.

    Returns
    -------
    dict
        ``psr``, ``dsr``, ``trials``, ``expected_max_sharpe``, ``min_track_record_days`` (see
        :func:`trading_assets.validation.credibility`), ``pbo`` and ``choices`` (see :func:`choice`), ``skill``,
        ``skill_low`` and ``skill_high`` (see :func:`trading_assets.validation.information_coefficient`), those of
        :func:`trading_assets.backtest.entries.entries`, those of :mod:`trading_assets.backtest.monte_carlo`, and
        ``<metric>_low``, ``<metric>_high``: the 95 % intervals of
        sharpe, max_drawdown, profit_factor and win_rate, where there are ten days or trades. A number that cannot be
        measured is NaN, which no gate lets pass.
    """
    returns = daily_returns(equity["equity"].to_list(), settings.starting_balance)
    by_rule = isinstance(model, RuleStrategySettings)
    forecasts = spoken(predictions) if by_rule else predictions
    return (
        deflated(returns, remembered(tried, other_trials))
        | choice(equity, returns, forecasts, other_trials=other_trials, bands=2 if by_rule else BANDS)
        | (skill_of_rule(forecasts) if by_rule else skill(forecasts))
        | entries(predictions, EntryRule.of(model, cost_bps=settings.of_markets(model.markets).round_trip_bps), labels)
        | _intervals(returns, trades.sort("exit_ts")["pnl"].to_numpy())
        | monte_carlo.figures(monte_carlo.simulate(trades, returns, starting_balance=settings.starting_balance))
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
        As for :func:`measure_significance`.
    """
    kept = other_trials.group_by("model", "version", maintain_order=True).agg("return")
    own, searches = tried.apart
    if not own.count or kept.height < len(own.sharpes):
        return tried
    sharpes = (sharpe(np.array(returns)) for returns in kept["return"])
    return Tried(max(own.count, kept.height + 1), (*own.sharpes, *sharpes)).beside(searches)


def choice(
    equity: pl.DataFrame, returns: Array, predictions: pl.DataFrame, *, other_trials: pl.DataFrame, bands: int = BANDS
) -> dict[str, float]:
    """Probability of backtest overfitting: whether what was best in the past is to be chosen for the future.

    The configurations are the predictions in ten bands of probability. A band earns each day the sum of its
    predictions' returns, **each less the mean return of all of its side**: without that, costs and a rising market put
    the bands in an order that lasts (lively ones lose least of their Sharpe ratio to costs) and no skill made. A sum,
    not a mean: how many predictions of a day fall into a band depends on where the price went after the first. A
    choice that holds must also be one that the rule of entry can make, so a winner from the less probable half of the
    bands counts as overfit, however well it does later: the model said the opposite.

    Of a rule (:func:`spoken`) there are two bands: the bars on which it wants a trade, and those on which it might.

    The account itself is no configuration here. It trades a few days or none, and where the others lose it is always
    among the best. Other trials are accounts too; among them the choice is measured apart, and no gate asks for it.

    Returns
    -------
    dict
        ``pbo`` and ``choices``, the number of bands; ``pbo_trials`` and ``trials_compared``, the same among this
        backtest and the other trials that cover its days. NaN below four days or two configurations. Over all of these
        together, the accounts and the bands, ``spa_p``, ``spa_variants`` and ``spa_superior`` of
        :func:`trading_assets.validation.superiority.superior_ability`: what a band earns is above its side's mean.
    """
    days = equity.select("ts")
    found_bands = _of_bands(days, predictions, bands)
    accounts = np.column_stack([returns, *(trial.to_numpy() for trial in _of_trials(days, other_trials))])
    found = {"pbo": math.nan, "choices": float(len(found_bands)), "pbo_trials": math.nan}
    found["trials_compared"] = float(accounts.shape[1])
    tested = superior_ability(np.column_stack([accounts, *(band.to_numpy() for band in found_bands)]))
    found |= {
        "spa_p": tested.p_value,
        "spa_variants": float(tested.variants),
        "spa_superior": float(len(tested.superior)) if math.isfinite(tested.p_value) else math.nan,
    }
    blocks = min(MAX_BLOCKS, len(returns) // 2) // 2 * 2
    if blocks < MIN_BLOCKS:
        return found
    if len(found_bands) > 1:
        contest = cross_validate_choice(np.column_stack([band.to_numpy() for band in found_bands]), blocks=blocks)
        less_probable = np.array([int(band.name) < bands // 2 for band in found_bands])[contest.winners]
        found["pbo"] = float(np.mean((contest.logits <= 0) | less_probable))
    if accounts.shape[1] > 1:
        found["pbo_trials"] = cross_validate_choice(accounts, blocks=blocks).pbo
    return found


def skill(predictions: pl.DataFrame) -> dict[str, float]:
    """How well the probabilities of all predictions rank returns, with its 95 % interval; NaN below ten days."""
    names = ("skill", "skill_low", "skill_high")
    if decision_days(predictions) < MIN_OBSERVATIONS:
        return dict.fromkeys(names, math.nan)
    found = information_coefficient(predictions)
    return dict(zip(names, (found.estimate, found.low, found.high), strict=True))


def spoken(predictions: pl.DataFrame) -> pl.DataFrame:
    """A rule's predictions with what it says of each bar that it could have taken: 1 where it wants the trade, else 0.

    Its probabilities rank nothing. They are one number within a fold and a side, and between folds they differ by what
    was hit before: whether the folds that promised more earned more is luck, not the rule's skill.
    """
    return predictions.with_columns(probability=pl.col("probability").is_not_null().cast(pl.Float64))


def skill_of_rule(forecasts: pl.DataFrame) -> dict[str, float]:
    """``skill``, ``skill_low`` and ``skill_high`` of a rule: whether the bars that it picks pay more than the others.

    The correlation of speaking (:func:`spoken`) and the return after, each from the mean of its side, so that neither a
    rising market nor always wanting the same side is a skill. NaN, which no gate lets pass, where it speaks on fewer
    than ten days or is silent on fewer: an interval of a handful of days would be no interval.
    """
    days = forecasts.group_by(pl.col("known_at").dt.truncate("1d")).agg(
        speaks=(pl.col("probability") == 1).any(), silent=(pl.col("probability") == 0).any()
    )
    if min(days["speaks"].sum(), days["silent"].sum()) < MIN_OBSERVATIONS:
        return dict.fromkeys(("skill", "skill_low", "skill_high"), math.nan)
    return skill(forecasts)


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


def _of_bands(days: pl.DataFrame, predictions: pl.DataFrame, bands: int) -> list[pl.Series]:
    """The sum of each day's returns above the mean of their side, for every band of probability; named 0 to 9.

    Two bands are those of :func:`spoken`.
    """
    rank = pl.col("probability").rank("max").cast(pl.Int64) - 1
    band = rank * bands // pl.len() if bands > 2 else pl.col("probability").cast(pl.Int64)
    above = pl.col("return") - pl.col("return").mean().over("side")
    daily = (
        with_side(predictions)
        .select(ts=pl.col("label_end").dt.truncate("1d"), band=band, above=above)
        .group_by("ts", "band")
        .agg(pl.col("above").sum())
        .sort("band")
        .pivot("band", index="ts", values="above")
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
