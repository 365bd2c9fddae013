from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.core.content_hash import frame_hash
from trading_assets.core.errors import InvalidFrame, ModelError
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import compute, lookback_bars
from trading_assets.features.proofs.proving import made_up_bars, made_up_companions
from trading_assets.models import dataset
from trading_assets.models.dataset import Dataset, join
from trading_assets.models.inputs import missing_inputs, usable_names
from trading_assets.store import Store
from trading_assets.store.tables import FEATURES, LABELS

M15 = Timeframe.parse("15m")
LOOKBACK_BARS = lookback_bars(M15)

if TYPE_CHECKING:
    from conftest import PlantedFrames

NAMES = tuple(f"f{i}" for i in range(6))
MARKETS = ("sample:A/USDT", "sample:B/USDT")


def joined(frames: tuple[pl.DataFrame, pl.DataFrame]) -> Dataset:
    return join(*frames, names=NAMES, fingerprint="0" * 64)


def test_features_meet_the_outcomes_of_the_same_market_and_bar(planted: PlantedFrames) -> None:
    features, labels = planted(days=5, markets=MARKETS)
    data = joined((features, labels.filter(pl.col("ts") < datetime(2025, 1, 4, tzinfo=UTC))))
    assert data.frame.columns == [
        "market",
        "ts",
        "known_at",
        "side",
        "label_end",
        "label",
        "return",
        "take_profit",
        "stop_loss",
        "missing_share",
        "dropped",
        *NAMES,
    ]
    assert data.markets == MARKETS
    assert data.frame.height == 2 * 3 * 96
    assert data.start == datetime(2025, 1, 1, 0, 15, tzinfo=UTC)
    assert data.end == datetime(2025, 1, 6, tzinfo=UTC)
    one = data.frame.row(100, named=True)
    at = (pl.col("market") == one["market"]) & (pl.col("ts") == one["ts"])
    assert features.filter(at).select(NAMES).row(0) == tuple(one[name] for name in NAMES)
    assert labels.filter(at)["label"].item() == one["label"]


def test_the_content_hash_knows_the_rows_but_not_their_order(planted: PlantedFrames) -> None:
    features, labels = planted(days=5, markets=MARKETS)
    first = joined((features, labels))
    assert (
        joined((features.sample(fraction=1, shuffle=True, seed=1), labels.reverse())).content_hash == first.content_hash
    )
    changed = features.with_columns(f3=pl.when(pl.int_range(pl.len()) == 17).then(0.5).otherwise("f3"))
    assert joined((changed, labels)).content_hash != first.content_hash


def test_the_hash_of_a_frame_is_a_published_recipe() -> None:
    frame = pl.DataFrame({"market": ["a", "bc"], "x": [1.0, -0.0]})
    recipe = b"2 rows\nmarket: String\n\x00\x01\0\0\0\x02\0\0\0abcx: Float64\n\x00"
    assert frame_hash(frame) == hashlib.sha256(recipe + np.array([1.0, 0.0], "<f8").tobytes()).hexdigest()


@given(st.lists(st.one_of(st.none(), st.floats()), min_size=1, max_size=20), st.data())
def test_any_changed_value_changes_the_hash(values: list[float | None], data: st.DataObject) -> None:
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)})
    assert frame_hash(frame) == frame_hash(pl.concat([frame[:1], frame[1:]], rechunk=False))
    place = data.draw(st.integers(0, len(values) - 1))
    other = data.draw(st.one_of(st.none(), st.floats()))
    changed = frame.with_columns(x=pl.Series([*values[:place], other, *values[place + 1 :]], dtype=pl.Float64))
    assert (frame_hash(changed) == frame_hash(frame)) == changed.equals(frame)


def test_a_holdout_keeps_every_row_whose_outcome_could_reach_into_it(planted: PlantedFrames) -> None:
    data = joined(planted(days=10))
    known = data.without_newest(3)
    assert known.frame["label_end"].max() <= data.end - timedelta(days=3)
    assert known.frame["known_at"].max() == data.end - timedelta(days=3) - data.horizon
    assert known.content_hash != data.content_hash
    assert data.without_newest(0) is data


def test_a_market_without_labels_is_named(planted: PlantedFrames) -> None:
    features, labels = planted(days=2, markets=MARKETS)
    with pytest.raises(ModelError, match="sample:B/USDT: no labelled rows; materialize features and labels"):
        joined((features, labels.filter(pl.col("market") == "sample:A/USDT")))
    with pytest.raises(ModelError, match="sample:C/USDT: no labelled rows"):
        join(features[:0], labels, names=NAMES, fingerprint="", markets=["sample:C/USDT"])


def changed(frame: pl.DataFrame, column: str, value: pl.Expr) -> pl.DataFrame:
    """One row has another value."""
    return frame.with_columns(pl.when(pl.int_range(pl.len()) == 7).then(value).otherwise(column).alias(column))


