"""What a trade made that another hand has closed is told once, by its fills: the engine knows none of the last ones."""

from __future__ import annotations

from types import SimpleNamespace as Any_

import pytest

from tests.backtest.worlds import A
from tests.strategies.orders.venue import NOW, Qty, Venue


def closed_elsewhere(venue: Venue) -> None:
    """The engine finds by comparing that nothing is held, and makes a price up."""
    venue.trades.asks = True
    venue.fill(venue.enter(), 10.0, fee=0.5)
    venue.held = None
    event = type("PositionClosed", (), {})()
    event.instrument_id, event.event_id, event.ts_event, event.position_id = "I", object(), 0, Any_(value="P")
    event.quantity, event.signed_qty, event.avg_px_open = Qty(0.0), 0.0, 100.0
    event.realized_pnl = Any_(as_decimal=lambda: -3.0)
    event.opening_order_id, event.closing_order_id = Any_(value="x"), Any_(value="made-up")
    venue.trades.on_position_event(event)


def book(venue: Venue, price: float) -> None:
    """The account's word: the true fill, which is in the journal already."""
    entry = venue.journal.of("fills")[0]
    true = {"order_id": "elsewhere-7", "trade_id": "77", "side": "sell", "price": price, "fee": 0.25}
    venue.trades.trades.add({**entry, **true})


def test_a_trade_that_another_hand_has_closed_makes_what_its_fills_come_to() -> None:
    venue = Venue()
    closed_elsewhere(venue)
    assert [row["event"] for row in venue.journal.of("positions")] == ["opened"], "its result is not known yet"
    assert venue.trades._gate.realised(NOW) == pytest.approx(0.0)
    book(venue, 101.0)
    venue.trades.conclude(A, "by_hand")
    venue.trades.conclude(A, "by_hand")
    (closed,) = [row for row in venue.journal.of("positions") if row["event"] == "closed"]
    assert closed["realized_pnl"] == pytest.approx(10.0 - 0.75)
    assert closed["quantity"] == 0.0
    assert closed["signal_id"] == venue.plan.signal_id
    assert venue.trades._gate.realised(NOW) == pytest.approx(closed["realized_pnl"])


def test_a_position_that_is_there_after_all_has_made_nothing() -> None:
    """The engine had counted a fill twice."""
    venue = Venue()
    closed_elsewhere(venue)
    venue.held = Any_(quantity=Qty(10.0), signed_qty=10.0, avg_px_open=100.0, opening_order_id=Any_(value="x"))
    venue.trades.conclude(A, "by_hand")
    assert [row["event"] for row in venue.journal.of("positions")] == ["opened"]
    assert venue.trades._gate.realised(NOW) == pytest.approx(0.0)
    venue.fill(venue.now.stop_order_id, 10.0, 99.0)
    (closed,) = [row for row in venue.journal.of("positions") if row["event"] == "closed"]
    assert closed["realized_pnl"] == pytest.approx(-10.5)
    assert venue.trades._gate.realised(NOW) == pytest.approx(-10.5)
