"""When things run by the clock (cron, UTC); what follows data or approvals runs by sensors."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import dagster as dg

from trading_assets.defs.jobs import market_data, retrain
from trading_assets.defs.partitions import (
    MARKET_MONTHS,
    MONTH_FORMAT,
    SETTINGS,
    history_end,
    partition_key,
    range_tags,
)
from trading_assets.settings import Settings

CATCH_UP: Final = timedelta(days=1)
"""A tick also covers the month in which this much earlier lies: the last candles of a month come in after its end."""


def months_to_refresh(now: datetime, settings: Settings) -> tuple[str, str] | None:
    """The first and the last month that an hourly run must bring up to date; None where the history has ended.

    Labels need no more than this: a month holds the bars whose horizon ends in it, so the last bars of a month are
    labelled by the next month's run.
    """
    end = history_end(settings.history)
    first = max(now - CATCH_UP, settings.history_start)
    if now < settings.history_start or (end is not None and first >= end):
        return None
    return first.strftime(MONTH_FORMAT), min(now, end - timedelta(seconds=1) if end else now).strftime(MONTH_FORMAT)


def _ended(settings: Settings) -> dg.SkipReason:
    return dg.SkipReason(
        f"the history ended on {settings.history.end}: no new candles; remove history.end in the settings to go on"
    )


@dg.schedule(
    job=market_data,
    cron_schedule=SETTINGS.schedules.candles,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
def hourly_market_data(
    context: dg.ScheduleEvaluationContext, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Candles through labels of the current month, one run per market; on its first day the month before as well."""
    now = context.scheduled_execution_time
    months = months_to_refresh(now, settings)
    if months is None:
        yield _ended(settings)
        return
    for market in settings.markets:
        first, last = (partition_key(market, month) for month in months)
        if not MARKET_MONTHS.has_partition_key(last):
            yield dg.SkipReason(f"{last} is no partition; reload the code location after changing the settings")
            return
        yield dg.RunRequest(run_key=f"{market}@{now:%Y-%m-%dT%H:%M}", tags=range_tags(first, last) | {"market": market})


@dg.schedule(
    job=retrain,
    cron_schedule=SETTINGS.schedules.retrain,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
def daily_retrain(
    context: dg.ScheduleEvaluationContext, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Walk-forward, candidate, backtest and approval of every model, one run each."""
    now = context.scheduled_execution_time
    if months_to_refresh(now, settings) is None:
        yield _ended(settings)
        return
    for model in settings.models:
        yield dg.RunRequest(run_key=f"{model}@{now:%Y-%m-%d}", partition_key=model)
