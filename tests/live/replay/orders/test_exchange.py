"""The account at the local exchange over random orders and candles: nothing is lost, and the same again is the same."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.settings import CostSettings
from trading_live.replay.orders.exchange import Exchange, candles
from trading_live.replay.orders.exchange.filters import Filters
from trading_live.replay.orders.exchange.happenings import ConditionalChanged, OrderChanged
from trading_live.replay.orders.exchange.model import Bar, Conditional, Due, Order, Refusal, Terms

FILTERS = Filters(tick=Decimal("0.1"), step=Decimal("0.001"))
MINUTE_MS = 60_000

price = st.integers(900, 1_100)
quantity = st.integers(1, 4_000)
side = st.sampled_from(["BUY", "SELL"])
asked = st.one_of(
    st.tuples(st.just("MARKET"), side, quantity, st.booleans()),
    st.tuples(st.just("LIMIT"), side, quantity, st.booleans(), price, st.sampled_from(["GTC", "IOC", "GTX"])),
    st.tuples(st.just("STOP_MARKET"), side, quantity, st.booleans(), price),
    st.tuples(st.just("TAKE_PROFIT"), side, quantity, st.booleans(), price),
    st.tuples(st.just("CANCEL"), st.integers(0, 30)),
    st.tuples(st.just("CANDLE"), st.tuples(price, price, price, price), st.integers(0, 5_000)),
)


def opened(**terms: Any) -> Exchange:
    """An account of one symbol at 100, with an hourly payment."""
    funding = [Due(hour * 3_600_000, "X", Decimal("0.0001"), Decimal(100), hour % 3 == 0) for hour in range(1, 20)]
    settled = Terms(balance=Decimal(2_000), costs=CostSettings(slippage_bps=3, slippage_probability=0.5))
    return Exchange(
        replace(settled, **terms),
        filters={"X": FILTERS},
        markets={"X": "binance:X/USDT:USDT"},
        prices={"X": Decimal(100)},
        funding=funding,
    )


def send(exchange: Exchange, one: tuple[Any, ...], now_ms: int) -> int:
    """Do one thing that was drawn; the time afterwards."""
    kind, *rest = one
    if kind == "CANDLE":
        (first, *others), lots = rest
        values = [Decimal(ticks) / 10 for ticks in (first, max(first, *others), min(first, *others), others[-1])]
        bar = Bar("X", now_ms, now_ms + MINUTE_MS - 1, *values, volume=Decimal(lots) / 1_000)
        candles.play(exchange, bar)
        return now_ms + MINUTE_MS
    if kind == "CANCEL":
        everything = [*exchange.orders, *exchange.conditionals]
        if everything:
            number = everything[rest[0] % len(everything)]
            (exchange.cancel if number in exchange.orders else exchange.cancel_waiting)(number, now_ms)
        return now_ms
    number = exchange.number()
    common: dict[str, Any] = {
        "side": rest[0],
        "quantity": Decimal(rest[1]) / 1_000,
        "reduce_only": rest[2],
        "created_ms": now_ms,
        "updated_ms": now_ms,
    }
    at = Decimal(rest[3]) / 10 if len(rest) > 3 else Decimal(0)
    if kind in ("MARKET", "LIMIT"):
        time = rest[4] if len(rest) > 4 else "GTC"
        exchange.place(Order(number, f"c{number}", "X", kind=kind, price=at, time_in_force=time, **common), now_ms)
    else:
        limit = at if kind == "TAKE_PROFIT" else Decimal(0)
        exchange.wait(Conditional(number, f"c{number}", "X", kind=kind, trigger=at, price=limit, **common), now_ms)
    return now_ms


def played(script: list[tuple[Any, ...]], **terms: Any) -> Exchange:
    exchange, now_ms = opened(**terms), 0
    for one in script:
        now_ms = send(exchange, one, now_ms)
    return exchange


@given(st.lists(asked, max_size=60), st.sampled_from([0.1, 1.0]))
@examples(200)
def test_no_order_and_no_money_is_lost(script: list[tuple[Any, ...]], share: float) -> None:
    exchange = played(script, volume_share=share)
    filled: dict[int, Decimal] = defaultdict(Decimal)
    cash = Decimal(2_000)
    position = Decimal(0)
    for fill in exchange.fills:
        sign = 1 if fill.side == "BUY" else -1
        filled[fill.order_id] += fill.quantity
        position += sign * fill.quantity
        cash -= sign * fill.quantity * fill.price + fill.fee
    cash += sum(one.amount for one in exchange.ledger.payments if one.kind in ("funding", "insurance"))
    held = exchange.ledger.position("X")
    assert held.quantity == position
    assert abs(exchange.ledger.balance - held.cost - cash) <= Decimal("1e-8")
    assert exchange.ledger.balance >= 0 or held.quantity, "what an account cannot pay, the insurance fund does"
    for order in exchange.orders.values():
        assert order.filled == filled[order.id] <= order.quantity
        assert (order.filled == order.quantity) == (order.status == "FILLED")
    assert not [one for one in exchange.open_orders() if one.kind == "MARKET"]


@given(st.lists(asked, max_size=60))
@examples(100)
def test_the_user_stream_tells_everything_and_ends_each_order_once(script: list[tuple[Any, ...]]) -> None:
    exchange = played(script, volume_share=0.3)
    orders: dict[int, list[OrderChanged]] = defaultdict(list)
    waiting: dict[int, list[ConditionalChanged]] = defaultdict(list)
    for one in exchange.happened:
        if isinstance(one, OrderChanged):
            orders[one.order.id].append(one)
        elif isinstance(one, ConditionalChanged):
            waiting[one.order.id].append(one)
    assert orders.keys() == exchange.orders.keys()
    assert waiting.keys() == exchange.conditionals.keys()
    for number, told in orders.items():
        assert told[0].execution in ("NEW", "CALCULATED")
        assert told[-1].order == exchange.orders[number]
        assert sum(not one.order.open for one in told) <= 1, "nothing follows the end"
    for number, changes in waiting.items():
        assert changes[0].order.status == "NEW"
        assert changes[-1].order == exchange.conditionals[number]
    assert [one.fill for one in exchange.happened if isinstance(one, OrderChanged) and one.fill] == exchange.fills


@given(st.lists(asked, max_size=40), st.integers(0, 3))
@examples(50)
def test_the_same_requests_come_to_the_same_account(script: list[tuple[Any, ...]], seed: int) -> None:
    once, again = played(script, seed=seed), played(script, seed=seed)
    assert once.fills == again.fills
    assert once.ledger.payments == again.ledger.payments


@given(st.lists(asked, max_size=40))
@examples(100)
def test_a_reduce_only_order_never_opens_or_turns_a_position(script: list[tuple[Any, ...]]) -> None:
    exchange, now_ms = opened(), 0
    for one in script:
        before = len(exchange.fills)
        held = exchange.ledger.position("X").quantity
        now_ms = send(exchange, one, now_ms)
        for fill in exchange.fills[before:]:
            after = held + (fill.quantity if fill.side == "BUY" else -fill.quantity)
            if exchange.orders[fill.order_id].reduce_only:
                assert abs(after) < abs(held)
                assert after * held >= 0
            held = after


def test_what_is_refused_leaves_no_trace() -> None:
    exchange = opened()
    order = Order(1, "c", "X", "BUY", "MARKET", Decimal(1_000), 0, 0)
    assert exchange.place(order, 0) == Refusal(-2019, "Margin is insufficient.")
    assert (exchange.orders, exchange.happened, exchange.ledger.balance) == ({}, [], 2_000)
