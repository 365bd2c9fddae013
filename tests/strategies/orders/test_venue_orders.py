"""Orders at a venue that fills in parts, refuses, binds the balance, or says nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace as Any_

import pytest

from tests.backtest.worlds import A
from tests.strategies.orders.venue import NOW, ONE, TWO, Order, Qty, Venue, named
from trading_assets.journal.events import encode
from trading_assets.journal.state import JournalState
from trading_assets.strategies.orders.matching import AT_VENUE, AT_VENUE_SPOT
from trading_assets.strategies.plans.plan import TradePlan
from trading_assets.strategies.signals import ClosedBar


def test_an_entry_in_parts_is_protected_before_the_rest_fills() -> None:
    venue = Venue()
    entry = venue.enter()
    venue.fill(entry, 4.0)
    assert venue.of("stop_loss") == [], "a market order's parts come at once"
    (at, _), *_ = venue.alarms
    assert at - NOW < timedelta(seconds=1)
    venue.ring()
    (stop,) = venue.of("stop_loss")
    assert (stop.quantity, stop.trigger_price, stop.reduce_only) == (4.0, 99.0, True)
    assert venue.of("take_profit") == []
    venue.say(stop.client_order_id.value, "accepted")
    venue.fill(entry, 6.0)
    first, second = venue.of("stop_loss")
    assert second.quantity == 10.0
    assert venue.cancels == [], "the first one rests until the second does"
    venue.say(second.client_order_id.value, "accepted")
    assert venue.cancels == [first.client_order_id.value]
    (target,) = venue.of("take_profit")
    assert (target.quantity, target.price) == (10.0, 102.0)


def test_a_stop_on_its_way_grows_once_it_rests() -> None:
    venue = Venue()
    entry = venue.enter()
    venue.fill(entry, 4.0)
    venue.ring()
    (stop,) = venue.of("stop_loss")
    venue.fill(entry, 6.0)
    assert len(venue.of("stop_loss")) == 1, "it is on its way"
    venue.say(stop.client_order_id.value, "accepted")
    assert [one.quantity for one in venue.of("stop_loss")] == [4.0, 10.0]


def test_an_entry_whose_rest_is_canceled_is_a_trade_of_what_has_filled() -> None:
    venue = Venue()
    entry = venue.enter()
    venue.fill(entry, 4.0)
    venue.say(entry, "canceled")
    assert [one.quantity for one in venue.of("stop_loss")] == [4.0]
    assert [one.quantity for one in venue.of("take_profit")] == [4.0]
    assert venue.now.stage == "open"


@pytest.mark.parametrize("while_entering", [True, False])
def test_a_stop_that_cannot_be_placed_closes_the_position_at_once(while_entering: bool) -> None:
    venue, told = Venue(), []
    venue.trades.on_refused = lambda plan, purpose, order, reason: told.append((purpose, reason))
    entry = venue.enter()
    venue.fill(entry, 4.0 if while_entering else 10.0)
    venue.ring()
    (stop,) = venue.of("stop_loss")
    venue.say(stop.client_order_id.value, "rejected", reason="-2021")
    (closing,) = venue.of("exit")
    assert (closing.quantity, closing.reduce_only) == (4.0 if while_entering else 10.0, True)
    assert (entry in venue.cancels) == while_entering, "nothing more is to fill"
    assert told == [("stop_loss", "-2021")]
    venue.fill(closing.client_order_id.value, float(closing.quantity), 99.0)
    assert venue.trades.open == {}
    assert TradePlan.from_json(venue.journal.of("plans")[-1]["plan"]).exit_reason == "unprotected"


@pytest.mark.parametrize("takes", [True, False])
def test_a_stop_that_rests_though_the_price_has_passed_it_closes_the_position_on_the_next_bar(takes: bool) -> None:
    venue = Venue(matching=replace(AT_VENUE, takes_passed_stops=takes))
    venue.fill(venue.enter(), 10.0)
    (stop,) = venue.of("stop_loss")
    venue.say(stop.client_order_id.value, "accepted")
    venue.trades.manage(A, 99.1)
    assert venue.of("exit") == [], "the price is above it"
    venue.trades.manage(A, 98.9)
    assert [(one.quantity, one.reduce_only) for one in venue.of("exit")] == [(10.0, True)] * takes
    assert stop.client_order_id.value not in venue.cancels, "it rests until the position is gone"


def test_a_stop_that_moves_to_where_the_price_has_been_closes_the_position_at_once() -> None:
    exits = replace(ONE, trailing=0.004, trailing_after=0)
    venue = Venue(exits, replace(AT_VENUE, takes_passed_stops=True))
    venue.fill(venue.enter(), 10.0)
    (stop,) = venue.of("stop_loss")
    venue.say(stop.client_order_id.value, "accepted")
    venue.trades.now = NOW + venue.plan.bar
    bar = ClosedBar(A, "15m", NOW, venue.trades.now, 100.0, 101.9, 100.0, 101.0, 1.0)
    venue.trades.manage(A, bar.close, bar=bar)
    assert len(venue.of("stop_loss")) == 2, "it followed the high, above the close"
    assert [one.quantity for one in venue.of("exit")] == [10.0]
    assert venue.now.exit_reason == "trailing"


def test_a_stop_that_somebody_cancels_is_sent_again_at_once() -> None:
    venue = Venue()
    venue.fill(venue.enter(), 10.0)
    (stop,) = venue.of("stop_loss")
    venue.say(stop.client_order_id.value, "accepted")
    venue.say(stop.client_order_id.value, "canceled")
    assert len(venue.of("stop_loss")) == 2


def test_a_part_of_a_target_makes_the_stop_smaller_and_the_end_cancels_all() -> None:
    venue = Venue(TWO)
    venue.fill(venue.enter(), 10.0)
    for one in list(venue.orders):
        if not venue.orders[one].is_closed:
            venue.say(one, "accepted")
    near, far = venue.of("take_profit")
    venue.fill(near.client_order_id.value, 1.0, 102.0)
    venue.fill(near.client_order_id.value, 1.0, 102.0)
    assert len(venue.of("stop_loss")) == 1, "a target fills in parts: one stop for all of them"
    venue.ring()
    first, second = venue.of("stop_loss")
    assert second.quantity == 8.0
    venue.say(second.client_order_id.value, "accepted")
    assert venue.cancels == [first.client_order_id.value]
    venue.say(first.client_order_id.value, "canceled")
    venue.say(second.client_order_id.value, "updated")  # it triggers, under another id of the venue
    venue.fill(second.client_order_id.value, 8.0, 99.0)
    assert venue.trades.open == {}
    assert set(venue.cancels[1:]) == {near.client_order_id.value, far.client_order_id.value}
    assert {row["venue_order_id"] for row in venue.journal.of("orders") if row["status"] == "accepted"} == {"7"}


def test_a_target_that_the_venue_refuses_is_minded_by_the_node() -> None:
    venue = Venue(TWO)
    venue.fill(venue.enter(), 10.0)
    near, far = venue.of("take_profit")
    venue.say(venue.of("stop_loss")[0].client_order_id.value, "accepted")
    venue.say(near.client_order_id.value, "rejected")
    venue.say(far.client_order_id.value, "accepted")
    venue.trades.manage(A, 101.9)
    assert len(venue.of("take_profit")) == 2
    venue.trades.manage(A, 102.0)
    part = venue.of("take_profit")[2]
    assert (part.kind, part.quantity, part.reduce_only) == ("MARKET", 5.0, True)
    venue.fill(part.client_order_id.value, 5.0, 102.0)
    assert venue.now.targets_filled == 1


def test_on_spot_the_stop_lets_go_of_the_balance_before_anything_else_is_sold() -> None:
    venue = Venue(matching=AT_VENUE_SPOT)
    venue.fill(venue.enter(), 10.0)
    (stop,) = venue.of("stop_loss")
    assert not stop.reduce_only, "spot knows no such flag"
    assert venue.of("take_profit") == []
    venue.say(stop.client_order_id.value, "accepted")
    venue.trades.manage(A, 102.5)
    assert venue.of("exit") == []
    assert venue.cancels == [stop.client_order_id.value]
    venue.say(stop.client_order_id.value, "canceled")
    (closing,) = venue.of("exit")
    assert (closing.quantity, closing.reduce_only) == (10.0, False)
    venue.fill(closing.client_order_id.value, 10.0, 102.5)
    assert TradePlan.from_json(venue.journal.of("plans")[-1]["plan"]).exit_reason == "take_profit"


def test_what_two_orders_have_closed_of_a_target_counts_together() -> None:
    venue = Venue(TWO)
    venue.fill(venue.enter(), 10.0)
    venue.say(venue.now.stop_order_id, "accepted")
    first = venue.now.targets[0]
    venue.fill(first.order_id, 2.0, first.price)
    venue.say(first.order_id, "canceled")
    venue.trades.manage(A, first.price + 0.1)
    second = venue.of("take_profit")[-1]
    assert second.quantity == 3.0
    venue.fill(second.client_order_id.value, 3.0, first.price)
    assert venue.now.targets[0].filled == 5.0
    sent = len(venue.orders)
    again = TradePlan.from_json(venue.now.to_json())
    assert again == venue.now
    venue.trades.manage(A, first.price + 0.1)
    assert [one for one in list(venue.orders.values())[sent:] if one.kind == "MARKET"] == []


def test_a_larger_stop_of_which_nothing_is_heard_is_sent_again_while_the_smaller_one_rests() -> None:
    venue = Venue()
    entry = venue.enter()
    venue.fill(entry, 4.0)
    venue.ring()
    (small,) = venue.of("stop_loss")
    venue.say(small.client_order_id.value, "accepted")
    venue.fill(entry, 6.0)
    venue.ring()
    (_, silent, third) = venue.of("stop_loss")
    assert (silent.quantity, third.quantity) == (10.0, 10.0)
    assert venue.now.replaced_order_id == small.client_order_id.value
    venue.say(silent.client_order_id.value, "rejected", reason="INFLIGHT_TIMEOUT")
    assert venue.of("exit") == [], "what it was to replace rests"
    venue.say(third.client_order_id.value, "accepted")
    assert venue.cancels == [small.client_order_id.value]


def test_a_stop_whose_move_is_not_heard_of_stays_where_it_was_until_the_next_bar() -> None:
    venue = Venue()
    venue.fill(venue.enter(), 10.0)
    (first,) = venue.of("stop_loss")
    venue.say(first.client_order_id.value, "accepted")
    venue.trades.open[A] = replace(venue.now, stop_price=99.5)
    venue.trades._sync_stop(venue.now)
    venue.ring()
    (_, silent) = venue.of("stop_loss")
    assert venue.now.stop_order_id == first.client_order_id.value
    assert TradePlan.from_json(venue.journal.of("plans")[-1]["plan"]).stop_order_id == first.client_order_id.value
    venue.say(silent.client_order_id.value, "rejected", reason="INFLIGHT_TIMEOUT")
    assert (venue.of("exit"), len(venue.of("stop_loss"))) == ([], 2)
    venue.trades._sync_stop(venue.now)
    assert venue.of("stop_loss")[-1].trigger_price == 99.5
    venue.say(venue.now.stop_order_id, "rejected", reason="-2021 Order would immediately trigger.")
    assert len(venue.of("exit")) == 1, "the price has passed it"


@pytest.mark.parametrize(
    "reason",
    [
        "INFLIGHT_TIMEOUT",
        "-1003 Too many requests.",
        "HTTP 503: overloaded",
        "System level frequency protection",
        "ws trade service is restarting, do not accept new request",
    ],
)
def test_a_stop_whose_move_is_refused_for_the_venues_load_stays_where_it_was(reason: str) -> None:
    """Many stops move at the end of one bar: a limit of requests is no word about the price."""
    venue = Venue()
    venue.fill(venue.enter(), 10.0)
    (first,) = venue.of("stop_loss")
    venue.say(first.client_order_id.value, "accepted")
    venue.trades.open[A] = replace(venue.now, stop_price=99.5)
    venue.trades._sync_stop(venue.now)
    venue.say(venue.now.stop_order_id, "rejected", reason=reason)
    assert venue.of("exit") == []
    assert venue.now.stop_order_id == first.client_order_id.value
    assert TradePlan.from_json(venue.journal.of("plans")[-1]["plan"]) == venue.now
    venue.ring()
    assert (venue.of("exit"), len(venue.of("stop_loss"))) == ([], 2), "the next bar moves it"


def test_a_stop_is_for_what_the_fills_come_to_where_the_engine_has_counted_one_twice() -> None:
    venue = Venue(TWO)
    venue.fill(venue.enter(), 10.0)
    (stop,) = venue.of("stop_loss")
    venue.say(stop.client_order_id.value, "accepted")
    venue.fill(venue.now.targets[0].order_id, 5.0, venue.now.targets[0].price)
    venue.held = Any_(quantity=Qty(2.0), signed_qty=2.0, avg_px_open=100.0)
    venue.ring()
    assert [one.quantity for one in venue.of("stop_loss")[1:]] == [5.0]


def test_what_a_target_has_closed_beyond_the_position_is_bought_back() -> None:
    """A venue may fill an order that it should have cut: sold again, the exit would be refused for ever."""
    venue = Venue()
    venue.fill(venue.enter(), 10.0)
    venue.held = Any_(quantity=Qty(0.007), signed_qty=-0.007, avg_px_open=102.0)
    venue.trades.exit(venue.now, "time")
    (exit_order,) = venue.of("exit")
    assert (exit_order.side.name, exit_order.quantity, exit_order.reduce_only) == ("BUY", 0.007, True)


def test_after_a_crash_orders_that_no_journal_has_are_found_by_their_ids() -> None:
    venue = Venue()
    venue.fill(venue.enter(), 10.0)
    journalled = replace(venue.now, stop_order_id="", targets=(venue.now.targets[0]._replace(order_id=""),), sent=1)
    for one in list(venue.orders):
        if not venue.orders[one].is_closed:
            venue.say(one, "accepted")
    before = dict(venue.orders)
    state, written = JournalState(), len(venue.journal.of("orders"))
    venue.trades.open[A] = journalled
    venue.trades.resume()
    for number, row in enumerate(venue.journal.of("orders")[written:], 1):
        state.add(number, state.session, "orders", encode("orders", row)[2])
    resting = {one.client_order_id.value for one in (*venue.of("stop_loss"), *venue.of("take_profit"))}
    assert state.orders.keys() == resting, "the next process asks what became of them"
    assert venue.orders == before, "nothing is sent again"
    assert venue.cancels == []
    assert venue.now.stop_order_id == venue.of("stop_loss")[0].client_order_id.value
    assert venue.now.target_order_ids == (venue.of("take_profit")[0].client_order_id.value,)


def test_after_a_crash_a_missing_stop_is_sent_at_once() -> None:
    venue = Venue()
    venue.fill(venue.enter(), 10.0)
    plan = venue.now
    (lost,) = venue.of("stop_loss")
    del venue.orders[lost.client_order_id.value]
    venue.trades.open[A] = replace(plan, sent=1)
    venue.trades.resume()
    (stop,) = venue.of("stop_loss")
    assert stop.client_order_id.value != lost.client_order_id.value


def test_what_somebody_else_holds_on_the_account_is_not_seen_unless_it_is_taken_over() -> None:
    venue = Venue()
    foreign = Any_(quantity=Qty(3.0), signed_qty=3.0, avg_px_open=100.0, opening_order_id=Any_(value="web_1"))
    venue.held, venue.trades.adopts = foreign, False
    venue.trades.resume()
    venue.trades.exit_all("kill")
    assert venue.orders == {}
    assert venue.trades.open == {}
    venue.trades.adopts = True
    venue.trades.exit_all("kill")
    (closing,) = venue.of("exit")
    assert closing.quantity == 3.0


def test_the_end_of_a_trade_cancels_its_own_orders_and_no_others() -> None:
    venue = Venue()
    venue.fill(venue.enter(), 10.0)
    theirs = Order(Any_(value="web_1"), named("SELL"), Qty(1.0), "LIMIT", False, status="accepted")
    venue.orders["web_1"] = theirs
    stop, target = venue.of("stop_loss")[0], venue.of("take_profit")[0]
    for one in (stop, target):
        venue.say(one.client_order_id.value, "accepted")
    venue.fill(target.client_order_id.value, 10.0, 102.0)
    assert venue.cancels == [stop.client_order_id.value]


def test_fills_that_were_not_told_make_a_trade_once_the_engine_has_found_the_position() -> None:
    venue = Venue()
    entry = venue.enter()
    venue.fill(entry, 4.0)
    venue.ring()
    venue.say(venue.of("stop_loss")[0].client_order_id.value, "accepted")
    venue.held.quantity = Qty(10.0)  # compared with the venue's
    venue.ring()
    assert venue.now.stage == "open"
    assert [one.quantity for one in venue.of("stop_loss")] == [4.0, 10.0]
    assert [one.quantity for one in venue.of("take_profit")] == [10.0]
    venue.held = Any_(quantity=Qty(4.0), signed_qty=4.0, avg_px_open=100.0)
    venue.fill(entry, 6.0)  # told after all
    assert [one.quantity for one in venue.of("take_profit")] == [10.0], "no second target"


@pytest.mark.parametrize(
    ("reason", "held", "protected"),
    [
        ("INFLIGHT_TIMEOUT", 10.0, True),
        ("INFLIGHT_TIMEOUT", 4.0, True),
        ("INFLIGHT_TIMEOUT", -10.0, False),
        ("Binance error -2010 (HTTP 400): NEW_ORDER_REJECTED", 10.0, True),
        ("Binance error -2010 (HTTP 400): NEW_ORDER_REJECTED", 4.0, False),
        ("Binance error -2010 (HTTP 400): NEW_ORDER_REJECTED", 12.0, False),
    ],
)
def test_an_entry_that_was_taken_as_refused_and_has_filled_after_all_is_protected(
    reason: str, held: float, protected: bool
) -> None:
    venue = Venue()
    venue.trades.adopts = False
    entry = venue.enter()
    venue.say(entry, "rejected", reason=reason)
    assert venue.trades.open == {}
    size = Qty(abs(held))
    venue.held = Any_(quantity=size, signed_qty=held, avg_px_open=100.0, opening_order_id=Any_(value="S-1"))
    event = type("PositionOpened", (), {})()
    event.instrument_id, event.event_id, event.ts_event, event.position_id = "I", object(), 0, Any_(value="P")
    event.quantity, event.signed_qty, event.avg_px_open, event.realized_pnl = size, held, 100.0, None
    event.opening_order_id = Any_(value="S-1")
    venue.trades.on_position_event(event)
    assert [one.quantity for one in venue.of("stop_loss")] == ([abs(held)] if protected else [])
    if protected:
        assert venue.now.signal_id == "m-v1"


def test_a_stop_that_the_venue_says_nothing_of_closes_the_position() -> None:
    venue = Venue()
    venue.fill(venue.enter(), 10.0)
    (at, _), *_ = venue.alarms
    assert at - NOW <= timedelta(seconds=2)
    venue.ring()
    assert [one.quantity for one in venue.of("exit")] == [10.0]
    stop, (exit_order,) = venue.of("stop_loss")[0].client_order_id.value, venue.of("exit")
    assert stop not in venue.cancels, "should it rest after all, it protects until the position is gone"
    venue.fill(exit_order.client_order_id.value, 10.0)
    assert stop in venue.cancels


def test_a_stop_rests_until_the_exit_that_the_venue_may_not_take_has_closed_the_position() -> None:
    venue = Venue()
    venue.fill(venue.enter(), 10.0)
    (stop,) = venue.of("stop_loss")
    venue.say(stop.client_order_id.value, "accepted")
    venue.trades.exit(venue.now, "time")
    (exit_order,) = venue.of("exit")
    assert stop.client_order_id.value not in venue.cancels
    venue.say(exit_order.client_order_id.value, "rejected", reason="INFLIGHT_TIMEOUT")
    assert stop.client_order_id.value not in venue.cancels


def test_an_entry_that_never_ends_expires() -> None:
    venue = Venue()
    venue.fill(venue.enter(), 4.0)
    venue.trades.now = NOW + timedelta(hours=7)
    venue.trades.manage(A, 100.0)
    assert [one.quantity for one in venue.of("exit")] == [4.0]
