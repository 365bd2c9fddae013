"""Funding payments from any exchange that ccxt knows, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from trading_assets.core.candles import EPOCH
from trading_assets.core.errors import SourceError
from trading_assets.settings import CcxtSource
from trading_assets.sources.candles.exchange import ExchangeCandles
from trading_assets.sources.contract import RAW_FUNDING
from trading_assets.sources.window import check_window

SHORTEST_INTERVAL: Final = timedelta(hours=1)
"""No exchange settles more often; a window with both its ends is answered as a whole if it has an hour less than an
answer has rows."""

PAGE_LIMITS: Final = {"binance": 1000, "binanceusdm": 1000, "binancecoinm": 1000, "bybit": 200, "gate": 1000}
"""Payments in one answer, where it is more than ``PAGE_LIMIT``."""

PAGE_LIMIT: Final = 100

_UNTIL: Final = {"okx": "after"}
"""What the end of a window is called; ccxt's own name is ``until``."""

_NUMBERED: Final = {"bitget": "pageNo"}
"""Exchanges that know no window: they number their pages, the newest first."""


@dataclass(slots=True)
class ExchangeFunding:
    """Funding payments from one exchange, asked for as patiently as candles."""

    exchange: ExchangeCandles

    @classmethod
    def from_settings(cls, settings: CcxtSource) -> ExchangeFunding:
        """A source with the patience that the settings ask for."""
        return cls(ExchangeCandles.from_settings(settings))

    @property
    def name(self) -> str:
        """``ccxt:`` and the exchange."""
        return self.exchange.name

    def fetch(self, market: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        """Yield pages of the payments settled in ``[start, end)``.

        Raises
        ------
        SourceError
            If the exchange does not know the market, has no funding history, refuses, or fails too often in a row.
        """
        check_window(market, start, end)
        if not self.exchange.ask(market, lambda client, _symbol: bool(client.has["fetchFundingRateHistory"])):
            raise SourceError(
                "the exchange tells no past funding rates",
                where=f"{market} on {self.exchange.settings.exchange}",
                remedy="name a source of files under the market's `funding`, or write `funding: none`",
            )
        pages = self._numbered if self._exchange in _NUMBERED else self._windows
        for rows in pages(market, start, end):
            page = _frame(rows).filter(pl.col("ts").is_between(start, end, closed="left").fill_null(True))
            if page.height:
                yield page

    @property
    def _exchange(self) -> str:
        return self.exchange.settings.exchange

    @property
    def _limit(self) -> int:
        most = PAGE_LIMITS.get(self._exchange, PAGE_LIMIT)
        return min(most, self.exchange.settings.page_limit or most)

    def _windows(self, market: str, start: datetime, end: datetime) -> Iterator[Sequence[dict[str, Any]]]:
        """Window by window, each so short that one answer holds it, in whatever order the exchange answers."""
        cursor, end = start, min(end, self.exchange.clock())  # a month that goes on ends now
        while cursor < end:
            until = min(cursor + max(self._limit - 1, 1) * SHORTEST_INTERVAL, end)
            rows = self._ask(market, _ms(cursor), {_UNTIL.get(self._exchange, "until"): _ms(until)})
            times = [row["timestamp"] for row in rows if row["timestamp"] is not None]
            yield rows
            beyond = bool(times) and min(times) < _ms(until) < max(times)
            # an exchange that knows no end of a window answers from its start on, up to its limit
            cursor = EPOCH + timedelta(milliseconds=max(times) + 1) if beyond else until

    def _numbered(self, market: str, start: datetime, end: datetime) -> Iterator[Sequence[dict[str, Any]]]:
        """Page by page from the newest payment back to the start."""
        number, oldest = 1, end
        while oldest > start:
            rows = self._ask(market, None, {_NUMBERED[self._exchange]: number})
            times = [row["timestamp"] for row in rows if row["timestamp"] is not None]
            if not times:
                return
            yield rows
            number, oldest = number + 1, EPOCH + timedelta(milliseconds=min(times))

    def _ask(self, market: str, since: int | None, further: dict[str, Any]) -> Sequence[dict[str, Any]]:
        def ask(client: Any, symbol: str) -> Sequence[dict[str, Any]]:
            rows: Sequence[dict[str, Any]] = client.fetch_funding_rate_history(symbol, since, self._limit, further)
            if not all(isinstance(row["timestamp"], int | None) for row in rows):
                raise ValueError("rows without a time")
            return rows

        return self.exchange.ask(market, ask) or self.exchange.ask(market, ask)  # an empty answer only if given twice


def _frame(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    columns = {
        "ts": [row["timestamp"] for row in rows],
        "rate": [row["fundingRate"] for row in rows],
        "interval_hours": [None] * len(rows),
        "mark_price": [_number((row.get("info") or {}).get("markPrice")) for row in rows],
    }
    frame = pl.DataFrame(columns, schema={**RAW_FUNDING, "ts": pl.Int64}, strict=False)
    return frame.with_columns((pl.col("ts") * 1000).cast(RAW_FUNDING["ts"]))


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _ms(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(milliseconds=1)
