"""What a strategy knows after a restart of its trades, and what it does where they are not as its journal has them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from nautilus_trader.model import ClientOrderId

from tests.backtest.worlds import (
    MINUTE,
    START,
    A,
    flat,
    signals,
)
from tests.strategies.desk import END, ENTRIES, ENTRY, Desk, Rows, newest
from trading_assets.strategies.plans.plan import TradePlan


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([*flat(40), (100, 103, 100, 103), *flat(100, 103)], "take_profit"),
        ([*flat(40), (100, 100, 98, 98), *flat(100, 98)], "stop_loss"),
        (flat(200), "time"),
    ],
)
def test_after_a_restart_it_knows_its_position_with_stop_target_and_expiry(rows: Rows, reason: str) -> None:
    desk = Desk(rows)
    desk.start(ENTRIES)
    desk.run(START + 20 * MINUTE)
    before = desk.strategy.open_trades[A]
    again = desk.start(signals((A, 1, 0.9)), plans=newest(desk.journal))
    desk.run(END)
    assert before.stage == "open"
    closed = desk.plans()[-1]
    assert (closed.signal_id, closed.exit_reason) == (before.signal_id, reason)
    assert closed.stop_price == before.stop_price
    assert closed.expires_at == before.expires_at
    assert again.is_flat()
    assert len(desk.journal.of("fills")) == 2
    assert desk.engine.cache.orders_open_count() == 0


def test_after_a_restart_a_missing_stop_is_sent_again() -> None:
    desk = Desk([*flat(40), (100, 100, 98, 98), *flat(100, 98)])
    desk.start(ENTRY)
    desk.run(START + 20 * MINUTE)
    (plan,) = newest(desk.journal)
    forgotten = TradePlan.from_json(plan.to_json().replace(plan.stop_order_id, "O-unknown"))
    desk.start(ENTRY, plans=[forgotten])
    desk.run(END)
    assert desk.plans()[-1].exit_reason == "stop_loss"


def test_a_stop_that_the_venue_cancels_is_sent_again_on_the_next_bar() -> None:
    desk = Desk([*flat(40), (100, 100, 98, 98), *flat(100, 98)])
    strategy = desk.start(ENTRY)
    desk.run(START + 20 * MINUTE)
    canceled = strategy.open_trades[A].stop_order_id
    strategy.cancel_order(ClientOrderId(canceled))
    desk.run(START + 35 * MINUTE)
    again = strategy.open_trades[A]
    assert again.stage == "open"
    assert again.stop_order_id != canceled
    desk.run(END)
    assert desk.plans()[-1].exit_reason == "stop_loss"


def test_after_a_restart_a_plan_without_its_position_is_ended_as_lost() -> None:
    desk = Desk(flat(60))
    desk.start(ENTRY)
    desk.run(START + 20 * MINUTE)
    plans = newest(desk.journal)
    other = Desk(flat(60))
    other.start(signals((A, 1, 0.9)), plans=plans)
    other.run(START + timedelta(hours=1))
    assert other.plans()[0].exit_reason == "lost"
    assert other.actions() == [("enter", "expected net return +170.0 bps: probability 0.9000, break-even 0.3333")]


def test_a_position_without_a_plan_is_closed() -> None:
    desk = Desk(flat(200))
    desk.start(ENTRY)
    desk.run(START + 20 * MINUTE)
    desk.start(signals((A, 30, 0.9)), plans=[])
    desk.run(START + timedelta(hours=1))
    assert desk.engine.cache.positions_open_count() == 0
