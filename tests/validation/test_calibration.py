from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from trading_assets.core.errors import InvalidFrame, SettingsError
from trading_assets.models.scores import score
from trading_assets.validation.calibration import brier_score, expected_calibration_error, reliability


def calibrated(rows: int = 20_000, seed: int = 1) -> tuple[pl.Series, pl.Series]:
    rng = np.random.default_rng(seed)
    probability = rng.uniform(0.1, 0.9, rows)
    return pl.Series(probability), pl.Series(np.where(rng.random(rows) < probability, 1, -1))


BY_HAND = (pl.Series([0.1, 0.3, 0.6, 0.8]), pl.Series([-1, 1, 0, 1]))
"""In two bins: predicted 0.2 and 0.7, observed 0.5 and 0.5."""


def test_a_case_by_hand() -> None:
    table = reliability(*BY_HAND, bins=2)
    assert table["predicted"].to_list() == pytest.approx([0.2, 0.7])
    assert table["observed"].to_list() == [0.5, 0.5]
    assert table["rows"].to_list() == [2, 2]
    assert expected_calibration_error(*BY_HAND, bins=2) == pytest.approx((0.3 + 0.2) / 2)
    parts = brier_score(*BY_HAND, bins=2)
    assert parts.score == pytest.approx((0.01 + 0.49 + 0.36 + 0.04) / 4)
    assert parts.reliability == pytest.approx((0.09 + 0.04) / 2)
    assert parts.uncertainty == 0.25
    assert parts.skill == pytest.approx(1 - 0.225 / 0.25)


def test_where_probabilities_are_alike_within_a_bin_the_resolution_is_murphys() -> None:
    probability = pl.Series([0.2] * 10 + [0.7] * 10)
    label = pl.Series([1] * 3 + [0] * 7 + [1] * 6 + [0] * 4)
    parts = brier_score(probability, label, bins=10, spacing="width")
    assert parts.reliability == pytest.approx(0.1**2)
    assert parts.resolution == pytest.approx(((0.3 - 0.45) ** 2 + (0.6 - 0.45) ** 2) / 2)


def test_bins_agree_with_scikit_learn() -> None:
    probability, label = calibrated(1000)
    for spacing, strategy in (("width", "uniform"), ("count", "quantile")):
        observed, predicted = calibration_curve(label, probability, pos_label=1, n_bins=10, strategy=strategy)
        table = reliability(probability, label, spacing=spacing)  # type: ignore[arg-type]
        assert table["predicted"].to_numpy() == pytest.approx(predicted)
        assert table["observed"].to_numpy() == pytest.approx(observed)


def test_the_score_is_that_of_the_folds_and_of_scikit_learn() -> None:
    probability, label = calibrated(500)
    got = brier_score(probability, label).score
    assert got == pytest.approx(score(probability, label)["brier"])
    assert got == pytest.approx(brier_score_loss(label == 1, probability))


def test_calibrated_probabilities_stay_near_the_diagonal_and_shifted_ones_do_not() -> None:
    probability, label = calibrated()
    table = reliability(probability, label, bins=20)
    held = table.select(pl.col("predicted").is_between("low", "high").mean()).item()
    assert held >= 0.8
    assert expected_calibration_error(probability, label) < 0.02
    assert expected_calibration_error((probability + 0.1).clip(0, 1), label) == pytest.approx(0.1, abs=0.01)
    assert brier_score(probability, label).reliability < 0.0005


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from([-1, 0, 1])),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 12),
    st.sampled_from(["count", "width"]),
)
def test_the_parts_make_the_whole_and_no_row_is_lost(rows: list[tuple[float, int]], bins: int, spacing: str) -> None:
    probability, label = pl.Series([p for p, _ in rows]), pl.Series([hit for _, hit in rows])
    table = reliability(probability, label, bins=bins, spacing=spacing)  # type: ignore[arg-type]
    assert table["rows"].sum() == len(rows)
    assert table.height <= bins
    assert table["predicted"].is_sorted()
    assert ((table["low"] <= table["observed"] + 1e-12) & (table["observed"] <= table["high"] + 1e-12)).all()
    parts = brier_score(probability, label, bins=bins, spacing=spacing)  # type: ignore[arg-type]
    hit = (label == 1).cast(pl.Float64)
    assert parts.score == pytest.approx(((probability - hit) ** 2).mean())
    assert parts.reliability - parts.resolution + parts.uncertainty == pytest.approx(parts.score)
    assert 0 <= expected_calibration_error(probability, label, bins=bins) <= 1


def test_no_predictions_give_an_empty_table_and_no_score() -> None:
    nothing = pl.Series([], dtype=pl.Float64), pl.Series([], dtype=pl.Int8)
    assert reliability(*nothing).is_empty()
    assert math.isnan(expected_calibration_error(*nothing))
    with pytest.raises(InvalidFrame, match="no predictions"):
        brier_score(*nothing)


def test_labels_may_be_truth_values() -> None:
    probability, label = BY_HAND
    assert brier_score(probability, label == 1) == brier_score(probability, label)


@pytest.mark.parametrize("bad", [math.nan, None, -0.1, 1.1])
def test_what_is_no_probability_is_refused(bad: float | None) -> None:
    with pytest.raises(InvalidFrame, match="1 of 2 probabilities"):
        reliability(pl.Series([0.5, bad], dtype=pl.Float64), pl.Series([1, 0]))


def test_other_bad_input_is_refused() -> None:
    with pytest.raises(InvalidFrame, match="1 probabilities but 2 labels"):
        reliability(pl.Series([0.5]), pl.Series([1, 0]))
    with pytest.raises(InvalidFrame, match="1 of 2 labels are missing"):
        reliability(pl.Series([0.5, 0.6]), pl.Series([1, None]))
    with pytest.raises(InvalidFrame, match="probabilities are String; give numbers"):
        reliability(pl.Series(["0.5", "0.6"]), pl.Series([1, 0]))
    with pytest.raises(InvalidFrame, match="labels are String"):
        reliability(pl.Series([0.5, 0.6]), pl.Series(["1", "0"]))
    with pytest.raises(SettingsError, match="0 bins"):
        reliability(*BY_HAND, bins=0)
