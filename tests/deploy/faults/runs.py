"""Faults of data and runs: what Dagster, the store and the exporter no longer do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from tests.defs import test_instance_metrics as project
from tests.deploy.faults.bench import Bench, Pages, constant, of_page, provokes
from tests.live.metrics.world import Scrape
from tests.monitoring.exported.test_stored import MARKET, put
from trading_assets.defs.lib.partitions import Partitions
from trading_assets.defs.monitoring import instance_metrics
from trading_assets.defs.sql_models.checks import model_checks
from trading_assets.journal import JOURNAL_FILE, cursor
from trading_assets.monitoring.exported.page import Page
from trading_assets.monitoring.exported.stored import read_models, read_store
from trading_assets.settings import Settings
from trading_assets.sql import load_models
from trading_assets.store.tables import BARS, CANDLES, DRIFT, GAPS, LABELS, SIGNALS
from trading_live.metrics.exporter import Exporter


@provokes("TradingExportStale")
def export_stops(bench: Bench) -> Pages:
    exporter = Exporter({})
    exporter.read()
    page = Scrape.of(exporter.text())
    return constant(page, page)  # and time goes on


@provokes("TradingExportFails")
def export_fails(bench: Bench) -> Pages:
    locked: list[bool] = []

    def read(page: Page, now: datetime) -> None:
        if locked:
            raise RuntimeError("locked")

    exporter = Exporter({"store": read})
    exporter.read()
    well = Scrape.of(exporter.text())
    locked.append(True)
    exporter.read()
    return constant(well, Scrape.of(exporter.text()))


def endless(settings: Settings) -> Settings:
    return settings.model_copy(update={"history": settings.history.model_copy(update={"end": None})})


def dagster_pages(bench: Bench, happens: Callable[[dg.DagsterInstance], object], *, later: float = 0.0) -> Pages:
    """Before and after something happens in an instance of its own."""
    jobs = project.DEFINITIONS.get_repository_def()
    with dg.DagsterInstance.ephemeral() as instance:

        def scrape() -> Scrape:
            page = Page()
            instance_metrics.read_runs(page, instance, datetime.now(UTC) + timedelta(hours=later))
            instance_metrics.read_assets(page, instance, project.DEFINITIONS, endless(bench.settings))
            return of_page(page)

        jobs.get_job("good").execute_in_process(instance=instance, partition_key="a")
        well = scrape()
        happens(instance)
        return constant(well, scrape())


def job(name: str) -> dg.JobDefinition:
    return project.DEFINITIONS.get_repository_def().get_job(name)


@provokes("TradingRunFailed")
def run_fails(bench: Bench) -> Pages:
    return dagster_pages(bench, lambda one: job("bad").execute_in_process(instance=one, raise_on_error=False))


@provokes("TradingRunStuck")
def run_hangs(bench: Bench) -> Pages:
    started = dg.DagsterRunStatus.STARTED
    return dagster_pages(bench, lambda one: one.create_run_for_job(job("good"), status=started), later=3)


@provokes("TradingDaemonDown")
def daemon_stops(bench: Bench) -> Pages:
    from dagster._daemon.types import DaemonHeartbeat

    sensed = DaemonHeartbeat(time.time(), "SENSOR", "id", errors=[])
    pages = dagster_pages(bench, lambda one: one.add_daemon_heartbeat(sensed))
    return Pages(next(iter(pages.faulty)), pages.faulty)


@provokes("TradingAssetStale")
def asset_stale(bench: Bench) -> Pages:
    pages = dagster_pages(bench, lambda one: None)
    return Pages(pages.well, [pages.well])


def of_history(settings: Settings, *, months: int) -> Settings:
    """Settings of one market and the first months of its history."""
    history = settings.history.model_copy(update={"end": date(2025, 1 + months, 1)})
    return settings.model_copy(update={"history": history, "markets": {MARKET: settings.markets[MARKET]}})


@provokes("TradingPartitionsLate")
def month_begins(bench: Bench) -> Pages:
    """A month of the history was fetched, and the next one has begun."""

    def location(months: int) -> dg.Definitions:
        of_market = Partitions.of(of_history(bench.settings, months=months)).market_months

        @dg.asset(name="candles", partitions_def=of_market)
        def fetched() -> None: ...

        return dg.Definitions([fetched], jobs=[dg.define_asset_job("fetch", selection=["candles"])])

    with dg.DagsterInstance.ephemeral() as instance:

        def scrape(months: int) -> Scrape:
            page = Page()
            instance_metrics.read_assets(page, instance, location(months), bench.settings)
            return of_page(page)

        fetch = location(1).resolve_job_def("fetch")
        assert fetch.execute_in_process(instance=instance, partition_key=f"{MARKET}|2025-01").success
        return constant(scrape(1), scrape(2))


@provokes("TradingCheckFailed")
def gate_closes(bench: Bench) -> Pages:
    """The project's own checks of bars, over a store in which one is impossible from the fault on."""
    settings, bars = of_history(bench.settings, months=1), BARS["15m"]
    location = dg.Definitions(
        [dg.AssetSpec(bars.name)],
        asset_checks=[model_checks(load_models()[bars.name])],
        jobs=[dg.define_asset_job("look", selection=dg.AssetSelection.checks_for_assets(bars.name))],
        resources={"settings": settings, "store": bench.store},
    )
    ts = settings.history_start + timedelta(days=1)
    bar = {"market": MARKET, "ts": ts, "known_at": ts + timedelta(minutes=15)}
    put(bench.store, CANDLES, {"market": MARKET, "timeframe": "1m", "ts": ts})
    with dg.DagsterInstance.ephemeral() as instance:

        def looked() -> Scrape:
            page = Page()
            location.resolve_job_def("look").execute_in_process(instance=instance, raise_on_error=False)
            instance_metrics.read_assets(page, instance, location, settings)
            return of_page(page)

        put(bench.store, bars, bar)
        well = looked()
        put(bench.store, bars, bar | {"high": 0.5})
        return constant(well, looked())


