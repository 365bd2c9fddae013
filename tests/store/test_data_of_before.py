"""A data folder as the version before wrote it: store of layout 2, registry, bundles, manifest and journal."""

from __future__ import annotations

import tarfile
from pathlib import Path

import polars as pl
import pytest

from trading_assets.backtest.approval import predictions_hash
from trading_assets.backtest.confidence import measure
from trading_assets.core.content_hash import frame_hash
from trading_assets.journal import load_journal
from trading_assets.store import open_store
from trading_assets.store.migration import LAYOUT, layout_of, migrate
from trading_assets.store.tables import FEATURES, FOLDS, LABELS, PREDICTIONS, SIGNALS

WRITTEN = Path(__file__).parent / "fixtures" / "data_of_layout_2.tar.xz"
"""Made by `trading demo` with the settings that lie in it; most of the candles and what came of them are left out."""


@pytest.fixture
def before(tmp_path: Path) -> Path:
    with tarfile.open(WRITTEN) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "data"


def test_a_store_of_before_is_migrated_with_its_rows_and_what_they_mean(before: Path) -> None:
    store = open_store(f"duckdb:///{before / 'market.duckdb'}")
    assert layout_of(store) == 2
    done = migrate(store)
    assert f"layout 2 -> {LAYOUT}" in done
    features, labels, predictions = (store.read(table) for table in (FEATURES, LABELS, PREDICTIONS))
    assert (features.height, labels.height, predictions.height) == (13, 97, 1082)
    assert features["timeframe"].unique().to_list() == ["15m"]
    assert labels.select("label_set", "timeframe", "side").unique().rows() == [("default", "15m", 1)]
    assert predictions.select("timeframe", "side").unique().rows() == [("15m", 1)]
    later = ("raw_probability", "prediction_set", "gain", "loss")
    assert all(predictions.select(pl.col(later).is_null().all()).row(0))
    assert measure(predictions, store.read(FOLDS)) == {}
    old = predictions.drop(later)
    assert predictions_hash(predictions) == frame_hash(old), "what was traded before is still the same"
    store.upsert(PREDICTIONS, predictions.head(3).with_columns(side=pl.lit(-1, pl.Int8)))
    assert store.read(PREDICTIONS).height == 1085, "the other side is another row"
    assert migrate(store) == []


def test_the_journal_of_before_is_read_as_quarters_and_long_and_loaded_again(before: Path) -> None:
    store = open_store(f"duckdb:///{before / 'market.duckdb'}")
    signals = store.read(SIGNALS)
    migrate(store)
    load_journal(store, before / "live" / "journal.sqlite")
    again = store.read(SIGNALS)
    assert again.equals(signals), "the same events, which say now what they meant"
    assert again.select("timeframe", "side").unique().rows() == [("15m", 1)]
