"""What a closed trade of the node came to: its plan, its size, and its profit with all its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from trading_assets.journal import PLANS, Holding, read_session
from trading_assets.journal.holdings import Fill
from trading_assets.store import Store
from trading_assets.store.tables import FILLS, LIVE_FUNDING, POSITIONS, SIGNALS
from trading_assets.strategies.plans.plan import TradePlan


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """A trade from its entry to the last of its quantity; amounts in quote currency.

    Attributes
    ----------
    plan
        As it was when the trade ended.
    signal
        The row of ``signals`` that it was entered on.
    entered_at, closed_at
        Its first fill and its last.
    notional
        Of the entry.
    balance
        Of the account before the entry: what it began with and what trades that had ended made, fees taken off.
    gross, fees, funding
        What the price did, what the fills were charged, and what was received for holding; paid where negative.
    payments, assumed
        Of funding while it was held, and how many of them no venue told.
    """

    plan: TradePlan
    signal: Mapping[str, Any]
    entered_at: datetime
    closed_at: datetime
    notional: float
    balance: float
    gross: float
    fees: float
    funding: float
    payments: int
    assumed: int

    @property
    def net(self) -> float:
        """What is left."""
        return self.gross - self.fees + self.funding


def telling_trade(path: Path, store: Store, balance: float) -> ClosedTrade | None:
    """The closed trade of the journal's newest session that says most: with funding payments, else the newest.

    Parameters
    ----------
    path
        The journal, whose events are loaded.
    store
        Of the table ``live_funding``.
    balance
        What the account began with.
    """
    session = read_session(path)
    ended = session[POSITIONS.name].filter(pl.col("event") == "closed", pl.col("signal_id") != "")
    funding = store.read(LIVE_FUNDING).filter(pl.col("signal_id").is_in(ended["signal_id"].implode()))
    found = [
        trade
        for row in ended.iter_rows(named=True)
        if (trade := _of(row, session, funding.filter(signal_id=row["signal_id"]), balance)) is not None
    ]
    return max(found, key=lambda one: (one.payments > 0, one.closed_at), default=None)


def _of(
    row: Mapping[str, Any], session: Mapping[str, pl.DataFrame], funding: pl.DataFrame, balance: float
) -> ClosedTrade | None:
    def own(kind: str) -> list[dict[str, Any]]:
        return session[kind].filter(pl.col("signal_id") == row["signal_id"]).to_dicts()

    plans, signals, fills = own(PLANS), own(SIGNALS.name), own(FILLS.name)
    if not (plans and signals and fills):
        return None
    trade = Holding(row["market"], tuple(map(Fill.of, fills)))
    plan, fees = TradePlan.from_json(plans[-1]["plan"]), trade.fees
    before = session[POSITIONS.name].filter(pl.col("event") == "closed", pl.col("seq") < trade.fills[0].seq)
    return ClosedTrade(
        plan=plan,
        signal=signals[-1],
        entered_at=trade.fills[0].ts,
        closed_at=trade.fills[-1].ts,
        notional=plan.quantity * plan.entry_price,
        balance=balance + float(before["realized_pnl"].sum()),
        gross=trade.realized_pnl + fees,
        fees=fees,
        funding=float(funding["amount"].sum()),
        payments=funding.height,
        assumed=int(funding["assumed"].sum()),
    )
