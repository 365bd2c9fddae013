"""What is known in a backtest of the funding payment that comes next."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime

import polars as pl

from trading_assets.strategies.plans.funding_exit import FundingDue, NextFunding


def next_funding(payments: pl.DataFrame) -> NextFunding:
    """Answers with the time of the next payment, and with the newest rate that was paid before: what one knows then.

    Parameters
    ----------
    payments
        Of all markets: columns of :data:`trading_assets.costs.funding.PAYMENTS`.
    """
    known = {
        str(market): (part["ts"].to_list(), part["rate"].to_list())
        for (market,), part in payments.sort("ts").group_by("market", maintain_order=True)
    }

    def ahead(market: str, now: datetime) -> FundingDue | None:
        times, rates = known.get(market, ((), ()))
        number = bisect_right(times, now)
        return FundingDue(times[number], rates[number - 1]) if 0 < number < len(times) else None

    return ahead
