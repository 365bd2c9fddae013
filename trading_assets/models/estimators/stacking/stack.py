"""A stack: what several estimators say, pooled in log-odds by weights that must earn their place.

Weights are learnt on predictions of rows that no member had seen: the training window is cut into spans of equal time,
and each is predicted by members that were trained on the others, purged and embargoed. They are not negative and sum to
1, which keeps a stack from playing members that say nearly the same off against each other (L. Breiman, "Stacked
Regressions", *Machine Learning* 24, 1996; M. J. van der Laan et al., "Super Learner", *Statistical Applications in
Genetics and Molecular Biology* 6, 2007). The plain average is hard to beat, as learnt weights carry noise of their own
(R. T. Clemen, "Combining forecasts: A review", *International Journal of Forecasting* 5, 1989): they are kept where
their Brier score, on spans that they were not learnt on, beats the average's by more than its noise.

Pooled are log-odds (the logarithmic pool: C. Genest and J. V. Zidek, "Combining Probability Distributions",
*Statistical Science* 1, 1986), so that SHAP values of a stack are those of its members, weighted.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
import polars as pl
from pydantic import ValidationError

from trading_assets.core.errors import ModelError
from trading_assets.models.estimators.contract import Array, Estimator, Files, Fitted
from trading_assets.models.estimators.odds import chance_of
from trading_assets.models.estimators.registry import estimator_of, register
from trading_assets.models.estimators.stacking.stack_weights import Weighing, weigh
from trading_assets.settings import EstimatorSettings, StackSettings
from trading_assets.validation import CombinatorialFold, CombinatorialPurged

FILE: Final = "stack.json"

_SURE: Final = 1e-9
"""How near a member's probability comes to 0 and 1: one that were there would overrule all others."""

_SWING: Final = 25
"""A probability of 0.01 moves that much more in log-odds, hence in a pool at 0.5, than one of 0.5 does."""


@dataclass(frozen=True)
class Member:
    """One estimator of a stack.

    Attributes
    ----------
    place
        From 0: its files are called by it.
    parameters
        Its section of the settings.
    """

    place: int
    parameters: EstimatorSettings

    @property
    def prefix(self) -> str:
        """Of the names of its files."""
        return f"m{self.place}_"

    @property
    def estimator(self) -> Estimator[Any]:
        """What learns."""
        return estimator_of(self.parameters)

    def rows(self, rows: Array) -> Array:
        """Of the stack's rows those that it reads: the newest ones, where the stack's longest reads more."""
        back = self.estimator.lookback_rows(self.parameters)
        if rows.ndim == 2 or back == rows.shape[1]:
            return rows
        return np.ascontiguousarray(rows[:, -1] if back == 1 else rows[:, -back:])

    def fit(
        self, rows: Array, target: Array, weights: Array | None, times: pl.DataFrame, names: Sequence[str]
    ) -> Fitted:
        """Fit on the stack's rows."""
        given: dict[str, Any] = {"times": times, "parameters": self.parameters, "seed": self.parameters.seed}
        return self.estimator.fit(self.rows(rows), target, weights, features=names, **given)

    def load(self, files: Files, names: Sequence[str]) -> Fitted:
        """From its files among the stack's; what is wrong with one is told by the name that it has there."""
        own = {name.removeprefix(self.prefix): one for name, one in files.items() if name.startswith(self.prefix)}
        try:
            return self.estimator.load(own, parameters=self.parameters, features=names)
        except ModelError as error:
            raise ModelError(error.what, where=f"{self.prefix}{error.where}", remedy=error.remedy) from None

    def odds(self, fitted: Fitted, rows: Array) -> Array:
        """The log-odds of what it says."""
        chance = np.clip(fitted.predict_proba(self.rows(rows)), _SURE, 1 - _SURE)
        odds: Array = np.log(chance / (1 - chance))
        return odds


@dataclass(frozen=True)
class Pool(Fitted):
    """Fitted members and what each counts.

    Attributes
    ----------
    members, fitted
        In the order of the settings.
    weighing
        The weights, and how they came about.
    """

    members: tuple[Member, ...]
    fitted: tuple[Fitted, ...]
    weighing: Weighing

    def predict_proba(self, rows: Array) -> Array:
        """The probability of the members' mean log-odds, weighted."""
        odds = np.zeros(len(rows))
        for member, fitted, weight in self._counting():
            odds = odds + weight * member.odds(fitted, rows)
        return chance_of(odds)

    def contributions(self, rows: Array) -> Array | None:
        """SHAP values of the members, weighted; None where one that counts cannot say."""
        told = np.zeros((len(rows), rows.shape[-1]))
        for member, fitted, weight in self._counting():
            said = fitted.contributions(member.rows(rows))
            if said is None:
                return None
            told += weight * said
        return told

    def save(self) -> Files:
        """The members' files, each by its place, and one of the weights."""
        files = {FILE: (self.weighing.model_dump_json(indent=1) + "\n").encode()}
        for member, fitted in zip(self.members, self.fitted, strict=True):
            files |= {f"{member.prefix}{name}": content for name, content in fitted.save().items()}
        return files

    def _counting(self) -> list[tuple[Member, Fitted, float]]:
        """The members whose weight is not 0."""
        each = zip(self.members, self.fitted, self.weighing.weights, strict=True)
        return [(member, fitted, weight) for member, fitted, weight in each if weight]


