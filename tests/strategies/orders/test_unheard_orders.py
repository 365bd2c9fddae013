"""Orders of which the venue says nothing, or what is not so: they are asked about, and what they buy is protected."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace as Any_

import pytest

from tests.backtest.worlds import A
from tests.strategies.orders.venue import NOW, TWO, Qty, Venue
from trading_assets.strategies.orders.matching import AT_VENUE, AT_VENUE_SPOT, Matching
from trading_assets.strategies.plans.plan import TargetOrder, TradePlan


def rejected(venue: Venue) -> str:
    """An entry that the venue calls rejected, with an account that can be asked."""
    venue.trades.asks, venue.trades.adopts = True, False
    entry = venue.enter()
    venue.say(entry, "rejected", reason="Binance error -2010 (HTTP 400): NEW_ORDER_REJECTED")
    return entry


def test_an_order_of_which_nothing_is_heard_is_asked_about_within_half_a_second() -> None:
    venue = Venue()
    entry = venue.enter()
    (at, _), *_ = venue.alarms
    assert at - NOW <= timedelta(seconds=0.5)
    venue.ring()
    venue.ring()
    assert venue.queries == [entry, entry], "it was accepted, and a market order fills"
    venue.fill(entry, 10.0)
    (stop,), (target,) = venue.of("stop_loss"), venue.of("take_profit")
    venue.say(stop.client_order_id.value, "accepted")
    venue.say(target.client_order_id.value, "accepted")
    venue.ring()
    assert venue.queries == [entry, entry], "what rests is heard of when it ends"


def test_an_entry_that_was_refused_waits_for_the_account() -> None:
    venue = Venue()
    rejected(venue)
    assert venue.trades.vanished == {A}
    venue.trades.manage(A, 100.0)
    assert A in venue.trades.open, "nothing is entered beside it"
    venue.trades.conclude(A, "unfilled")
    assert venue.trades.open == {}
    assert venue.trades.vanished == set()


def test_what_a_refused_entry_has_bought_is_protected_before_the_engine_knows_of_it() -> None:
    venue = Venue()
    rejected(venue)
    venue.trades.found_filled(A, 10.0, 100.0)
    (stop,) = venue.of("stop_loss")
    assert (stop.quantity, stop.trigger_price, stop.reduce_only) == (10.0, 99.0, True)
    venue.say(stop.client_order_id.value, "accepted")
    venue.trades.manage(A, 100.0)
    assert stop.client_order_id.value not in venue.cancels, "the next bar does not end it as unfilled"
    venue.held = Any_(quantity=Qty(10.0), signed_qty=10.0, avg_px_open=100.0, opening_order_id=Any_(value="S-1"))
    event = type("PositionOpened", (), {})()
    event.instrument_id, event.event_id, event.ts_event, event.position_id = "I", object(), 0, Any_(value="P")
    event.quantity, event.signed_qty, event.avg_px_open, event.realized_pnl = Qty(10.0), 10.0, 100.0, None
    event.opening_order_id = Any_(value="S-1")
    venue.trades.on_position_event(event)
    venue.ring()
    assert venue.now.stage == "open"
    assert len(venue.of("stop_loss")) == 1, "it is as it should be"
    assert [one.quantity for one in venue.of("take_profit")] == [10.0]


@pytest.mark.parametrize("kill", [False, True])
def test_what_a_refused_entry_has_bought_in_part_is_a_trade_like_any_other(kill: bool) -> None:
    """Nothing more of it comes: it has its target and its time, and a kill closes it."""
    venue = Venue()
    rejected(venue)
    venue.trades.found_filled(A, 4.0, 100.0)
    (stop,) = venue.of("stop_loss")
    venue.say(stop.client_order_id.value, "accepted")
    if kill:
        venue.trades.exit_all("kill")
        assert venue.of("exit") == [], "the engine does not know of it yet"
    venue.held = Any_(quantity=Qty(4.0), signed_qty=4.0, avg_px_open=100.0, opening_order_id=Any_(value="S-1"))
    venue.trades._changed(A, venue.now)
    venue.ring()
    if kill:
        assert [one.quantity for one in venue.of("exit")] == [4.0]
        return
    assert venue.now.stage == "open"
    assert [one.quantity for one in venue.of("take_profit")] == [4.0]
    venue.trades.now = NOW + timedelta(hours=7)
    venue.trades.manage(A, 100.0)
    assert [one.quantity for one in venue.of("exit")] == [4.0]


@pytest.mark.parametrize("status", ["submitted", "rejected"])
def test_what_a_refused_entry_has_bought_is_sent_another_stop_where_the_first_does_not_come_to_rest(
    status: str,
) -> None:
    """No exit can be sent: the engine does not know the position yet."""
    venue = Venue()
    rejected(venue)
    venue.trades.found_filled(A, 10.0, 100.0)
    (first,) = venue.of("stop_loss")
    if status == "rejected":
        venue.say(first.client_order_id.value, status)
    venue.ring()
    assert venue.of("exit") == []
    assert venue.trades.vanished == {A}, "it may be gone again: the account is asked"
    venue.trades.found_filled(A, 10.0, 100.0)
    (_, second) = venue.of("stop_loss")
    assert (second.quantity, second.trigger_price, second.reduce_only) == (10.0, 99.0, True)
    venue.say(second.client_order_id.value, "accepted")
    assert venue.cancels == ([first.client_order_id.value] if status == "submitted" else [])
    venue.ring()
    assert venue.trades.vanished == set()
    assert len(venue.of("stop_loss")) == 2, "it rests"


def test_what_a_refused_entry_has_bought_and_is_gone_again_is_sent_no_other_stop() -> None:
    venue = Venue()
    rejected(venue)
    venue.trades.found_filled(A, 10.0, 100.0)
    venue.ring()
    venue.trades.conclude(A, "liquidated")
    assert venue.trades.open == {}
    assert len(venue.of("stop_loss")) == 1


def test_what_a_refused_entry_has_bought_and_the_engine_never_hears_of_is_asked_about_when_its_time_is_over() -> None:
    """A liquidation may have ended it; else nothing would be entered there any more."""
    venue = Venue()
    rejected(venue)
    venue.trades.found_filled(A, 10.0, 100.0)
    venue.say(venue.now.stop_order_id, "accepted")
    venue.trades.now = NOW + timedelta(hours=6)
    venue.trades.manage(A, 100.0)
    assert venue.trades.vanished == set()
    venue.trades.now += timedelta(minutes=15)
    venue.trades.manage(A, 100.0)
    assert venue.trades.vanished == {A}
    venue.trades.conclude(A, "liquidated")
    assert venue.trades.open == {}


@pytest.mark.parametrize("matching", [AT_VENUE, AT_VENUE_SPOT])
def test_a_stop_that_rests_for_what_the_engine_never_hears_of_stays_the_plans_own(matching: Matching) -> None:
    """Of spot a venue tells balances only: the engine may know of no position until the next start."""
    venue = Venue(matching=matching)
    rejected(venue)
    venue.trades.found_filled(A, 10.0, 100.0)
    (stop,) = venue.of("stop_loss")
    venue.say(stop.client_order_id.value, "accepted")
    venue.trades.now = NOW + timedelta(hours=6)
    for _ in range(3):
        venue.trades.now += timedelta(minutes=15)
        venue.trades.manage(A, 100.0)
        assert venue.trades.vanished == {A}
        venue.trades.found_filled(A, 10.0, 100.0)
        venue.ring()
    assert venue.of("stop_loss") == [stop]
    assert venue.now.stop_order_id == stop.client_order_id.value
    assert venue.cancels == []


def test_of_spot_only_so_many_stops_are_sent_for_what_a_refused_entry_has_bought() -> None:
    """What binds the balance is there for the fourth as well; the account is asked until it is gone."""
    venue = Venue(matching=AT_VENUE_SPOT)
    rejected(venue)
    for _ in range(6):
        venue.trades.found_filled(A, 9.9904, 100.0)
        venue.say(venue.of("stop_loss")[-1].client_order_id.value, "rejected", reason="-2010 insufficient balance")
        venue.ring()
    assert [one.quantity for one in venue.of("stop_loss")] == [9.99, 9.99, 9.99], "whole steps that are there"
    assert venue.trades.vanished == {A}
    assert TradePlan.from_json(venue.journal.of("plans")[-1]["plan"]) == venue.now
    venue.trades.conclude(A, "by_hand")
    assert venue.trades.open == {}


def test_a_stop_or_target_that_was_refused_is_doubted_until_the_account_has_its_say() -> None:
    """A venue may have placed it; its trade is closed, and a later one would meet it."""
    venue = Venue()
    venue.trades.asks = True
    venue.fill(venue.enter(), 10.0)
    (stop,), (target,) = venue.of("stop_loss"), venue.of("take_profit")
    venue.say(stop.client_order_id.value, "rejected")
    assert [one.quantity for one in venue.of("exit")] == [10.0], "at once: nobody knows whether the stop rests"
    venue.fill(venue.now.exit_order_id, 10.0)
    assert venue.trades.open == {}
    venue.say(target.client_order_id.value, "rejected")
    assert venue.trades.refused == dict.fromkeys((stop.client_order_id.value, target.client_order_id.value), A)
    venue.trades.answered(stop.client_order_id.value)
    assert venue.trades.refused == {target.client_order_id.value: A}


def test_a_refused_order_is_not_doubted_where_nobody_asks_an_account() -> None:
    venue = Venue()
    venue.fill(venue.enter(), 10.0)
    venue.say(venue.of("stop_loss")[0].client_order_id.value, "rejected")
    assert venue.trades.refused == {}


def test_an_entry_that_goes_on_saying_nothing_is_asked_about_in_the_account() -> None:
    """An answer without an average price tells the engine nothing; that the account knows no fill ends nothing yet."""
    venue = Venue()
    venue.trades.asks = True
    entry = venue.enter()
    venue.ring()
    assert venue.trades.vanished == set()
    venue.ring()
    assert venue.trades.vanished == {A}
    venue.trades.conclude(A, "unfilled")
    assert A in venue.trades.open, "the engine waits for it"
    venue.ring()
    venue.trades.found_filled(A, 10.0, 100.0)
    assert [one.quantity for one in venue.of("stop_loss")] == [10.0]
    venue.fill(entry, 10.0)
    assert venue.now.stage == "open"
    assert len(venue.of("stop_loss")) == 1


@pytest.mark.parametrize(("left", "sent"), [(0.0001, False), (0.0006, False), (0.001, True)])
def test_less_than_a_step_of_quantities_is_no_target(left: float, sent: bool) -> None:
    """A node that was killed in its entry divides what it bought without the venue's steps: the rest is no order."""
    venue = Venue(TWO)
    venue.fill(venue.enter(), 10.0)
    (first, second) = venue.now.targets
    venue.orders[first.order_id].status = "filled"
    kept = TargetOrder(first.price, first.quantity, first.order_id, first.quantity - left)
    plan = replace(venue.now, targets=(kept, second))
    venue.trades.open[A] = plan
    venue.say(venue.now.stop_order_id, "accepted")
    venue.trades.manage(A, first.price + 0.1)
    assert [one.quantity for one in venue.of("take_profit")[2:]] == ([pytest.approx(left)] if sent else [])


