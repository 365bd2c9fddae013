"""How the venue refuses an order, through ccxt's client and with the venue's codes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import ccxt
import polars as pl
import pytest

from tests.live.conftest import MARKET, START
from tests.live.replay.orders.clients import SYNA, client
from tests.live.replay.orders.tapes import by_hand, walk
from tests.live.replay.standing import standing
from trading_assets.settings import CostSettings
from trading_assets.store.tables import FUNDING_RATES
from trading_live.replay import ReplayServer
from trading_live.replay.orders import Terms


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with standing(walk()) as running:
        filters = running.account.exchange.filters
        filters["SYNAUSDT"] = replace(
            filters["SYNAUSDT"], max_quantity=Decimal(50), market_max_quantity=Decimal(20), band=Decimal("0.1")
        )
        yield running


@pytest.fixture(scope="module")
def exchange(server: ReplayServer) -> Any:
    return client(server)


def raw(exchange: Any, **changes: Any) -> Any:
    """An order as it is sent, past ccxt's own roundings."""
    usual = {"symbol": "SYNAUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1", "price": "95", "timeInForce": "GTC"}
    return exchange.fapiPrivatePostOrder(
        {name: value for name, value in (usual | changes).items() if value is not None}
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"price": "95.001"}, -4014),
        ({"quantity": "1.0001"}, -1111),
        ({"quantity": "0"}, -4003),
        ({"quantity": "51"}, -4005),
        ({"type": "MARKET", "quantity": "21"}, -4005),
        ({"quantity": "0.05"}, -4164),
        ({"price": "200"}, -4016),
        ({"side": "SELL", "price": "50"}, -4024),
        ({"side": "HOLD"}, -1117),
        ({"type": "ICEBERG"}, -1116),
        ({"type": "STOP_MARKET"}, -4120),
        ({"timeInForce": "DAY"}, -1115),
        ({"timeInForce": None}, -1102),
        ({"quantity": "much"}, -1102),
        ({"quantity": "NaN"}, -1102),
        ({"symbol": "NONE"}, -1121),
        ({"newClientOrderId": "x" * 37}, -4015),
        ({"newClientOrderId": "two words"}, -4015),
        ({"positionSide": "LONG"}, -4061),
        ({"side": "SELL", "price": "99", "reduceOnly": "true"}, -2022),
        ({"price": "105", "timeInForce": "GTX"}, -5022),
    ],
)
def test_an_order_that_breaks_a_rule_gets_the_venues_code(
    server: ReplayServer, exchange: Any, changes: dict[str, Any], code: int
) -> None:
    before = len(server.account.orders)
    with pytest.raises(ccxt.BaseError, match=str(code)):
        raw(exchange, **changes)
    assert len(server.account.orders) == before


@pytest.mark.parametrize(("changes", "code"), [({"max_position": Decimal(50)}, -2027), ({"band": Decimal(0)}, -4131)])
def test_an_order_at_the_market_is_refused_for_what_it_would_hold_or_meet(
    server: ReplayServer, exchange: Any, changes: dict[str, Any], code: int
) -> None:
    filters = server.account.exchange.filters
    former = filters["SYNAUSDT"]
    filters["SYNAUSDT"] = replace(former, **changes)
    try:
        with pytest.raises(ccxt.BaseError, match=str(code)):
            raw(exchange, type="MARKET", timeInForce=None, price=None)
    finally:
        filters["SYNAUSDT"] = former


def test_a_client_id_that_is_open_is_taken(exchange: Any) -> None:
    raw(exchange, newClientOrderId="one")
    with pytest.raises(ccxt.BaseError, match="-4116"):
        raw(exchange, newClientOrderId="one")
    exchange.cancel_all_orders(SYNA)
    raw(exchange, newClientOrderId="one")
    exchange.cancel_all_orders(SYNA)
    assert [one["clientOrderId"] for one in exchange.fetch_orders(SYNA)[-2:]] == ["one", "one"]


def test_a_symbols_filters_are_told(exchange: Any) -> None:
    limits = exchange.load_markets(reload=True)[SYNA]["limits"]
    assert limits["amount"] == {"min": 0.001, "max": 50.0}
    assert limits["market"]["max"] == 20.0
    assert limits["cost"]["min"] == 5.0


