"""What weights must keep to before the node gets them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from trading_assets.portfolio.sleeves import sleeves_of
from trading_assets.portfolio.walk_forward import Walk
from trading_assets.portfolio.weights import Weights
from trading_assets.settings.sections.portfolio import PortfolioGateSettings
from trading_assets.validation.performance import max_drawdown, sharpe

_ROUNDING: Final = 1e-9

GATES: Final = {
    "total_weight": "Weights make at most the whole of the account.",
    "approved_only": "No weight on a model without an approved or active version.",
    "turnover": "The weight moved in a year of the walk-forward stays within `portfolio.gates.max_turnover`.",
    "effective_sleeves": "Weights are spread over `portfolio.gates.min_effective_sleeves`, or as many as there are.",
    "drawdown": "The deepest drawdown is at most `portfolio.gates.max_drawdown_ratio` times the best sleeve's.",
}


@dataclass(frozen=True, slots=True)
class PortfolioGate:
    """One gate.

    Attributes
    ----------
    name
        One of :data:`GATES`.
    value, limit
        What the weights have, and what they may or must have.
    text
        Both in words.
    """

    name: str
    value: float
    limit: float
    passed: bool
    text: str


def evaluate(
    chosen: Weights, walked: Walk, returns: pl.DataFrame, approved: Collection[str], limits: PortfolioGateSettings
) -> list[PortfolioGate]:
    """Measure weights, and the walk-forward of the method that they come from, against the gates.

    Parameters
    ----------
    chosen
        To come into force.
    walked
        Of their method.
    returns
        Of the sleeves.
    approved
        The models that have an approved or active version.
    limits
        The section ``portfolio.gates``.
    """
    strange = {name: share for name, share in chosen.of.items() if share > 0 and name not in approved}
    spread = min(limits.min_effective_sleeves, float(len(chosen.of)))
    drawdown = float(max_drawdown(walked.returns))
    best, its = _best(returns)
    deepest = limits.max_drawdown_ratio * its
    names = ", ".join(f"{one} {share:.1%}" for one, share in strange.items())
    return [
        _most("total_weight", chosen.total, 1.0, f"weights make {chosen.total:.1%} of the account, limit 100 %"),
        _most("approved_only", sum(strange.values()), 0.0, f"not approved: {names}" if strange else "all are approved"),
        _most(
            "turnover",
            walked.turnover,
            limits.max_turnover,
            f"{walked.turnover:.2f} accounts moved in a year, limit {limits.max_turnover:g}",
        ),
        PortfolioGate(
            "effective_sleeves",
            chosen.effective_sleeves,
            spread,
            chosen.effective_sleeves >= spread - _ROUNDING,
            f"as spread out as {chosen.effective_sleeves:.2f} equal sleeves, {spread:g} are asked",
        ),
        _most("drawdown", drawdown, deepest, f"drawdown {drawdown:.2%}, limit {deepest:.2%}: best sleeve {best}"),
    ]


def _most(name: str, value: float, limit: float, text: str) -> PortfolioGate:
    return PortfolioGate(name, value, limit, value <= limit + _ROUNDING, text)


def _best(returns: pl.DataFrame) -> tuple[str, float]:
    """The sleeve with the highest Sharpe ratio, and its deepest drawdown."""
    every = {name: returns[name].drop_nulls().to_numpy() for name in sleeves_of(returns)}
    if not every:
        return "none", 0.0
    best = max(every, key=lambda name: float(sharpe(np.asarray(every[name]))))
    return best, float(max_drawdown(np.asarray(every[best])))
