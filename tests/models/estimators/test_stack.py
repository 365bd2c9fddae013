"""A stack: its weights come of rows that no member had seen, and stay only where they beat the average."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest

from tests.models.estimators.toys import BACK, TrailingSettings, trailing
from tests.seats import registered_here
from trading_assets.core.errors import ModelError
from trading_assets.models.estimators import Array, Estimator, Files, Fitted, register, registered, registry
from trading_assets.models.estimators.proof_case import NAMES, Case, times
from trading_assets.models.estimators.proofs import spoilt
from trading_assets.models.estimators.stacking.stack import FILE, _Training
from trading_assets.models.estimators.stacking.stack_weights import Weighing, learn, weigh
from trading_assets.settings import EstimatorSettings, LightGBMSettings, LogisticSettings, StackSettings
from trading_assets.settings.sections.estimators import ESTIMATORS
from trading_assets.validation import CombinatorialPurged

TREES = LightGBMSettings(num_boost_round=30, learning_rate=0.1)
SMALL = StackSettings(members=(TREES, LogisticSettings()))
ROWS = 3_000


@pytest.fixture(scope="module")
def case() -> Case:
    return Case(registered()["stack"], SMALL)


def read(files: Files) -> dict[str, Any]:
    return dict(json.loads(files[FILE]))


def test_it_is_the_mean_of_what_its_members_say_in_log_odds(case: Case) -> None:
    files = dict(case.fitted.save())
    assert set(files) == {FILE, "m0_model.txt", "m1_logistic.json"}
    files[FILE] = json.dumps(read(files) | {"weights": [0.3, 0.7]}).encode()
    stack, alone = case.load(files), [Case(registered()[one.kind], one).fitted for one in SMALL.members]
    said = [one.predict_proba(case.unseen) for one in alone]
    odds = 0.3 * np.log(said[0] / (1 - said[0])) + 0.7 * np.log(said[1] / (1 - said[1]))
    assert np.array_equal(stack.predict_proba(case.unseen), 1 / (1 + np.exp(-odds)))
    told, own = stack.contributions(case.unseen), [one.contributions(case.unseen) for one in alone]
    assert told is not None
    assert np.allclose(told, 0.3 * own[0] + 0.7 * own[1], atol=1e-12, rtol=0)  # type: ignore[operator]


# which rows its weights come of


@dataclass
class Seen:
    """Stands for a member: it notes what it is trained on and asked about, and answers by the row's own number."""

    notes: list[tuple[pl.DataFrame, Array]] = field(default_factory=list)

    def fit(self, rows: Array, target: Array, weights: Array | None, moments: pl.DataFrame, names: object) -> Any:
        del rows, target, names
        assert weights is None or weights.mean() == pytest.approx(1)
        return moments

    def odds(self, fitted: pl.DataFrame, rows: Array) -> Array:
        self.notes.append((fitted, rows[:, 0]))
        return rows[:, 0]


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 1.5, ROWS)])
def test_a_row_is_predicted_by_what_was_trained_clear_of_its_span(weights: Array | None) -> None:
    moments, member = times(ROWS), Seen()
    numbered = np.arange(ROWS, dtype=float)[:, np.newaxis]
    training = _Training(numbered, numbered[:, 0] % 2, weights, moments, ("a",))
    folds = training.folds(StackSettings(folds=4, embargo_days=2))
    assert np.array_equal(training.out_of_fold(member, folds), numbered[:, 0]), "each row once"  # type: ignore[arg-type]
    assert len(member.notes) == 4
    for seen, asked in member.notes:
        span = moments[asked.astype(int)]
        begin, end = span["known_at"].min(), span["label_end"].max()
        assert isinstance(begin, datetime)
        assert isinstance(end, datetime)
        before = seen.filter(pl.col("known_at") < begin)
        after = seen.filter(pl.col("known_at") >= begin)
        assert before.is_empty() or before["label_end"].max() <= begin - timedelta(days=2)  # type: ignore[operator]
        assert after.is_empty() or after["known_at"].min() >= end + timedelta(days=2)  # type: ignore[operator]


class MemorySettings(EstimatorSettings):
    """Nothing to choose."""

    kind: Literal["memory"] = "memory"


@dataclass(frozen=True)
class Memory(Fitted):
    """It knows by heart what it was trained on, and guesses the rest."""

    known: dict[float, float]

    def predict_proba(self, rows: Array) -> Array:
        guess = np.where(np.abs(rows[:, 1] * 7919) % 1 > 0.5, 0.8, 0.2)
        return np.array([self.known.get(key, other) for key, other in zip(rows[:, 1], guess, strict=True)])

    def save(self) -> Files:
        return {"memory.json": json.dumps(list(self.known.items())).encode()}


