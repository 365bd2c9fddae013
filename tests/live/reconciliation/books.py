"""A journal in memory that takes each event once, as the file does, and short words for what the venue says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from trading_assets.journal import JournalState
from trading_assets.journal.events import encode
from trading_live.reconciliation.comparison import compare
from trading_live.reconciliation.settlement import settled
from trading_live.reconciliation.views import JournalSays, VenueSays
from trading_live.venues.account import VenueFill, VenueOrder

MARKET, OTHER = "binance:BTC/USDT:USDT", "binance:ETH/USDT:USDT"
T0 = datetime(2025, 3, 1, 12, tzinfo=UTC)


def ours(client_id):
    return client_id.startswith("t")


def at(second):
    return T0 + timedelta(seconds=second)


def order(client_id, market=MARKET, *, side="buy", quantity=1.0, filled=0.0, status="open", kind="limit", second=0):
    return VenueOrder(
        client_id, f"v-{client_id}", market, side, kind, quantity, filled, None, None, False, status, at(second)
    )


def fill(trade_id, client_id, signed, market=MARKET, *, price=100.0, fee=0.05, second=0, venue_id=None):
    side = "buy" if signed > 0 else "sell"
    venue_id = venue_id or f"v-{client_id}"
    return VenueFill(trade_id, client_id, venue_id, market, side, abs(signed), price, fee, "USDT", "taker", at(second))


def order_row(
    client_id, market=MARKET, *, side="buy", quantity=1.0, status="initialized", signal="s1", purpose="entry"
):
    return "orders", {
        "event_id": f"{client_id}:{status}",
        "ts": T0,
        "market": market,
        "order_id": client_id,
        "signal_id": signal,
        "purpose": purpose,
        "side": side,
        "order_type": "limit",
        "quantity": quantity,
        "price": None,
        "status": status,
        "reason": "",
    }


def fill_row(one, signal="s1"):
    return "fills", {
        "event_id": f"{one.client_id}:{one.trade_id}",
        "ts": one.ts,
        "market": one.market,
        "order_id": one.client_id,
        "trade_id": one.trade_id,
        "signal_id": signal,
        "side": one.side,
        "quantity": one.quantity,
        "price": one.price,
        "fee": one.fee,
        "fee_currency": one.fee_currency,
    }


class Ledger:
    """The journal."""

    def __init__(self):
        self.state = JournalState()
        self.fills = []
        self._seen = set()

    def write(self, rows):
        """Each event once; how many were new."""
        new = 0
        for kind, event in rows:
            event_id, _, payload = encode(kind, event)
            if event_id in self._seen:
                continue
            self._seen.add(event_id)
            new += 1
            self.state.add(self.state.seq + 1, 1, kind, payload)
            if kind == "fills":
                row = json.loads(payload)
                self.fills.append(row | {"ts": datetime.fromisoformat(row["ts"])})
        return new

    def says(self):
        return JournalSays.of(self.state, self.fills)

    def settle(self, venue: VenueSays, markets=(MARKET, OTHER), second=1_000):
        """One round: what differs, and the journal made to say what the rules want; what was written anew."""
        differences = compare(self.says(), None, venue, markets=markets, ours=ours)
        rows = settled(differences, self.says(), self.state.markets, at(second))
        return differences, self.write(rows)
