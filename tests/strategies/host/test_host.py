"""The strategy on the simulated exchange: what it journals, and when it stops."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.backtest.worlds import (
    GENEROUS,
    MINUTE,
    QUARTER,
    START,
    A,
    flat,
    signals,
)
from tests.strategies.desk import END, ENTRIES, ENTRY, RISE, BrokenJournal, Desk, Rows
from trading_assets.store.tables import FILLS, ORDERS, POSITIONS, SIGNALS
from trading_assets.strategies.signals import MemoryJournal


def test_the_journal_holds_the_whole_life_of_a_trade_in_order() -> None:
    desk = Desk(RISE)
    desk.start(ENTRY)
    desk.run(END)
    orders = [(row["purpose"], row["status"]) for row in desk.journal.of("orders")]
    assert orders == [
        ("entry", "initialized"),
        ("entry", "submitted"),
        ("entry", "filled"),
        ("stop_loss", "initialized"),
        ("take_profit", "initialized"),
        ("stop_loss", "submitted"),
        ("take_profit", "submitted"),
        ("stop_loss", "accepted"),
        ("take_profit", "accepted"),
        ("take_profit", "filled"),
        ("stop_loss", "pending_cancel"),
        ("stop_loss", "canceled"),
    ]
    assert [row["event"] for row in desk.journal.of("positions")] == ["opened", "closed"]
    assert [row["side"] for row in desk.journal.of("fills")] == ["buy", "sell"]
    assert [plan.stage for plan in desk.plans()] == ["entering", "open", "closed"]
    assert desk.plans()[-1].exit_reason == "take_profit"
    assert {row["signal_id"] for kind in ("orders", "fills", "positions") for row in desk.journal.of(kind)} == {
        "m-v0-sample:AAA/USDT:USDT-20250101T0000"
    }
    assert desk.strategy.is_flat()


@pytest.mark.parametrize("table", [SIGNALS, ORDERS, FILLS, POSITIONS])
def test_every_event_has_the_columns_of_its_table(table: Any) -> None:
    desk = Desk(RISE)
    desk.start(ENTRY)
    desk.run(END)
    events = desk.journal.of(table.name)
    assert events
    for event in events:
        assert set(event) - {"event_id"} == set(table.columns) - {"node", "seq"}


def test_every_decision_is_journalled_with_its_reason() -> None:
    desk = Desk(flat(200))
    desk.start(signals((A, 0, 0.4), (A, 1, 0.7), (A, 2, 0.8)))
    desk.run(END)
    assert desk.actions() == [
        (
            "hold",
            "below the threshold of 0.5500; expected net return +20.0 bps: probability 0.4000, break-even 0.3333",
        ),
        ("enter", "expected net return +110.0 bps: probability 0.7000, break-even 0.3333"),
        ("hold", "a trade is open"),
    ]


def test_the_decision_is_journalled_before_the_order_is_sent() -> None:
    written: list[str] = []

    class Recorder(MemoryJournal):
        def record(self, kind: str, event: dict[str, Any]) -> None:
            written.append(f"{kind} {event.get('status', '')}".strip())
            super().record(kind, event)

    desk = Desk(RISE, journal=Recorder())
    desk.start(ENTRY)
    desk.run(START + 16 * MINUTE)
    assert written[:5] == ["signals", "plans", "orders initialized", "orders submitted", "orders filled"]


def test_a_refusal_names_limit_and_value_and_sends_nothing() -> None:
    desk = Desk(flat(60), risk=GENEROUS.model_copy(update={"max_orders_per_minute": 2}))
    desk.start(ENTRY)
    desk.run(START + timedelta(hours=1))
    assert desk.actions() == [("refuse", "orders per minute 3 above the limit 2 (trading.risk.max_orders_per_minute)")]
    assert desk.journal.of("orders") == []


def test_a_position_is_bounded_by_the_maximum_notional() -> None:
    desk = Desk(flat(60), risk=GENEROUS.model_copy(update={"max_position_notional": 2_500.0}))
    desk.start(ENTRY)
    desk.run(START + timedelta(hours=1))
    assert desk.journal.of("fills")[0]["quantity"] == 25.0


def test_a_blocked_strategy_refuses_with_the_reason_it_was_given() -> None:
    desk = Desk(flat(60))
    desk.start(ENTRY, entry_veto=lambda _: "kill switch is set")
    desk.run(START + timedelta(hours=1))
    assert desk.actions() == [("refuse", "kill switch is set")]


def test_a_halted_strategy_enters_no_more_but_keeps_stop_and_target() -> None:
    desk = Desk(RISE)
    strategy = desk.start(ENTRIES)
    desk.run(START + 18 * MINUTE)
    strategy.halt("operator")
    desk.run(END)
    assert desk.plans()[-1].exit_reason == "take_profit"
    assert desk.actions()[-1] == ("refuse", "halted: operator")
    assert len(desk.journal.of("fills")) == 2


def test_flatten_closes_the_position_and_cancels_its_orders() -> None:
    desk = Desk(flat(200))
    strategy = desk.start(ENTRIES)
    desk.run(START + 18 * MINUTE)
    strategy.flatten("kill")
    desk.run(END)
    assert desk.plans()[-1].exit_reason == "kill"
    assert strategy.is_flat()
    assert desk.engine.cache.orders_open_count() == 0
    assert len(desk.journal.of("fills")) == 2


def test_an_entry_on_its_way_is_closed_when_it_fills_after_flatten() -> None:
    desk = Desk(flat(200))
    strategy = desk.start(ENTRIES)
    desk.run(START + QUARTER + timedelta(milliseconds=50))
    assert strategy.open_trades[A].stage == "entering"
    strategy.flatten("kill")
    desk.run(END)
    assert strategy.is_flat()
    assert [row["purpose"] for row in desk.journal.of("orders") if row["status"] == "filled"] == ["entry", "exit"]


def test_what_cannot_be_journalled_is_not_done() -> None:
    desk = Desk(flat(200), journal=BrokenJournal(lambda kind, _: kind == "signals"))
    strategy = desk.start(ENTRIES)
    desk.run(END)
    assert desk.journal.of("orders") == []
    assert strategy.halted == "on_bar failed: OSError: disk full"
    assert isinstance(strategy.errors[0], OSError)


def test_an_exception_halts_the_strategy_and_the_open_trade_keeps_its_protection() -> None:
    desk = Desk(RISE, journal=BrokenJournal(lambda kind, event: event.get("action") == "hold"))
    strategy = desk.start(signals((A, 0, 0.7), (A, 1, 0.1), (A, 4, 0.9)))
    desk.run(END)
    assert strategy.halted is not None
    assert desk.plans()[-1].exit_reason == "take_profit"
    assert desk.actions()[-1][0] == "refuse"


def test_a_position_whose_protection_could_not_be_sent_is_protected_on_the_next_bar() -> None:
    failing = {"left": 1}

    def once(kind: str, event: dict[str, Any]) -> bool:
        if event.get("purpose") == "stop_loss" and failing["left"]:
            failing["left"] -= 1
            return True
        return False

    rows: Rows = [*flat(40), (100, 100, 98, 98), *flat(100, 98)]
    desk = Desk(rows, journal=BrokenJournal(once))
    desk.start(ENTRY)
    desk.run(END)
    assert desk.plans()[-1].exit_reason == "stop_loss"
    assert desk.strategy.is_flat()
