"""Sentiment: scores of the providers in the settings, each with the time from which on it was known."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from trading_assets.core.clock import Clock
from trading_assets.core.errors import SourceError, TradingError
from trading_assets.defs.lib.metadata import DATA_TEAM, asset_metadata, describe_frame
from trading_assets.defs.lib.schedules import by_the_clock
from trading_assets.settings import Settings
from trading_assets.sources.sentiment.ingestion import ingest_sentiment, open_sentiment
from trading_assets.store.contract import Store
from trading_assets.store.tables import SENTIMENT


@dg.asset(
    name=SENTIMENT.name,
    description="Sentiment scores as their providers published them; revisions are kept beside what they revised.",
    group_name="market_data",
    owners=[DATA_TEAM],
    kinds={"polars", "duckdb"},
    metadata=asset_metadata(SENTIMENT),
)
def sentiment(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[Store],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """Ask every provider and add what is new; one that fails does not keep the others from being asked."""
    now = clock()
    failed, quarantined = [], 0
    for name, chosen in settings.sentiment.items():
        lag = None if chosen.publication_lag_s is None else timedelta(seconds=chosen.publication_lag_s)
        try:
            report = ingest_sentiment(store, open_sentiment(settings, name), name=name, lag=lag, now=now)
        except TradingError as error:
            context.log.error(str(error))
            failed.append(str(error))
            continue
        context.log.info(str(report))
        quarantined += report.quarantined
    if failed:
        raise SourceError("; ".join(failed), where=f"{len(failed)} of {len(settings.sentiment)} providers")
    stored = store.read(SENTIMENT)
    return dg.MaterializeResult(metadata={**describe_frame(stored, SENTIMENT), "quarantined": quarantined})


load_sentiment = dg.define_asset_job(
    "load_sentiment",
    selection=dg.AssetSelection.assets(SENTIMENT.name),
    description="Asks every provider of sentiment for new scores.",
)


def sentiment_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """The schedule, at a project's `schedules.sentiment`."""
    return by_the_clock(
        load_sentiment, settings.schedules.sentiment, "By the clock: asks every provider of sentiment for new scores."
    )(hourly_sentiment)


def hourly_sentiment(
    context: dg.ScheduleEvaluationContext, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """New scores of every provider."""
    if not settings.sentiment:
        yield dg.SkipReason("no provider under `sentiment` in the settings")
        return
    yield dg.RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}")
