"""Funding payments as the venue tells them, asked for in a thread of its own: the ingest's requests and its rules."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import polars as pl
import structlog

from trading_assets.costs.funding import USUAL
from trading_assets.features.framework.stored_series import one_per_time
from trading_assets.sources.contract import RAW_FUNDING
from trading_assets.sources.funding.ingestion import split_funding
from trading_assets.store.tables import FUNDING_RATES
from trading_assets.strategies.feed import Clock
from trading_assets.strategies.plans.funding_exit import FundingDue

_LOG: Final = structlog.get_logger(__name__)
EVERY_S: Final = 5.0
EVERY_HISTORIC_S: Final = 0.25
_REREAD: Final = timedelta(minutes=10)
"""So often the history is asked for although no payment is due: an interval may have been shortened."""

_GIVEN_UP: Final = timedelta(minutes=10)
"""A payment that a venue still does not tell of, so long after it was due, was none."""

_MONTH: Final = timedelta(days=30)


class FundingVenue(Protocol):
    """What is asked of the venue; either method raises what it likes."""

    def fetch(self, market: str, start: datetime, end: datetime) -> Iterable[pl.DataFrame]:
        """Pages of the payments settled in [start, end)."""
        ...

    def announced(self, market: str) -> FundingDue | None:
        """The next payment, as the venue expects it now; None where it does not say."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of one market; replaced as a whole, so that another thread reads all of it or none.

    Attributes
    ----------
    rows
        Of the table ``funding_rates``.
    asked_at
        The venue's time of the request that brought them.
    announced
        The next payment, as the venue last said.
    """

    rows: pl.DataFrame
    asked_at: datetime
    announced: FundingDue | None

    @property
    def due(self) -> datetime | None:
        """When the payment after the newest is due, as far as is known."""
        last: datetime | None = self.rows["ts"][-1] if self.rows.height else None
        said = self.announced.at if self.announced is not None else None
        if last is None:
            return said
        hours = self.rows["interval_hours"][-1]
        usual = last + (timedelta(hours=hours) if hours else USUAL)
        return usual if said is None or said <= last else min(said, usual)


class VenueFunding:
    """The payments of perpetuals, live.

    Parameters
    ----------
    venue
        Is asked.
    clock
        The venue's time.
    since
        Market -> how far before now payments are read.
    every_s
        Between two rounds.
    """

    def __init__(
        self, venue: FundingVenue, clock: Clock, since: dict[str, timedelta], *, every_s: float = EVERY_S
    ) -> None:
        self.troubles: dict[str, str] = {}
        self._venue = venue
        self._clock = clock
        self._since = dict(since)
        self._every_s = every_s
        self._known: dict[str, _Known] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="funding", daemon=True)

    @property
    def markets(self) -> Iterable[str]:
        """Those asked about."""
        return tuple(self._since)

    @property
    def settled(self) -> bool:
        """Whether each market has been asked about once, well or not."""
        return all(market in self._known or market in self.troubles for market in self.markets)

    def start(self) -> None:
        """Ask from now on."""
        self._thread.start()

    def close(self) -> None:
        """Ask no more; a request under way is left to itself."""
        self._over.set()

    # -- the engine's thread --------------------------------------------------------------------------------------

    def rows(self, market: str, known_at: datetime) -> pl.DataFrame | str:
        """``known_at`` and ``rate`` of the payments before a moment, or why they cannot be said.

        Nothing is said while a payment that was due before is not known: the tables will have it.
        """
        known = self._known.get(market)
        if known is None:
            return f"funding: {self.troubles.get(market) or 'the venue has not been asked yet'}"
        due = known.due
        if due is not None and due < known_at and known.asked_at < due + _GIVEN_UP:
            why = self.troubles.get(market)
            return f"funding: the venue has not told the payment of {due:%H:%M} yet{f': {why}' if why else ''}"
        return one_per_time(known.rows.select("known_at", "rate")).filter(pl.col("known_at") < known_at)

    def next_payment(self, market: str, now: datetime) -> FundingDue | None:
        """The payment to come, with the rate that the venue expects, or else the newest; None where nothing is known.

        A market that was not asked about before is from now on.
        """
        known = self._known.get(market)
        if known is None:
            self._since.setdefault(market, USUAL)
            return None
        said, due = known.announced, known.due
        if said is not None and said.at > now:
            return said
        return FundingDue(due, known.rows["rate"][-1]) if due is not None and due > now and known.rows.height else None

    def newest_bps(self, market: str) -> float | None:
        """The newest payment's rate in basis points of the notional."""
        known = self._known.get(market)
        return None if known is None or known.rows.is_empty() else 1e4 * float(known.rows["rate"][-1])

    # -- its own thread -------------------------------------------------------------------------------------------

    def look(self, market: str) -> None:
        """Ask about a market what may have changed; what is not answered stays as it was."""
        now = self._clock.now()
        if now is None:
            return
        known = self._known.get(market)
        try:
            announced = self._venue.announced(market)
            rows = known.rows if known is not None else None
            asked_at = known.asked_at if known is not None else now
            due = known.due if known is not None else now
            if rows is None or now - asked_at >= _REREAD or (due is not None and due <= now):
                rows, asked_at = self._history(market, rows, now), now
        except Exception as error:  # whatever a client raises: it is asked again
            if market not in self.troubles:
                _LOG.warning("funding not told", market=market, error=f"{type(error).__name__}: {error}")
            self.troubles[market] = f"{type(error).__name__}: {error}"
            return
        self._known[market] = _Known(rows, asked_at, announced)
        self.troubles.pop(market, None)

    def _history(self, market: str, known: pl.DataFrame | None, now: datetime) -> pl.DataFrame:
        """The payments up to now, by the rules of the ingest; those that are known already are asked for again."""
        reach = now - self._since[market] - USUAL
        start = reach if known is None or known.is_empty() else known["ts"][-1] - USUAL
        end = now + timedelta(minutes=1)
        pages = list(self._venue.fetch(market, start, end))
        fetched = pl.concat(pages) if pages else pl.DataFrame(schema=RAW_FUNDING)
        good, _ = split_funding(fetched, market=market, start=start, end=end, now=end)
        both = good if known is None else pl.concat([known, good])
        kept = both.unique(FUNDING_RATES.key, keep="last", maintain_order=True).sort("ts")
        return kept.filter(pl.col("ts") > reach - _MONTH)

    def _run(self) -> None:
        while True:
            for market in self.markets:
                self.look(market)
                if self._over.is_set():
                    return
            if self._over.wait(self._every_s):
                return