def test_an_exit_of_which_nothing_is_heard_is_sent_again_where_no_stop_rests() -> None:
    venue = Venue()
    venue.fill(venue.enter(), 10.0)
    (stop,) = venue.of("stop_loss")
    venue.say(stop.client_order_id.value, "rejected")
    assert len(venue.of("exit")) == 1
    venue.orders[venue.of("exit")[0].client_order_id.value].status = "submitted"
    venue.ring()
    assert [one.reduce_only for one in venue.of("exit")] == [True, True]
    venue.fill(venue.now.exit_order_id, 10.0)
    venue.ring()
    assert len(venue.of("exit")) == 2


@pytest.mark.parametrize("matching", [AT_VENUE, AT_VENUE_SPOT])
def test_an_exit_that_was_refused_is_sent_again_although_no_bar_comes(matching: Matching) -> None:
    """A halt for silence closes a market that has no bars."""
    venue = Venue(matching=matching)
    venue.fill(venue.enter(), 10.0)
    (stop,) = venue.of("stop_loss")
    venue.say(stop.client_order_id.value, "accepted")
    venue.trades.exit(venue.now, "halted")
    if matching.binds:
        venue.say(stop.client_order_id.value, "canceled")
    for refused in range(1, 4):
        assert len(venue.of("exit")) == refused
        venue.alarms.clear()
        venue.say(venue.now.exit_order_id, "rejected", reason="INFLIGHT_TIMEOUT")
        ((at, _),) = venue.alarms
        pause = min((10 if matching.binds else 1) * 2 ** (refused - 1), 30)
        assert at - NOW == timedelta(seconds=pause)
        venue.ring()
    venue.fill(venue.now.exit_order_id, 10.0)
    venue.ring()
    assert (venue.trades.open, len(venue.of("exit"))) == ({}, 4)


