from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from trading_assets.core.errors import BundleError
from trading_assets.core.sides import Side
from trading_assets.models import Bundle, Classifier, Dataset, join, load, train, walk_forward, write
from trading_assets.models.bundle import INDEX
from trading_assets.models.trial import Trial
from trading_assets.settings import (
    ConfidenceSettings,
    LabelSettings,
    LightGBMSettings,
    LogisticSettings,
    ModelSettings,
    RuleStrategySettings,
    WalkForwardSettings,
)
from trading_assets.validation import coverage

if TYPE_CHECKING:
    from conftest import PlantedFrames

NAMES = tuple(f"f{i}" for i in range(6))
BOLD = LightGBMSettings(num_boost_round=60, num_leaves=31, min_data_in_leaf=5, learning_rate=0.2, lambda_l2=0)
"""Learns the noise by heart, hence is overconfident."""


def spec(confidence: ConfidenceSettings, *, bold: bool = True) -> ModelSettings:
    return ModelSettings(
        markets=["sample:A/USDT"],
        walk_forward=WalkForwardSettings(train_days=20, purge_days=1, embargo_days=1, test_days=10),
        estimator=BOLD if bold else LogisticSettings(),
        confidence=confidence,
    )


@pytest.fixture(scope="module")
def data(planted: PlantedFrames) -> Dataset:
    return join(*planted(days=45, edge=0.7), names=NAMES, fingerprint="0" * 64)


ASKED = ConfidenceSettings(calibration="sigmoid", conformal=0.9, folds=3)


@pytest.fixture(scope="module")
def trained(data: Dataset) -> Classifier:
    classifier = train(data, spec(ASKED)).classifier
    assert isinstance(classifier, Classifier)
    return classifier


@pytest.fixture
def bundle(data: Dataset, tmp_path: Path) -> Bundle:
    return write(
        tmp_path,
        model="a",
        trained=train(data, spec(ASKED, bold=False)),
        dataset=data,
        spec=spec(ASKED, bold=False),
        labels=LabelSettings(),
        metrics={},
    )


def test_a_walk_forward_says_raw_and_calibrated_probability_set_and_what_was_kept(data: Dataset) -> None:
    found = walk_forward(data, spec(ASKED))
    plain = walk_forward(data, spec(ConfidenceSettings()))
    rows = found.predictions
    assert rows["raw_probability"].equals(plain.predictions["probability"].alias("raw_probability"))
    assert plain.predictions["raw_probability"].equals(plain.predictions["probability"].alias("raw_probability"))
    assert plain.predictions["prediction_set"].null_count() == plain.predictions.height
    assert set(rows["prediction_set"]) <= {0, 1, 2, 3}
    folds = found.folds
    assert folds["calibration"].to_list() == ["sigmoid"] * folds.height
    assert folds["calibrated"].all()
    assert (folds["gain_low"] > 0).all()
    assert (folds["brier"] < folds["raw_brier"]).all()
    for fold in folds.iter_rows(named=True):
        own = rows.filter(fold=fold["fold"])
        assert fold["coverage"] == coverage(own["prediction_set"], own["label"]).share
    assert plain.folds["raw_brier"].equals(plain.folds["brier"].alias("raw_brier"))
    for column in ("calibration", "calibrated", "gain", "gain_low", "coverage", "certain_share"):
        assert plain.folds[column].null_count() == plain.folds.height


def test_what_happens_in_the_test_window_changes_nothing_of_what_is_learnt(data: Dataset) -> None:
    before = walk_forward(data, spec(ASKED))
    first = before.folds.row(0, named=True)
    later = pl.col("known_at") >= first["test_start"]
    turned = data.frame.with_columns(
        label=pl.when(later).then(-pl.col("label")).otherwise("label"),
        **{name: pl.when(later).then(pl.col(name) * 3 + 1).otherwise(name) for name in NAMES},
    )
    after = walk_forward(replace(data, frame=turned), spec(ASKED)).folds.row(0, named=True)
    for column in ("calibrated", "gain", "gain_low", "gain_high"):
        assert after[column] == before.folds[column][0]
    assert after["raw_brier"] != first["raw_brier"]


def test_a_calibrated_prediction_is_the_same_alone_and_among_others(data: Dataset, trained: Classifier) -> None:
    assert trained.confidence is not None
    assert trained.confidence.curve is not None
    rows = data.frame.head(300)
    together = trained.answers(rows)
    assert together["probability"].equals(trained.predict(rows))
    for number in (0, 17, 299):
        assert trained.answers(rows[number : number + 1]).equals(together[number : number + 1])
    assert not np.allclose(together["probability"], together["raw_probability"])


def test_a_refit_gives_the_same_confidence(data: Dataset, trained: Classifier) -> None:
    assert train(data, spec(ASKED)).classifier == trained


def test_a_bundle_holds_what_was_found_and_predicts_by_it(data: Dataset, bundle: Bundle) -> None:
    said = json.loads((bundle.folder / "confidence" / "long.json").read_text())
    assert said["calibration"]["asked"] == "sigmoid"
    assert {"kept", "why", "brier_plain", "brier_calibrated", "gain_low", "gain_high"} <= set(said["calibration"])
    assert said["conformal"]["coverage"] == 0.9
    learnt = train(data, spec(ASKED, bold=False)).classifier
    read = load(bundle.folder).classifiers[Side.LONG]
    assert read == learnt
    rows = data.frame.tail(50)
    assert read.answers(rows).equals(learnt.answers(rows))
    Trial(bundle).wait()


def test_a_changed_confidence_is_refused_like_any_other_file(bundle: Bundle) -> None:
    file = bundle.folder / "confidence" / "long.json"
    file.write_text(file.read_text().replace('"coverage": 0.9', '"coverage": 0.8'))
    with pytest.raises(BundleError, match=r"confidence/long\.json is not the file that was written"):
        load(bundle.folder)


def test_a_bundle_whose_confidence_is_malformed_is_refused(data: Dataset, bundle: Bundle, tmp_path: Path) -> None:
    import hashlib

    from trading_assets.models.bundle.content import combined

    file, index = bundle.folder / "confidence" / "long.json", bundle.folder / INDEX
    file.write_text('{"curve": {"kind": "sigmoid", "slope": -4, "intercept": 0}}')
    said = json.loads(index.read_text())
    said["sha256"]["confidence/long.json"] = hashlib.sha256(file.read_bytes()).hexdigest()
    said["bundle_hash"] = combined(said["sha256"], sorted(said["sha256"]))
    index.write_text(json.dumps(said))
    with pytest.raises(BundleError, match="slope") as refused:
        load(bundle.folder)
    assert "confidence/long.json" in str(refused.value)


def test_a_model_that_asks_for_nothing_says_nothing_of_it() -> None:
    silent = spec(ConfidenceSettings())
    assert "confidence" not in silent.model_dump(mode="json")
    assert "confidence" not in silent.model_dump_json()
    assert spec(ASKED).model_dump(mode="json")["confidence"]["calibration"] == "sigmoid"


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="enter_only_when_certain needs prediction sets"):
        ConfidenceSettings(enter_only_when_certain=True)
    with pytest.raises(ValueError, match="less than 1"):
        ConfidenceSettings(conformal=1.0)
    with pytest.raises(ValueError, match="a rule has no confidence"):
        RuleStrategySettings.model_validate(
            {"kind": "rule", "markets": ["a"], "rule": {"kind": "ema_cross_rsi"}, "confidence": {"conformal": 0.9}}
        )
