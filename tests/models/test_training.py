from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from trading_assets.core.errors import ModelError
from trading_assets.core.sides import Side
from trading_assets.labels import sample_weights
from trading_assets.models import Classifier, Dataset, join, train, walk_forward
from trading_assets.models.scores import score, summary
from trading_assets.models.training import fit, prices_by, weights
from trading_assets.settings import LightGBMSettings, ModelSettings, WalkForwardSettings
from trading_assets.store.tables import FOLDS, PREDICTIONS

if TYPE_CHECKING:
    from conftest import PlantedFrames

NAMES = tuple(f"f{i}" for i in range(6))
SPEC = ModelSettings(
    markets=["sample:A/USDT"],
    walk_forward=WalkForwardSettings(train_days=30, purge_days=1, embargo_days=1, test_days=10),
    estimator=LightGBMSettings(num_boost_round=60, num_leaves=15, min_data_in_leaf=100, lambda_l2=5),
)


def joined(frames: tuple[pl.DataFrame, pl.DataFrame]) -> Dataset:
    return join(*frames, names=NAMES, fingerprint="0" * 64)


def auc(data: Dataset) -> float:
    return summary(walk_forward(data, SPEC).predictions)["oos_auc"]


def test_a_planted_edge_is_learned(planted: PlantedFrames) -> None:
    assert auc(joined(planted(edge=1.0))) > 0.65


def test_noise_gives_an_auc_of_a_half(planted: PlantedFrames) -> None:
    assert abs(auc(joined(planted(edge=0.0))) - 0.5) < 0.03


def test_shuffled_labels_give_nothing(planted: PlantedFrames) -> None:
    features, labels = planted(edge=1.0)
    shuffled = labels.with_columns(labels.select("label", "return").sample(fraction=1, shuffle=True, seed=3))
    assert abs(auc(joined((features, shuffled))) - 0.5) < 0.03


def test_rows_whose_outcome_may_have_been_missed_are_predicted_but_do_not_train(planted: PlantedFrames) -> None:
    features, labels = planted()
    alternate = pl.int_range(pl.len()) % 2
    holed = joined((features, labels.with_columns(missing_candles=alternate.cast(pl.Int32))))
    spec = SPEC.model_copy(update={"max_missing_share": 0.0})
    assert train(holed, spec).rows * 2 == train(holed, SPEC.model_copy(update={"max_missing_share": 1.0})).rows
    strict, plain = walk_forward(holed, spec), walk_forward(joined((features, labels)), spec)
    assert strict.predictions["ts"].equals(plain.predictions["ts"])
    assert (strict.folds["train_rows"] * 2 - plain.folds["train_rows"]).abs().max() <= 1
    complete = holed.frame.filter(pl.col("missing_share") == 0)
    assert train(replace(holed, frame=complete), spec).classifier == train(holed, spec).classifier


def test_a_purge_shorter_than_the_horizon_does_not_choose_the_outcomes_that_came_early(planted: PlantedFrames) -> None:
    data = joined(planted(days=45))
    short = SPEC.walk_forward.model_copy(update={"purge_days": 0})
    folds = walk_forward(data, SPEC.model_copy(update={"walk_forward": short})).folds
    assert data.horizon == timedelta(hours=6)
    assert folds["train_rows"].to_list() == [30 * 96 - 23] * folds.height  # decisions in the last 6 hours, all of them


@pytest.mark.parametrize("kind", ["none", "uniqueness", "attribution"])
def test_a_window_in_which_no_outcome_was_seen_is_refused(planted: PlantedFrames, kind: str) -> None:
    features, labels = planted()
    data = joined((features, labels.with_columns(missing_candles=pl.lit(1, pl.Int32))))
    spec = weighted(kind).model_copy(update={"max_missing_share": 0.0})
    for work in (train, walk_forward):
        with pytest.raises(ModelError, match="none of 2880 rows may train: all lack more than 0 of their candles"):
            work(data, spec)


