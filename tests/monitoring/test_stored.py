"""From the store: equal rows give equal drift, stored or journalled, and the training window is kept in a file."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.live.conftest import MARKET, meaningless
from trading_assets import features, models
from trading_assets.core.errors import BundleError
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.proofs.proving import made_up_bars
from trading_assets.journal import JOURNAL_FILE, Journal, load_journal, pack
from trading_assets.monitoring import profile, samples, stored, summary, versions
from trading_assets.settings import (
    LabelSettings,
    LightGBMSettings,
    ModelSettings,
    Settings,
    WalkForwardSettings,
    load_settings,
)
from trading_assets.store import Store, open_store
from trading_assets.store.tables import FEATURES, LABELS, PREDICTIONS

M15 = Timeframe.parse("15m")
DAYS, LATER_DAYS = 60, 6
NAMES = tuple(
    name for name, one in sorted(features.registry(M15).items()) if one.lookback <= 96 and not one.companions
)[::4]
"""A fourth of those that look back on a day at most."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(data_dir=tmp_path_factory.mktemp("drift"))


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """Features of a random walk."""
    bars = made_up_bars(DAYS * 96, M15, seed=3).with_columns(market=pl.lit(MARKET))
    return features.compute(bars, timeframe=M15, features=NAMES)


def train_end(rows: pl.DataFrame) -> datetime:
    last = rows["known_at"].max()
    assert isinstance(last, datetime)
    return last - timedelta(days=LATER_DAYS)


@pytest.fixture(scope="module")
def store(settings: Settings, rows: pl.DataFrame) -> Store:
    store, labels = open_store(settings.store_url), meaningless(rows)
    store.upsert(FEATURES, rows.with_columns(timeframe=pl.lit("15m")))
    store.upsert(LABELS, labels)
    known = labels.filter(pl.col("known_at") <= train_end(rows))
    said = np.random.default_rng(5).uniform(0.3, 0.5, known.height)
    predicted = known.with_columns(model=pl.lit("syna"), fold=pl.lit(0, pl.Int32), probability=pl.Series(said))
    empty = pl.DataFrame(schema=PREDICTIONS.columns)
    store.upsert(PREDICTIONS, pl.concat([empty, predicted], how="diagonal").select(empty.columns))
    return store


@pytest.fixture(scope="module")
def bundle(settings: Settings, rows: pl.DataFrame) -> models.Bundle:
    windows = WalkForwardSettings(train_days=40, purge_days=1, embargo_days=1, test_days=5)
    learner = LightGBMSettings(num_boost_round=5, num_leaves=15, min_data_in_leaf=20, lambda_l2=5)
    spec = ModelSettings(markets=[MARKET], estimator=learner, walk_forward=windows)
    made = models.join(rows, meaningless(rows), names=NAMES, fingerprint=features.fingerprint(NAMES))
    known = made.known_by(train_end(rows))
    return models.write(
        settings.bundles_dir,
        model="syna",
        trained=models.train(known, spec),
        dataset=known,
        spec=spec,
        labels=LabelSettings(take_profit_pct=0.8, stop_loss_pct=0.4, horizon_bars=8),
        metrics={},
    )


def journal(settings: Settings, store: Store, bundle: models.Bundle, rows: pl.DataFrame, version: int = 3) -> None:
    """What a node would have written that decided on these rows."""
    path = settings.live_dir / JOURNAL_FILE
    said = bundle.predict(rows, Side.LONG).to_list()
    with closing(Journal(path, "node")) as written:
        events = [
            (
                "live_features",
                {
                    "ts": row["known_at"],
                    "market": MARKET,
                    "timeframe": "15m",
                    "bar_ts": row["ts"],
                    "model": bundle.model,
                    "model_version": version,
                    "bundle_hash": bundle.bundle_hash,
                    "probability_long": said[number],
                    "packed": pack(rows[number].select(bundle.features)),
                },
            )
            for number, row in enumerate(rows.select("ts", "known_at").iter_rows(named=True))
        ]
        written.record_all(events)
    load_journal(store, path)


def test_the_same_rows_give_the_same_drift_stored_or_journalled(
    settings: Settings, store: Store, bundle: models.Bundle, rows: pl.DataFrame
) -> None:
    journal(settings, store, bundle, rows.filter(pl.col("ts") >= bundle.provenance.train_end))
    found = stored.measure(store, settings, bundle, 3)
    by_source = [found.filter(source=one).drop("source") for one in ("stored", "live")]
    assert_frame_equal(*by_source, check_exact=True)
    assert set(found["kind"]) == {"feature", "prediction", "calibration", "outcome"}
    assert set(found["test"]) >= {"psi", "ks"}
    assert set(found.filter(kind="outcome")["name"]) == {"long hit", "long return"}
    first = found["ts"].min()
    assert isinstance(first, datetime)
    assert first.date() == bundle.provenance.train_end.date() + timedelta(days=1), "whole days alone"
    assert not found.filter(kind="feature")["alarmed"].any(), "a random walk goes on as it did"
    assert stored.measure(store, settings, bundle, 4, sources=["live"]).is_empty(), "another version decided nothing"


