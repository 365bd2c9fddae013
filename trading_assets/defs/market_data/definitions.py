"""What stands in this room, for the settings of a project."""

import dagster as dg

from trading_assets.defs.market_data import candle_checks, candles, funding, funding_checks, recordings, sentiment
from trading_assets.settings import Settings


def market_data(settings: Settings) -> dg.Definitions:
    """Candles, funding, sentiment and recordings, their gates, and what loads the last two."""
    return dg.Definitions(
        assets=[
            candles.candles_asset(settings),
            funding.funding_asset(settings),
            sentiment.sentiment,
            recordings.recordings,
        ],
        asset_checks=[candle_checks.candle_gates(settings), funding_checks.funding_gate(settings)],
        jobs=[sentiment.load_sentiment, recordings.load_recorded],
        schedules=[sentiment.sentiment_schedule(settings)],
        sensors=[recordings.recordings_ingest],
    )
