"""Fees that a venue takes in the coin that was bought, or in one of its own."""

from __future__ import annotations

import json

import pytest

from tests.strategies.orders.venue import Venue
from trading_assets.journal.events import encode
from trading_assets.journal.holdings import Fill, Holding
from trading_assets.journal.state import JournalState
from trading_assets.strategies.orders.matching import AT_VENUE_SPOT

SPOT = "binance:BTC/USDT"


def folded(venue: Venue) -> JournalState:
    """What the venue's journal adds up to."""
    state = JournalState()
    rows = [(kind, row) for kind in ("fills", "plans") for row in venue.journal.of(kind)]
    for seq, (kind, row) in enumerate(rows, 1):
        state.add(seq, 1, *encode(kind, row)[1:])
    return state


def test_of_a_coin_bought_on_spot_only_what_the_fee_has_left_is_sold() -> None:
    venue = Venue(matching=AT_VENUE_SPOT, market=SPOT)
    venue.fill(venue.enter(), 10.0, 100.0, fee=0.0104, coin="BTC")
    (stop,) = venue.of("stop_loss")
    assert stop.quantity == 9.989, "whole steps of the 9.9896 that the account owns; 9.99 would be refused"
    venue.say(stop.client_order_id.value, "accepted")
    venue.fill(stop.client_order_id.value, 9.989, 99.0, fee=0.99, coin="USDT")
    assert venue.trades.open == {}, "0.0006 BTC are no position: nobody can sell them"
    row = venue.journal.of("positions")[-1]
    result = 9.989 * (99 - 100) - 0.0104 * 100 - 0.99
    assert (row["event"], row["quantity"]) == ("closed", 0.0)
    assert row["realized_pnl"] == pytest.approx(result)
    state = folded(venue)
    market = state.markets[SPOT]
    holding = market.holding(SPOT)
    assert holding is not None
    assert holding.is_flat
    assert market.realized == pytest.approx(result)
    assert state.day_pnl == pytest.approx(result)


def test_what_is_left_of_one_spot_trade_does_not_stand_in_the_way_of_the_next() -> None:
    venue = Venue(matching=AT_VENUE_SPOT, market=SPOT)
    venue.fill(venue.enter(), 10.0, 100.0, fee=0.0104, coin="BTC")
    (stop,) = venue.of("stop_loss")
    venue.fill(stop.client_order_id.value, 9.989, 99.0)
    assert venue.held.signed_qty == pytest.approx(0.0006)
    assert venue.trades.position(SPOT) is None
    venue.trades.exit_all("kill")
    assert venue.of("exit") == []


def test_a_result_counts_fees_in_the_venues_coin_at_the_price_of_their_time() -> None:
    venue = Venue()
    venue.trades.price_of = lambda coin, quote: 600.0 if (coin, quote) == ("BNB", "USDT") else None
    venue.fill(venue.enter(), 10.0, 100.0, fee=0.001, coin="BNB")
    (stop,) = venue.of("stop_loss")
    venue.fill(stop.client_order_id.value, 10.0, 99.0, fee=0.001, coin="BNB")
    row = venue.journal.of("positions")[-1]
    assert row["realized_pnl"] == pytest.approx(-10 - 2 * 0.6)
    assert [one["fee_price"] for one in venue.journal.of("fills")] == [600.0, 600.0]


def test_a_fee_whose_coin_has_no_price_counts_nothing_and_is_named() -> None:
    venue = Venue()
    venue.fill(venue.enter(), 10.0, 100.0, fee=0.001, coin="BNB")
    (stop,) = venue.of("stop_loss")
    venue.fill(stop.client_order_id.value, 10.0, 99.0, fee=0.5, coin="USDT")
    assert venue.journal.of("positions")[-1]["realized_pnl"] == pytest.approx(-10.5)
    (market,) = folded(venue).markets.items()
    holding = market[1].holding(market[0])
    assert holding is not None
    assert holding.unvalued == {"BNB": 0.001}


def test_a_result_holds_the_entry_fee_that_a_process_before_paid() -> None:
    venue = Venue()
    venue.fill(venue.enter(), 10.0, 100.0, fee=0.4)
    (stop,) = venue.of("stop_loss")
    rows = [{**row, "seq": seq} for seq, row in enumerate(venue.journal.of("fills"))]
    again = Venue()
    again.orders, again.held, again.trades.open = venue.orders, venue.held, dict(venue.trades.open)
    again.trades.trades = type(venue.trades.trades)([Holding(venue.market_name, tuple(map(Fill.of, rows)))])
    again.trades._orders = venue.trades._orders
    again.fill(stop.client_order_id.value, 10.0, 99.0, fee=0.4)
    assert again.journal.of("positions")[-1]["realized_pnl"] == pytest.approx(-10.8)


def test_an_old_fill_without_a_price_of_its_fee_reads_as_it_always_has() -> None:
    row = {"seq": 1, "ts": "2025-01-01T00:00:00+00:00", "market": SPOT, "order_id": "o", "trade_id": "t"}
    row |= {"signal_id": "s", "side": "buy", "quantity": 1.0, "price": 100.0, "fee": 0.1}
    assert Fill.of(row).fee_value == 0.1
    assert Fill.of({**row, "fee_currency": "USDT"}).fee_value == 0.1
    assert Fill.of({**row, "fee_currency": "BTC", "fee": 0.001}).signed == 0.999
    assert json.dumps(Fill.of({**row, "fee_currency": "BNB"}).fee_value) == "null"
