"""What a model leans on is measured on its test rows, and the planted features lead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.report.feature_plots import importance, shap_summary
from trading_assets.models import join
from trading_assets.models.folds import WalkForwardResult, walk_forward
from trading_assets.models.importance import beeswarm, explain, leading
from trading_assets.models.training import fit
from trading_assets.settings import LightGBMSettings, ModelSettings, WalkForwardSettings
from trading_assets.store.tables import FEATURE_IMPORTANCE

if TYPE_CHECKING:
    from conftest import PlantedFrames

    from trading_assets.models import Dataset

NAMES = tuple(f"f{i}" for i in range(6))
LEARNER = LightGBMSettings(num_boost_round=30, min_data_in_leaf=50)
SPEC = ModelSettings(
    markets=["sample:A/USDT"], estimator=LEARNER, walk_forward=WalkForwardSettings(train_days=20, test_days=10)
)


@pytest.fixture(scope="module")
def data(planted: PlantedFrames) -> Dataset:
    return join(*planted(days=60, edge=2.0), names=NAMES, fingerprint="0" * 64)


@pytest.fixture(scope="module")
def result(data: Dataset) -> WalkForwardResult:
    return walk_forward(data, SPEC, explained=True)


def test_the_planted_features_lead_in_both_measures(result: WalkForwardResult) -> None:
    weights = pl.concat(part.importance for part in result.explanations)
    assert set(leading(weights, 2)) == {"f0", "f1"}
    by_loss = weights.group_by("feature").agg(pl.col("permutation").mean()).sort("permutation", descending=True)
    assert set(by_loss["feature"].head(2)) == {"f0", "f1"}
    assert by_loss["permutation"][1] > 5 * abs(by_loss["permutation"][2])


def test_every_fold_has_a_row_per_feature_of_the_table(result: WalkForwardResult) -> None:
    weights = pl.concat(part.importance for part in result.explanations)
    assert weights.height == len(NAMES) * result.folds.height
    assert weights.columns == [name for name in FEATURE_IMPORTANCE.columns if name != "model"]
    assert (weights["shap"] >= 0).all()


def test_shap_values_add_up_to_the_log_odds(data: Dataset) -> None:
    classifier = fit(data.frame.head(2000), NAMES, LEARNER)
    values = classifier.inputs(data.frame.tail(300))
    odds = np.log(classifier.probabilities(values) / (1 - classifier.probabilities(values)))
    rest = odds - classifier.contributions(values).sum(axis=1)
    assert np.ptp(rest) < 1e-9, "what is left is the average, the same for every row"


def test_explaining_changes_neither_predictions_nor_the_rows_and_is_repeatable(
    data: Dataset, result: WalkForwardResult
) -> None:
    assert walk_forward(data, SPEC).predictions.equals(result.predictions)
    classifier, rows = fit(data.frame.head(2000), NAMES, LEARNER), data.frame.tail(300)
    once, again = (explain(classifier, rows, fold=1, seed=7) for _ in range(2))
    assert once.importance.equals(again.importance)
    assert np.array_equal(once.values, classifier.inputs(rows))


def test_all_markets_of_a_fold_are_asked_alike(data: Dataset) -> None:
    """Rows are sorted by time, then market: every 64th of eight markets' rows would be of one market."""
    rows = data.frame.head(4000)
    markets = pl.concat(rows.with_columns(f0=pl.lit(float(market))) for market in range(8)).sort("ts", "f0")
    told = explain(fit(rows, NAMES, LEARNER), markets, fold=1, seed=7)
    shares = np.bincount(told.values[:, 0].astype(int), minlength=8) / len(told.values)
    assert len(told.values) == 500
    assert shares == pytest.approx([1 / 8] * 8, abs=0.06)


def test_a_feature_that_no_tree_asks_does_not_matter(data: Dataset) -> None:
    rows = data.frame.with_columns(f5=pl.lit(1.0))
    told = explain(fit(rows.head(2000), NAMES, LEARNER), rows.tail(300), fold=1, seed=7)
    (row,) = told.importance.filter(pl.col("feature") == "f5").to_dicts()
    assert (row["permutation"], row["shap"]) == (0, 0)


def test_both_measures_have_a_picture(result: WalkForwardResult, data: Dataset) -> None:
    dots = beeswarm(result.explanations, data.features)
    assert dots["rank"].is_between(0, 1).all()
    assert shap_summary(dots, fmt="png").startswith(b"\x89PNG")
    assert b"<svg" in importance(pl.concat(part.importance for part in result.explanations))
