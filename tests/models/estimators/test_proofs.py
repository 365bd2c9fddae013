"""Each proof finds the estimator that breaks it."""

from __future__ import annotations

import itertools
import json
import pickle
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pytest

from tests.models.estimators.toys import Trailing
from trading_assets.core.errors import ModelError, SettingsError
from trading_assets.models.estimators import Array, Estimator, Files, Fitted, register
from trading_assets.models.estimators.logistic import Line, Logistic
from trading_assets.models.estimators.proof_case import Case
from trading_assets.models.estimators.proofs import PROOFS, prove
from trading_assets.settings import EstimatorSettings, LogisticSettings


class Other(Fitted):
    """A logistic regression with one fault."""

    def __init__(self, line: Fitted) -> None:
        self.line = line

    def predict_proba(self, rows: Array) -> Array:
        return self.line.predict_proba(rows)

    def save(self) -> Files:
        return self.line.save()

    def contributions(self, rows: Array) -> Array | None:
        return self.line.contributions(rows)


class Beyond(Other):
    def predict_proba(self, rows: Array) -> Array:
        return 2 * self.line.predict_proba(rows)


class Pickled(Other):
    def save(self) -> Files:
        return {"model.pkl": pickle.dumps(self.line)}


class Batched(Other):
    def predict_proba(self, rows: Array) -> Array:
        answers = self.line.predict_proba(rows)
        return np.clip(answers + 1e-9 * answers.mean(), 0, 1)


class Writing(Other):
    def predict_proba(self, rows: Array) -> Array:
        rows[np.isnan(rows)] = 0
        return self.line.predict_proba(rows)


class Sharp(Other):
    def contributions(self, rows: Array) -> Array | None:
        told = self.line.contributions(rows)
        return None if told is None else told * 1.1


class Loose(Other):
    def predict_proba(self, rows: Array) -> Array:
        moved = np.nan_to_num(rows[:, 4]) - 0.1
        return np.clip(self.line.predict_proba(rows) + 0.01 * moved, 0, 1)


class Empty(Other):
    def predict_proba(self, rows: Array) -> Array:
        answers = self.line.predict_proba(rows)
        return np.where(np.isnan(rows).all(axis=1), np.nan, answers)


def with_fault(fault: type[Other]) -> Estimator[Any]:
    class Faulty(Logistic):
        def fit(self, *given: Any, **named: Any) -> Fitted:
            return fault(super().fit(*given, **named))

        def load(self, files: Files, **named: Any) -> Fitted:
            return fault(super().load(files, **named))

    return Faulty()


class Drawn(Logistic):
    """A draw that no seed decides."""

    draws = itertools.count()

    def fit(self, *given: Any, **named: Any) -> Fitted:
        line = super().fit(*given, **named)
        assert isinstance(line, Line)
        return Line(line.mean, line.deviation, line.coefficients, line.intercept + next(self.draws) * 1e-9, line.clip)


class Blind(Logistic):
    """Weights go nowhere."""

    def fit(self, rows: Array, target: Array, weights: Array | None, **named: Any) -> Fitted:
        return super().fit(rows, target, None, **named)


class Rounded(Logistic):
    """What is read back has lost digits."""

    def load(self, files: Files, **named: Any) -> Fitted:
        line = super().load(files, **named)
        assert isinstance(line, Line)
        return Line(line.mean, line.deviation, line.coefficients.round(6), line.intercept, line.clip)


class Trusting(Logistic):
    """Takes a file that it cannot read for a model."""

    def load(self, files: Files, *, parameters: LogisticSettings, features: Sequence[str]) -> Fitted:
        try:
            return super().load(files, parameters=parameters, features=features)
        except ModelError:
            return Line(*(np.ones(len(features)),) * 3, 0.0, 5.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("estimator", "proof", "says"),
    [
        (with_fault(Beyond), "probabilities", "rows like those of training get 1"),
        (Drawn(), "refit", "logistic.json is another after a second fit"),
        (Rounded(), "saved", "read back, it answers otherwise by"),
        (with_fault(Pickled), "plain", "model.pkl is a pickle"),
        (with_fault(Batched), "row_alone", "in batches of 1 the answers differ by"),
        (with_fault(Writing), "untouched", "it writes to its inputs"),
        (with_fault(Empty), "missing", "rows of missing values get"),
        (with_fault(Loose), "constant", "a column that was constant in training moves the answers by 0.05"),
        (Blind(), "weights", "rows of three times the weight move the answers by +0.000"),
        (with_fault(Sharp), "explained", "they miss the log-odds"),
        (Trusting(), "malformed", "it loads without logistic.json"),
    ],
)
def test_a_broken_promise_is_found(estimator: Estimator[Any], proof: str, says: str) -> None:
    case = Case(estimator, LogisticSettings())
    wrong = PROOFS[proof](case)
    assert wrong is not None
    assert says in wrong


def test_every_proof_has_an_estimator_that_breaks_it() -> None:
    (marked,) = test_a_broken_promise_is_found.pytestmark  # type: ignore[attr-defined]
    assert {proof for _, proof, _ in marked.args[1]} == set(PROOFS)


@pytest.mark.slow
def test_an_estimator_that_reads_several_rows_is_asked_the_same() -> None:
    kept = {"refit", "saved", "plain", "row_alone", "untouched", "explained", "malformed"}
    assert kept.isdisjoint(prove(Trailing())), "it is a toy: what it learns is another matter"


def test_an_estimator_that_fails_is_no_crash_of_the_proofs() -> None:
    class Failing(Logistic):
        def fit(self, *given: Any, **named: Any) -> Fitted:
            raise ZeroDivisionError("by nothing")

    assert prove(Failing()) == dict.fromkeys(PROOFS, "ZeroDivisionError: by nothing")


def test_a_kind_that_is_there_is_not_registered_twice() -> None:
    class Mine(EstimatorSettings):
        kind: Literal["logistic"] = "logistic"

    class Second(Trailing):
        parameters = Mine  # type: ignore[assignment]

    with pytest.raises(SettingsError, match=r"the estimator 'logistic' is there already, in .*estimators\.logistic"):
        register(Second)


def test_a_saved_line_is_small_and_readable() -> None:
    case = Case(Logistic(), LogisticSettings())
    saved = json.loads(case.fitted.save()["logistic.json"])
    assert set(saved) == {"mean", "deviation", "coefficients", "intercept", "clip_deviations"}
    assert saved["coefficients"][4] == saved["coefficients"][5] == 0
