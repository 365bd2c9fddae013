from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.core.candles import TS
from trading_assets.core.errors import ModelError
from trading_assets.models.confidence import Confidence, Conformal, OutOfFold, measure, out_of_fold, registered
from trading_assets.models.estimators.odds import log_odds
from trading_assets.settings import ConfidenceSettings
from trading_assets.validation import CombinatorialPurged, coverage

START = datetime(2024, 1, 1, tzinfo=UTC)
KINDS = tuple(registered())


def times(rows: int) -> pl.DataFrame:
    known = pl.Series("known_at", [START + timedelta(hours=number) for number in range(rows)], dtype=TS)
    return pl.DataFrame([known]).with_columns(label_end=pl.col("known_at") + timedelta(hours=3))


def scored(seed: int, stretch: float, rows: int = 2000) -> OutOfFold:
    """Out-of-fold scores of which the log-odds are ``stretch`` times the true ones."""
    rng = np.random.default_rng(seed)
    truth = 1 / (1 + np.exp(-rng.normal(-0.5, 0.5, rows)))
    hit = (rng.random(rows) < truth).astype(float)
    when = times(rows)
    folds = CombinatorialPurged(4, 1, timedelta(hours=1)).folds(when["known_at"], when["label_end"])
    return OutOfFold(1 / (1 + np.exp(-stretch * log_odds(truth))), hit, when["known_at"], folds)


@pytest.mark.parametrize("kind", KINDS)
def test_a_calibrated_model_stays_as_it_is_and_an_overconfident_one_does_not(kind: str) -> None:
    asked = ConfidenceSettings(calibration=kind)  # type: ignore[arg-type]
    kept = sum(measure(scored(seed, 1.0), asked).curve is not None for seed in range(40))
    assert kept <= 2  # 5 %
    for seed in range(5):
        found = measure(scored(seed, 2.5), asked)
        assert found.calibration is not None
        assert found.calibration.kept
        assert "more than noise" in found.calibration.why
        assert found.curve is not None
        assert found.calibration.gain == pytest.approx(
            found.calibration.brier_plain - found.calibration.brier_calibrated  # type: ignore[operator]
        )


def test_what_is_not_kept_says_what_was_measured() -> None:
    found = measure(scored(1, 1.0), ConfidenceSettings(calibration="isotonic")).calibration
    assert found is not None
    assert (found.asked, found.kept, found.rows) == ("isotonic", False, 2000)
    assert found.why.endswith(("no more than noise", "worse"))
    assert found.gain_low is not None
    assert found.gain_low < 0


@given(seed=st.integers(0, 1000), rows=st.integers(25, 90), promised=st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_a_set_is_what_mapie_says(seed: int, rows: int, promised: float) -> None:
    from mapie.classification import SplitConformalClassifier
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Said(ClassifierMixin, BaseEstimator):
        """Says what it is given."""

        def fit(self, rows: object, outcomes: object) -> Said:
            self.classes_, self.is_fitted_, self.n_features_in_ = np.array([0, 1]), True, 1
            return self

        def predict_proba(self, rows: np.ndarray) -> np.ndarray:
            return np.concatenate([1 - rows, rows], axis=1)

        def predict(self, rows: np.ndarray) -> np.ndarray:
            return (rows[:, 0] > 0.5).astype(int)

    rng = np.random.default_rng(seed)
    probability = rng.uniform(0.02, 0.98, rows + 50)
    hit = (rng.random(rows) < probability[:rows]).astype(int)
    ours = Conformal.fit(probability[:rows], hit.astype(float), promised)
    model = Said().fit(None, None)
    peer = SplitConformalClassifier(model, confidence_level=promised, conformity_score="lac", prefit=True)
    peer.conformalize(probability[:rows, np.newaxis], hit)
    held = peer.predict_set(probability[rows:, np.newaxis])[1][:, :, 0]
    assert ours.sets(probability[rows:]).tolist() == (held[:, 1] + 2 * held[:, 0]).tolist()


@pytest.mark.parametrize("kind", ["none", *KINDS])
@pytest.mark.parametrize("stretch", [0.3, 1.0, 2.5])
def test_ninety_percent_are_88_to_92_on_a_world_whose_truth_is_known(kind: str, stretch: float) -> None:
    for seed in range(3):
        asked = ConfidenceSettings(calibration=kind, conformal=0.9)  # type: ignore[arg-type]
        kept, unseen = measure(scored(seed, stretch, 4000), asked), scored(seed + 100, stretch, 20_000)
        found = coverage(pl.Series(kept.sets(unseen.scores)), pl.Series(unseen.hit))
        assert found.share is not None
        assert 0.88 <= found.share <= 0.92


def test_too_few_rows_promise_nothing() -> None:
    probability = np.array([0.1, 0.6, 0.9])
    found = Conformal.fit(probability, np.array([0.0, 1.0, 1.0]), 0.9)
    assert found.quantile == 1
    assert found.sets(probability).tolist() == [3, 3, 3]


def test_nothing_beside_a_span_or_one_outcome_alone_keeps_the_plain_scores_and_promises_nothing() -> None:
    rows = times(100).with_columns(label=pl.lit(1, pl.Int8))
    asked = ConfidenceSettings(calibration="sigmoid", conformal=0.9)
    for embargo, said in ((timedelta(0), "only one outcome"), (timedelta(days=9), "leave nothing to train on")):
        with pytest.raises(ModelError, match=said) as refused:
            out_of_fold(rows, lambda _: lambda unseen: np.zeros(unseen.height), folds=4, embargo=embargo)
        found = measure(refused.value, asked)
        assert found.curve is None
        assert found.calibration is not None
        assert said in found.calibration.why
        assert found.sets(np.array([0.0, 0.5, 1.0])).tolist() == [3, 3, 3]  # type: ignore[union-attr]


def test_every_row_is_scored_by_a_model_that_is_clear_of_it() -> None:
    rows = times(400).with_columns(label=pl.Series([1, -1] * 200, dtype=pl.Int8), number=pl.int_range(400))
    trained: list[pl.DataFrame] = []

    def fit(part: pl.DataFrame):
        trained.append(part)
        return lambda unseen: unseen["number"].to_numpy() / 1000 + len(trained)

    found = out_of_fold(rows, fit, folds=5, embargo=timedelta(hours=2))
    assert len(trained) == 5
    assert found.scores.tolist() == pytest.approx([number / 1000 + number // 80 + 1 for number in range(400)])
    for fold, part in zip(found.folds, trained, strict=True):
        begin, end = rows["known_at"][int(fold.test[0])], rows["label_end"][int(fold.test[-1])]
        clear = (part["label_end"] <= begin - timedelta(hours=2)) | (part["known_at"] >= end + timedelta(hours=2))
        assert clear.all()


def test_without_a_calibrator_scores_stay_to_the_last_bit() -> None:
    found = measure(scored(1, 1.0), ConfidenceSettings(conformal=0.9))
    assert (found.calibration, found.curve) == (None, None)
    assert Confidence.load(found.save(), "x") == found
    scores = np.random.default_rng(1).random(50)
    assert np.array_equal(found.probabilities(scores), scores)
