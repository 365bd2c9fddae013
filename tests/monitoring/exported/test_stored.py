"""What the store says of itself as numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from trading_assets.monitoring.exported import catalogue as m
from trading_assets.monitoring.exported.page import Page
from trading_assets.monitoring.exported.stored import read_models, read_store
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import (
    CANDLE_GAPS,
    CANDLES,
    CANDLES_QUARANTINE,
    CHALLENGERS,
    CHECK_STATES,
    DRIFT,
    GAPS,
    LABELS,
    MODEL_VERSIONS,
    SIGNALS,
    Table,
)

NOW = datetime(2025, 5, 1, 12, tzinfo=UTC)
MARKET = "sample:SYNA/USDT:USDT"


def put(store: Store, table: Table, *rows: dict[str, Any]) -> None:
    """Rows with what a test is about; the rest is filled in by type."""
    blank: dict[Any, Any] = {pl.String: "x", pl.Float64: 1.0, pl.Boolean: False}

    def filled(name: str, dtype: Any) -> Any:
        return NOW if isinstance(dtype, pl.Datetime) else blank.get(dtype, 1)

    whole = [{name: row.get(name, filled(name, dtype)) for name, dtype in table.columns.items()} for row in rows]
    store.upsert(table, pl.DataFrame(whole, schema=table.columns))


def page_of(store: Store, settings: Settings) -> Page:
    page = Page()
    read_store(page, store, settings)
    read_models(page, store, settings, NOW)
    return page


def test_an_empty_store_says_nothing_of_markets_and_fails_at_nothing(store: Store, settings: Settings) -> None:
    page = page_of(store, settings)
    assert m.NEWEST not in page.values
    assert set(page.values[m.QUARANTINED].values()) == {0.0}


def test_freshness_gaps_quarantine_and_failing_checks(store: Store, settings: Settings) -> None:
    last = NOW - timedelta(minutes=7)
    put(store, CANDLES, *({"market": MARKET, "timeframe": "1m", "ts": last - n * timedelta(minutes=1)} for n in (0, 1)))
    one, two = {"market": MARKET, "timeframe": "1m", "ts": last - timedelta(days=2)}, {"market": MARKET}
    put(store, GAPS, one | {"candles": 5}, two | {"timeframe": "1m", "candles": 3})
    put(store, CANDLE_GAPS, one | {"reason": "confirmed_empty"})
    put(store, CANDLES_QUARANTINE, {"market": MARKET, "released_at": None}, {"market": MARKET, "row_hash": 2})
    check = {"asset": "candles", "check": "gap_share"}
    put(store, CHECK_STATES, check | {"part": "a", "problem": ""}, check | {"part": "b", "problem": "3 %"})
    page = page_of(store, settings)
    assert page.values[m.NEWEST] == {("candles", MARKET): last.timestamp()}
    assert page.values[m.GAPS] == {(MARKET, "confirmed_empty"): 5, (MARKET, "not_looked_into"): 3}
    assert page.values[m.QUARANTINED][MARKET,] == 1
    assert page.values[m.CHECK_PROBLEMS] == {("candles", "gap_share"): 1}
    assert m.LATE_LIMIT not in page.values  # the history has an end
    goes_on = settings.model_copy(update={"history": settings.history.model_copy(update={"end": None})})
    assert page_of(store, goes_on).values[m.LATE_LIMIT][()] == settings.schedules.late_after_hours * 3600


def test_drift_versions_and_challengers(store: Store, settings: Settings) -> None:
    put(store, MODEL_VERSIONS, {"model": "syna", "version": 1, "status": "archived"}, {"model": "syna", "version": 2})
    subject = {"model": "syna", "version": 2, "source": "live", "kind": "feature", "test": "psi", "threshold": 0.2}
    day = timedelta(days=1)
    put(
        store,
        DRIFT,
        subject | {"name": "a", "value": 0.5, "alarmed": True},
        subject | {"name": "b", "value": 0.1},
        subject | {"name": "a", "value": 9.0, "alarmed": True, "ts": NOW - day},
        subject | {"name": "c", "value": 9.0, "alarmed": True, "ts": NOW - day},
    )
    put(
        store,
        CHALLENGERS,
        {"model": "syna", "version": 3, "better": 0.97},
        {"model": "syna", "version": 2, "better": None},
    )
    page = page_of(store, settings)
    key = ("syna", "2", "live", "feature")
    assert page.values[m.DRIFT_ALARMS] == {key: 1}
    assert page.values[m.DRIFT_SHARE] == {key: 2.5}
    assert page.values[m.VERSIONS][("syna", "archived")] == 1
    assert page.values[m.BETTER] == {("syna", "3"): 0.97}


def test_coverage_is_that_of_live_sets_whose_outcome_is_known(store: Store, settings: Settings) -> None:
    spec = settings.models["syna"]
    with_sets = spec.model_copy(update={"confidence": spec.confidence.model_copy(update={"conformal": 0.9})})  # type: ignore[union-attr]
    settings = settings.model_copy(update={"models": {"syna": with_sets}})
    bars = [NOW - n * timedelta(minutes=15) for n in range(1, 5)]
    signal = {"model": "syna", "model_version": 2, "market": MARKET, "side": 1}
    sets = (1, 1, 2, None)
    put(
        store,
        SIGNALS,
        *(
            signal | {"seq": n, "bar_ts": bar, "prediction_set": one, "ts": bar}
            for n, (bar, one) in enumerate(zip(bars, sets, strict=True))
        ),
    )
    outcome = {"market": MARKET, "label_set": spec.label, "timeframe": "15m", "side": 1}
    put(store, LABELS, *(outcome | {"ts": bar, "label": won} for bar, won in zip(bars, (1, -1, -1, 1), strict=True)))
    page = page_of(store, settings)
    assert page.values[m.COVERAGE_TARGET] == {("syna",): 0.9}
    assert page.values[m.COVERAGE] == {("syna", "2"): 2 / 3}
    assert page.values[m.COVERAGE_ROWS] == {("syna", "2"): 3}
