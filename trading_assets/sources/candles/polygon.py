"""The ``polygon`` source: closed candles of crypto pairs and US stocks from Polygon.io's aggregates.

The company and its client are called Massive since 2025; keys and protocol are the same. A minute without a trade has
no bar: in a stock that is every minute outside of its session, and many inside of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched
from typing import Any, Final

import polars as pl

from trading_assets.core.candles import EPOCH, Market, timeframe_minutes
from trading_assets.core.errors import SourceError
from trading_assets.settings import KEYS_PREFIX, PolygonSource
from trading_assets.sources.contract import RAW_COLUMNS
from trading_assets.sources.transport.backoff import Backoff
from trading_assets.sources.transport.ccxt_client import environment_keys
from trading_assets.sources.transport.http import PatientHttp, Refused
from trading_assets.sources.window import check_window

PAGE_LIMIT: Final = 50_000
"""The most minutes that one answer may rest on."""

PAGE_ROWS: Final = 50_000
_SPANS: Final = {"m": "minute", "h": "hour", "d": "day"}
_STOCKS_LONGEST: Final = 60
"""Minutes; longer bars of stocks are counted from midnight in New York, ours from midnight UTC."""


@dataclass(slots=True)
class PolygonCandles:
    """Candles from Polygon.io.

    Parameters
    ----------
    settings
        Asset class, adjustment, patience.
    key
        The API key; goes into a header, never into an address.
    http
        Makes the requests.
    """

    settings: PolygonSource
    key: str = field(repr=False)
    http: PatientHttp = field(repr=False)
    name: str = "polygon"
    synthetic: bool = False

    @classmethod
    def from_settings(cls, settings: PolygonSource) -> PolygonCandles:
        """A source with the key from the environment.

        Raises
        ------
        SourceError
            If there is none.
        """
        key = environment_keys("polygon").get("apiKey")
        if key is None:
            raise SourceError("no API key", where="polygon", remedy=f"set {KEYS_PREFIX}POLYGON__API_KEY")
        return cls(settings, key, PatientHttp(Backoff(settings.max_attempts, settings.first_wait_s), (key,)))

    @property
    def retries(self) -> int:
        """Requests that had to be repeated."""
        return self.http.retries

    def fetch(self, market: str, timeframe: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        """Yield pages of the candles that open in ``[start, end)``.

        Raises
        ------
        SourceError
            If there is no such ticker, the plan does not cover it, or the server fails too often in a row.
        SettingsError
            If ``start`` is not before ``end``.
        """
        check_window(market, start, end)
        ticker, multiplier, span = self.ticker(market), int(timeframe[:-1]), _SPANS[timeframe[-1]]
        if self.settings.asset_class == "stocks" and timeframe_minutes(timeframe) > _STOCKS_LONGEST:
            raise SourceError(
                f"{timeframe} bars of stocks begin at midnight in New York, not UTC",
                where=market,
                remedy="take candles of at most 1h and let the bars be built from them",
            )
        first, last = _ms(start), _ms(end) - 1
        client = self._client()
        found = client.list_aggs(
            ticker, multiplier, span, first, last, adjusted=self.settings.adjusted, sort="asc", limit=PAGE_LIMIT
        )
        empty = True
        for bars in batched(found, PAGE_ROWS, strict=False):
            empty = False
            page = _frame(bars, ticker).filter(pl.col("ts").is_between(start, end, closed="left"))
            if page.height:
                yield page
        if empty:
            self._check_exists(client, ticker, market)

    def ticker(self, market: str) -> str:
        """Polygon's name of a market: ``X:BTCUSD`` for a crypto pair, ``AAPL`` for a stock."""
        if market in self.settings.tickers:
            return self.settings.tickers[market]
        parsed = Market.parse(market)
        return parsed.base if self.settings.asset_class == "stocks" else f"X:{parsed.base}{parsed.quote}"

    def _client(self) -> Any:
        """Polygon's own client; nothing is sent yet."""
        from massive import RESTClient

        address = {} if self.settings.base_url is None else {"base": self.settings.base_url.rstrip("/")}
        client = RESTClient(api_key=self.key, **address)
        client.client = self.http  # its own pool hides the status of what failed, and a page that is cut off
        return client

    def _check_exists(self, client: Any, ticker: str, market: str) -> None:
        """An unknown ticker is answered like one that did not trade: ask for the ticker itself."""
        try:
            client.get_ticker_details(ticker)
        except Refused as error:
            if error.status == 404:
                raise SourceError(
                    f"Polygon has no ticker {ticker}",
                    where=market,
                    remedy="check asset_class, or name the ticker under the source's `tickers`",
                ) from None


def _frame(bars: tuple[Any, ...], ticker: str) -> pl.DataFrame:
    if not all(isinstance(bar.timestamp, int) for bar in bars):
        raise SourceError("a bar without a time", where=ticker)
    ours = {"ts": "timestamp", **{name: name for name in RAW_COLUMNS if name != "ts"}}
    columns = {name: [getattr(bar, theirs) for bar in bars] for name, theirs in ours.items()}
    frame = pl.DataFrame(columns, schema={**RAW_COLUMNS, "ts": pl.Int64}, strict=False)
    return frame.with_columns((pl.col("ts") * 1000).cast(RAW_COLUMNS["ts"]))


def _ms(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(milliseconds=1)
