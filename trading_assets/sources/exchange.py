"""The ``ccxt`` source: closed candles from any exchange that ccxt knows, page by page.

ccxt keeps to the exchange's request limits. What is worth another try (network, 429, 418, 5xx, an answer that is cut
off or no JSON) is tried again after a growing, jittered wait; what is not (an unknown symbol, refused credentials)
is reported at once. Volume is in base units, as ccxt gives it.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import polars as pl

from trading_assets.candles import TS, Market, timeframe_delta
from trading_assets.errors import SourceError
from trading_assets.settings import CcxtSource
from trading_assets.sources.ccxt_client import Answer, connect, is_transient, without_secrets
from trading_assets.sources.contract import RAW_COLUMNS
from trading_assets.sources.waits import LONGEST_ASKED_S, Waits
from trading_assets.sources.window import EPOCH, check_window, last_close

_MALFORMED: Final = (TypeError, KeyError, ValueError, AttributeError, IndexError)
"""What ccxt's parsers raise on JSON of a shape that they do not expect."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class ExchangeCandles:
    """Candles from one exchange; it connects when it is first asked.

    Parameters
    ----------
    settings
        Which exchange, page size, patience.
    waits
        How long to wait between attempts.
    clock
        The present time, by which bars are closed or not.

    Attributes
    ----------
    requests, retries
        How many requests were made, and how many of them because the one before had failed.
    """

    settings: CcxtSource
    waits: Waits
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC), repr=False)
    requests: int = 0
    retries: int = 0
    synthetic: bool = False
    _client: Any = field(default=None, repr=False)
    _answer: Answer = field(default_factory=Answer, repr=False)

    @classmethod
    def from_settings(cls, settings: CcxtSource) -> ExchangeCandles:
        """A source with the patience that the settings ask for."""
        return cls(settings, Waits(settings.max_attempts, settings.first_wait_s))

    @property
    def name(self) -> str:
        """``ccxt:`` and the exchange."""
        return f"ccxt:{self.settings.exchange}"

    def fetch(self, market: str, timeframe: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        """Yield pages of the candles that open in ``[start, end)`` and are closed.

        An empty answer is asked for a second time before it is believed. Rows beyond the window are not asked for and
        left out.

        Raises
        ------
        SourceError
            If the exchange does not know the market or timeframe, refuses, or fails too often in a row.
        SettingsError
            If ``start`` is not before ``end``.
        """
        check_window(market, start, end)
        symbol = self._symbol(market, timeframe)
        bar = timeframe_delta(timeframe)
        cursor = start
        while cursor < (stop := min(end, last_close(self.clock(), timeframe))):
            rows = self._rows(market, symbol, timeframe, cursor)
            page = _frame(rows).filter(pl.col("ts").is_between(cursor, stop, closed="left"))
            if not page.is_empty():
                yield page
            cursor = self._next(cursor, symbol, rows, bar)

    def _rows(self, market: str, symbol: str, timeframe: str, cursor: datetime) -> Sequence[Sequence[Any]]:
        """One answer from ``cursor`` on; an empty one only if the exchange says so twice."""
        since, limit = int(cursor.timestamp() * 1000), self.settings.page_limit

        def ask() -> Sequence[Sequence[Any]]:
            rows: Sequence[Sequence[Any]] = self._client.fetch_ohlcv(symbol, timeframe, since=since, limit=limit)
            if not all(len(row) >= len(RAW_COLUMNS) and isinstance(row[0], int) for row in rows):
                raise ValueError("rows without a time")
            return rows

        where = f"{market} {timeframe} from {cursor:%Y-%m-%d %H:%M} UTC on {self.settings.exchange}"
        return self._call(where, ask) or self._call(where, ask)

    def _next(self, cursor: datetime, symbol: str, rows: Sequence[Sequence[Any]], bar: timedelta) -> datetime:
        """Where the next page begins: after the newest row, or a page further where there was none.

        Some exchanges answer for a page of time (``since`` to ``since + limit``), however many rows it has, and cap the
        limit without a word: an empty answer says nothing about what lies beyond the exchange's own limit.
        """
        newest = max((row[0] for row in rows), default=0)
        reached = EPOCH + timedelta(milliseconds=newest) + bar
        if reached > cursor:
            return reached
        most = self._client.feature_value(symbol, "fetchOHLCV", "limit") or self.settings.page_limit
        return cursor + min(int(most), self.settings.page_limit) * bar

    def _symbol(self, market: str, timeframe: str) -> str:
        """The market's ccxt symbol, once the exchange is known to have it in this timeframe."""
        where = f"{market} on {self.settings.exchange}"
        if self._client is None:
            self._client = connect(self.settings, self._answer)
        if not self._client.markets:
            self._call(where, self._client.load_markets)
        symbol = Market.parse(market).symbol
        if symbol not in self._client.markets:
            near = difflib.get_close_matches(symbol, list(self._client.markets), n=3, cutoff=0.5)
            raise SourceError(
                f"the exchange has no market {symbol}",
                where=where,
                remedy=f"did you mean {', '.join(near)}?" if near else "look it up in the exchange's list of markets",
            )
        known = self._client.timeframes or {}
        if timeframe not in known:
            raise SourceError(
                f"the exchange has no {timeframe} candles", where=where, remedy=f"it has {', '.join(known)}"
            )
        return symbol

    def _call[T](self, where: str, request: Callable[[], T]) -> T:
        """Make a request; repeat it as long as that may help.

        Raises
        ------
        SourceError
            If it is refused, or failed as often as the settings allow.
        """
        from ccxt import BadResponse, BaseError

        for attempt in range(1, self.waits.attempts + 1):
            self._answer.clear()
            self.requests += 1
            try:
                try:
                    return request()
                except _MALFORMED as error:
                    raise BadResponse(f"an answer of unexpected shape ({type(error).__name__}: {error})") from error
            except BaseError as error:
                self._wait_or_raise(error, attempt, where)
        raise AssertionError("the last attempt returns or raises")

    def _wait_or_raise(self, error: Exception, attempt: int, where: str) -> None:
        """Wait for the next attempt, or say why there is none."""
        reason = without_secrets(f"{type(error).__name__}: {error}", self._client)
        asked = self._answer.retry_after_s
        if not is_transient(error, self._answer):
            raise SourceError(f"the exchange refuses: {reason}", where=where, remedy=_remedy(error)) from None
        if asked is not None and asked > LONGEST_ASKED_S:
            raise SourceError(f"the exchange asks for a pause of {asked:,.0f} s: {reason}", where=where) from None
        if attempt == self.waits.attempts:
            raise SourceError(
                f"gave up after {attempt} attempts: {reason}",
                where=where,
                remedy="run it again later: what was fetched is stored, only the rest is asked for",
            ) from None
        seconds = self.waits.before(attempt + 1, at_least_s=asked)
        _log.warning("%s: attempt %d failed, the next follows in %.1f s: %s", where, attempt, seconds, reason)
        self.retries += 1
        self.waits.sleep(seconds)


def _frame(rows: Sequence[Sequence[Any]]) -> pl.DataFrame:
    """Rows of ccxt (milliseconds, then prices and volume) as a page."""
    schema = {**RAW_COLUMNS, "ts": pl.Int64}
    frame = pl.DataFrame([row[: len(schema)] for row in rows], schema=schema, orient="row", strict=False)
    return frame.with_columns((pl.col("ts") * 1000).cast(TS))


def _remedy(error: Exception) -> str:
    from ccxt import AuthenticationError

    if isinstance(error, AuthenticationError):
        return "check the keys in the environment (TRADING_KEYS__<EXCHANGE>__API_KEY and __SECRET); candles need none"
    return "check the market, the exchange and base_url in the settings"
