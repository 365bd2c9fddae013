"""Whatever settings a store has seen before: after a backfill it holds what a fresh one would."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.defs.small import MONTHS, SYNA, Location, Undisturbed, copy_of, write_tables
from tests.examples import examples
from tests.stores import fresh_store
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.proofs.proving import made_up_bars
from trading_assets.settings import Settings
from trading_assets.store import Store, open_store
from trading_assets.store.tables import BARS, CANDLES, FEATURES, LABELS, TABLES

M15 = Timeframe.parse("15m")

OTHER = "sample:SYNB/USDT:USDT"
MADE = ("bars_15m", "features", "labels", "gaps")
"""What follows the history; `daily_quality` judges the stored candles, also the one before the history's first."""


def candles_of(market: str, *, rows: int = 61 * 96, seed: int = 3) -> pl.DataFrame:
    """Candles of 15 minutes from 2025-01-01 on, some of which are missing, but none at midnight."""
    walk = made_up_bars(rows, M15, seed=seed)
    midnight = (walk["ts"].dt.hour() - 12).abs() > 8  # where a history may begin or end
    kept = walk.filter(midnight | pl.Series(np.random.default_rng(seed).random(rows) > 0.01))
    frame = kept.with_columns(market=pl.lit(market), timeframe=pl.lit("15m"))
    return frame.select(pl.col(name).cast(dtype) for name, dtype in CANDLES.columns.items() if name in frame.columns)


def chosen(location: Location, **changes: Any) -> Settings:
    markets = {market: {"source": "sample", "timeframe": "15m"} for market in (SYNA, OTHER)}
    return location.settings(Path("unused"), **({"history": {"start": date(2025, 1, 1)}, "markets": markets} | changes))


def windows_of(location: Location, chosen: Settings, market: str = SYNA, *, at_once: bool = True) -> list[Any]:
    """One window per month, or one of all months."""
    windows = location.module("lib.partitions").windows
    months = [windows([f"{market}|2025-0{month}"], chosen)[0] for month in (1, 2, 3)]
    months = [window for window in months if window.start < window.end]
    found: list[Any] = windows([key for one in months for key in one.keys], chosen) if at_once else months
    return found


@st.composite
def label_settings(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "horizon_bars": draw(st.integers(1, 400)),
        "barriers": draw(st.sampled_from(["fixed", "atr"])),
        "scale_bars": draw(st.integers(2, 200)),
        "ambiguous": draw(st.sampled_from(["worst_case", "drop"])),
    }


@st.composite
def histories(draw: st.DrawFn) -> dict[str, Any]:
    days = sorted(draw(st.lists(st.dates(date(2025, 1, 1), date(2025, 3, 2)), min_size=2, max_size=2, unique=True)))
    return {"start": days[0], "end": draw(st.sampled_from([days[1], None]))}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Candles and bars of 15 minutes, which are the same here."""
    store = fresh_store(tmp_path_factory.mktemp("base"))
    candles = candles_of(SYNA)
    bars = candles.with_columns(known_at=pl.col("ts") + pl.duration(minutes=15), candles=pl.lit(1, pl.Int32))
    store.upsert(CANDLES, candles)
    store.upsert(BARS["15m"], bars.select(*BARS["15m"].columns))
    return store


@examples(10, suppress=HealthCheck.function_scoped_fixture)
@given(
    before=st.lists(st.tuples(label_settings(), histories()), min_size=1, max_size=3),
    last=st.tuples(label_settings(), histories()),
    at_once=st.booleans(),
)
def test_labels_after_any_settings_are_those_of_a_fresh_store(
    location: Location, base: Store, before: list[Any], last: Any, at_once: bool
) -> None:
    write = location.module("research.labels").write_labels

    def label(labels: dict[str, Any], history: dict[str, Any], *, at_once: bool) -> None:
        settings = chosen(location, labels={"default": labels}, history=history)
        for window in windows_of(location, settings, at_once=at_once):
            write(base, window, settings)

    with base.kept_open():
        base.replace(LABELS, base.read(LABELS)[:0], where={})
        label(*last, at_once=True)
        fresh = base.read(LABELS)
        for one in before:
            label(*one, at_once=at_once)
        label(*last, at_once=at_once)
        found = base.read(LABELS)
    widths = ["take_profit", "stop_loss", "return"]  # of scaled barriers, to the last bits
    assert found.drop(widths).equals(fresh.drop(widths))
    for name in widths:
        assert np.allclose(found[name], fresh[name], 1e-9, 1e-12)


def backfill(location: Location, store: Store, settings: Settings) -> None:
    """What a backfill makes of stored candles, market by market, the leader's first."""
    leader = settings.features.leader
    for market in sorted(settings.markets, key=lambda one: one != leader):
        for window in windows_of(location, settings, market):
            write_tables(location, store, window, settings)


