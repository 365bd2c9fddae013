"""How an exchange's history is read forward, page by page, across silences, whatever its limit and its order.

Exchanges differ: some answer with the first rows from ``since`` on (Binance), some only for a page of time, however few
rows it has (OKX, Bybit, Bitget, Kraken Futures), some newest first (OKX, Bybit), some always with their newest rows
(Kraken), some refuse what is too old (Gate). ccxt sorts the rows and drops those before ``since``; the rest is here.
Times are milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from trading_assets.core.errors import SourceError
from trading_assets.sources.contract import Reason

Row = Sequence[Any]
"""Milliseconds, open, high, low, close, volume."""

DAY: Final = 86_400_000
DAYS: Final = "1d"
"""The timeframe in which silences are surveyed."""

_PAGE_LIMITS: Final = {"binance": 1000, "binanceusdm": 1000, "binancecoinm": 1000}
"""Where ccxt asks for more candles than its own description of the exchange says."""

_KEPT_BARS: Final = {"kraken": 720}
"""Exchanges that give only so many of the newest candles, whatever is asked for."""

_CAUTIOUS: Final = 100
"""Page limit of an exchange that ccxt does not describe: every one allows this many."""

MOST_DAYS: Final = 90
"""Days that one survey asks for: Bitget's perpetuals answer for no more, whatever the limit."""

_SUSPICIOUS: Final = 20
"""A page whose first candle is missing for more than this part of it may have been cut there by the exchange."""

_LOOKS: Final = 2


class Refused(SourceError):
    """The exchange will not answer this request, now or later; it may answer one for newer candles."""


def page_limit(exchange: str, described: int | None, wanted: int | None) -> int:
    """Candles in one request: what the exchange allows, or fewer where the settings want fewer.

    More than the exchange allows is never asked for: what is then cut off lies at either end of the page.

    Parameters
    ----------
    exchange
        ccxt's id.
    described
        The limit in ccxt's description of the exchange.
    wanted
        The setting; None for as many as allowed.
    """
    allowed = _PAGE_LIMITS.get(exchange) or described or _CAUTIOUS
    return min(wanted or allowed, allowed)


def kept_bars(exchange: str) -> int | None:
    """How many of the newest candles the exchange gives at all; None where it keeps a longer history."""
    return _KEPT_BARS.get(exchange)


