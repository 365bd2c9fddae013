from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from trading_assets.core.errors import ModelError, SettingsError
from trading_assets.models.confidence import Confidence, curve_of, register, registered
from trading_assets.models.confidence.sigmoid import Sigmoid
from trading_assets.models.confidence.venn_abers import MAX_KNOTS
from trading_assets.models.estimators.odds import log_odds
from trading_assets.settings import ConfidenceSettings

KINDS = tuple(registered())
FINE = np.linspace(0, 1, 2001)


def overconfident(seed: int, rows: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Scores of which the log-odds are three times too large."""
    rng = np.random.default_rng(seed)
    truth = 1 / (1 + np.exp(-rng.normal(-0.5, 0.6, rows)))
    return 1 / (1 + np.exp(-3 * log_odds(truth))), (rng.random(rows) < truth).astype(float)


rows_of_scores = st.integers(0, 10_000).flatmap(
    lambda seed: st.tuples(st.just(seed), st.integers(1, 300), st.integers(1, 40), st.booleans())
)


def drawn(case: tuple[int, int, int, bool]) -> tuple[np.ndarray, np.ndarray]:
    """Scores with ties, ends and outcomes that may go against them, or be all alike."""
    seed, rows, levels, against = case
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels + 1, rows) / levels
    return scores, (rng.random(rows) < (1 - scores if against else scores)).astype(float)


def test_the_settings_name_what_is_registered() -> None:
    annotation = ConfidenceSettings.model_fields["calibration"].annotation
    assert set(annotation.__args__) == {"none", *KINDS}  # type: ignore[union-attr]
    with pytest.raises(ModelError, match="no calibrator 'spline'"):
        curve_of("spline")
    with pytest.raises(SettingsError, match="registered twice"):
        register(Sigmoid)


@pytest.mark.parametrize("kind", KINDS)
@given(case=rows_of_scores)
def test_a_curve_never_falls_stays_within_0_and_1_and_says_the_same_in_any_batch(
    kind: str, case: tuple[int, int, int, bool]
) -> None:
    curve = curve_of(kind).fit(*drawn(case))
    said = curve.apply(FINE)
    assert ((said >= 0) & (said <= 1)).all()
    assert (np.diff(said) >= -1e-12).all()
    some = FINE[:: 1 + case[0] % 97]
    assert np.array_equal(curve.apply(some), said[:: 1 + case[0] % 97])
    assert [curve.apply(FINE[place : place + 1])[0] for place in (0, 700, 2000)] == [said[0], said[700], said[2000]]
    assert np.isnan(curve.apply(np.array([np.nan]))).all()


@pytest.mark.parametrize("kind", KINDS)
@given(case=rows_of_scores)
def test_a_curve_read_back_is_the_same_to_the_last_bit(kind: str, case: tuple[int, int, int, bool]) -> None:
    fitted = Confidence(curve=curve_of(kind).fit(*drawn(case)))
    read = Confidence.load(fitted.save(), "confidence/long.json")
    assert read == fitted
    assert np.array_equal(read.probabilities(FINE), fitted.probabilities(FINE))


@pytest.mark.parametrize("kind", KINDS)
@given(case=rows_of_scores, tolerance=st.sampled_from([1e-9, 1e-6, 1e-2]))
def test_scores_that_are_near_are_no_further_apart_than_is_said(
    kind: str, case: tuple[int, int, int, bool], tolerance: float
) -> None:
    scores, hit = drawn(case)
    curve = curve_of(kind).fit(scores, hit)
    places = np.concatenate([FINE, scores, scores - tolerance / 2])
    apart = curve.apply(places + tolerance) - curve.apply(places)
    assert apart.max() <= curve.reach(tolerance) + 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_an_overconfident_model_is_brought_to_what_happens(kind: str) -> None:
    scores, hit = overconfident(1)
    unseen, outcome = overconfident(2, 20_000)
    said = curve_of(kind).fit(scores, hit).apply(unseen)
    assert np.mean((said - outcome) ** 2) < np.mean((unseen - outcome) ** 2) - 0.02
    for low in (0.2, 0.3, 0.4, 0.5):
        near = (said >= low) & (said < low + 0.1)
        assert outcome[near].mean() == pytest.approx(said[near].mean(), abs=0.06)


@pytest.mark.parametrize(("kind", "method", "near"), [("isotonic", "isotonic", 0), ("sigmoid", "sigmoid", 1e-5)])
def test_it_is_what_scikit_learn_calibrates(kind: str, method: str, near: float) -> None:
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(600, 1))
    hit = (rng.random(600) < 1 / (1 + np.exp(-rows[:, 0]))).astype(float)
    model = LogisticRegression(C=1e6).fit(3 * rows, hit)
    peer = CalibratedClassifierCV(FrozenEstimator(model), method=method).fit(rows, hit)
    scores = model.predict_proba(rows)[:, 1]
    if kind == "isotonic":  # by the log-odds there, whose lines between two knots are others: compared at the knots
        curve = curve_of(kind).fit(scores, hit)
        assert curve.apply(scores) == pytest.approx(peer.predict_proba(rows)[:, 1], abs=1e-12)
    else:
        unseen = rng.normal(size=(300, 1))
        said = curve_of(kind).fit(scores, hit).apply(model.predict_proba(unseen)[:, 1])
        assert said == pytest.approx(peer.predict_proba(unseen)[:, 1], abs=near)


@pytest.mark.parametrize("levels", [7, 300, 10**9])
def test_it_is_what_the_library_venn_abers_says(levels: int) -> None:
    with np.errstate():  # it changes how NumPy treats errors
        from venn_abers import VennAbers as Peer
    rng = np.random.default_rng(levels % 97)
    scores = np.round(rng.random(MAX_KNOTS - 50) * levels) / levels
    hit = (rng.random(scores.size) < 0.3 + 0.4 * scores).astype(float)
    unseen = np.concatenate([np.linspace(0, 1, 777), scores])
    peer = Peer()
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        peer.fit(np.stack([1 - scores, scores], axis=1), hit)
        expected, both = peer.predict_proba(np.stack([1 - unseen, unseen], axis=1))
    curve = curve_of("venn_abers").fit(scores, hit)
    assert curve.apply(unseen) == pytest.approx(expected[:, 1], abs=1e-12)
    assert (both[:, 0] <= both[:, 1] + 1e-12).all()


def test_many_scores_are_grouped_with_little_loss() -> None:
    scores, hit = overconfident(5, 20_000)
    curve = curve_of("venn_abers").fit(scores, hit)
    assert len(curve.scores) <= MAX_KNOTS  # type: ignore[attr-defined]
    steps = curve_of("isotonic").fit(scores, hit)
    assert np.abs(curve.apply(scores) - steps.apply(scores)).mean() < 0.01


def test_a_model_that_ranks_the_wrong_way_round_is_not_turned() -> None:
    rng = np.random.default_rng(6)
    scores = rng.random(3000)
    hit = (rng.random(3000) < 0.8 - 0.6 * scores).astype(float)
    for kind in KINDS:
        said = curve_of(kind).fit(scores, hit).apply(FINE)
        assert said[1000] == pytest.approx(hit.mean(), abs=0.02)
        assert said[1900] >= said[100]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "Invalid JSON"),
        (b'{"curve": {"kind": "spline"}}', "no calibrator 'spline'"),
        (b'{"curve": 3}', "a section with a kind"),
        (b'{"curve": {"kind": "sigmoid", "slope": -1, "intercept": 0}}', "greater than or equal to 0"),
        (b'{"curve": {"kind": "sigmoid", "slope": NaN, "intercept": 0}}', "finite number"),
        (b'{"curve": {"kind": "isotonic", "scores": [0.2, 0.1], "probabilities": [0, 1]}}', "scores must ascend"),
        (b'{"curve": {"kind": "isotonic", "scores": [0.1, 0.2], "probabilities": [0.5, 0.4]}}', "must ascend"),
        (b'{"curve": {"kind": "isotonic", "scores": [0.1], "probabilities": [1.5]}}', "must ascend"),
        (b'{"curve": {"kind": "isotonic", "scores": [], "probabilities": []}}', "at least 1"),
        (b'{"curve": {"kind": "venn_abers", "scores": [0.1], "lower": [0.1], "upper": []}}', "at least 1"),
        (b'{"curve": {"kind": "venn_abers", "scores": [0.1], "lower": [0.1, 0.2], "upper": [0.3]}}', "answers of 1"),
        (b'{"conformal": {"coverage": 0.9, "quantile": 2, "rows": 1}}', "less than or equal to 1"),
        (b'{"code": "import os"}', "Extra inputs"),
    ],
)
def test_a_file_that_holds_no_curve_is_refused_by_name(content: bytes, said: str) -> None:
    with pytest.raises(ModelError, match=said) as refused:
        Confidence.load(content, "confidence/long.json")
    assert "confidence/long.json" in str(refused.value)
