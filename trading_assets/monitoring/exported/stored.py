"""What the store says of its own freshness, gaps and models, as numbers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from trading_assets.monitoring.exported import catalogue as m
from trading_assets.monitoring.exported.page import Page
from trading_assets.monitoring.summary import newest
from trading_assets.settings import ModelSettings, Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import (
    CANDLE_GAPS,
    CANDLES,
    CANDLES_QUARANTINE,
    CHALLENGERS,
    CHECK_STATES,
    DRIFT,
    FEATURES,
    GAPS,
    LABELS,
    MODEL_VERSIONS,
    SIGNALS,
)
from trading_assets.validation.coverage import live_coverage

COVERED: Final = timedelta(days=30)
"""Of decisions whose sets are held against their outcomes: enough for a share, and not last year's."""

_DRIFT_DAYS: Final = timedelta(days=30)
_KEY: Final = ["market", "timeframe", "ts"]


def read_store(page: Page, store: Store, settings: Settings) -> None:
    """Freshness, gaps, quarantine and failing parts.

    Parameters
    ----------
    page
        Written to.
    store, settings
        Of the project.
    """
    file = Path(settings.store_url.removeprefix("duckdb:///"))
    page.set(m.STORE_BYTES, file.stat().st_size if file.is_file() else None)
    for market, one in settings.markets.items():
        for table, where in ((CANDLES, {"market": market, "timeframe": one.timeframe}), (FEATURES, {"market": market})):
            bounds = store.bounds(table, where=where)
            page.set(m.NEWEST, None if bounds is None else bounds[1].timestamp(), table.name, market)
    if settings.history.end is None:
        page.set(m.LATE_LIMIT, settings.schedules.late_after_hours * 3600)
    for market, reason, candles in _gaps(store).iter_rows():
        page.set(m.GAPS, candles, market, reason)
    _quarantine(page, store, settings)
    states = store.read(CHECK_STATES, columns=["asset", "check", "problem"])
    bad = states.group_by("asset", "check").agg((pl.col("problem") != "").sum()).sort("asset", "check")
    for asset, check, problems in bad.iter_rows():
        page.set(m.CHECK_PROBLEMS, problems, asset, check)


def _gaps(store: Store) -> pl.DataFrame:
    found = store.read(GAPS, columns=[*_KEY, "candles"])
    known = store.read(CANDLE_GAPS, columns=[*_KEY, "reason"])
    told = found.join(known, on=_KEY, how="left").with_columns(pl.col("reason").fill_null("not_looked_into"))
    return told.group_by("market", "reason").agg(pl.col("candles").sum()).sort("market", "reason")


def _quarantine(page: Page, store: Store, settings: Settings) -> None:
    kept = store.read(CANDLES_QUARANTINE, columns=["market", "released_at"]).filter(pl.col("released_at").is_null())
    counts = dict(kept.group_by("market").len().iter_rows())
    for market in settings.markets:
        page.set(m.QUARANTINED, counts.get(market, 0), market)


def read_models(page: Page, store: Store, settings: Settings, now: datetime) -> None:
    """Versions, drift, coverage and challengers.

    Parameters
    ----------
    page
        Written to.
    store, settings
        Of the project.
    now
        Decisions of the last :data:`COVERED` are held against outcomes.
    """
    versions = store.read(MODEL_VERSIONS, columns=["model", "status"])
    for model, status, count in versions.group_by("model", "status").len().sort("model", "status").iter_rows():
        page.set(m.VERSIONS, count, model, status)
    share = pl.when(pl.col("threshold") > 0).then(pl.col("value") / pl.col("threshold"))
    drift = newest(_recent_drift(store)).group_by("model", "version", "source", "kind")
    for *labels, alarms, most in drift.agg(pl.col("alarmed").sum(), share.max().alias("share")).iter_rows():
        page.set(m.DRIFT_ALARMS, alarms, *labels)
        page.set(m.DRIFT_SHARE, most, *labels)
    for model, version, better in store.read(CHALLENGERS, columns=["model", "version", "better"]).iter_rows():
        page.set(m.BETTER, better, model, version)
    for name, spec in settings.models.items():
        if isinstance(spec, ModelSettings) and spec.confidence.conformal is not None:
            page.set(m.COVERAGE_TARGET, spec.confidence.conformal, name)
            _coverage(page, store, name, spec, now)


def _recent_drift(store: Store) -> pl.DataFrame:
    """The newest days: a year of all subjects would be read once a minute."""
    bounds = store.bounds(DRIFT)
    return store.read(DRIFT, start=None if bounds is None else bounds[1] - _DRIFT_DAYS)


def _coverage(page: Page, store: Store, model: str, spec: ModelSettings, now: datetime) -> None:
    """How often the sets of a model's live decisions held the outcome, as far as outcomes are known."""
    columns = ["model", "model_version", "market", "bar_ts", "side", "prediction_set"]
    said = store.read(SIGNALS, where={"model": model}, start=_start(store, model, now), columns=["ts", *columns])
    said = said.filter(pl.col("prediction_set").is_not_null())
    if said.is_empty():
        return
    oldest = said["bar_ts"].min()
    assert isinstance(oldest, datetime)
    labelled = store.read(
        LABELS,
        where={"label_set": spec.label, "market": list(spec.markets)},
        start=oldest,
        columns=["market", "ts", "side", "label"],
    )
    days = live_coverage(said.select(columns), labelled)
    for _, version, rows, share in _summed(days):
        page.set(m.COVERAGE, share, model, version)
        page.set(m.COVERAGE_ROWS, rows, model, version)


def _summed(days: pl.DataFrame) -> Iterable[tuple[str, int, int, float]]:
    held = (pl.col("coverage") * pl.col("rows")).sum() / pl.col("rows").sum()
    return days.group_by("model", "model_version").agg(pl.col("rows").sum().alias("n"), held.alias("share")).iter_rows()


def _start(store: Store, model: str, now: datetime) -> datetime:
    """Since when decisions count: of a replay, whose market's time is past, the last days of that time."""
    bounds = store.bounds(SIGNALS, where={"model": model})
    return min(now, now if bounds is None else bounds[1].astimezone(UTC)) - COVERED
