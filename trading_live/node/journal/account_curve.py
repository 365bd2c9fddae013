"""What the account is worth, into the journal: once a market minute, where it has changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from trading_assets.core.candles import Market
from trading_assets.journal import BufferedJournal
from trading_assets.store.tables import ACCOUNT_EQUITY


class Account(Protocol):
    """What the engine's strategy offers: the market's time, and the portfolio."""

    @property
    def now(self) -> datetime | None:
        """The newest bar's end; None before the first one."""
        ...

    @property
    def portfolio(self) -> Any:
        """``unrealized_pnls(venue)``."""
        ...

    def equity(self) -> Mapping[str, float]:
        """Currency -> what the account is worth."""
        ...

    def is_running(self) -> bool:
        """Whether the engine runs it."""
        ...


class AccountCurve:
    """Keeps the account's equity for the next write of the journal, which no order waits for.

    A minute costs two questions to the portfolio, and a row of 150 bytes where the answer is another one than the last:
    while nothing is open, nothing is written. A replay that is faster than a minute a second has a row a second.

    Parameters
    ----------
    journal
        Takes the rows.
    account
        Asked.
    instruments
        Market -> what it is traded as: the venues, and the currencies that count.
    """

    def __init__(self, journal: BufferedJournal, account: Account, instruments: Mapping[str, Any]) -> None:
        self._journal = journal
        self._account = account
        self._venues = {instrument.venue for instrument in instruments.values()}
        self._quotes = {Market.parse(market).quote for market in instruments}
        self._minute: datetime | None = None
        self._told: dict[str, tuple[float, float]] = {}

    def write(self) -> None:
        """Give the journal what changed since the last market minute; call it often, on the engine's thread."""
        now = self._account.now
        if now is None or self._journal.trouble is not None or not self._account.is_running():
            return
        minute = now.replace(second=0, microsecond=0)
        if minute == self._minute:
            return
        self._minute = minute
        worth = self._worth()
        rows = [
            {"ts": now, "currency": code, "equity": equity, "unrealized_pnl": unrealized}
            for code, (equity, unrealized) in sorted(worth.items())
            if self._told.get(code) != (equity, unrealized)
        ]
        self._told = worth
        if rows:
            self._journal.put([(ACCOUNT_EQUITY.name, row) for row in rows])

    def _worth(self) -> dict[str, tuple[float, float]]:
        """Currency -> equity and unrealized profit."""
        portfolio, equity = self._account.portfolio, self._account.equity()
        unrealized = _summed(portfolio.unrealized_pnls(venue) for venue in self._venues)
        return {code: (equity[code], unrealized.get(code, 0.0)) for code in equity if code in self._quotes}


def _summed(told: Iterable[Mapping[Any, Any]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for amounts in told:
        for currency, money in amounts.items():
            found[currency.code] = found.get(currency.code, 0.0) + float(money.as_double())
    return found