def stored(bench: Bench, *, now: datetime | None = None) -> Scrape:
    page = Page()
    read_store(page, bench.store, endless(bench.settings))
    read_models(page, bench.store, bench.settings, now or datetime.now(UTC))
    return of_page(page)


def minutes_ago(count: int) -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=count)


@provokes("TradingCandlesLate")
def candles_late(bench: Bench) -> Pages:
    put(bench.store, CANDLES, {"market": MARKET, "timeframe": "1m", "ts": minutes_ago(2)})
    page = stored(bench)
    return Pages(page, [page])  # and no candle follows


@provokes("TradingGapsGrow")
def gaps_grow(bench: Bench) -> Pages:
    gap = {"market": MARKET, "timeframe": "1m"}
    put(bench.store, GAPS, gap | {"ts": minutes_ago(900), "candles": 3})
    well = stored(bench)
    put(bench.store, GAPS, gap | {"ts": minutes_ago(600), "candles": 400})
    return constant(well, stored(bench))


@provokes("TradingJournalNotLoaded")
def not_loaded(bench: Bench) -> Pages:
    node = bench.world()
    node.pulse.tell("something", "happened before")
    with dg.DagsterInstance.ephemeral() as instance:

        def scrape() -> Scrape:
            page = Page()
            instance_metrics.read_journal(page, instance, node.settings)
            return of_page(page)

        told = {"journal_cursor": cursor(node.settings.live_dir / JOURNAL_FILE)}
        instance.report_runless_asset_event(dg.AssetMaterialization("positions", metadata=told))
        well = scrape()
        node.pulse.tell("something", "happened")
        return constant(well, scrape())


@provokes("TradingDrift")
def drift(bench: Bench) -> Pages:
    subject = {"model": "syna", "version": 1, "source": "live", "kind": "feature", "name": "rsi", "ts": minutes_ago(0)}
    put(bench.store, DRIFT, subject | {"test": "psi", "value": 0.1, "threshold": 0.2})
    well = stored(bench)
    put(bench.store, DRIFT, subject | {"test": "psi", "value": 0.9, "threshold": 0.2, "alarmed": True})
    return constant(well, stored(bench))


@provokes("TradingCoverageLost")
def coverage(bench: Bench) -> Pages:
    """Sets that say take-profit alone, of trades of which a half reaches it."""
    spec: Any = bench.settings.models["syna"]
    sets = spec.model_copy(update={"confidence": spec.confidence.model_copy(update={"conformal": 0.9})})
    bench = replace(bench, settings=bench.settings.model_copy(update={"models": {"syna": sets}}))
    bars = [minutes_ago(60 + 15 * n) for n in range(200)]
    said = {"model": "syna", "model_version": 1, "market": MARKET, "side": 1, "prediction_set": 1}
    known = {"market": MARKET, "label_set": spec.label, "timeframe": "15m", "side": 1}
    put(bench.store, SIGNALS, *(said | {"seq": n, "ts": bar, "bar_ts": bar} for n, bar in enumerate(bars)))
    put(bench.store, LABELS, *(known | {"ts": bar, "label": 1} for bar in bars))
    well = stored(bench)
    put(bench.store, LABELS, *(known | {"ts": bar, "label": (-1) ** n} for n, bar in enumerate(bars)))
    return constant(well, stored(bench))
