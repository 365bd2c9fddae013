"""When things run by the clock (cron, UTC); what follows data or approvals runs by sensors."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

from trading_assets.defs.lib.partitions import partition_key, range_tags
from trading_assets.defs.lib.schedules import by_the_clock
from trading_assets.defs.orchestration.jobs import (
    compare_challengers,
    compare_live,
    market_data,
    measure_drift,
    retrain,
)
from trading_assets.registry import read_manifest
from trading_assets.settings import Settings
from trading_assets.settings.days import MONTH_FORMAT
from trading_assets.settings.demand import read_beside
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES, MODEL_VERSIONS, SIGNALS

CATCH_UP: Final = timedelta(days=1)
"""A tick also covers the month in which this much earlier lies: the last candles of a month come in after its end."""


FetchedAt = Callable[[str], datetime | None]
"""When the candles of a month were last fetched; None if never."""


def months_to_refresh(now: datetime, settings: Settings, fetched_at: FetchedAt) -> tuple[str, str] | None:
    """The first and the last month that an hourly run must bring up to date; None where the history has ended.

    Months that had not ended when they were last fetched come along, however long ago that was: else a daemon that
    stands still over the turn of a month would leave a hole. Months never fetched are left to a backfill.

    Labels need no more than this: a month holds the bars whose horizon ends in it, so the last bars of a month are
    labelled by the next month's run.
    """
    if now < settings.history_start:
        return None
    end = settings.history_end or datetime.max.replace(tzinfo=UTC)
    newest = _month_of(min(now, end - timedelta(seconds=1)))
    recent = _month_of(max(now - CATCH_UP, settings.history_start))
    first = recent if now - CATCH_UP < end else None
    month = newest
    while month >= _month_of(settings.history_start):
        fetched = fetched_at(month.strftime(MONTH_FORMAT))
        if fetched is not None and fetched >= min(_month_after(month), end):
            break
        if fetched is not None:
            first = min(first or month, month)
        month = _month_of(month - timedelta(days=1))
    return None if first is None else (first.strftime(MONTH_FORMAT), newest.strftime(MONTH_FORMAT))


def _month_of(moment: datetime) -> datetime:
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _month_after(month: datetime) -> datetime:
    return _month_of(month + timedelta(days=31))


def candles_fetched_at(instance: dg.DagsterInstance, market: str) -> FetchedAt:
    """Ask the instance when the candles of a market's months were materialized."""

    def fetched_at(month: str) -> datetime | None:
        wanted = dg.AssetRecordsFilter(dg.AssetKey(CANDLES.name), asset_partitions=[partition_key(market, month)])
        records = instance.fetch_materializations(wanted, limit=1).records
        return datetime.fromtimestamp(records[0].timestamp, UTC) if records else None

    return fetched_at


def _ended(settings: Settings) -> dg.SkipReason:
    return dg.SkipReason(
        f"the history ended on {settings.history.end}: no new candles; remove history.end in the settings to go on"
    )


def market_data_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """The schedule, at a project's `schedules.candles`."""
    return by_the_clock(
        market_data,
        settings.schedules.candles,
        "At `schedules.candles`: candles through labels of the months that still grow; one run per market.",
    )(hourly_market_data)


def hourly_market_data(
    context: dg.ScheduleEvaluationContext, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Candles through labels of the months that still grow or grew when last fetched, one run per market.

    The leader's is asked for first. Where a follower's run overtakes it, its newest features come with the next tick.
    """
    now = context.scheduled_execution_time
    ended = True
    read = read_beside(settings)
    for market in sorted(settings.markets, key=lambda one: read.index(one) if one in read else len(read)):
        months = months_to_refresh(now, settings, candles_fetched_at(context.instance, market))
        if months is None:
            continue
        ended = False
        first, last = (partition_key(market, month) for month in months)
        yield dg.RunRequest(run_key=f"{market}@{now:%Y-%m-%dT%H:%M}", tags=range_tags(first, last) | {"market": market})
    if ended:
        yield _ended(settings)


def retrain_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """The schedule, at a project's `schedules.retrain`."""
    return by_the_clock(
        retrain,
        settings.schedules.retrain,
        "At `schedules.retrain`: walk-forward, candidate, backtest, gates and approval; one run per model.",
    )(daily_retrain)


def daily_retrain(
    context: dg.ScheduleEvaluationContext, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Walk-forward, candidate, backtest and approval of every model, one run each."""
    now = context.scheduled_execution_time
    if months_to_refresh(now, settings, lambda _month: None) is None:
        yield _ended(settings)
        return
    for model in settings.models:
        yield dg.RunRequest(run_key=f"{model}@{now:%Y-%m-%d}", partition_key=model)


def challengers_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """The schedule, at a project's `schedules.challengers`."""
    return by_the_clock(
        compare_challengers,
        settings.schedules.challengers,
        "At `schedules.challengers`: champion and challengers by what they said in shadow so far.",
    )(daily_challengers)


def daily_challengers(
    context: dg.ScheduleEvaluationContext, settings: dg.ResourceParam[Settings]
) -> dg.RunRequest | dg.SkipReason:
    """Compare champion and challengers, where there are any."""
    if not read_manifest(settings.live_dir).challengers:
        return dg.SkipReason("no challenger is in shadow")
    return dg.RunRequest(run_key=f"challengers@{context.scheduled_execution_time:%Y-%m-%dT%H:%M}")


def divergence_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """The schedule, at a project's `schedules.divergence`."""
    return by_the_clock(
        compare_live,
        settings.schedules.divergence,
        "At `schedules.divergence`, after the day's candles and journal: the node beside its backtest.",
    )(daily_divergence)


def daily_divergence(
    context: dg.ScheduleEvaluationContext, store: dg.ResourceParam[Store]
) -> dg.RunRequest | dg.SkipReason:
    """The node's newest days beside a backtest, where its journal was loaded once."""
    if store.read(SIGNALS, columns=["node"]).is_empty():
        return dg.SkipReason("no node has decided anything yet")
    return dg.RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%d}")


def drift_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """The schedule, at a project's `schedules.drift`."""
    return by_the_clock(
        measure_drift,
        settings.schedules.drift,
        "At `schedules.drift`, after the day's candles and journal: a look at each model that has a version.",
    )(daily_drift)


def daily_drift(
    context: dg.ScheduleEvaluationContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """A look at each model that has a version, one run each."""
    known = set(store.read(MODEL_VERSIONS, columns=["model"])["model"])
    models = [model for model in settings.models if model in known]
    if not models:
        yield dg.SkipReason("no model has a version yet")
    for model in models:
        yield dg.RunRequest(run_key=f"{model}@{context.scheduled_execution_time:%Y-%m-%d}", partition_key=model)
