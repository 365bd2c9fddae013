"""The local exchange's account through real clients: ccxt's, and NautilusTrader's own adapter."""

from __future__ import annotations

import ccxt
import pytest

from tests.live.conftest import MARKET
from tests.live.replay.orders.clients import SYNA, client
from tests.live.replay.orders.trader import Trader, entered_and_protected, trade
from trading_live.replay import ReplayServer


def test_an_order_a_stop_and_a_target_through_ccxt(server: ReplayServer) -> None:
    exchange = client(server)
    assert exchange.fetch_balance()["USDT"]["total"] == 100_000
    bought = exchange.create_order(SYNA, "market", "buy", 10.0, params={"newClientOrderId": "mine-1"})
    assert (bought["status"], bought["filled"], bought["clientOrderId"]) == ("closed", 10.0, "mine-1")
    price = bought["average"]
    stop = exchange.create_order(
        SYNA, "market", "sell", 10.0, params={"stopLossPrice": price * 0.95, "reduceOnly": True}
    )
    target = exchange.create_order(SYNA, "limit", "sell", 10.0, price * 1.05, {"reduceOnly": True})
    assert [one["id"] for one in exchange.fetch_open_orders(SYNA)] == [target["id"]]
    assert [one["id"] for one in exchange.fetch_open_orders(SYNA, params={"trigger": True})] == [stop["id"]]
    assert exchange.fetch_order(None, SYNA, {"origClientOrderId": "mine-1"})["status"] == "closed"
    (held,) = exchange.fetch_positions([SYNA])
    assert (held["side"], held["contracts"], held["entryPrice"]) == ("long", 10.0, price)
    (made,) = exchange.fetch_my_trades(SYNA)
    assert made["fee"] == {"currency": "USDT", "cost": pytest.approx(price * 10 * 5e-4)}
    assert exchange.cancel_order(target["id"], SYNA)["status"] == "canceled"
    exchange.cancel_order(stop["id"], SYNA, {"trigger": True})
    assert exchange.fetch_open_orders(SYNA, params={"trigger": True}) == []
    sold = exchange.create_order(SYNA, "market", "sell", 10.0, params={"reduceOnly": True})
    assert sold["status"] == "closed"
    assert exchange.fetch_positions([SYNA]) == []
    statement = server.account.statement()
    assert statement["kind"].to_list() == ["transfer", "fee", "realized", "fee"]
    assert set(statement["market"][1:]) == {MARKET}
    assert exchange.fetch_balance()["USDT"]["total"] == pytest.approx(statement["balance"][-1], abs=1e-8)
    told = [(one["info"]["incomeType"], one["amount"]) for one in exchange.fetch_ledger()]
    assert [kind for kind, _ in told] == ["TRANSFER", "COMMISSION", "REALIZED_PNL", "COMMISSION"]
    assert [amount for _, amount in told] == pytest.approx(statement["amount"].abs().to_list())


def test_leverage_margin_and_position_mode_through_ccxt(server: ReplayServer) -> None:
    exchange = client(server)
    assert exchange.fetch_leverage(SYNA)["longLeverage"] == 20
    exchange.set_leverage(5, SYNA)
    exchange.set_margin_mode("isolated", SYNA)
    now = exchange.fetch_leverage(SYNA)
    assert (now["longLeverage"], now["marginMode"]) == (5, "isolated")
    with pytest.raises(ccxt.MarginModeAlreadySet):
        exchange.set_margin_mode("isolated", SYNA)
    exchange.set_position_mode(True, SYNA)
    assert exchange.fetch_position_mode(SYNA)["hedged"]
    with pytest.raises(ccxt.ExchangeError, match="-4061"):
        exchange.create_order(SYNA, "market", "buy", 1.0)


def test_a_request_without_the_accounts_signature_is_refused(server: ReplayServer) -> None:
    exchange = client(server)
    exchange.secret = "another"
    with pytest.raises(ccxt.AuthenticationError, match="-1022"):
        exchange.fetch_balance()
    exchange.apiKey = "another"
    with pytest.raises(ccxt.AuthenticationError, match="-2015"):
        exchange.fetch_balance()


def test_nautilus_enters_protects_and_is_stopped_out(server: ReplayServer) -> None:
    def script(trader: Trader) -> None:
        stop, price = entered_and_protected(trader, server)
        again = trader.limit(-10.0, round(price * 1.1, 2), reduce_only=True)
        trader.becomes(again, "ACCEPTED")
        server.go_on()
        trader.becomes(stop, "FILLED")
        assert trader.seen(stop)[-3:] == ["OrderAccepted", "OrderUpdated", "OrderFilled"], "the order has a new number"
        trader.becomes(again, "EXPIRED")
        trader.until(lambda: trader.held() == 0)

    trade(server, script)
    account = server.account
    assert account.positions == {}
    assert [one.origin for one in account.orders if one.status == "FILLED"] == ["", "STOP_MARKET"]
    assert len({one.client_id for one in account.orders}) == 4, "the far stop never was in the book"


def test_the_account_is_summed_up_in_a_line(server: ReplayServer) -> None:
    assert server.account.summary() == ""
    exchange = client(server)
    exchange.create_order(SYNA, "market", "buy", 10.0)
    exchange.create_order(SYNA, "market", "sell", 10.0, params={"stopLossPrice": 50.0, "reduceOnly": True})
    assert server.account.summary() == "2 orders, 1 fills, balance 99,999.51 USDT: fee -0.49"