class Learner(Estimator[MemorySettings]):
    parameters = MemorySettings

    def fit(self, rows: Array, target: Array, weights: Array | None, **given: Any) -> Fitted:
        del weights, given
        return Memory(dict(zip(rows[:, 1].tolist(), (0.02 + 0.96 * target).tolist(), strict=True)))

    def load(self, files: Files, *, parameters: MemorySettings, features: Sequence[str]) -> Fitted:
        del parameters, features
        return Memory(dict(json.loads(files["memory.json"])))


@pytest.fixture
def memory() -> Iterator[MemorySettings]:
    with registered_here(registry._ESTIMATORS):
        register(Learner)
        yield MemorySettings()


def test_what_only_remembers_its_training_rows_counts_nothing(memory: MemorySettings) -> None:
    chosen = StackSettings(members=(memory, LogisticSettings()))
    case = Case(registered()["stack"], chosen)
    said = read(case.fitted.save())
    assert said["chosen"] == "learnt"
    assert said["weights"][0] < 0.1
    assert said["gain_low"] > 0
    assert "more than noise" in said["why"]
    alone = dict(said["brier"])
    assert alone["logistic"] < alone["average"] < alone["memory"]
    assert alone["learnt"] < alone["average"]


@pytest.mark.parametrize("folds", [3, 4, 6])
def test_a_hole_in_the_rows_as_calibration_makes_one_changes_no_kind_of_weights(
    memory: MemorySettings, folds: int
) -> None:
    whole = Case(registered()["stack"], StackSettings(members=(memory, LogisticSettings()), folds=folds))
    moments = times(ROWS)
    for held_out in CombinatorialPurged(folds, 1, timedelta(days=1)).folds(moments["known_at"], moments["label_end"]):
        part = held_out.train
        given: dict[str, Any] = {"parameters": whole.parameters, "features": NAMES, "seed": 7}
        fitted = whole.estimator.fit(whole.rows[part], whole.target[part], None, times=moments[part], **given)
        said = read(fitted.save())
        assert (said["chosen"], said["rows"]) == ("learnt", len(part)), f"beside span {held_out.number}"


# the weights themselves


def drawn(seed: int, noise: Sequence[float], rows: int = ROWS) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    true = rng.normal(size=rows)
    odds = np.column_stack([true + one * rng.normal(size=rows) for one in noise])
    return odds, (rng.random(rows) < 1 / (1 + np.exp(-true))).astype(float)


@pytest.mark.parametrize("noise", [(0.1, 0.1), (0.0, 2.0), (2.0, 0.3), (0.2, 0.8, 1.5), (3.0, 3.0, 0.1)])
def test_learnt_weights_are_the_best_shares(noise: tuple[float, ...]) -> None:
    odds, target = drawn(1, noise)
    counts = np.random.default_rng(2).uniform(0.2, 2, len(target))

    def loss(weights: Any) -> float:
        pooled = odds @ np.asarray(weights)
        return float(np.average(np.logaddexp(0, pooled) - target * pooled, weights=counts))

    grid = [one for one in product(np.linspace(0, 1, 51), repeat=len(noise)) if abs(sum(one) - 1) < 1e-9]
    found = learn(odds, target, counts)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert (found >= 0).all()
    assert loss(found) <= min(map(loss, grid)) + 1e-7


def weighed(seed: int, noise: Sequence[float]) -> Weighing:
    odds, target = drawn(seed, noise)
    moments = times(ROWS)
    folds = CombinatorialPurged(3, 1, timedelta(days=1)).folds(moments["known_at"], moments["label_end"])
    members = [f"m{number}" for number in range(len(noise))]
    return weigh(members, odds, target, None, moments["known_at"], folds=folds, seed=7)


def test_equally_good_members_are_averaged_and_a_bad_one_is_left_out() -> None:
    alike = [weighed(seed, (0.5, 0.5, 0.5)) for seed in range(20)]
    assert sum(one.chosen == "average" for one in alike) >= 19, "noise seldom passes for a gain"
    assert all(one.weights == pytest.approx([1 / 3] * 3) for one in alike if one.chosen == "average")
    for seed in range(5):
        found = weighed(seed, (0.1, 4.0))
        assert (found.chosen, found.weights) == ("learnt", found.learnt)
        assert found.weights[0] > 0.9


def test_too_few_rows_to_hold_any_out_are_averaged_and_it_says_so(case: Case) -> None:
    short = Case(case.estimator, SMALL.model_copy(update={"embargo_days": 400.0}))
    said = read(short.fitted.save())
    assert (said["chosen"], said["weights"], said["learnt"]) == ("average", [0.5, 0.5], None)
    assert said["why"].startswith("no row can be held out: purge and embargo of 400 days leave nothing to train on")
    given: dict[str, Any] = {"times": times(900), "parameters": SMALL, "features": ("a",), "seed": 1}
    rows = np.random.default_rng(1).normal(size=(900, 1))
    fitted = case.estimator.fit(rows, (np.arange(900) >= 600).astype(float), None, **given)
    assert "beside span 3 there is only one outcome" in read(fitted.save())["why"]


