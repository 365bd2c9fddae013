"""What each member of a stack counts: learnt weights where they beat the plain average, else the average."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, Literal, Self

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from trading_assets.models.estimators.contract import Array
from trading_assets.models.estimators.odds import chance_of
from trading_assets.validation import CombinatorialFold, beats

_DIGITS: Final = 4
"""Weights are rounded to these: more are noise, and these are the same on every machine."""


class Weighing(BaseModel):
    """The weights of a stack and how they came about, as it stands in a bundle.

    Attributes
    ----------
    members
        Their kinds.
    weights
        What each counts: not negative, together 1.
    chosen
        Whether the learnt weights were kept.
    why
        For people.
    learnt
        The learnt weights, kept or not; None where no row could be held out.
    brier
        Of rows that were held out: each member's, then ``average`` and ``learnt``.
    gain_low, gain_high
        The interval of what the learnt weights gain on the average; None where too little was seen.
    rows
        How many were held out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)

    members: list[str] = Field(min_length=1)
    weights: list[float]
    chosen: Literal["average", "learnt"]
    why: str
    learnt: list[float] | None = None
    brier: list[tuple[str, float]] = []
    gain_low: float | None = None
    gain_high: float | None = None
    rows: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _are_shares(self) -> Self:
        if len(self.weights) != len(self.members) or min(self.weights) < 0 or abs(sum(self.weights) - 1) > 1e-9:
            raise ValueError("the weights are not one share for each member")
        return self

    @classmethod
    def equal(cls, members: Sequence[str], why: str, **found: Any) -> Self:
        """The plain average."""
        share = 1 / len(members)
        return cls(members=list(members), weights=[share] * len(members), chosen="average", why=why, **found)


def weigh(
    members: Sequence[str],
    odds: Array,
    target: Array,
    weights: Array | None,
    known_at: pl.Series,
    *,
    folds: Sequence[CombinatorialFold],
    seed: int,
) -> Weighing:
    """Learn weights and say whether they are kept.

    Each span is scored with weights that were learnt on the rows that are clear of it.

    Parameters
    ----------
    members
        Their kinds.
    odds
        ``(rows, members)``: log-odds of rows that the members had not seen.
    target, weights, known_at
        Of the rows: the outcome, what each counts, when it was decided on.
    folds
        The spans that were held out.
    seed
        Of the bootstrap.
    """
    counts = np.ones(len(target)) if weights is None else weights
    average, crossed = chance_of(odds.mean(axis=1)), np.empty(len(target))
    for fold in folds:
        own = learn(odds[fold.train], target[fold.train], counts[fold.train])
        crossed[fold.test] = chance_of(_pooled(odds[fold.test], own))
    gain = beats(average, crossed, target, known_at, seed=seed)
    learnt = learn(odds, target, counts)
    alone = [(kind, float(np.mean((chance_of(one) - target) ** 2))) for kind, one in zip(members, odds.T, strict=True)]
    found: dict[str, Any] = {
        "learnt": learnt.tolist(),
        "brier": [*alone, ("average", gain.before), ("learnt", gain.after)],
        "gain_low": None if math.isnan(gain.low) else gain.low,
        "gain_high": None if math.isnan(gain.high) else gain.high,
        "rows": gain.rows,
    }
    if not gain:
        return Weighing.equal(members, f"{gain}: no more than noise", **found)
    why = f"{gain}: more than noise"
    return Weighing(members=list(members), weights=learnt.tolist(), chosen="learnt", why=why, **found)


def learn(odds: Array, target: Array, counts: Array) -> Array:
    """The shares, not negative and together 1, that minimise the log loss of the pool: it is convex in them.

    Sums go along rows without linear algebra, whose order of additions depends on the number of threads.
    """
    from scipy.optimize import minimize

    share = counts / counts.sum()

    def loss(weights: Array) -> tuple[float, Array]:
        pooled = _pooled(odds, weights)
        value = float((share * (np.logaddexp(0, pooled) - target * pooled)).sum())
        return value, ((share * (chance_of(pooled) - target))[:, np.newaxis] * odds).sum(axis=0)

    count = odds.shape[1]
    together = {"type": "eq", "fun": lambda weights: weights.sum() - 1, "jac": lambda weights: np.ones_like(weights)}
    found = minimize(
        loss,
        np.full(count, 1 / count),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints=[together],
        options={"ftol": 1e-12, "maxiter": 200},
    )
    rounded = np.round(np.clip(found.x, 0, 1), _DIGITS)
    shares: Array = rounded / rounded.sum()
    return shares


def _pooled(odds: Array, weights: Array) -> Array:
    pooled: Array = (odds * weights).sum(axis=1)
    return pooled
