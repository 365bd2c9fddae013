"""NautilusTrader's engine at the local exchange a second time: what it finds of the first, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest
from nautilus_trader.model import ClientOrderId

from tests.live.replay.orders.clients import SYNA, client
from tests.live.replay.orders.tapes import walk
from tests.live.replay.orders.trader import Trader, trade
from trading_live.replay import Faults, ReplayServer
from trading_live.replay.tape import Tape


@pytest.fixture
def tape() -> Tape:
    return walk(hours=1)


def test_a_second_engine_finds_position_and_orders_and_can_cancel_them(server: ReplayServer) -> None:
    def first(trader: Trader) -> tuple[str, str]:
        trader.becomes(trader.market(3.0), "FILLED")
        price = float(server.account.fills[-1].price)
        stop, target = trader.stop(-3.0, round(price * 0.9, 2)), trader.limit(-3.0, round(price * 1.1, 2))
        for order in (stop, target):
            trader.becomes(order, "ACCEPTED")
        return stop, target

    def second(trader: Trader, stop: str, target: str) -> None:
        trader.until(lambda: trader.held() == 3)
        for order in (stop, target):
            trader.becomes(order, "ACCEPTED")
            trader.do(lambda hands, name=order: hands.cancel_order(ClientOrderId(name)))
            trader.becomes(order, "CANCELED")

    stop, target = trade(server, first)
    trade(server, lambda trader: second(trader, stop, target))
    assert server.account.exchange.open_orders() == []
    assert server.account.exchange.waiting() == []


def test_what_was_closed_meanwhile_is_no_news_for_the_engine_but_for_who_asks(server: ReplayServer) -> None:
    def first(trader: Trader) -> str:
        trader.becomes(trader.market(3.0), "FILLED")
        price = float(server.account.fills[-1].price)
        stop = trader.stop(-3.0, round(price * 0.999, 2))
        trader.becomes(stop, "ACCEPTED")
        return stop

    def second(trader: Trader) -> int:
        assert trader.held() == 0
        return len(trader.events)

    stop = trade(server, first)
    server.go_on()
    assert server.wait(300), "the stop is reached while no engine runs"
    assert trade(server, second) == 0
    assert trade(server, lambda trader: trader.status(stop)) == "UNKNOWN"
    (waited,) = server.account.conditionals
    exchange = client(server)
    told = exchange.fetch_order(None, SYNA, {"clientAlgoId": waited.client_id, "trigger": True})
    assert told["info"]["algoStatus"] == "FINISHED"
    asked = {"symbol": "SYNAUSDT", "orderId": told["info"]["actualOrderId"]}
    (fill,) = exchange.fapiPrivateGetUserTrades(asked)
    assert (fill["side"], fill["qty"]) == ("SELL", "3")


@pytest.mark.parametrize("kind", ["empty_activation", "no_trigger", "not_found"])
def test_a_list_of_stops_that_it_cannot_read_keeps_an_engine_from_starting(
    server: ReplayServer, faults: Faults, kind: Any
) -> None:
    exchange = client(server)
    exchange.create_order(SYNA, "market", "buy", 1.0)
    exchange.create_order(SYNA, "market", "sell", 1.0, params={"stopLossPrice": 80.0, "reduceOnly": True})
    faults.next(kind, path="GET /fapi/v1/openAlgoOrders", times=None)
    with pytest.raises(RuntimeError, match="mass status"):
        trade(server, lambda trader: trader.held())
