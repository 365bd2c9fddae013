"""The log of trades: what the journal takes, as lines that one id finds."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from tests.live.conftest import MARKET, START
from trading_assets.settings.logs import TRADES
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.signals import ClosedBar
from trading_live.node.journal import trade_log
from trading_live.node.journal.trade_log import TradeLog

IDS = OrderIds("main")
SIGNAL = f"syna-v1-{MARKET}-20250520T0000"
CLOSED = START + timedelta(minutes=15)
TRADE = IDS.of_signal(MARKET, SIGNAL, CLOSED)


def decision(action: str) -> tuple[str, dict[str, Any]]:
    row = {"market": MARKET, "signal_id": SIGNAL, "timeframe": "15m", "bar_ts": START, "action": action}
    return "signals", {"ts": CLOSED, "probability": 0.4, "reason": "why", "side": 1, **row}


def order(
    status: str, purpose: str = "entry", sign: str = "e000", signal_id: str = SIGNAL
) -> tuple[str, dict[str, Any]]:
    row = {"market": MARKET, "signal_id": signal_id, "purpose": purpose, "status": status}
    return "orders", {"ts": CLOSED, "order_id": f"{TRADE}{sign}", "quantity": 2.0, "price": None, "reason": "", **row}


def position(event: str) -> tuple[str, dict[str, Any]]:
    return "positions", {"ts": CLOSED, "market": MARKET, "signal_id": SIGNAL, "event": event, "realized_pnl": 1.5}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Any:
    """What the lines are that a log tells of some events."""
    monkeypatch.setattr(trade_log, "_LOG", structlog.get_logger("fresh"))
    caplog.set_level(logging.INFO, TRADES)

    def tell(*events: tuple[str, dict[str, Any]], log: TradeLog | None = None) -> list[dict[str, Any]]:
        one = log or TradeLog("main")
        with structlog.testing.capture_logs() as lines, one.telling():
            one.take(events)
        return [dict(line) for line in lines]

    return tell


def test_every_line_of_a_trade_has_its_correlation_id_and_its_signals(told: Any) -> None:
    stop = order("accepted", "stop_loss", "s001")
    lines = told(decision("enter"), order("initialized"), order("filled"), stop, position("closed"))
    assert [line["event"] for line in lines] == [
        "bar",
        "decision",
        "order initialized",
        "order filled",
        "order accepted",
        "position closed",
    ]
    assert {(line["correlation_id"], line["signal_id"]) for line in lines} == {(TRADE, SIGNAL)}


def test_the_ids_of_a_trades_orders_begin_with_its_correlation_id() -> None:
    assert IDS.entry(MARKET, SIGNAL, CLOSED).startswith(TRADE)
    assert IDS.trade_of(IDS.entry(MARKET, SIGNAL, CLOSED)) == TRADE
    assert IDS.entry_of(TRADE) == IDS.entry(MARKET, SIGNAL, CLOSED)


def test_what_nothing_was_wanted_on_is_not_told_unless_it_is_asked_for(
    told: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert told(decision("hold")) == []
    caplog.set_level(logging.DEBUG, TRADES)
    assert [line["event"] for line in told(decision("hold"))] == ["bar", "decision"]


def test_a_refusal_says_what_refused_it(told: Any) -> None:
    _, line = told(decision("refuse"))
    assert (line["action"], line["reason"], line["correlation_id"]) == ("refuse", "why", TRADE)


def test_a_bars_line_has_the_moment_at_which_the_bar_came(told: Any) -> None:
    log, strategy = TradeLog("main"), SimpleNamespace(watch=None)
    log.follow(strategy)
    came = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    bar = ClosedBar(MARKET, "15m", START, CLOSED, 1.0, 1.0, 1.0, 1.0, 1.0)
    strategy.watch.bar(bar, round(came.timestamp() * 1e9))
    assert told(decision("enter"), log=log)[0]["timestamp"] == "2026-01-01T12:00:00.250000Z"


def test_an_order_that_no_signal_caused_is_told_without_one(told: Any) -> None:
    (line,) = told(order("accepted", signal_id=""))
    assert "signal_id" not in line
    assert line["order_id"].startswith(TRADE)


def test_a_log_that_nobody_reads_takes_no_more_than_it_can_hold(monkeypatch: pytest.MonkeyPatch, told: Any) -> None:
    monkeypatch.setattr(trade_log, "_MOST_WAITING", 2)
    log = TradeLog("main")
    for _ in range(5):
        log.take([order("accepted")])
    assert len(told(log=log)) == 2


def test_an_event_that_cannot_be_told_keeps_none_of_the_others_back(told: Any) -> None:
    lines = told(("signals", {"ts": CLOSED}), order("accepted"))
    assert [line["event"] for line in lines] == ["trade log", "order accepted"]
