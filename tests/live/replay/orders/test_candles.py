"""When and at what price a candle fills an order, by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.live.replay.orders.test_exchange import MINUTE_MS, opened
from trading_assets.settings import CostSettings
from trading_live.replay.orders import incidents
from trading_live.replay.orders.exchange import Exchange, candles, modes
from trading_live.replay.orders.exchange.happenings import MarginCalled
from trading_live.replay.orders.exchange.model import Bar, Conditional, Order, Refusal

FREE = CostSettings(slippage_bps=0, slippage_probability=0, maker_fee_bps=0, taker_fee_bps=0)


@pytest.fixture
def exchange() -> Exchange:
    return opened(costs=FREE, balance=Decimal(100_000))


def candle(exchange: Exchange, *values: float, volume: float = 1_000, minute: int = 0) -> None:
    opened_ms = minute * MINUTE_MS
    prices = [Decimal(str(value)) for value in values]
    candles.play(exchange, Bar("X", opened_ms, opened_ms + MINUTE_MS - 1, *prices, volume=Decimal(str(volume))))


def market(exchange: Exchange, quantity: float, **more: Any) -> Order:
    return place(exchange, "MARKET", quantity, **more)


def place(exchange: Exchange, kind: str, quantity: float, at: float = 0, **more: Any) -> Order:
    number = exchange.number()
    price = {"price": Decimal(str(at))} if kind == "LIMIT" else {}
    made = Order(
        *(number, f"c{number}", "X", "BUY" if quantity > 0 else "SELL", kind, Decimal(str(abs(quantity))), 0, 0),
        **price,
        **more,
    )
    found = exchange.place(made, 0)
    assert isinstance(found, Order), found
    return found


def wait(exchange: Exchange, kind: str, quantity: float, trigger: float, **more: Any) -> Conditional | Refusal:
    number = exchange.number()
    side = "BUY" if quantity > 0 else "SELL"
    return exchange.wait(
        Conditional(
            *(number, f"c{number}", "X", side, kind, Decimal(str(abs(quantity))), Decimal(str(trigger)), 0, 0), **more
        ),
        0,
    )


def prices(exchange: Exchange) -> list[tuple[str, float, float]]:
    return [(one.side, float(one.quantity), float(one.price)) for one in exchange.fills]


def test_a_stop_is_filled_at_its_trigger_or_at_the_open_beyond_it(exchange: Exchange) -> None:
    market(exchange, 2)
    wait(exchange, "STOP_MARKET", -1, 98, reduce_only=True)
    wait(exchange, "STOP_MARKET", -1, 95, reduce_only=True)
    candle(exchange, 100, 101, 97, 99)
    candle(exchange, 94, 96, 93, 95, minute=1)
    assert prices(exchange)[1:] == [("SELL", 1, 98), ("SELL", 1, 94)]


def test_slippage_makes_a_stop_worse_and_a_limit_not() -> None:
    exchange = opened(costs=FREE.model_copy(update={"slippage_bps": 20.0}), balance=Decimal(100_000))
    market(exchange, 2)
    wait(exchange, "STOP_MARKET", -1, 98, reduce_only=True)
    place(exchange, "LIMIT", -1, 103, reduce_only=True)
    candle(exchange, 100, 104, 97, 99)
    assert prices(exchange) == [("BUY", 2, 100.2), ("SELL", 1, 97.8), ("SELL", 1, 103)]


@pytest.mark.parametrize(("held", "stop", "target", "first"), [(1, 98, 102, 98), (-1, 102, 98, 102)])
def test_where_a_candle_reaches_stop_and_target_the_stop_comes_first(
    exchange: Exchange, held: int, stop: float, target: float, first: float
) -> None:
    market(exchange, held)
    wait(exchange, "STOP_MARKET", -held, stop, reduce_only=True)
    rest = place(exchange, "LIMIT", -held, target, reduce_only=True)
    candle(exchange, 100, 103, 97, 101)
    assert [price for *_, price in prices(exchange)][1:] == [first]
    assert exchange.orders[rest.id].status == "EXPIRED"


def test_an_order_that_fills_although_its_cancel_is_confirmed_closes_no_more_than_is_held(exchange: Exchange) -> None:
    market(exchange, 2)
    rest = place(exchange, "LIMIT", -2, 103, reduce_only=True)
    market(exchange, -0.5, reduce_only=True)
    incidents.fill_instead(exchange, exchange.orders[rest.id], 0)
    assert prices(exchange)[2:] == [("SELL", 1.5, 103)]
    assert exchange.orders[rest.id].status == "EXPIRED"
    assert exchange.ledger.held() == []


def test_along_the_path_a_candle_that_rose_meets_the_low_first() -> None:
    exchange = opened(costs=FREE, balance=Decimal(100_000), touch="path")
    market(exchange, -1)
    wait(exchange, "STOP_MARKET", 1, 102, reduce_only=True)
    place(exchange, "LIMIT", 1, 98, reduce_only=True)
    candle(exchange, 100, 103, 97, 101)
    assert [price for *_, price in prices(exchange)][1:] == [98]


def test_a_limit_is_filled_at_its_price_also_beyond_a_gap_and_takes_its_share_of_the_volume() -> None:
    exchange = opened(costs=FREE, balance=Decimal(100_000), volume_share=0.1)
    order = place(exchange, "LIMIT", 5, 99)
    candle(exchange, 98, 99, 97, 98, volume=20)
    assert prices(exchange) == [("BUY", 2, 99)]
    assert exchange.orders[order.id].status == "PARTIALLY_FILLED"
    candle(exchange, 100, 101, 99.5, 100, volume=20, minute=1)
    candle(exchange, 99, 101, 99, 100, volume=1_000, minute=2)
    assert prices(exchange) == [("BUY", 2, 99), ("BUY", 3, 99)]
    assert exchange.orders[order.id].average == 99


def test_an_order_at_the_market_is_filled_at_once_in_parts() -> None:
    exchange = opened(costs=FREE, balance=Decimal(100_000), volume_share=0.5)
    candle(exchange, 100, 100, 100, 100, volume=4)
    market(exchange, 5)
    assert prices(exchange) == [("BUY", 2, 100), ("BUY", 2, 100), ("BUY", 1, 100)]


def test_a_position_that_is_closed_ends_what_could_only_reduce_it(exchange: Exchange) -> None:
    market(exchange, 1)
    target = place(exchange, "LIMIT", -1, 103, reduce_only=True)
    closing = wait(exchange, "STOP_MARKET", -1, 95, close_position=True)
    stop = wait(exchange, "STOP_MARKET", -1, 97, reduce_only=True)
    market(exchange, -1, reduce_only=True)
    assert isinstance(closing, Conditional)
    assert isinstance(stop, Conditional)
    assert exchange.orders[target.id].status == "EXPIRED"
    assert exchange.conditionals[closing.id].status == "EXPIRED"
    assert exchange.conditionals[stop.id].status == "NEW"
    candle(exchange, 100, 100, 96, 98)
    assert exchange.conditionals[stop.id].status == "REJECTED"
    assert len(exchange.fills) == 2


def test_a_stop_that_closes_all_is_as_large_as_the_position_when_it_is_triggered(exchange: Exchange) -> None:
    market(exchange, 1)
    wait(exchange, "STOP_MARKET", -1, 97, close_position=True)
    market(exchange, 2)
    candle(exchange, 100, 100, 96, 98)
    assert prices(exchange)[-1] == ("SELL", 3, 97)


def test_a_stop_beyond_the_price_is_refused(exchange: Exchange) -> None:
    for trigger in (100, 101):
        assert wait(exchange, "STOP_MARKET", -1, trigger) == Refusal(-2021, "Order would immediately trigger.")
    assert isinstance(wait(exchange, "TAKE_PROFIT_MARKET", -1, 101), Conditional)


def test_a_leveraged_position_is_warned_of_and_liquidated_before_its_money_is_gone(exchange: Exchange) -> None:
    modes.set_leverage(exchange, "X", 50, 0)
    market(exchange, 20_000)  # 2,000,000 of notional on 100,000
    wait(exchange, "STOP_MARKET", -20_000, 90, reduce_only=True)
    candle(exchange, 100, 100, 95.5, 95.5)
    (warned,) = [one for one in exchange.happened if isinstance(one, MarginCalled)]
    assert warned.balance == 100_000
    candle(exchange, 95.5, 95.5, 94, 94.5, minute=1)
    assert exchange.ledger.held() == []
    fill = exchange.fills[-1]
    assert fill.client_id.startswith("autoclose-")
    assert fill.price == Decimal("95.4"), "(2,000,000 - 100,000) / (20,000 x 0.995) = 95.477..., on a tick"
    assert fill.fee == fill.quantity * fill.price / 100
    assert exchange.ledger.balance == 0
    assert exchange.ledger.payments[-1].kind == "insurance"
    assert exchange.waiting() == []


def test_an_isolated_position_loses_no_more_than_its_margin(exchange: Exchange) -> None:
    assert modes.set_margin(exchange, "X", "ISOLATED") is None
    market(exchange, 100)  # 10,000 of notional at 20 times
    candle(exchange, 100, 100, 90, 91)
    assert exchange.ledger.held() == []
    assert exchange.ledger.balance == 100_000 - 500


def test_funding_is_settled_before_what_happens_later(exchange: Exchange) -> None:
    market(exchange, 10)
    candle(exchange, 100, 100, 100, 100, minute=58)
    assert [one.kind for one in exchange.ledger.payments] == ["transfer"]
    candle(exchange, 100, 100, 100, 100, minute=60)
    (paid,) = [one for one in exchange.ledger.payments if one.kind == "funding"]
    assert (paid.amount, paid.at_ms) == (Decimal("-0.1"), 60 * MINUTE_MS)
    market(exchange, -20)
    exchange.advance(3 * 60 * MINUTE_MS)
    received, assumed = [one.amount for one in exchange.ledger.payments if one.kind == "funding"][1:]
    assert (received, assumed) == (Decimal("0.1"), Decimal("-0.1")), "an assumed payment is a cost to either side"


def test_in_the_hedge_mode_a_symbol_has_two_positions(exchange: Exchange) -> None:
    assert modes.set_hedged(exchange, hedged=True) is None
    market(exchange, 2, position_side="LONG")
    market(exchange, -1, position_side="SHORT")
    assert {(one.side, one.quantity) for one in exchange.ledger.held()} == {("LONG", 2), ("SHORT", -1)}
    market(exchange, -2, position_side="LONG")
    assert [one.side for one in exchange.ledger.held()] == ["SHORT"]
