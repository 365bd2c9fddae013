"""Which features a walk-forward's models lean on, measured on test data alone: time is respected by construction.

Permutation importance: L. Breiman, "Random Forests", *Machine Learning* 45, 2001, on each fold's test rows. SHAP
values: S. Lundberg and S.-I. Lee, "A Unified Approach to Interpreting Model Predictions", *Advances in Neural
Information Processing Systems* 30, 2017, as each estimator computes them, where it can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.models.classifier import Classifier
from trading_assets.store.tables import FEATURE_IMPORTANCE

TEST_ROWS: Final = 500
"""Rows of a fold that importance is measured on, drawn at random; neighbours share most of their outcome anyway."""

SHOWN: Final = 20
"""Features that a picture explains."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One fold's test rows explained.

    Attributes
    ----------
    importance
        Rows of ``feature_importance`` without ``model``.
    values, shap
        ``(rows, features)``: what the model saw, and what each value added to the log-odds; None where its estimator
        cannot say.
    """

    importance: pl.DataFrame
    values: Array
    shap: Array | None


def explain(
    classifier: Classifier, test: pl.DataFrame, history: pl.DataFrame | None = None, *, fold: int, seed: int
) -> Explanation:
    """Measure a fold's model on its test rows.

    Parameters
    ----------
    classifier
        The fold's model.
    test
        The fold's test rows: feature columns and ``label``.
    history
        Feature rows before these, which a model that looks back reads.
    fold, seed
        The fold's number; with the seed it determines the rows and the permutations.
    """
    rng = np.random.default_rng([seed, fold])
    rows = test[np.sort(rng.choice(test.height, min(TEST_ROWS, test.height), replace=False))]
    before = test if history is None else history
    values, hit = classifier.inputs(rows, before), (rows["label"] == 1).to_numpy()
    shap = classifier.contributions(values)
    base = _log_loss(classifier.probabilities(values), hit)
    used = range(values.shape[-1]) if shap is None else np.flatnonzero(np.abs(shap).max(axis=0) > 0)
    loss = np.zeros(values.shape[-1])
    replaced = classifier.replacing(values)
    for column in used:  # a feature that adds nothing to any row cannot matter
        shuffled = rng.permutation(values[..., column])
        loss[column] = _log_loss(replaced(int(column), shuffled), hit) - base
    importance = pl.DataFrame(
        {
            "fold": pl.repeat(fold, len(loss), dtype=pl.Int32, eager=True),
            "side": pl.repeat(test["side"][0], len(loss), dtype=pl.Int8, eager=True),
            "feature": list(classifier.features),
            "permutation": loss,
            "shap": pl.repeat(None, len(loss), dtype=pl.Float64, eager=True)
            if shap is None
            else np.abs(shap).mean(axis=0),
        }
    )
    seen = values if values.ndim == 2 else values[:, -1]
    return Explanation(importance.select(name for name in FEATURE_IMPORTANCE.columns if name != "model"), seen, shap)


def leading(importance: pl.DataFrame, count: int = SHOWN) -> list[str]:
    """The features with the largest mean absolute SHAP value over the folds, the largest first.

    Where an estimator cannot say these, those whose shuffling costs most.

    Parameters
    ----------
    importance
        ``feature``, ``shap``, ``permutation``, a row per fold and feature.
    """
    means = importance.group_by("feature").agg(pl.col("shap", "permutation").mean())
    by = "permutation" if means["shap"].is_null().all() else "shap"
    return means.sort(by, "feature", descending=[True, False])["feature"].head(count).to_list()


def beeswarm(explanations: list[Explanation], features: tuple[str, ...]) -> pl.DataFrame:
    """The dots of a SHAP summary: ``feature``, ``rank`` (of the value within its feature and fold, [0, 1]), ``shap``.

    Only the leading features; a missing value has no rank. Empty where no estimator says SHAP values.
    """
    chosen = leading(pl.concat(part.importance for part in explanations))
    columns = [features.index(name) for name in chosen]
    parts = [pl.DataFrame(schema={"feature": pl.String, "rank": pl.Float64, "shap": pl.Float64})]
    for part in explanations:
        if part.shap is None:
            continue
        for name, column in zip(chosen, columns, strict=True):
            value = pl.Series(part.values[:, column]).fill_nan(None)
            rank = (value.rank() - 1) / max(value.count() - 1, 1)
            parts.append(pl.DataFrame({"feature": name, "rank": rank, "shap": part.shap[:, column]}))
    return pl.concat(parts)


def _log_loss(probability: Array, hit: npt.NDArray[np.bool_]) -> float:
    chance = np.clip(np.where(hit, probability, 1 - probability), 1e-15, 1)
    return float(-np.log(chance).mean())