def test_an_order_is_amended_in_price_and_quantity(exchange: Any) -> None:
    made = raw(exchange)
    changed = exchange.edit_order(made["orderId"], SYNA, "limit", "buy", 2.0, 94.0)
    assert (changed["amount"], changed["price"]) == (2.0, 94.0)
    exchange.cancel_all_orders(SYNA)


def test_the_dead_mans_switch_cancels_all_unless_it_is_set_again(server: ReplayServer, exchange: Any) -> None:
    raw(exchange)
    exchange.fapiPrivatePostCountdownCancelAll({"symbol": "SYNAUSDT", "countdownTime": "60000"})
    exchange.fapiPrivatePostCountdownCancelAll({"symbol": "SYNAUSDT", "countdownTime": "50"})
    deadline = time.monotonic() + 300
    while exchange.fetch_open_orders(SYNA) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert exchange.fetch_open_orders(SYNA) == []
    raw(exchange)
    exchange.fapiPrivatePostCountdownCancelAll({"symbol": "SYNAUSDT", "countdownTime": "3000"})
    exchange.fapiPrivatePostCountdownCancelAll({"symbol": "SYNAUSDT", "countdownTime": "0"})
    time.sleep(3.2)
    assert len(exchange.fetch_open_orders(SYNA)) == 1
    exchange.cancel_all_orders(SYNA)


def test_a_history_is_asked_for_by_the_clients_clock_or_by_the_markets() -> None:
    with standing(walk()) as server:
        exchange = client(server)
        exchange.create_order(SYNA, "market", "buy", 1.0)
        server.go_on()
        while server.now < START + timedelta(minutes=5):
            server.wait(0.01)
        server.pause()
        between, market_between = exchange.milliseconds(), round(server.now.timestamp() * 1000)
        exchange.create_order(SYNA, "market", "sell", 1.0)
        assert [one["side"] for one in exchange.fetch_my_trades(SYNA)] == ["buy", "sell"]
        for since in (market_between, between):
            rows = exchange.fapiPrivateGetUserTrades({"symbol": "SYNAUSDT", "startTime": since})
            assert [row["side"] for row in rows] == ["SELL"]
        kinds = exchange.fapiPrivateGetIncome({"startTime": market_between, "incomeType": "COMMISSION"})
        assert len(kinds) == 1


def test_funding_of_the_replay_reaches_the_statement_and_the_income() -> None:
    hours = [START + timedelta(hours=number) for number in range(3)]
    rows = {
        "market": [MARKET] * 3,
        "ts": hours,
        "known_at": hours,
        "rate": [0.001, 0.0005, -0.002],
        "interval_hours": [1.0] * 3,
        "mark_price": [None, 100.0, 100.0],
    }
    funding = {MARKET: pl.DataFrame(rows, schema=FUNDING_RATES.columns)}
    with standing(walk(funding=funding), speed=20_000) as server:
        exchange = client(server)
        exchange.create_order(SYNA, "market", "buy", 10.0)
        end = START + timedelta(hours=2, minutes=5)
        server.play_until(end)
        server.go_on()
        while server.now < end:
            server.wait(0.01)
        paid = [one["amount"] for one in exchange.fetch_funding_history(SYNA)]
        assert paid == [-0.5, 2.0]
        statement = server.account.statement()
        assert statement.filter(pl.col("kind") == "funding")["amount"].to_list() == paid
        told = [one["a"] for one in server.account.sent if one["e"] == "ACCOUNT_UPDATE"]
        assert [one["m"] for one in told] == ["ORDER", "FUNDING_FEE", "FUNDING_FEE"]
        assert told[-1]["B"][0]["bc"] == "2.00000000"


def test_an_order_at_the_market_is_filled_at_the_open_of_the_candle_under_way() -> None:
    candles = [(101.0, 106.0, 99.0, 105.0, 50.0), (107.0, 108.0, 95.0, 96.0, 50.0)]
    free = Terms(costs=CostSettings(slippage_bps=0, slippage_probability=0))
    with standing(by_hand(*candles), speed=60, terms=free) as server:
        exchange = client(server)
        assert exchange.create_order(SYNA, "market", "buy", 1.0)["average"] == 101.0
        stop = {"stopLossPrice": 100.0, "reduceOnly": True}
        exchange.create_order(SYNA, "market", "sell", 0.5, params=stop)
        server.go_on()
        assert server.wait(300)
        assert [float(one.price) for one in server.account.fills] == [101.0, 100.0]
        assert exchange.create_order(SYNA, "market", "sell", 0.5)["average"] == 96.0, "nothing is under way"