def test_ambiguous_rows_that_are_dropped_do_not_train_but_are_predicted_as_nobody_knew(planted: PlantedFrames) -> None:
    features, labels = planted()
    labels = labels.with_columns(ambiguous=pl.int_range(pl.len()) % 2 == 1)
    given = {"names": NAMES, "fingerprint": "0" * 64}
    kept, dropping = join(features, labels, **given), join(features, labels, **given, drop_ambiguous=True)
    assert train(dropping, SPEC).rows * 2 == train(kept, SPEC).rows
    clear = dropping.frame.filter(~pl.col("dropped"))
    assert train(replace(dropping, frame=clear), SPEC).classifier == train(dropping, SPEC).classifier
    assert walk_forward(dropping, SPEC).predictions["ts"].equals(walk_forward(kept, SPEC).predictions["ts"])


def test_a_walk_forward_gives_the_rows_of_its_tables(planted: PlantedFrames) -> None:
    data = joined(planted(markets=("sample:A/USDT", "sample:B/USDT")))
    seen: list[tuple[int, int]] = []
    result = walk_forward(data, SPEC, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert result.predictions.schema == {k: v for k, v in PREDICTIONS.columns.items() if k != "model"}
    assert result.folds.schema == {k: v for k, v in FOLDS.columns.items() if k != "model"}
    assert result.predictions.equals(result.predictions.sort("market", "ts"))
    assert result.predictions.height == 2 * 28 * 96 == result.folds["test_rows"].sum()
    assert result.predictions["probability"].is_between(0, 1).all()
    first = result.folds.row(0, named=True)
    of_first = result.predictions.filter(pl.col("fold") == 1)
    assert first["base_rate"] == (of_first["label"] == 1).mean()
    assert first["test_start"] <= of_first["known_at"].min()
    assert of_first["known_at"].max() < first["test_end"]


def test_the_same_data_and_settings_give_the_same_predictions(planted: PlantedFrames) -> None:
    data = joined(planted(days=45))
    assert walk_forward(data, SPEC).predictions.equals(walk_forward(data, SPEC).predictions)


def test_the_future_of_a_fold_never_changes_its_predictions(planted: PlantedFrames) -> None:
    features, labels = planted()
    before = walk_forward(joined((features, labels)), SPEC)
    later = pl.col("known_at") >= before.folds["test_end"][0]
    changed = walk_forward(
        joined(
            (
                features.with_columns(pl.when(later).then(-pl.col(NAMES)).otherwise(pl.col(NAMES))),
                labels.with_columns(label=pl.when(later).then(-pl.col("label")).otherwise("label")),
            )
        ),
        SPEC,
    )
    first = pl.col("fold") == 1
    assert before.predictions.filter(first).equals(changed.predictions.filter(first))
    assert not before.predictions.filter(~first).equals(changed.predictions.filter(~first))


def test_the_holdout_is_neither_tested_nor_trained_on(planted: PlantedFrames) -> None:
    data = joined(planted())
    spec = SPEC.model_copy(update={"holdout_days": 5.0})
    edge = data.end - timedelta(days=5)
    assert walk_forward(data, spec).predictions["label_end"].max() <= edge
    trained = train(data, spec)
    assert trained.train_end == edge - data.horizon
    assert trained.train_start == trained.train_end - timedelta(days=30) + timedelta(minutes=15)
    assert trained.rows == 30 * 96


def test_the_candidate_is_trained_like_a_fold(planted: PlantedFrames) -> None:
    data = joined(planted())
    trained = train(data, SPEC)
    newest = data.frame.filter(pl.col("known_at") > data.frame["known_at"].max() - timedelta(days=30))
    assert score(trained.classifier.predict(newest), newest["label"])["auc"] > 0.65  # type: ignore[operator]


def test_an_anchored_candidate_is_trained_on_the_whole_history(planted: PlantedFrames) -> None:
    data = joined(planted())
    anchored = SPEC.walk_forward.model_copy(update={"anchored": True})
    trained = train(data, SPEC.model_copy(update={"walk_forward": anchored}))
    assert trained.train_start == data.start
    assert trained.rows == data.frame.height


def test_too_short_a_history_is_said_in_days(planted: PlantedFrames) -> None:
    data = joined(planted(days=20))
    with pytest.raises(ModelError, match="20 days of labelled history are there, 33 are needed"):
        walk_forward(data, SPEC)
    with pytest.raises(ModelError, match=r"20\.0 days of labelled history .* 30 are needed"):
        train(data, SPEC)
    with pytest.raises(ModelError, match=r"0\.0 days"):
        train(data, SPEC.model_copy(update={"holdout_days": 50.0}))
    with pytest.raises(ModelError, match="not a history"):
        walk_forward(data, SPEC.model_copy(update={"holdout_days": 50.0}))


def test_a_market_that_no_test_window_holds_is_refused(planted: PlantedFrames) -> None:
    features, labels = planted(markets=("sample:A/USDT", "sample:B/USDT"))
    early = (pl.col("market") == "sample:A/USDT") | (pl.col("ts") < pl.datetime(2025, 1, 20, time_zone="UTC"))
    with pytest.raises(ModelError, match=r"sample:B/USDT: none of its 1,824 rows, 2025-01-01 to 2025-01-20, is in a"):
        walk_forward(joined((features.filter(early), labels)), SPEC)


@pytest.mark.parametrize("learn", [train, walk_forward])
def test_a_side_on_which_the_label_set_never_decides_is_named(
    planted: PlantedFrames, learn: Callable[..., Any]
) -> None:
    both = SPEC.model_copy(update={"sides": [Side.LONG, Side.SHORT]})
    with pytest.raises(ModelError, match="no row is of the short side: the label set"):
        learn(joined(planted()), both)


def test_a_window_with_one_outcome_is_refused(planted: PlantedFrames) -> None:
    features, labels = planted()
    data = joined((features, labels.with_columns(label=pl.lit(-1, pl.Int8))))
    with pytest.raises(ModelError, match="all 2880 training rows have the same outcome"):
        walk_forward(data, SPEC)


def test_one_row_and_many_get_the_same_probability(planted: PlantedFrames) -> None:
    data = joined(planted())
    classifier = train(data, SPEC).classifier
    rows = data.frame[-50:]
    together = classifier.predict(rows)
    alone = [classifier.predict(rows[i].select(reversed(rows.columns))).item() for i in range(rows.height)]
    assert together.to_list() == alone


def test_a_classifier_wants_its_own_features(planted: PlantedFrames) -> None:
    data = joined(planted())
    classifier = train(data, SPEC).classifier
    row = data.frame[:1]
    with pytest.raises(ModelError, match="lacks the features f1, f4"):
        classifier.predict(row.drop("f1", "f4"))
    with pytest.raises(ModelError, match="not numeric"):
        classifier.predict(row.with_columns(f1=pl.lit("x")))
    with pytest.raises(ModelError, match="not a LightGBM model"):
        Classifier(NAMES, SPEC.estimator, {"model.txt": b"nonsense"}).predict(row)
    with pytest.raises(ModelError, match="trained on 6 features, not on 5"):
        Classifier(NAMES[:5], SPEC.estimator, classifier.files).predict(row)
    missing = row.with_columns(f1=pl.lit(None, pl.Float64))
    assert classifier.predict(missing).equals(classifier.predict(row.with_columns(f1=pl.lit(float("nan")))))
    assert classifier.predict(row[:0]).len() == 0


def weighted(kind: str, oldest: float = 1.0) -> ModelSettings:
    return ModelSettings(**SPEC.model_dump() | {"sample_weights": kind, "oldest_weight": oldest})


def test_a_row_counts_its_weight(planted: PlantedFrames) -> None:
    data = joined(planted(days=30))
    counts = data.frame.select(pl.when(pl.col("label") == 1).then(3.0).otherwise(1.0)).to_series()
    hits = data.frame["label"] == 1
    for weight, share in ((None, hits.mean()), (counts, 3 * hits.sum() / counts.sum())):
        probability = fit(data.frame, NAMES, SPEC.estimator, weight).predict(data.frame)
        expected = probability if weight is None else probability * weight / weight.mean()
        assert expected.mean() == pytest.approx(share, abs=0.01)


def test_no_weights_and_equal_weights_are_the_same_model(planted: PlantedFrames) -> None:
    data = joined(planted(days=30))
    assert weights(data.frame, SPEC) is None
    ones = pl.Series([1.0] * data.frame.height)
    assert fit(data.frame, NAMES, SPEC.estimator, ones) == fit(data.frame, NAMES, SPEC.estimator)


@pytest.mark.parametrize("kind", ["uniqueness", "attribution"])
def test_walk_forward_and_candidate_train_with_the_weights_of_their_own_window(
    planted: PlantedFrames, kind: str
) -> None:
    data = joined(planted(days=45))
    moves = np.random.default_rng(5).normal(0, 2e-3, data.frame.height)
    data = replace(data, prices=data.frame.select("market", "known_at", close=100 * np.exp(np.cumsum(moves))))
    spec = weighted(kind, oldest=0.2)
    window = data.frame.filter(pl.col("known_at") > data.frame["known_at"].max() - timedelta(days=30))
    until = window["label_end"].max()
    own = sample_weights(window, prices_by(data.prices, until) if kind == "attribution" else None, oldest=0.2)
    assert weights(window, spec, data.prices).equals(own)  # type: ignore[union-attr]
    trained = train(data, spec).classifier
    assert trained == fit(window, NAMES, spec.estimator, own)
    assert trained != train(data, SPEC).classifier

    result = walk_forward(data, spec)
    assert not result.predictions.equals(walk_forward(data, SPEC).predictions)
    cut = data.known_by(result.folds["test_end"][0] + data.horizon)
    first = pl.col("fold") == 1
    assert walk_forward(cut, spec).predictions.filter(first).head(950).equals(result.predictions.head(950))


def test_a_weight_knows_no_price_after_the_last_outcome_of_its_training_window(planted: PlantedFrames) -> None:
    data = joined(planted(days=10))
    window = data.frame.head(480)
    end = window["label_end"].max()
    moves = np.random.default_rng(5).normal(0, 2e-3, data.frame.height)
    prices = data.frame.select("market", "known_at", close=100 * np.exp(np.cumsum(moves)))
    silent = pl.col("known_at").is_between(end - timedelta(hours=2), end + timedelta(hours=2))
    doubled = pl.when(pl.col("known_at") > end).then(2 * pl.col("close")).otherwise("close").alias("close")
    for known in (prices, prices.filter(~silent)):
        own = weights(window, weighted("attribution"), known)
        assert own is not None
        assert own.equals(weights(window, weighted("attribution"), known.with_columns(doubled)))  # type: ignore[arg-type]


def test_attribution_needs_prices(planted: PlantedFrames) -> None:
    with pytest.raises(ModelError, match="need prices"):
        train(joined(planted()), weighted("attribution"))


def test_time_decay_without_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="set sample_weights to uniqueness or attribution"):
        weighted("none", oldest=0.5)


def test_scores_agree_with_hand_computed_ones() -> None:
    scores = score(pl.Series([0.9, 0.4, 0.6, 0.1]), pl.Series([1, 1, -1, 0]))
    assert scores["base_rate"] == 0.5
    assert scores["auc"] == 0.75
    assert scores["brier"] == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    assert scores["log_loss"] == pytest.approx(-(2 * np.log(0.9) + 2 * np.log(0.4)) / 4)
    assert score(pl.Series([0.9]), pl.Series([1]))["auc"] is None
    assert summary(pl.DataFrame(schema=PREDICTIONS.columns)) == {}