def test_of_a_balance_that_a_refused_exit_has_sold_nothing_is_sold_again() -> None:
    """The engine holds on to it; what else is owned of the coin is not ours to sell."""
    venue = Venue(matching=AT_VENUE_SPOT)
    venue.trades.asks = True
    venue.fill(venue.enter(), 10.0)
    (stop,) = venue.of("stop_loss")
    venue.say(stop.client_order_id.value, "accepted")
    venue.trades.exit(venue.now, "time")
    venue.say(stop.client_order_id.value, "canceled")
    order_id = venue.now.exit_order_id
    venue.say(order_id, "rejected", reason="INFLIGHT_TIMEOUT")
    bought = venue.journal.of("fills")[-1]
    venue.trades.trades.add(bought | {"order_id": order_id, "trade_id": "found", "side": "sell", "price": 101.0})
    venue.ring()
    assert len(venue.of("exit")) == 1
    assert venue.trades.open == {}
    assert TradePlan.from_json(venue.journal.of("plans")[-1]["plan"]).exit_reason == "time"


def test_a_stop_that_is_on_its_way_does_not_stand_for_the_next_one() -> None:
    """Two stops of which nothing is heard protect nothing: the position is closed."""
    venue = Venue()
    entry = venue.enter()
    venue.fill(entry, 4.0)
    venue.ring()
    (first,) = venue.of("stop_loss")
    venue.trades.open[A] = replace(venue.now, replaced_order_id=first.client_order_id.value, stop_order_id="")
    venue.fill(entry, 6.0)
    venue.ring()
    assert [one.quantity for one in venue.of("exit")] == [10.0]


