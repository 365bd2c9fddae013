"""Weights walked forward: what an account would have become, and whether a method beats equal weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.candles import TS
from trading_assets.portfolio.sleeves import sleeves_of
from trading_assets.portfolio.weights import Weights, weights
from trading_assets.settings.sections.portfolio import EqualSettings, MethodSettings, PortfolioSettings
from trading_assets.store.tables import Schema
from trading_assets.validation.paired import Difference, compare_returns
from trading_assets.validation.performance import DAYS_PER_YEAR

_ALIKE: Final = 1e-12
_EVERY: Final[Mapping[str, Callable[[datetime], bool]]] = {
    "daily": lambda _: True,
    "weekly": lambda day: day.weekday() == 0,
    "monthly": lambda day: day.day == 1,
}


@dataclass(frozen=True, slots=True)
class Walk:
    """The walk-forward of one method.

    Attributes
    ----------
    method
        Its kind.
    decisions
        The weights that came into force, the oldest first.
    days
        ``ts, return, cost, turnover``: the portfolio's, day by day; the cost is in the return.
    """

    method: str
    decisions: tuple[Weights, ...]
    days: pl.DataFrame

    @property
    def turnover(self) -> float:
        """Weight moved in a year, one way."""
        years = self.days.height / DAYS_PER_YEAR
        return float(self.days["turnover"].sum()) / years if years else 0.0

    @property
    def returns(self) -> npt.NDArray[np.float64]:
        """Of its days."""
        return self.days["return"].to_numpy()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a method earns its place.

    Attributes
    ----------
    method
        That was asked for.
    days
        From the first on that differs from equal weights.
    found
        Measures of it, of equal weights, and of their difference; empty where there are too few days.
    asked
        What it takes.
    """

    method: str
    days: int
    found: dict[str, Difference]
    asked: PortfolioSettings

    @property
    def probability(self) -> float | None:
        """That it is better than equal weights; None where there are too few days to say."""
        return self.found[self.asked.measure].better if self.found else None

    @property
    def earns(self) -> bool:
        """Whether its weights are used; too little evidence is none."""
        if self.method == EqualSettings().kind:
            return True
        return self.probability is not None and self.probability >= self.asked.min_better

    @property
    def text(self) -> str:
        """In one line."""
        if self.method == EqualSettings().kind:
            return "equal weights are asked for"
        if self.probability is None:
            few = f"{self.method} differs from equal weights on {self.days} days"
            return f"{few}, {self.asked.min_common_days} are needed to say which is better: weights are equal"
        one = self.found[self.asked.measure]
        figures = f"{self.asked.measure} {one.first:.4g} against {one.second:.4g} on {self.days} days"
        said = f"{self.method} is better than equal weights with a probability of {self.probability:.0%}"
        kept = "it earns its place" if self.earns else "weights stay equal"
        return f"{said}, {self.asked.min_better:.0%} are asked: {kept} ({figures})"

    @property
    def evidence(self) -> dict[str, Any]:
        """All of it, as JSON knows it."""
        told = {name: asdict(one) for name, one in self.found.items()}
        return {"method": self.method, "days": self.days, "earns": self.earns, "probability": self.probability, **told}


def is_due(day: datetime, settings: PortfolioSettings) -> bool:
    """Whether weights are looked at when a day begins."""
    return _EVERY[settings.rebalance](day)


def settled(target: Weights, present: Weights | None, settings: PortfolioSettings) -> Weights:
    """The weights that come into force: the present ones, unless one of them is off its target beyond the band.

    A sleeve that came or went is always beyond it.
    """
    if present is None or {*present.of} != {*target.of}:
        return target
    farthest = max((abs(share - present.of[name]) for name, share in target.of.items()), default=0.0)
    return target if farthest > settings.drift_band else present


def moved(before: Weights | None, after: Weights) -> float:
    """Half of what all weights changed by; nothing at the first ones, when nothing is open."""
    if before is None:
        return 0.0
    names = {*before.of, *after.of}
    return sum(abs(after.of.get(name, 0.0) - before.of.get(name, 0.0)) for name in names) / 2


def walk(
    returns: pl.DataFrame, settings: PortfolioSettings, *, cost_share: float, method: MethodSettings | None = None
) -> Walk:
    """Decide weights as time goes on, each from what was known by then, and earn the days after it by them.

    At a change, trades that are open keep their size in the account, and new ones have the new weight. The walk-forward
    is coarser: from that day on, it earns all of a sleeve's return by the new weight. It is charged as if the open
    trades had been resized for it: what is moved, out of one sleeve and into another, once at the market each.

    Parameters
    ----------
    returns
        Of :func:`trading_assets.portfolio.sleeves.sleeve_returns`.
    settings
        Of the portfolio.
    cost_share
        What it costs to move all of the weight out of a sleeve, or into one, as a fraction of equity.
    method
        Instead of the settings'.
    """
    sleeves, present, decisions = sleeves_of(returns), None, []
    asked = settings.method if method is None else method
    matrix, vector = returns.select(sleeves).fill_null(0.0).to_numpy(), np.zeros(len(sleeves))
    rows: list[tuple[datetime, float, float, float]] = []
    for number, day in enumerate(returns["ts"]):
        turnover = 0.0
        if present is None or is_due(day, settings):
            target = settled(weights(returns, settings, day, method=asked), present, settings)
            if target is not present:
                turnover, present = moved(present, target), target
                decisions.append(target)
                vector = np.array([target.of[name] for name in sleeves])
        cost = 2 * turnover * cost_share
        rows.append((day, float(matrix[number] @ vector) - cost, cost, turnover))
    schema: Schema = {"ts": TS, "return": pl.Float64, "cost": pl.Float64, "turnover": pl.Float64}
    return Walk(asked.kind, tuple(decisions), pl.DataFrame(rows, schema=schema, orient="row"))


def judge_method(asked: Walk, equal: Walk, settings: PortfolioSettings) -> Verdict:
    """Compare a method with equal weights on the same days.

    Days before the two part say nothing of which is better: they are left out.
    """
    ours, theirs = asked.returns, equal.returns
    apart = np.flatnonzero(np.abs(ours - theirs) > _ALIKE)
    first = int(apart[0]) if len(apart) else len(ours)
    days = len(ours) - first
    if days < settings.min_common_days:
        return Verdict(asked.method, days, {}, settings)
    found = compare_returns(ours[first:], theirs[first:], resamples=settings.resamples)
    return Verdict(asked.method, days, found, settings)