# windows of rows


def test_it_looks_back_as_far_as_its_longest_member_and_promises_no_more_than_its_worst() -> None:
    with trailing() as back:
        chosen = StackSettings(members=(TrailingSettings(rows=3), LogisticSettings(), back))
        stack = registered()["stack"]
        assert stack.lookback_rows(chosen) == BACK
        assert stack.tolerance_of(chosen) == pytest.approx(25e-9)
        assert stack.tolerance_of(SMALL) == 0
        case = Case(stack, chosen)
        assert case.rows.shape == (ROWS, BACK, len(NAMES))
        files = dict(case.fitted.save())
        files[FILE] = json.dumps(read(files) | {"weights": [0.2, 0.3, 0.5]}).encode()
        pooled = np.zeros(len(case.unseen))
        for weight, one in zip((0.2, 0.3, 0.5), chosen.members, strict=True):
            alone = Case(registered()[one.kind], one)
            chance = alone.fitted.predict_proba(alone.unseen)
            pooled += weight * np.log(chance / (1 - chance))
        loaded = case.load(files)
        assert np.abs(loaded.predict_proba(case.unseen) - 1 / (1 + np.exp(-pooled))).max() < 1e-9
        assert loaded.contributions(case.unseen) is None, "one of them cannot say"


# settings and files


def test_members_are_sections_of_estimators(case: Case) -> None:
    chosen = ESTIMATORS.read({"kind": "stack", "members": [{"kind": "logistic", "l2": 3}, {"kind": "xgboost"}]})
    assert isinstance(chosen, StackSettings)
    assert [one.kind for one in chosen.members] == ["logistic", "xgboost"]
    assert ESTIMATORS.read(chosen.model_dump(mode="json")) == chosen
    assert [one.kind for one in chosen.sections()] == ["stack", "logistic", "xgboost"]
    assert case.estimator.version(SMALL).count("lightgbm ") == 1


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([{"kind": "logistic"}], "at least 2 items"),
        ([{"kind": "logistic"}, {"kind": "stack"}], "a stack is no member of a stack"),
        ([{"kind": "logistic"}, {"kind": "lightbgm"}], "no estimator 'lightbgm'; did you mean 'lightgbm'"),
        ([{"kind": "logistic"}, {"l2": 1}], "kind is required"),
    ],
)
def test_a_member_that_cannot_be_one_is_refused(members: list[Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ESTIMATORS.read({"kind": "stack", "members": members})


def test_a_member_whose_library_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trading_assets.settings.sections.kinds.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs catboost, which is not installed: install it \(uv sync"):
        ESTIMATORS.read({"kind": "stack", "members": [{"kind": "catboost"}, {"kind": "catboost"}]})


BROKEN: dict[str, tuple[Any, str]] = {
    "a negative weight": ({"weights": [-0.5, 1.5]}, "not one share for each"),
    "too much weight": ({"weights": [0.5, 0.6]}, "not one share for each"),
    "a weight less": ({"weights": [1.0]}, "not one share for each"),
    "other members": ({"members": ["logistic", "lightgbm"]}, "the settings name other members"),
    "more": ({"more": 1}, "more: Extra inputs"),
    "no number": ({"weights": ["0.5", 0.5]}, "weights.0"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_weights_that_are_none_are_refused(case: Case, how: str) -> None:
    change, said = BROKEN[how]
    files = dict(case.fitted.save())
    files[FILE] = json.dumps(read(files) | change).encode()
    with pytest.raises(ModelError, match=said):
        case.load(files)


def test_what_is_wrong_with_a_members_file_is_told_by_its_name_in_the_stack(case: Case) -> None:
    files = {**case.fitted.save(), "m1_logistic.json": b"{}"}
    with pytest.raises(ModelError, match=r"m1_logistic\.json"):
        case.load(files)


@pytest.mark.parametrize("how", ["empty", "a pickle", "cut off", "with numbers that are none"])
def test_a_members_text_that_would_end_the_process_is_refused_in_it(case: Case, how: str) -> None:
    files = dict(case.fitted.save())
    files["m0_model.txt"] = spoilt(files["m0_model.txt"])[how]
    with pytest.raises(ModelError, match=r"m0_model\.txt: not a LightGBM model"):
        case.load(files)


def test_kinds_of_one_library_keep_their_files_apart() -> None:
    chosen = StackSettings(members=(LogisticSettings(l2=0.01), LogisticSettings(l2=10)))
    case = Case(registered()["stack"], chosen)
    files = case.fitted.save()
    assert files["m0_logistic.json"] != files["m1_logistic.json"]
    assert np.array_equal(case.load(files).predict_proba(case.unseen), case.fitted.predict_proba(case.unseen))