def test_frames_that_would_give_a_wrong_data_set_without_a_word_are_refused(planted: PlantedFrames) -> None:
    features, labels = planted(days=2)
    unzoned = pl.col("ts").dt.replace_time_zone(None)
    wrong = {
        "features: 2 rows have a bar that another row has too": (pl.concat([features, features[5:6]]), labels),
        "labels: 2 rows have a bar that another row has too": (features, pl.concat([labels, labels[5:6]])),
        "features: ts is Datetime": (features.with_columns(unzoned), labels),
        "labels: label has 1 nulls": (features, changed(labels, "label", pl.lit(None))),
        "labels: no column ambiguous": (features, labels.drop("ambiguous")),
        "features: f2 are not numbers": (features.with_columns(f2=pl.lit("x")), labels),
        # Features that are known after the entry would be a look into the future.
        "features of 1 bars are known at another time": (
            changed(features, "known_at", pl.col("known_at") + timedelta(minutes=1)),
            labels,
        ),
    }
    for message, frames in wrong.items():
        with pytest.raises(InvalidFrame, match=message):
            joined(frames)


def test_no_labels_at_all_say_what_to_materialize(planted: PlantedFrames) -> None:
    features, labels = planted(days=2)
    with pytest.raises(ModelError, match="sample:A/USDT: no labelled rows; materialize features and labels"):
        joined((features, labels[:0]))


def test_features_that_other_code_computed_are_refused(planted: PlantedFrames) -> None:
    features, labels = planted(days=2)
    with pytest.raises(ModelError, match="the stored features lack f2; they were computed by other code"):
        joined((features.drop("f2"), labels))
    with pytest.raises(ModelError, match="lack f2"):
        joined((features.with_columns(f2=pl.lit(None, pl.Float64)), labels))


def test_a_data_set_comes_from_the_store(store: Store, planted: PlantedFrames, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trading_assets.features.feature_names", lambda *_: NAMES, raising=False)
    monkeypatch.setattr("trading_assets.features.fingerprint", lambda *_: "ab" * 32, raising=False)
    features, labels = planted(days=4, markets=MARKETS)
    store.upsert(FEATURES, features)
    store.upsert(LABELS, labels)
    data = dataset.build(store, MARKETS, timeframe=M15)
    assert data.content_hash == joined((features, labels)).content_hash
    assert data.fingerprint == "ab" * 32
    assert dataset.build(store, MARKETS[:1], timeframe=M15).markets == MARKETS[:1]
    until = datetime(2025, 1, 3, tzinfo=UTC)
    early = dataset.build(store, MARKETS, until=until, timeframe=M15)
    assert early.end == until
    assert early.frame["label_end"].max() <= until
    with pytest.raises(ModelError, match="sample:C/USDT: no labelled rows"):
        dataset.build(store, [*MARKETS, "sample:C/USDT"], timeframe=M15)


def test_missing_candles_are_a_share_of_what_the_label_lived_through(planted: PlantedFrames) -> None:
    features, labels = planted(days=2)
    lived = (labels["label_end"] - labels["known_at"]) / timedelta(minutes=1)
    gaps = labels.with_columns(resolution=pl.lit("1m"), missing_candles=pl.lit(3, pl.Int32))
    np.testing.assert_allclose(joined((features, gaps)).frame["missing_share"].to_numpy(), 3 / lived.to_numpy())


def test_labels_made_before_missing_candles_were_counted_count_as_complete(
    store: Store, planted: PlantedFrames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trading_assets.features.feature_names", lambda *_: NAMES, raising=False)
    features, labels = planted(days=2, markets=MARKETS)
    store.upsert(FEATURES, features)
    columns = {name: dtype for name, dtype in LABELS.columns.items() if name != "missing_candles"}
    store.upsert(replace(LABELS, columns=columns), labels.drop("missing_candles"))
    assert (dataset.build(store, MARKETS, timeframe=M15).frame["missing_share"] == 0).all()
    store.upsert(LABELS, labels.head(1).with_columns(missing_candles=pl.lit(7, pl.Int32)))
    shares = dataset.build(store, MARKETS, timeframe=M15).frame["missing_share"]
    assert (shares > 0).sum() == 1


@pytest.mark.parametrize("companion", ["leader", "second_exchange", "funding", "sentiment", "book", "trades"])
def test_a_companion_that_is_asked_for_and_not_stored_is_refused(store: Store, companion: str) -> None:
    rows = made_up_bars(LOOKBACK_BARS + 20, M15)
    known = {name: one for name, one in made_up_companions(rows, M15).items() if name != companion}
    computed = compute(rows, known, timeframe=M15)
    with pytest.raises(ModelError, match=rf"{rows['market'][0]}: {companion} is among the model's companions"):
        missing_inputs(computed, [rows["market"][0]], [companion], names=usable_names([companion], timeframe=M15))
    with pytest.raises(ModelError, match="none of its features reads it"):
        missing_inputs(computed, [rows["market"][0]], [companion], names=usable_names(timeframe=M15))
    store.upsert(FEATURES, computed.with_columns(timeframe=pl.lit("15m")))
    with pytest.raises(ModelError, match=f"leave {companion} out of `companions`"):
        dataset.build(store, [rows["market"][0]], companions=[companion], timeframe=M15)
    assert set(usable_names([companion], timeframe=M15)) > set(usable_names(timeframe=M15))
