"""The weights of sleeves as of a moment, from what was known for good an embargo before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from trading_assets.portfolio.allocation import shares
from trading_assets.portfolio.sleeves import known_days, sleeves_of
from trading_assets.settings.sections.portfolio import EqualSettings, MethodSettings, PortfolioSettings
from trading_assets.validation.performance import FLAT


@dataclass(frozen=True, slots=True)
class Weights:
    """Of each sleeve, as of a moment.

    Attributes
    ----------
    as_of
        When they were decided, UTC.
    method
        What they came from: the kind asked for, or ``equal`` where that could not be measured.
    of
        Sleeve -> the share of the account's equity that its trades are sized on.
    reasons
        Sleeve -> why.
    days
        How many days they were found on.
    """

    as_of: datetime
    method: str
    of: Mapping[str, float]
    reasons: Mapping[str, str]
    days: int

    @property
    def total(self) -> float:
        """Their sum; the rest of the account stays cash."""
        return float(sum(self.of.values()))

    @property
    def effective_sleeves(self) -> float:
        """So many equal sleeves would be as spread out (the inverse of Herfindahl's index)."""
        every = np.array([*self.of.values()])
        return float(every.sum() ** 2 / (every**2).sum()) if every.any() else 0.0


def known_by(returns: pl.DataFrame, settings: PortfolioSettings, as_of: datetime) -> pl.DataFrame:
    """The days that a decision may look at: known for good an embargo before it, and within the look-back."""
    until = as_of - timedelta(days=settings.embargo_days)
    since = until - timedelta(days=settings.lookback_days)
    return returns.filter(pl.col("known_at") <= until, pl.col("ts") >= since)


def weights(
    returns: pl.DataFrame, settings: PortfolioSettings, as_of: datetime, *, method: MethodSettings | None = None
) -> Weights:
    """Decide the weights of all sleeves.

    A sleeve with too short a history, or that did not trade, has no risk that could be measured: it has no weight while
    others have. Where none has enough, all that have any are weighted alike.

    Parameters
    ----------
    returns
        Of :func:`trading_assets.portfolio.sleeves.sleeve_returns`; nothing that was not known is read.
    settings
        Look-back, embargo, bounds.
    as_of
        The moment, UTC.
    method
        Instead of the settings'.

    Raises
    ------
    ModelError
        If the method finds no weights.
    """
    asked = settings.method if method is None else method
    known, every = known_by(returns, settings, as_of), sleeves_of(returns)
    unfit = {name: why for name in every if (why := _unfit(known[name].drop_nulls(), settings))}
    able = [name for name in every if name not in unfit]
    days = known_days(known, able)
    if able and days.height >= settings.min_history_days:
        found = shares(asked, days.select(able).to_numpy(), able, low=settings.min_weight, high=settings.max_weight)
        why = f"{asked.kind} on {days.height} days"
        of = dict.fromkeys(every, 0.0) | {one: float(share) for one, share in zip(able, found, strict=True)}
        return Weights(as_of, asked.kind, of, dict.fromkeys(able, why) | unfit, days.height)
    alike = able or [name for name in every if known[name].count()] or every
    share = min(1 / len(alike), settings.max_weight) if alike else 0.0
    few = f"fewer than {settings.min_history_days} days that all have"
    of = dict.fromkeys(every, 0.0) | dict.fromkeys(alike, share)
    reasons = unfit | {name: f"alike: {unfit.get(name, few)}" for name in alike}
    return Weights(as_of, EqualSettings().kind, of, reasons, days.height if able else 0)


def _unfit(days: pl.Series, settings: PortfolioSettings) -> str:
    """Why a sleeve cannot be measured; empty where it can."""
    if days.len() < settings.min_history_days:
        return f"{days.len()} of {settings.min_history_days} days of history"
    return "" if float(days.std() or 0.0) >= FLAT else "no trade within the look-back: no risk to measure"  # type: ignore[arg-type]