def test_what_the_books_call_ours_and_no_trade_minds_is_closed() -> None:
    venue = Venue()
    venue.trades.adopts = False
    venue.trades.close_unminded(A)
    assert venue.of("exit") == [], "there is nothing"
    venue.held = Any_(quantity=Qty(3.0), signed_qty=3.0, avg_px_open=100.0, opening_order_id=Any_(value="S-1"))
    venue.trades.close_unminded(A)
    assert [(one.quantity, one.reduce_only) for one in venue.of("exit")] == [(3.0, True)]


def test_a_position_that_the_engine_finds_gone_waits_for_the_account_though_an_exit_was_sent() -> None:
    """The stop has filled and nobody told; the exit is refused, as there is nothing to reduce."""
    venue = Venue()
    venue.trades.asks = True
    venue.fill(venue.enter(), 10.0)
    venue.say(venue.now.stop_order_id, "accepted")
    venue.trades.exit(venue.now, "time")
    venue.say(venue.now.exit_order_id, "rejected", reason="-2022 ReduceOnly Order is rejected.")
    venue.held = None
    event = type("PositionClosed", (), {})()
    event.instrument_id, event.event_id, event.ts_event, event.position_id = "I", object(), 0, Any_(value="P")
    event.quantity, event.signed_qty, event.avg_px_open, event.realized_pnl = Qty(0.0), 0.0, 100.0, None
    event.opening_order_id, event.closing_order_id = Any_(value="x"), Any_(value="made-up")
    venue.trades.on_position_event(event)
    assert venue.trades.vanished == {A}, "nothing is entered beside it"
    stop = venue.now.stop_order_id
    assert stop not in venue.cancels, "the engine may have counted a fill twice: what is left of it is protected"
    venue.trades.conclude(A, "stop_loss")
    assert venue.trades.open == {}
    assert venue.trades.vanished == set()
    assert stop in venue.cancels
