"""One exchange's protocol on a local server, the source that reads it, and the time that both have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from tests.sources.venues import Venue
from trading_assets.settings import CcxtSource
from trading_assets.sources.candles.exchange import ExchangeCandles
from trading_assets.sources.contract import RAW_COLUMNS
from trading_assets.sources.transport.backoff import Backoff

START = datetime(2025, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MARKETS = {
    "okx spot": ("okx", "okx:BTC/USDT", 300),
    "okx perpetual": ("okx", "okx:BTC/USDT:USDT", 300),
    "bybit spot": ("bybit", "bybit:BTC/USDT", 1000),
    "bybit perpetual": ("bybit", "bybit:BTC/USDT:USDT", 1000),
    "bitget spot": ("bitget", "bitget:BTC/USDT", 200),
    "bitget perpetual": ("bitget", "bitget:BTC/USDT:USDT", 200),
    "kraken perpetual": ("krakenfutures", "kraken:BTC/USD:USD", 2000),
}
"""Kind -> ccxt's id, market, candles in a page: exchanges that keep their whole history."""

OTHERS = {
    "binance spot": ("binance", "binance:BTC/USDT", 1000),
    "kraken spot": ("kraken", "kraken:BTC/USD", 720),
    "gate spot": ("gate", "gate:BTC/USDT", 1000),
}


class Desk:
    """One exchange, the source that reads it, and the time that all of them have."""

    def __init__(self, kind: str, candles: pl.DataFrame, now: datetime, page_limit: int | None = None) -> None:
        exchange, self.market, self.limit = (MARKETS | OTHERS)[kind]
        self.now = now
        self.venue = Venue(exchange, candles, round(now.timestamp() * 1000))
        settings = CcxtSource(
            kind="ccxt", exchange=exchange, base_url=self.venue.url, page_limit=page_limit, rate_limit=False
        )
        self.source = ExchangeCandles(settings, Backoff(2, sleep=lambda _: None), clock=lambda: now)

    def read(self, start: datetime, end: datetime | None = None) -> pl.DataFrame:
        empty = pl.DataFrame(schema=RAW_COLUMNS)
        pages = list(self.source.fetch(self.market, "1m", start, end or self.now))
        return pl.concat(pages) if pages else empty

    def limited(self, page_limit: int | None) -> Desk:
        """The same, asked for so many candles at a time and with nothing known of the answers."""
        self.source.settings = self.source.settings.model_copy(update={"page_limit": page_limit})
        self.source._histories.clear()
        return self

    def __enter__(self) -> Desk:
        self.venue.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.venue.__exit__()
