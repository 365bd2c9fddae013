"""Where candles come from: the synthetic sample, files, Polygon.io, and any exchange that ccxt knows."""

from __future__ import annotations

from trading_assets.core.errors import SettingsError
from trading_assets.core.missing_candles import Gap, missing_ranges
from trading_assets.settings import Settings
from trading_assets.sources.contract import RAW_COLUMNS, CandleSource
from trading_assets.sources.ingest.candle_validation import RULES, split_valid
from trading_assets.sources.ingest.ingestion import ingest
from trading_assets.sources.ingest.report import IngestReport
from trading_assets.sources.ingest.resume import parts_to_fetch
from trading_assets.sources.kinds import opens, register, registered

__all__ = [
    "RAW_COLUMNS",
    "RULES",
    "CandleSource",
    "Gap",
    "IngestReport",
    "ingest",
    "missing_ranges",
    "open_source",
    "parts_to_fetch",
    "register",
    "registered",
    "split_valid",
]


def open_source(settings: Settings, market: str) -> CandleSource:
    """Open the source that the settings name for a market.

    Raises
    ------
    SettingsError
        If the market is not in the settings.
    SourceError
        If its source is known not to have it. An exchange is not asked yet: its answer comes with the first fetch.
    """
    if market not in settings.markets:
        raise SettingsError(
            "no such market in the settings",
            where=market,
            remedy=f"add it under `markets`, or use one of: {', '.join(settings.markets)}",
        )
    name = settings.markets[market].source
    source = settings.sources[name]
    return opens(source).open(source, name=name, market=market, since=settings.history_start)