def test_what_the_node_saw_and_the_store_did_not_is_drift_of_live_rows(
    settings: Settings, store: Store, bundle: models.Bundle, rows: pl.DataFrame
) -> None:
    late = rows.filter(pl.col("ts") >= bundle.provenance.train_end)
    before = stored.measure(store, settings, bundle, 7, sources=["stored"]).filter(kind="feature", test="ks")
    name = before.sort("threshold", nulls_last=True)["name"][0]
    journal(settings, store, bundle, late.with_columns(pl.lit(1e3).alias(name)), version=7)
    found = stored.measure(store, settings, bundle, 7)
    alarmed = found.filter(pl.col("alarmed"), kind="feature", name=name)
    assert set(alarmed["source"]) == {"live"}
    said = summary.alarms_by_kind(found)["feature"]
    assert any(line.startswith(f"{name}: ") and "(live, " in line for line in said)
    assert summary.heat_map(found, "a title")[:4] == b"\x89PNG"


def test_the_training_window_is_read_back_as_it_was_made(store: Store, bundle: models.Bundle) -> None:
    made = stored.made_profile(store, bundle)
    path = profile.write(bundle, made)
    read = profile.read(bundle)
    assert read is not None
    assert set(read) == set(made) == {"feature", "prediction", "calibration", "outcome"}
    for kind, one in made.items():
        assert read[kind].names == one.names
        assert read[kind].training.days == one.training.days
        assert (read[kind].training.counts == one.training.counts).all()
        assert np.array_equal(read[kind].edges, one.edges, equal_nan=True)
    assert path.stat().st_size < 2_000_000
    last = max(made["feature"].training.days)
    assert last <= bundle.provenance.train_end.date()


def damaged_zip(content: bytes) -> bytes:
    return content[: len(content) // 2]


def of_another(content: bytes) -> bytes:
    with np.load(io.BytesIO(content)) as stored_arrays:
        arrays: dict[str, Any] = dict(stored_arrays)
    out = io.BytesIO()
    np.savez_compressed(out, **(arrays | {"bundle_hash": np.array("0" * 64)}))
    return out.getvalue()


def with_an_object(content: bytes) -> bytes:
    out = io.BytesIO()
    np.savez(out, bundle_hash=np.array([print], dtype=object))
    return out.getvalue()


def misshapen(content: bytes) -> bytes:
    with np.load(io.BytesIO(content)) as stored_arrays:
        arrays: dict[str, Any] = dict(stored_arrays)
    arrays["feature.edges"] = arrays["feature.edges"][:, :5]
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


SPOILT = (damaged_zip, of_another, with_an_object, misshapen, lambda _: b"", lambda _: b"x" * 90)


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_file_that_is_no_profile_is_refused(
    store: Store, bundle: models.Bundle, spoil: Callable[[bytes], bytes]
) -> None:
    path = profile.write(bundle, stored.made_profile(store, bundle))
    whole = path.read_bytes()
    path.write_bytes(spoil(whole))
    try:
        with pytest.raises(BundleError, match=profile.FILE):
            profile.read(bundle)
    finally:
        path.write_bytes(whole)


def test_without_a_deployed_version_the_newest_is_watched(
    settings: Settings, store: Store, bundle: models.Bundle
) -> None:
    assert versions.watched(store, settings, "syna") is None
    with pytest.raises(Exception, match="no version to watch"):
        versions.required(store, settings, "syna")


def test_each_side_is_a_subject_of_its_own() -> None:
    end = datetime(2025, 1, 2, 3, tzinfo=UTC)
    said = pl.DataFrame(
        {"ts": [end] * 4, "label_end": [end] * 4, "side": [1, -1, 1, -1], "probability": [0.5, 0.25, 0.75, 0.5]}
        | {"label": [1, -1, 0, 1], "return": [0.1, -0.1, 0.0, 0.2]}
    )
    assert samples.calibration(said)["long"].to_list() == [0.5, None, -0.75, None]
    assert samples.calibration(said)["short"].to_list() == [None, -0.25, None, 0.5]
    assert samples.subjects(samples.outcomes(said)) == ("long hit", "long return", "short hit", "short return")
    assert samples.subjects(samples.predictions(said.filter(side=-1))) == ("short",)
