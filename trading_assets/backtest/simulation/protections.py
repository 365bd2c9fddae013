"""What holds trading back in a backtest: the node's own object, with what a backtest can know."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime

import polars as pl

from trading_assets.settings import BacktestSettings
from trading_assets.strategies.protections import Protections, triggers_of
from trading_assets.strategies.protections.watch import FundingBps
from trading_assets.strategies.signals import MemoryJournal


def protections_of(settings: BacktestSettings, journal: MemoryJournal, payments: pl.DataFrame) -> Protections | None:
    """Protections in their first state; None where no limit is set that a backtest can know.

    Parameters
    ----------
    settings
        Limits, and the starting balance.
    journal
        Takes what changes.
    payments
        Columns of :data:`trading_assets.costs.funding.PAYMENTS`.
    """
    triggers = triggers_of(settings.protections, backtest=True)
    if not triggers:
        return None
    balance = settings.starting_balance
    return Protections(triggers, equity=balance, keep=journal.keep_all, funding_bps=newest_funding(payments))


def newest_funding(payments: pl.DataFrame) -> FundingBps:
    """Answers with the newest payment that was due by then, stored or assumed."""
    known = {
        str(market): (part["ts"].to_list(), part["rate"].to_list())
        for (market,), part in payments.sort("ts").group_by("market", maintain_order=True)
    }

    def newest(market: str, now: datetime) -> float | None:
        times, rates = known.get(market, ((), ()))
        number = bisect_right(times, now)
        return 1e4 * rates[number - 1] if number else None

    return newest
