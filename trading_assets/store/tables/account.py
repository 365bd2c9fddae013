"""What the venue booked on the node's account."""

from __future__ import annotations

from typing import Final

import polars as pl

from trading_assets.core.candles import TS
from trading_assets.store.tables.table import Table

PAYMENTS: Final = Table(
    "payments",
    "One line of the venue's account statement.",
    {
        "node": pl.String,
        "seq": pl.Int64,
        "ts": TS,
        "market": pl.String,
        "payment_id": pl.String,
        "kind": pl.String,
        "amount": pl.Float64,
        "currency": pl.String,
        "trade_id": pl.String,
    },
    ("node", "seq"),
    notes={
        "ts": "when the venue booked it",
        "market": "empty where it belongs to none",
        "payment_id": "unique within the account",
        "kind": "funding, fee, realized (profit or loss of closed contracts before fees), transfer or other",
        "amount": "received where positive, paid where negative",
        "currency": "of the amount",
        "trade_id": "of the fill that a fee or result belongs to; empty where the venue does not say",
    },
)
BALANCES: Final = Table(
    "balances",
    "What the node's account owned of a currency, whenever that had changed.",
    {
        "node": pl.String,
        "seq": pl.Int64,
        "ts": TS,
        "currency": pl.String,
        "amount": pl.Float64,
        "expected": pl.Float64,
    },
    ("node", "seq"),
    notes={
        "ts": "when the venue said it",
        "currency": "its code",
        "amount": "of the wallet, free or locked, without what open positions have gained",
        "expected": "the balance before and the payments since; null for the first one",
    },
)
