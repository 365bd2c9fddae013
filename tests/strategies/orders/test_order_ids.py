"""The ids of orders: whose they are is seen from them alone, and they follow from the plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from trading_assets.exits.plan import ExitPlan
from trading_assets.strategies.orders.order_ids import LENGTH, OrderIds
from trading_assets.strategies.plans.plan import TradePlan

NOW = datetime(2025, 5, 20, 12, tzinfo=UTC)
EXITS = ExitPlan.bracket(0.02, 0.01, timedelta(hours=6))
PURPOSES = ("entry", "take_profit", "stop_loss", "exit")


def plan(signal: str = "m-v1-binance:BTC/USDT:USDT-20250520T1200", market: str = "binance:BTC/USDT:USDT") -> TradePlan:
    return TradePlan(market, signal, 0.6, NOW, NOW, EXITS, 1.0, "", sent=1)


@given(account=st.from_regex(r"[a-z0-9][a-z0-9-]{0,15}", fullmatch=True), count=st.integers(1, 40_000))
def test_every_venue_takes_an_id_and_its_account_knows_it(account: str, count: int) -> None:
    ids = OrderIds(account)
    for purpose in PURPOSES:
        _, order_id = ids.next(replace(plan(), sent=count), purpose)
        assert len(order_id) == LENGTH == 18
        assert order_id.isalnum()
        assert order_id.islower()
        assert ids.is_ours(order_id)
        assert ids.purpose_of(order_id) == purpose
        assert not OrderIds(account + "x").is_ours(order_id)


def test_the_orders_of_a_trade_have_different_ids_that_follow_from_its_plan() -> None:
    ids, now, seen = OrderIds(), plan(), []
    for purpose in ("stop_loss", "take_profit", "take_profit", "stop_loss", "exit"):
        now, order_id = ids.next(now, purpose)
        seen.append(order_id)
    assert len(set(seen)) == len(seen)
    assert {one[:14] for one in seen} == {ids.of_trade(plan())}
    assert ids.entry(now.market, now.signal_id, now.known_at)[:14] == ids.of_trade(now)
    assert ids.of_trade(plan("another")) != ids.of_trade(plan())
    assert ids.of_trade(plan(market="binance:ETH/USDT:USDT")) != ids.of_trade(plan())


def test_what_a_killed_process_may_have_sent_is_asked_for_and_not_used_again() -> None:
    ids, journalled = OrderIds(), plan()
    later, sent = ids.next(journalled, "stop_loss")
    _, too = ids.next(later, "take_profit")
    asked = dict(ids.unwritten(journalled))
    assert asked[sent] == "stop_loss"
    assert asked[too] == "take_profit"
    _, fresh = ids.next(ids.after_a_crash(journalled), "stop_loss")
    assert fresh not in asked


def test_a_plan_from_before_ids_were_counted_is_read() -> None:
    text = plan().to_json().replace(', "sent": 1', "")
    assert '"sent"' not in text
    assert TradePlan.from_json(text).sent == 0
    assert TradePlan.from_json(plan().to_json()) == plan()


def test_ids_of_others_are_not_ours() -> None:
    for other in ("", "O-20250101-000000-001-001-1", "web_abc", "t" * 18, "x-aHRE4BCj-T0000000000000"):
        assert not OrderIds().is_ours(other)
        assert OrderIds().purpose_of(other) is None
