"""An estimator that reads several rows gets the same ones from tables and from the bars that a node holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.models.estimators.toys import BACK, TrailingSettings, trailing
from trading_assets.backtest.report.feature_plots import importance
from trading_assets.core.errors import ModelError
from trading_assets.models import Bundle, Dataset, join, train, walk_forward, write
from trading_assets.models.importance import beeswarm
from trading_assets.models.trial import Trial
from trading_assets.models.windows import inputs
from trading_assets.settings import LabelSettings, ModelSettings, WalkForwardSettings

if TYPE_CHECKING:
    from conftest import PlantedFrames

NAMES = tuple(f"f{number}" for number in range(6))
START = datetime(2025, 1, 1, tzinfo=UTC)
MARKETS = ("sample:A/USDT", "sample:B/USDT")


@pytest.fixture(scope="module")
def parameters() -> Iterator[TrailingSettings]:
    with trailing() as given_:
        yield given_


@pytest.fixture(scope="module")
def spec(parameters: TrailingSettings) -> ModelSettings:
    windows = WalkForwardSettings(train_days=20, purge_days=1, embargo_days=1, test_days=10)
    return ModelSettings(markets=list(MARKETS), walk_forward=windows, estimator=parameters)


@pytest.fixture(scope="module")
def data(planted: PlantedFrames) -> Dataset:
    """Rows of two markets, of which a third has no label, and the features of all."""
    features, labels = planted(days=40, markets=MARKETS)
    labelled = labels.filter(pl.int_range(pl.len()) % 3 != 1)
    joined = join(features, labelled, names=NAMES, fingerprint="ab" * 32)
    return replace(joined, history=features.select("market", "ts", *NAMES))


def keyed(markets: list[str], opens: list[int], rng: np.random.Generator) -> pl.DataFrame:
    ts = pl.Series([START + timedelta(minutes=15 * number) for number in opens])
    return pl.DataFrame(
        {"market": markets, "ts": ts, "a": rng.normal(size=len(opens)), "b": rng.normal(size=len(opens))}
    )


@given(
    present=st.lists(st.tuples(st.sampled_from("XYZ"), st.integers(0, 12)), min_size=1, max_size=25, unique=True),
    asked=st.data(),
    back=st.integers(1, 6),
)
def test_a_window_is_the_newest_rows_of_its_market_and_of_no_other(
    present: list[tuple[str, int]], asked: st.DataObject, back: int
) -> None:
    every = keyed([market for market, _ in present], [at for _, at in present], np.random.default_rng(1))
    chosen = asked.draw(st.lists(st.integers(0, len(present) - 1), min_size=1, unique=True))
    frame = every[chosen]
    history = every.sample(fraction=1, shuffle=True, seed=2)
    found = inputs(frame, ("a", "b"), back, history)
    assert found.flags.c_contiguous
    for row, window in zip(frame.iter_rows(named=True), found, strict=True):
        own = every.filter((pl.col("market") == row["market"]) & (pl.col("ts") <= row["ts"])).sort("ts").tail(back)
        expected = np.full((back, 2), np.nan)
        expected[back - own.height :] = own.select("a", "b").to_numpy()
        assert np.array_equal(window.reshape(back, 2), expected, equal_nan=True)


def test_windows_need_the_keys_of_their_rows() -> None:
    with pytest.raises(ModelError, match="the frame lacks market, ts; give rows of the table features"):
        inputs(pl.DataFrame({"a": [1.0]}), ("a",), 2, pl.DataFrame({"a": [1.0]}))


def test_rows_without_an_outcome_are_read_in_training_and_test(data: Dataset, spec: ModelSettings) -> None:
    trained = train(data, spec).classifier
    assert trained != train(replace(data, history=None), spec).classifier, "else gaps between labels would close up"
    result = walk_forward(data, spec, explained=True)
    first = result.folds.row(0, named=True)
    window = data.frame.filter(pl.col("known_at").is_between(first["train_start"], first["train_end"]))
    assert window.height
    late = data.history.filter(pl.col("ts") >= first["test_start"])  # type: ignore[union-attr]
    changed = late.with_columns(pl.col(name) * 3 for name in NAMES)
    again = walk_forward(replace(data, history=data.history.update(changed, on=["market", "ts"])), spec)  # type: ignore[union-attr]
    fold = pl.col("fold") == 1
    before_test = pl.col("ts") < first["test_start"]
    told, told_again = (one.predictions.filter(fold) for one in (result, again))
    assert told.filter(before_test).equals(told_again.filter(before_test))


def test_one_row_with_its_history_is_the_row_in_a_batch(data: Dataset, spec: ModelSettings) -> None:
    classifier = train(data, spec).classifier
    together = classifier.predict(data.frame.tail(9), data.history)
    for number in range(9):
        row = data.frame.tail(9)[number : number + 1]
        own = data.history.filter(pl.col("market") == row["market"][0], pl.col("ts") <= row["ts"][0]).tail(BACK)  # type: ignore[union-attr]
        assert classifier.predict(row, own)[0] == pytest.approx(together[number], abs=classifier.tolerance)


def test_what_cannot_say_shap_values_is_explained_by_permutation_alone(data: Dataset, spec: ModelSettings) -> None:
    result = walk_forward(data, spec, explained=True)
    weights = pl.concat(part.importance for part in result.explanations)
    assert weights["shap"].is_null().all()
    assert weights["permutation"].is_not_null().all()
    assert beeswarm(result.explanations, data.features).is_empty()
    assert b"<svg" in importance(weights)


@pytest.fixture(scope="module")
def bundle(data: Dataset, spec: ModelSettings, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    kept = {"model": "a", "dataset": data, "spec": spec, "labels": LabelSettings(), "metrics": {}}
    return write(tmp_path_factory.mktemp("trailing"), trained=train(data, spec), **kept)  # type: ignore[arg-type]


def test_a_bundle_says_how_far_it_looks_back_and_warms_up(bundle: Bundle, data: Dataset) -> None:
    assert (bundle.lookback_rows, bundle.tolerance) == (BACK, 1e-9)
    bundle.warm()
    assert re.fullmatch(r"toys\.py [0-9a-f]{16}", bundle.provenance.estimator), "which plug-in it was"
    assert bundle.predict(data.frame.tail(3), history=data.history).len() == 3


def test_a_plug_ins_model_is_tried_by_a_process_that_loads_the_plug_in(bundle: Bundle, tmp_path: Path) -> None:
    Trial(bundle).wait()
    (tmp_path / "mean.json").write_text("{}")
    broken = replace(bundle, model_folders=dict.fromkeys(bundle.model_folders, tmp_path))
    with pytest.raises(ModelError, match=r"mean\.json \(trailing, long\) is malformed: .*not a trailing mean"):
        Trial(broken).wait()
