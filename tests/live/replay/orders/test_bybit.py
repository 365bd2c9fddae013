"""The same account in Bybit's words: through NautilusTrader's adapter, and through ccxt."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest

from tests.live.replay.orders.clients import SYNA
from tests.live.replay.orders.tapes import walk
from tests.live.replay.orders.trader import SYNA_BYBIT, Trader, entered_and_protected, trade
from trading_live.execution.at_venue import execution_checks
from trading_live.execution.rejections import kind_of
from trading_live.replay import Faults, ReplayServer
from trading_live.replay.orders.keys import REHEARSAL_KEY, REHEARSAL_SECRET
from trading_live.replay.tape import Tape
from trading_live.venues.bybit import Bybit


@pytest.fixture
def tape() -> Tape:
    return walk(hours=1)


def client(server: ReplayServer) -> Any:
    found = ccxt.bybit(
        {"apiKey": REHEARSAL_KEY, "secret": REHEARSAL_SECRET, "enableRateLimit": False, "timeout": 60_000}
    )
    found.has["fetchCurrencies"] = False
    found.options["fetchMarkets"] = {"types": ["linear"]}
    found.options["defaultType"] = "swap"
    found.urls["api"] = dict.fromkeys(found.urls["api"], server.url_http)
    found.load_markets()
    return found


def test_an_order_a_stop_and_a_target_through_ccxt(server: ReplayServer) -> None:
    exchange = client(server)
    assert exchange.fetch_balance()["USDT"]["total"] == 100_000
    bought = exchange.create_order(SYNA, "market", "buy", 10.0, params={"orderLinkId": "mine-1"})
    (made,) = exchange.fetch_my_trades(SYNA)
    assert (made["order"], made["amount"], made["fee"]["currency"]) == (bought["id"], 10.0, "USDT")
    price = made["price"]
    stop = exchange.create_order(
        SYNA, "market", "sell", 10.0, params={"stopLossPrice": round(price * 0.95, 2), "reduceOnly": True}
    )
    target = exchange.create_order(SYNA, "limit", "sell", 10.0, round(price * 1.05, 2), {"reduceOnly": True})
    assert {one["id"] for one in exchange.fetch_open_orders(SYNA)} == {stop["id"], target["id"]}
    (held,) = exchange.fetch_positions([SYNA])
    assert (held["side"], held["contracts"], held["entryPrice"]) == ("long", 10.0, price)
    exchange.cancel_order(target["id"], SYNA)
    exchange.cancel_order(stop["id"], SYNA)
    assert exchange.fetch_open_orders(SYNA) == []
    exchange.create_order(SYNA, "market", "sell", 10.0, params={"reduceOnly": True})
    assert [one for one in exchange.fetch_positions([SYNA]) if one["contracts"]] == []
    with pytest.raises(ccxt.BaseError, match="110017"):
        exchange.create_order(SYNA, "market", "sell", 10.0, params={"reduceOnly": True})
    with pytest.raises(ccxt.InsufficientFunds):
        exchange.create_order(SYNA, "market", "buy", 1e6)
    asked = {"category": "linear", "startTime": exchange.milliseconds() - 60_000}
    found = exchange.privateGetV5ExecutionList(asked)["result"]["list"]
    assert len(found) == 2, "a minute ago by the client's clock"
    assert server.account.statement()["kind"].to_list() == ["transfer", "fee", "realized", "fee"]
    exchange.secret = "another"
    with pytest.raises(ccxt.AuthenticationError):
        exchange.fetch_balance()


def test_nautilus_enters_protects_and_is_stopped_out(server: ReplayServer) -> None:
    def script(trader: Trader) -> None:
        stop, price = entered_and_protected(trader, server)
        refused = {
            trader.limit(10.0, round(price * 1.9, 2)): "band",
            trader.stop(-10.0, round(price * 1.1, 2)): "triggers",
            trader.stop(10.0, round(price * 0.9, 2)): "triggers",
            trader.limit(1e6, price): "margin",
        }
        for order in refused:
            trader.becomes(order, "REJECTED")
        told = {order: kind_of(event.reason) for order, name, event in trader.events if name == "OrderRejected"}
        assert told == refused
        server.go_on()
        trader.becomes(stop, "FILLED")
        trader.until(lambda: trader.held() == 0)

    trade(server, script, venue="bybit")
    assert server.account.positions == {}


@pytest.mark.parametrize("kind", [None, "no_reduce_flag"])
def test_a_second_engine_finds_position_and_orders_however_long_they_have_rested(
    server: ReplayServer, faults: Faults, kind: Any
) -> None:
    def first(trader: Trader) -> str:
        trader.becomes(trader.market(3.0), "FILLED")
        stop = trader.stop(-3.0, round(float(server.account.fills[-1].price) * 0.9, 2))
        trader.becomes(stop, "ACCEPTED")
        return stop

    def second(trader: Trader, stop: str) -> None:
        trader.until(lambda: trader.held() == 3)
        trader.becomes(stop, "ACCEPTED")

    stop = trade(server, first, venue="bybit")
    faults.next(kind, path="GET /v5/position/list", times=None)
    checks = execution_checks([SYNA_BYBIT], Bybit.look_back_min)
    trade(server, lambda trader: second(trader, stop), venue="bybit", engine=checks)
