"""Where candles come from: the synthetic sample, files, Polygon.io, and any exchange that ccxt knows."""

from __future__ import annotations

from trading_assets.core.errors import SettingsError, SourceError
from trading_assets.core.missing_candles import Gap, missing_ranges
from trading_assets.settings import FilesSource, PolygonSource, SampleSource, Settings
from trading_assets.sources.contract import RAW_COLUMNS, CandleSource
from trading_assets.sources.ingest.candle_validation import RULES, split_valid
from trading_assets.sources.ingest.ingestion import ingest
from trading_assets.sources.ingest.report import IngestReport
from trading_assets.sources.ingest.resume import parts_to_fetch

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
    if isinstance(source, SampleSource):
        from trading_assets.sources.candles import sample

        if market not in sample.MARKETS:
            raise SourceError(
                "the synthetic sample does not know this market",
                where=market,
                remedy=f"it has {', '.join(sample.MARKETS)}",
            )
        return sample.SampleCandles(settings.history_start, source.days, source.seed)
    if isinstance(source, FilesSource):
        from trading_assets.sources.candles.files import FileCandles

        files = FileCandles.from_settings(name, source)
        files.check(market)
        return files
    if isinstance(source, PolygonSource):
        from trading_assets.sources.candles.polygon import PolygonCandles

        return PolygonCandles.from_settings(source)
    from trading_assets.sources.candles.exchange import ExchangeCandles

    return ExchangeCandles.from_settings(source)