@dataclass(slots=True)
class History:
    """One market's candles at an exchange, as requests show them.

    Parameters
    ----------
    ask
        (timeframe, since) -> rows that open at or after ``since``, ascending.
    where
        Market, timeframe and exchange, for messages.
    timeframe, bar
        The candles, and their length.
    limit
        Candles in one request.
    newest
        The end of the newest closed candle, whatever is asked for.
    has_days
        Whether the exchange has candles of a day.
    kept
        How many of the newest candles it gives at all.
    """

    ask: Callable[[str, int], Sequence[Row]]
    where: str
    timeframe: str
    bar: int
    limit: int
    newest: Callable[[], int]
    has_days: bool
    kept: int | None = None
    _days: list[int] = field(default_factory=list)
    _surveyed: tuple[int, int] = (0, 0)
    _firsts: dict[int, int | None] = field(default_factory=dict)
    _reasons: dict[tuple[int, int], Reason | None] = field(default_factory=dict)
    _oldest: int | None = None

    @property
    def oldest(self) -> int | None:
        """The oldest time that the exchange answers for, where it has refused an older one; None where it has not."""
        return self._oldest

    @property
    def span(self) -> int:
        """The time that a full page covers."""
        return self.limit * self.bar

    @property
    def days(self) -> int:
        """How many candles of a day one request brings."""
        return min(self.limit, MOST_DAYS)

    def pages(self, start: int, stop: Callable[[], int]) -> Iterator[Sequence[Row]]:
        """Yield the rows from ``start`` on until ``stop``; the last page may reach beyond it."""
        cursor = start if self._oldest is None else max(start, self._oldest)
        self._firsts.pop(start, None)
        while cursor < stop():
            try:
                rows = self._page(cursor)
            except Refused as refusal:
                cursor = self._reachable(cursor, refusal)
                continue
            if not rows:
                cursor = self._after_silence(cursor, stop())
                continue
            self._firsts.setdefault(start, rows[0][0])
            yield rows
            cursor = max(row[0] for row in rows) + self.bar
        self._firsts.setdefault(start, None)

    def first(self, start: int, stop: Callable[[], int]) -> int | None:
        """When the first candle from ``start`` on opens; None if there is none before ``stop``."""
        if start not in self._firsts:
            next(self.pages(start, stop), None)
        found = self._firsts.get(start)
        return found if found is not None and found < stop() else None

    def why_silent(self, start: int, first: int, stop: int) -> Reason | None:
        """Why there is nothing between ``start`` and ``first``; None if it is just a gap, or nobody can tell."""
        if (start, first) not in self._reasons:
            self._reasons[start, first] = self._why_silent(start, first, stop)
        return self._reasons[start, first]

    def _why_silent(self, start: int, first: int, stop: int) -> Reason | None:
        refused = self._oldest is not None and start < self._oldest
        if not refused and self._any_between(self._given(self.timeframe, start - self.span), 0, start):
            return None
        if self.kept is not None and first >= stop - (self.kept + 2) * self.bar:
            return "out_of_reach"
        if not self.has_days:
            return "out_of_reach" if refused else None
        days = [row[0] for row in self._given(DAYS, start - self.days * DAY)]
        if first - start >= DAY:
            days += [row[0] for row in self._given(DAYS, start)]
        traded = [day for day in days if day + DAY <= first]
        if not traded:
            return "before_listing"
        return "out_of_reach" if refused or max(traded) >= start else None

    @staticmethod
    def _any_between(rows: Sequence[Row], start: int, end: int) -> bool:
        return any(start <= row[0] < end for row in rows)

    def _given(self, timeframe: str, since: int) -> Sequence[Row]:
        """Rows from ``since`` on; none where the exchange refuses to go back so far."""
        try:
            return self.ask(timeframe, since)
        except Refused:
            return ()

    def _page(self, cursor: int) -> Sequence[Row]:
        """Rows from ``cursor`` on; that they begin late is believed where asking right before them shows the same.

        Only rows between the cursor and the first one show that a page was cut: those before the cursor are what lies
        before an outage.
        """
        for _ in range(_LOOKS):
            rows = [row for row in self.ask(self.timeframe, cursor) if row[0] >= cursor]
            if not rows or rows[0][0] <= cursor + max(self.limit // _SUSPICIOUS, 1) * self.bar:
                return rows
            before = self._given(self.timeframe, rows[0][0] - self.span)
            if not self._any_between(before, cursor, rows[0][0]):
                return rows
        raise SourceError(
            f"the exchange cuts pages of {self.limit} candles at their older end, which would leave gaps",
            where=self.where,
            remedy="set a smaller page_limit for this source",
        )

    def _reachable(self, refused: int, refusal: Refused) -> int:
        """The oldest time that is answered, where an older one was refused; found by halving what lies between.

        Raises
        ------
        Refused
            If the newest candle is refused too: then it is not a matter of age.
        """
        answered = self.newest() - self.bar
        if refused >= answered or not self._answers(answered):
            raise refusal
        if self._oldest is not None:  # what is in reach moved on, but not far
            step = self.bar
            while refused + step < answered and not self._answers(refused + step):
                refused, step = refused + step, step * 2
            answered = min(refused + step, answered)
        while (bars := (answered - refused) // self.bar) > 1:
            middle = refused + bars // 2 * self.bar
            if self._answers(middle):
                answered = middle
            else:
                refused = middle
        self._oldest = answered
        return answered

    def _answers(self, since: int) -> bool:
        try:
            self.ask(self.timeframe, since)
        except Refused:
            return False
        return True

    def _after_silence(self, cursor: int, stop: int) -> int:
        """Where to ask next after an empty page: a page further, or on the next day that has candles."""
        after = cursor + self.span
        if not self.has_days or after + 2 * DAY >= stop:  # the newest days may not be closed yet
            return after
        begin, end = self._surveyed
        if not begin <= after - DAY < after < end:
            since = after - DAY  # the day under way at `after` too
            self._days = [row[0] for row in self.ask(DAYS, since)]
            self._surveyed = (since, max([since + self.days * DAY, *self._days]))
        busy = next((day for day in self._days if day + DAY > after), self._surveyed[1])
        return max(after, min(busy, stop - 2 * DAY))
