"""The account as a test sees it in the process of the local exchange: what is true, whatever was told to whom."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from trading_assets.core.candles import TS
from trading_live.replay.orders.binance.users import UserStreams
from trading_live.replay.orders.exchange import Exchange
from trading_live.replay.orders.exchange.ledger import Position
from trading_live.replay.orders.exchange.model import Conditional, Fill, Order, Payment
from trading_live.replay.orders.writing import ASSET

STATEMENT: Mapping[str, Any] = {
    "ts": TS,
    "kind": pl.String,
    "market": pl.String,
    "amount": pl.Float64,
    "balance": pl.Float64,
}
"""``balance`` is the one after the line; ``kind`` is transfer, realized, fee, funding or insurance."""


class AccountView:
    """Reads of the rehearsal account; every list is a copy.

    Parameters
    ----------
    exchange
        The account.
    users
        Its user streams.
    """

    def __init__(self, exchange: Exchange, users: UserStreams) -> None:
        self.exchange = exchange
        self._users = users

    @property
    def orders(self) -> list[Order]:
        """All orders that were ever in the book, oldest first."""
        return list(self.exchange.orders.values())

    @property
    def conditionals(self) -> list[Conditional]:
        """All conditional orders, oldest first."""
        return list(self.exchange.conditionals.values())

    @property
    def fills(self) -> list[Fill]:
        """All fills, oldest first."""
        return list(self.exchange.fills)

    @property
    def payments(self) -> list[Payment]:
        """The statement's lines, oldest first."""
        return list(self.exchange.ledger.payments)

    @property
    def positions(self) -> dict[str, Position]:
        """Symbol -> the open position; with ``:LONG`` or ``:SHORT`` behind it in the hedge mode."""
        held = self.exchange.ledger.held()
        return {one.symbol + ("" if one.side == "BOTH" else f":{one.side}"): one for one in held}

    @property
    def balance(self) -> Decimal:
        """Of the wallet, without what is unrealised."""
        return self.exchange.ledger.balance

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The messages of the user stream, oldest first, also those that nobody heard."""
        return list(self._users.sent)

    def summary(self) -> str:
        """One line: orders, fills, balance and what it is made of; empty where nothing was ordered.

        The currency is the account's.
        """
        payments, sums = self.payments, dict.fromkeys(("realized", "fee", "funding", "insurance"), Decimal(0))
        for one in payments:
            if one.kind in sums:
                sums[one.kind] += one.amount
        count = len(self.orders) + sum(one.order_id is None for one in self.conditionals)
        if not count:
            return ""
        parts = ", ".join(f"{kind} {amount:,.2f}" for kind, amount in sums.items() if amount)
        return f"{count} orders, {len(self.fills)} fills, balance {self.balance:,.2f} {ASSET}: {parts or 'nothing yet'}"

    def statement(self) -> pl.DataFrame:
        """One row for each change of the balance, oldest first; columns of :data:`STATEMENT`."""
        markets = self.exchange.markets
        rows = [
            (_instant(one.at_ms), one.kind, markets.get(one.symbol, ""), float(one.amount), float(one.balance))
            for one in self.payments
        ]
        return pl.DataFrame(rows, schema=dict(STATEMENT), orient="row")


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
