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

from trading_assets.core.candles import EPOCH, TS, Market, timeframe_delta
from trading_assets.core.errors import SourceError
from trading_assets.settings import CcxtSource
from trading_assets.sources.candles.paging import DAYS, MOST_DAYS, History, Refused, Row, kept_bars, page_limit
from trading_assets.sources.contract import RAW_COLUMNS, Beginning
from trading_assets.sources.transport.backoff import LONGEST_ASKED_S, Backoff
from trading_assets.sources.transport.ccxt_client import Answer, connect, is_transient, without_secrets
from trading_assets.sources.window import check_window, last_close

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
    waits: Backoff
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC), repr=False)
    requests: int = 0
    retries: int = 0
    synthetic: bool = False
    _client: Any = field(default=None, repr=False)
    _answer: Answer = field(default_factory=Answer, repr=False)
    _behind: timedelta = field(default=timedelta(0), repr=False)
    _histories: dict[tuple[str, str], History] = field(default_factory=dict, repr=False)

    @classmethod
    def from_settings(cls, settings: CcxtSource) -> ExchangeCandles:
        """A source with the patience that the settings ask for."""
        return cls(settings, Backoff(settings.max_attempts, settings.first_wait_s))

    @property
    def name(self) -> str:
        """``ccxt:`` and the exchange."""
        return f"ccxt:{self.settings.exchange}"

    def fetch(self, market: str, timeframe: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        """Yield pages of the candles that open in ``[start, end)`` and are closed by our clock and the exchange's.

        An empty answer is asked for a second time before it is believed. Rows beyond the window are not asked for and
        left out. Where nothing comes before the market's listing, that is logged, and the silence is crossed in
        steps of days.

        Raises
        ------
        SourceError
            If the exchange does not know the market or timeframe, refuses, or fails too often in a row.
        SettingsError
            If ``start`` is not before ``end``.
        """
        check_window(market, start, end)
        history = self._history(market, timeframe)
        reached = start
        for rows in history.pages(_ms(start), lambda: _ms(min(end, self._closed(timeframe)))):
            stop = min(end, self._closed(timeframe))
            page = _frame(rows).filter(pl.col("ts").is_between(reached, stop, closed="left"))
            if reached == start and rows[0][0] >= _ms(start) + (
                history.bar if history.kept or history.oldest else history.span
            ):
                self._log_beginning(market, timeframe, start)
            if not page.is_empty():
                yield page
            reached = _utc(max(row[0] for row in rows)) + timeframe_delta(timeframe)

    def beginning(self, market: str, timeframe: str, start: datetime) -> Beginning | None:
        """Where the candles from ``start`` on begin, and why not before; None if they begin there, or after a gap.

        Raises
        ------
        SourceError
            If the exchange does not know the market or timeframe, refuses, or fails too often in a row.
        """
        history = self._history(market, timeframe)
        newest = self._closed(timeframe)
        found = history.first(_ms(start), lambda: _ms(newest))
        first = newest if found is None else _utc(found)
        if first - start < timeframe_delta(timeframe):
            return None
        at = f"{first:%Y-%m-%d %H:%M} UTC"
        match history.why_silent(_ms(start), _ms(first), _ms(newest)):
            case "before_listing" if found is None:
                return Beginning(first, "before_listing", f"{self.settings.exchange} has no candles of {market} yet")
            case "before_listing":
                return Beginning(first, "before_listing", f"{self.settings.exchange} lists {market} since {at}")
            case "out_of_reach":
                if history.oldest is not None and history.oldest < _ms(first):
                    first = _utc(history.oldest)
                    at = f"{first:%Y-%m-%d %H:%M} UTC"
                kept = f"the newest {history.kept}" if history.kept else "newer"
                detail = f"{self.settings.exchange} gives only {kept} {timeframe} candles of {market}, from {at} on"
                return Beginning(first, "out_of_reach", f"{detail}: take older ones from files or another exchange")
        return None

    def _log_beginning(self, market: str, timeframe: str, start: datetime) -> None:
        begins = self.beginning(market, timeframe, start)
        if begins is not None:
            level = logging.INFO if begins.reason == "before_listing" else logging.WARNING
            _log.log(level, "%s %s: %s", market, timeframe, begins.detail)

    def ask[T](self, market: str, request: Callable[[Any, str], T]) -> T:
        """Make another request about a market, as patiently as for candles: ``request(client, symbol)``.

        Raises
        ------
        SourceError
            If the exchange does not know the market, refuses, or fails too often in a row.
        """
        symbol = self._symbol(market)
        return self._call(f"{market} on {self.settings.exchange}", lambda: request(self._client, symbol))

    def _closed(self, timeframe: str) -> datetime:
        """The end of the newest bar that is closed by our clock and by the exchange's."""
        return last_close(self.clock() - self._behind, timeframe)

    def _history(self, market: str, timeframe: str) -> History:
        """The market's history, once the exchange is known to have it in this timeframe."""
        symbol = self._symbol(market, timeframe)
        if (market, timeframe) not in self._histories:
            exchange = self.settings.exchange
            described = self._client.feature_value(symbol, "fetchOHLCV", "limit")
            limit = page_limit(exchange, described, self.settings.page_limit)

            def ask(frame: str, since: int) -> Sequence[Row]:
                return self._rows(market, symbol, frame, since, min(limit, MOST_DAYS) if frame == DAYS else limit)

            self._histories[market, timeframe] = History(
                ask,
                f"{market} {timeframe} on {exchange}",
                timeframe,
                timeframe_delta(timeframe) // timedelta(milliseconds=1),
                limit,
                lambda: _ms(self._closed(timeframe)),
                DAYS in self._client.timeframes and timeframe_delta(timeframe) < timedelta(days=1),
                kept_bars(exchange),
            )
        return self._histories[market, timeframe]

    def _rows(self, market: str, symbol: str, timeframe: str, since: int, limit: int) -> Sequence[Row]:
        """One answer from ``since`` on; an empty one only if the exchange says so twice."""
        where = f"{market} {timeframe} from {_utc(since):%Y-%m-%d %H:%M} UTC on {self.settings.exchange}"

        def ask() -> Sequence[Row]:
            rows: Sequence[Row] = self._client.fetch_ohlcv(symbol, timeframe, since=since, limit=limit)
            if not all(len(row) >= len(RAW_COLUMNS) and isinstance(row[0], int) for row in rows):
                raise ValueError("rows without a time")
            return rows

        if rows := self._call(where, ask):
            return rows
        if rows := self._call(where, ask):
            _log.warning("%s: an empty answer, then %d candles when asked again", where, len(rows))
        return rows

    def _symbol(self, market: str, timeframe: str | None = None) -> str:
        """The market's ccxt symbol, once the exchange is known to have it, and in this timeframe."""
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
        if timeframe is not None and timeframe not in known:
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
                    result = request()
                except _MALFORMED as error:
                    raise BadResponse(f"an answer of unexpected shape ({type(error).__name__}: {error})") from error
            except BaseError as error:
                self._wait_or_raise(error, attempt, where)
            else:
                if self._answer.clock is not None:  # both clocks go on until the next request
                    self._behind = max(self.clock() - self._answer.clock, timedelta(0))
                return result
        raise AssertionError("the last attempt returns or raises")

    def _wait_or_raise(self, error: Exception, attempt: int, where: str) -> None:
        """Wait for the next attempt, or say why there is none."""
        status = f"HTTP {self._answer.status}, " if (self._answer.status or 0) >= 400 else ""
        reason = without_secrets(f"{status}{type(error).__name__}: {error}", self._client)
        asked = self._answer.retry_after_s
        if not is_transient(error, self._answer):
            kind = Refused if _may_be_age(error) else SourceError
            raise kind(f"the exchange refuses: {reason}", where=where, remedy=_remedy(error)) from None
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
    columns = list(zip(*(row[: len(schema)] for row in rows), strict=True))  # three times as fast as row by row
    frame = pl.DataFrame(columns, schema=schema, orient="col", strict=False)
    return frame.with_columns((pl.col("ts") * 1000).cast(TS))


def _ms(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(milliseconds=1)


def _utc(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)


def _may_be_age(error: Exception) -> bool:
    """Whether an exchange may have refused a request because of the time that it asks for (Gate: HTTP 400)."""
    from ccxt import BadRequest, BadSymbol, ExchangeError

    return not isinstance(error, BadSymbol) and (isinstance(error, BadRequest) or type(error) is ExchangeError)


def _remedy(error: Exception) -> str:
    from ccxt import AuthenticationError

    if isinstance(error, AuthenticationError):
        return "check the keys in the environment (TRADING_KEYS__<EXCHANGE>__API_KEY and __SECRET); candles need none"
    return "check the market, the exchange and base_url in the settings"
