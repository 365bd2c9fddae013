"""What a trade is expected to pay in funding, by what is known when it is decided on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, NamedTuple

import polars as pl

from trading_assets.core.candles import EPOCH, Market
from trading_assets.core.sides import Side
from trading_assets.costs.funding import USUAL

_SHORTEST: Final = timedelta(hours=1)


class _Known(NamedTuple):
    """A payment: from when on it was known, when it was due, its rate, and the time to the next one."""

    known_at: datetime
    ts: datetime
    rate: float
    interval: timedelta


class FundingOutlook:
    """Expects of each payment to come the newest rate that is known, and where none is, the assumed one.

    A trade is taken to be held to the end of its horizon, and what it would receive counts nothing: it may be closed
    before, so what is expected is what can be paid, never a hope.

    Parameters
    ----------
    assumed_bps
        Of the notional every eight hours, on perpetuals of which no rate is known; synthetic ones pay nothing then.
    stored
        Perpetual -> rows of the table ``funding_rates``.
    """

    def __init__(self, assumed_bps: float = 0.0, stored: Mapping[str, pl.DataFrame] = MappingProxyType({})) -> None:
        self._assumed = assumed_bps / 1e4
        self._known: dict[str, list[_Known]] = {}
        for market, frame in stored.items():
            for ts, known_at, rate, hours in (
                frame.sort("known_at").select("ts", "known_at", "rate", "interval_hours").iter_rows()
            ):
                self.learn(market, ts, rate, known_at=known_at, interval=timedelta(hours=hours) if hours else USUAL)

    def learn(
        self, market: str, ts: datetime, rate: float, *, known_at: datetime | None = None, interval: timedelta = USUAL
    ) -> None:
        """Take in a payment, later than those before it."""
        one = _Known(known_at or ts, ts, rate, max(interval, _SHORTEST))
        self._known.setdefault(market, []).append(one)

    def expected_pct(self, market: str, side: Side, known_at: datetime, hold: timedelta) -> float:
        """What a trade is expected to pay, in percent of its notional, at least 0.

        Parameters
        ----------
        known_at
            When it is decided on; nothing that became known later is looked at.
        hold
            How long it is held at most.
        """
        parsed = Market.parse(market)
        if not parsed.is_perpetual:
            return 0.0
        known = self._known.get(market, ())
        newest = bisect_right(known, known_at, key=lambda one: one.known_at)
        if newest:
            last = known[newest - 1]
            return 100 * max(side * last.rate, 0.0) * _due(last.ts, last.interval, known_at, hold)
        rate = 0.0 if parsed.is_synthetic else self._assumed
        return 100 * rate * _due(EPOCH, USUAL, known_at, hold)


def _due(start: datetime, interval: timedelta, known_at: datetime, hold: timedelta) -> int:
    """How many payments fall into the time after ``known_at`` until the end of the horizon."""
    return (known_at + hold - start) // interval - (known_at - start) // interval