def stored(store: Store) -> dict[str, pl.DataFrame]:
    return {name: store.read(TABLES[name]) for name in MADE}


def test_any_changes_of_settings_end_in_the_tables_of_a_fresh_store(location: Location, tmp_path: Path) -> None:
    sequence: Sequence[dict[str, Any]] = (
        {
            "history": {"start": date(2025, 1, 1)},
            "labels": {"default": {"horizon_bars": 4}},
            "features": {"leader": SYNA},
        },
        {"history": {"start": date(2025, 1, 7), "end": date(2025, 2, 20)}, "labels": {"default": {"horizon_bars": 96}}},
        {"history": {"start": date(2025, 1, 5), "end": date(2025, 2, 26)}, "features": {"leader": OTHER}},
    )
    candles = pl.concat([candles_of(SYNA), candles_of(OTHER, seed=4)])
    changed = fresh_store(_made(tmp_path / "changed"))
    changed.upsert(CANDLES, candles)
    with changed.kept_open():
        for changes in sequence:
            backfill(location, changed, last := chosen(location, **changes))
    fresh = fresh_store(_made(tmp_path / "fresh"))
    begin, end = (datetime(2025, month, day, tzinfo=UTC) for month, day in ((1, 5), (2, 26)))
    fresh.upsert(CANDLES, candles.filter(pl.col("ts").is_between(begin, end, closed="left")))
    with fresh.kept_open():
        backfill(location, fresh, last)
    expected = stored(fresh)
    assert expected[FEATURES.name].height > 2_000
    assert expected[FEATURES.name]["leader_return_1"].is_not_null().any()
    for name, frame in stored(changed).items():
        assert frame.select(expected[name].columns).equals(expected[name]), name


def test_a_follower_that_overtakes_its_leader_waits_for_it(location: Location, tmp_path: Path) -> None:
    settings = chosen(location, features={"leader": OTHER})
    rows = 24 * 96
    candles = {SYNA: candles_of(SYNA, rows=rows), OTHER: candles_of(OTHER, rows=rows, seed=4)}
    late = datetime(2025, 1, 24, 20, tzinfo=UTC)
    stores = [fresh_store(_made(tmp_path / name)) for name in ("overtaken", "in_order")]
    for store in stores:
        store.upsert(CANDLES, candles[SYNA])
        with store.kept_open():
            store.upsert(CANDLES, candles[OTHER].filter(pl.col("ts") < late) if store is stores[0] else candles[OTHER])
            backfill(location, store, settings)
    overtaken = stores[0].read(FEATURES, where={"market": SYNA})
    assert overtaken["known_at"].max() == late
    assert overtaken.equals(stores[1].read(FEATURES, where={"market": SYNA}).filter(pl.col("known_at") <= late))
    stores[0].upsert(CANDLES, candles[OTHER])
    with stores[0].kept_open():
        backfill(location, stores[0], settings)
    for name, frame in stored(stores[0]).items():
        assert frame.equals(stored(stores[1])[name]), name


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_longer_horizon_leaves_no_rows_of_the_shorter_one(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    found = []
    for name, horizons in (("changed", (8, 24)), ("fresh", (24,))):
        for horizon in horizons:
            folder = tmp_path / name
            if not folder.exists():
                settings = copy_of(undisturbed, location, _made(folder), labels={"default": {"horizon_bars": horizon}})
                store = open_store(settings.store_url)
                store.replace(LABELS, store.read(LABELS)[:0], where={})
            settings = location.settings(folder, labels={"default": {"horizon_bars": horizon}})
            tags = location.months(SYNA, MONTHS[0], MONTHS[-1])
            with dg.DagsterInstance.ephemeral() as instance:
                assert location.materialize(settings, "labels", instance=instance, tags=tags).success
        found.append(store.read(LABELS))
    assert found[0].equals(found[1])
