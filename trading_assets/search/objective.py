"""What a trial is worth: the Sharpe ratio that its predictions would have earned, less its error.

Predictions are traded by the model's own rule of entry, one position at a time in each market, at the returns that the
labels already resolved on the finest candles, costs included: a second of arithmetic for a year, where the event engine
takes a minute. It is one measure for everything that is searched, whether a model learns or a rule speaks, and on every
label set: a Brier score or an AUC would not change with the threshold, and those of two label sets say nothing of each
other.

A mean over its deviation rather than a profit, so that more of the same risk is no better. Less one standard error, so
that a lucky handful of trades is not worth what a steady record is: for that no credit is given for positive skewness,
which a handful has. And where the trades are fewer than what the gates will ask of the unseen windows, in proportion
less: what cannot pass is not worth finding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.backtest.entries import is_better_side
from trading_assets.settings import LabelSettings
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.stored_signals import stakes_percent
from trading_assets.validation.performance import DAYS_PER_YEAR, FLAT
from trading_assets.validation.sharpe import SharpeEstimate

BLOCK_DAYS: Final = 7
"""Days that are compared with those of the best trial: a week, longer than outcomes overlap."""

_DAY: Final = timedelta(days=1)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Period:
    """The days on which trials are measured, the same for all; ``needed`` trades on them count in full."""

    start: datetime
    end: datetime
    needed: float = 0.0

    @property
    def days(self) -> int:
        """How many, the last one perhaps cut."""
        return max(math.ceil((self.end - self.start) / _DAY), 1)


@dataclass(frozen=True, slots=True)
class Worth:
    """What came out.

    Attributes
    ----------
    value
        What is searched for: the higher, the better.
    sharpe
        Annualised, of daily net returns, flat days included.
    trades
        How many.
    returns
        Of each day, as a fraction of what is traded with in each market.
    """

    value: float
    sharpe: float
    trades: int
    returns: Array

    @property
    def blocks(self) -> Array:
        """The return of each whole week at the deviation of a day: what the trial is compared by while it goes on."""
        whole = len(self.returns) // BLOCK_DAYS
        spread = self.returns.std()
        if not whole or spread < FLAT:
            return np.zeros(whole)
        weeks: Array = self.returns[: whole * BLOCK_DAYS].reshape(whole, BLOCK_DAYS).sum(axis=1) / spread
        return weeks


def worth(predictions: pl.DataFrame, rule: EntryRule, labels: LabelSettings, period: Period) -> Worth:
    """Measure the predictions of a period.

    Parameters
    ----------
    predictions
        Rows of the table of this name.
    rule, labels
        The rule of entry; the label set whose outcomes the predictions hold.
    period
        Days without a trade count too.
    """
    taken = trades(predictions, rule, labels)
    returns = np.zeros(period.days)
    if taken.height:
        day = (
            (taken["label_end"] - period.start).dt.total_microseconds() // int(_DAY.total_seconds() * 1e6)
        ).to_numpy()
        markets = predictions["market"].n_unique()
        np.add.at(returns, np.clip(day, 0, period.days - 1), taken["net"].to_numpy() / markets)
    return measured(returns, taken.height, period.needed)


def measured(returns: Array, count: int, needed: float) -> Worth:
    """The worth of daily returns."""
    year = math.sqrt(DAYS_PER_YEAR)
    if len(returns) < 3 or returns.std() < FLAT:
        return Worth(-year / math.sqrt(max(len(returns) - 1, 1)), 0.0, count, returns)
    found = SharpeEstimate.of(returns)
    variance = 1 - found.skewness * found.sharpe + (found.kurtosis - 1) / 4 * found.sharpe**2
    error = math.sqrt(max(variance, 1.0) / (len(returns) - 1))
    value = (found.sharpe - error) * year
    if value > 0 and needed > 0:
        value *= min(count / needed, 1.0)
    return Worth(value, found.sharpe * year, count, returns)


def trades(predictions: pl.DataFrame, rule: EntryRule, labels: LabelSettings) -> pl.DataFrame:
    """The predictions that are traded: entered on, of the better side, while no trade of the market is open.

    Returns
    -------
    polars.DataFrame
        ``market``, ``known_at``, ``label_end``, ``net``: the return as a fraction, after the rule's costs.
    """
    target, stop = stakes_percent(predictions, labels)
    said = pl.col("probability")
    entered = (
        predictions.filter(said.is_not_null())
        .with_columns(entered=rule.entered(target, stop), edge=rule.edge_bps(said, target, stop))
        .pipe(lambda rows: rows.with_columns(better=is_better_side(rows)))
        .filter("entered", "better")
        .select(
            "market",
            "known_at",
            "label_end",
            net=pl.col("return") + ((labels.cost_bps or 0.0) - rule.cost_bps) / 1e4,
        )
        .sort("market", "known_at")
    )
    return entered.filter(_one_at_a_time(entered))


def _one_at_a_time(entered: pl.DataFrame) -> pl.Series:
    begins, ends = entered["known_at"].to_physical().to_list(), entered["label_end"].to_physical().to_list()
    groups = entered["market"].rle_id().to_list()
    taken, group, busy_until = [], -1, 0
    for begin, end, own in zip(begins, ends, groups, strict=True):
        free = own != group or begin >= busy_until
        taken.append(free)
        if free:
            group, busy_until = own, end
    return pl.Series("taken", taken, pl.Boolean)