@register
class Stack(Estimator[StackSettings]):
    """Several estimators as one; as deterministic as they are."""

    parameters = StackSettings

    def tolerance_of(self, parameters: StackSettings) -> float:
        """That of its worst member, in a pool."""
        return _SWING * max(one.estimator.tolerance_of(one.parameters) for one in _members(parameters))

    def lookback_rows(self, parameters: StackSettings) -> int:
        """Of the member that looks back longest."""
        return max(one.estimator.lookback_rows(one.parameters) for one in _members(parameters))

    def version(self, parameters: StackSettings) -> str:
        """Of its members."""
        return ", ".join(sorted({one.estimator.version(one.parameters) for one in _members(parameters)}))

    def fit(
        self,
        rows: Array,
        target: Array,
        weights: Array | None,
        *,
        times: pl.DataFrame,
        parameters: StackSettings,
        features: Sequence[str],
        seed: int,
    ) -> Fitted:
        """Weigh the members on rows that they had not seen, then train them on all."""
        members = _members(parameters)
        training = _Training(rows, target, weights, times, features)
        kinds = [one.parameters.kind for one in members]
        try:
            folds = training.folds(parameters)
        except ModelError as error:
            weighing = Weighing.equal(kinds, f"no row can be held out: {error.what}")
        else:
            unseen = np.column_stack([training.out_of_fold(one, folds) for one in members])
            weighing = weigh(kinds, unseen, target, weights, times["known_at"], folds=folds, seed=seed)
        return Pool(members, tuple(one.fit(rows, target, weights, times, features) for one in members), weighing)

    def load(self, files: Files, *, parameters: StackSettings, features: Sequence[str]) -> Fitted:
        """The weights, and each member by its own reader."""
        members = _members(parameters)
        if FILE not in files:
            raise ModelError("the model has no such file", where=FILE, remedy="train it again")
        try:
            weighing = Weighing.model_validate_json(files[FILE])
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in wrong["loc"])
            raise ModelError(f"{place}: {wrong['msg']}", where=FILE, remedy="train it again") from None
        if weighing.members != [one.parameters.kind for one in members]:
            raise ModelError(
                f"it weighs {', '.join(weighing.members)}, the settings name other members",
                where=FILE,
                remedy="train it again",
            )
        return Pool(members, tuple(one.load(files, features) for one in members), weighing)


def _members(parameters: StackSettings) -> tuple[Member, ...]:
    return tuple(Member(place, one) for place, one in enumerate(parameters.members))


@dataclass(frozen=True)
class _Training:
    """What a stack is trained on."""

    rows: Array
    target: Array
    weights: Array | None
    times: pl.DataFrame
    names: Sequence[str]

    def folds(self, parameters: StackSettings) -> list[CombinatorialFold]:
        """The spans that are held out in turn: as many as are asked for, or fewer where one of so many has no rows.

        Rows have a hole where one part of them is held out to calibrate the stack, or the venue was silent. Were the
        members averaged for that, a calibrator would learn what the scores of another model are worth.

        Raises
        ------
        ModelError
            A span has no rows, or beside one there is nothing to train on, or one outcome only, however few there are.
        """
        try:
            return self._cut(parameters.folds, parameters)
        except ModelError:
            for number in range(parameters.folds - 1, 1, -1):
                with suppress(ModelError):
                    return self._cut(number, parameters)
            raise

    def _cut(self, number: int, parameters: StackSettings) -> list[CombinatorialFold]:
        splitter = CombinatorialPurged(number, 1, timedelta(days=parameters.embargo_days))
        folds = splitter.folds(self.times["known_at"], self.times["label_end"])
        for fold in folds:
            if not 0 < self.target[fold.train].mean() < 1:
                raise ModelError(f"beside span {fold.number} there is only one outcome", where="estimator stack")
        return folds

    def out_of_fold(self, member: Member, folds: Sequence[CombinatorialFold]) -> Array:
        """The log-odds that a member says of each row when it has not seen it."""
        odds = np.empty(len(self.target))
        for fold in folds:
            weights = None if self.weights is None else self.weights[fold.train]
            if weights is not None:
                weights = weights / weights.mean()
            seen = self.rows[fold.train], self.target[fold.train], weights, self.times[fold.train]
            odds[fold.test] = member.odds(member.fit(*seen, self.names), self.rows[fold.test])
        return odds
