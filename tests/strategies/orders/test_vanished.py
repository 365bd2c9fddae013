"""A trade whose position is gone, by no order of its own, is not called lost where the account can be asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from trading_assets.exits.plan import ExitPlan
from trading_assets.strategies.orders.bracket_orders import BracketOrders
from trading_assets.strategies.orders.matching import AT_VENUE, SANDBOX, Matching
from trading_assets.strategies.plans.plan import TradePlan
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import MemoryJournal

MARKET = "binance:BTC/USDT:USDT"
NOW = datetime(2025, 1, 1, tzinfo=UTC)
PLAN = replace(
    TradePlan(
        MARKET, "s1", 0.6, NOW, NOW + timedelta(hours=6), ExitPlan.bracket(0.02, 0.01, timedelta(hours=6)), 1.0, "e"
    ),
    stage="open",
    stop_order_id="stop",
)


class Engine:
    """One that holds nothing."""

    def __init__(self) -> None:
        self.strategy_id = "S"
        self.clock = SimpleNamespace(timestamp_ns=lambda: int(NOW.timestamp()) * 10**9)
        self.cache = SimpleNamespace(
            positions_open=lambda **_: [],
            order=lambda _: None,
            client_order_ids_open=lambda **_: [],
            instrument=lambda _: object(),
        )


def trades(matching: Matching, *, asks: bool) -> tuple[BracketOrders, MemoryJournal]:
    journal, instruments = MemoryJournal(), {MARKET: "BTCUSDT-PERP.BINANCE"}
    found: Any = BracketOrders(Engine(), instruments, journal, RiskGate.__new__(RiskGate), [PLAN], matching=matching)  # type: ignore[arg-type]
    found.asks = asks
    return found, journal


def reasons(journal: MemoryJournal) -> list[str]:
    return [TradePlan.from_json(row["plan"]).exit_reason for row in journal.events.get("plans", [])]


def test_it_waits_and_ends_for_the_reason_that_the_account_gives() -> None:
    found, journal = trades(AT_VENUE, asks=True)
    found.resume()
    assert reasons(journal) == []
    assert found.vanished == {MARKET}
    assert MARKET in found.open
    found.conclude(MARKET, "stop_loss")
    assert reasons(journal) == ["stop_loss"]
    assert not found.open
    assert not found.vanished
    found.conclude(MARKET, "by_hand")
    assert reasons(journal) == ["stop_loss"], "once"


@pytest.mark.parametrize(("matching", "asks"), [(SANDBOX, True), (SANDBOX, False), (AT_VENUE, False)])
def test_where_nobody_can_be_asked_it_is_lost(matching: Matching, asks: bool) -> None:
    found, journal = trades(matching, asks=asks)
    found.resume()
    assert reasons(journal) == ["lost"]
