"""What goes wrong with requests about orders, seen by NautilusTrader's adapter and by ccxt."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import ccxt
import pytest
from nautilus_trader.live import LiveExecutionEngineConfig

from tests.live.conftest import START
from tests.live.replay.orders.clients import SYNA, client
from tests.live.replay.orders.trader import Trader, trade
from trading_live.replay import Faults, ReplayServer

ALGO = "POST /fapi/v1/algoOrder"


@pytest.mark.slow
def test_nautilus_settles_what_it_was_not_told_by_its_user_stream(server: ReplayServer, faults: Faults) -> None:
    def script(trader: Trader) -> None:
        for number, kind in enumerate(("unknown_placed", "answer_lost"), start=1):
            faults.next(kind)
            order = trader.market(1.0)
            trader.becomes(order, "FILLED")
            assert "OrderRejected" not in trader.seen(order), kind
            assert trader.held() == number
        price = float(server.account.fills[-1].price)
        faults.next("unknown_placed", path=ALGO)
        stop = trader.stop(-2.0, round(price * 0.9, 2))
        trader.becomes(stop, "ACCEPTED")
        faults.next("ended_later", path="POST /fapi/v1/order")
        ended = trader.limit(-1.0, round(price * 1.2, 2), reduce_only=True)
        trader.becomes(ended, "EXPIRED")
        faults.next("ended_later", path=ALGO)
        rejected = trader.stop(-1.0, round(price * 0.8, 2))
        trader.becomes(rejected, "REJECTED")
        resting = trader.limit(-1.0, round(price * 1.3, 2), reduce_only=True)
        trader.becomes(resting, "ACCEPTED")
        faults.next("fill_after_cancel")
        trader.cancel(resting)
        trader.becomes(resting, "FILLED")
        assert trader.held() == 1
        faults.next("rejected_placed")
        for event in ("ORDER_TRADE_UPDATE NEW", "ORDER_TRADE_UPDATE TRADE"):
            faults.next("event_late", path=event, seconds=2.0)
        told = len(server.account.sent)
        denied = trader.market(1.0)
        trader.becomes(denied, "REJECTED")
        trader.until(lambda: any(one.get("o", {}).get("x") == "TRADE" for one in server.account.sent[told:]))
        assert server.account.positions["SYNAUSDT"].quantity == 2
        faults.next("rejected_placed", path=ALGO)
        lost = trader.stop(-1.0, round(price * 0.7, 2))
        trader.becomes(lost, "REJECTED")
        assert server.account.conditionals[-1].status == "NEW", "it rests, and the engine does not know it"
        faults.next("not_found", path="DELETE /fapi/v1/algoOrder")
        trader.cancel(stop)
        trader.until(lambda: "OrderCancelRejected" in trader.seen(stop))
        assert trader.held() == 1, "the engine drops the fill of an order that it believes rejected"

    trade(server, script)
    account = server.account
    assert account.positions["SYNAUSDT"].quantity == 2
    assert len({one.client_id for one in account.orders}) == len(account.orders), "nothing was sent twice"


@pytest.mark.slow
def test_an_order_that_nobody_has_seen_is_rejected_by_the_engine_in_the_end(
    server: ReplayServer, faults: Faults
) -> None:
    checks = LiveExecutionEngineConfig(
        reconciliation_startup_delay_secs=0.0,
        inflight_check_interval_ms=100,
        inflight_check_threshold_ms=1_000,
        inflight_check_retries=2,
    )

    def script(trader: Trader) -> None:
        for kind in ("418", "maintenance", "drop", "unknown_not_placed"):
            faults.next(kind, path="POST /fapi/v1/order")
            order = trader.market(1.0)
            trader.becomes(order, "REJECTED")
            assert "INFLIGHT_TIMEOUT" in str(trader.events[-1][2]), kind
        faults.next("clock_ahead", path="POST /fapi/v1/order", seconds=30)
        order = trader.market(1.0)
        trader.becomes(order, "REJECTED")
        assert "recvWindow" in str(trader.events[-1][2])

    trade(server, script, engine=checks)
    assert server.account.orders == []


def test_an_entry_that_is_filled_in_parts_is_protected_meanwhile(server: ReplayServer, faults: Faults) -> None:
    def script(trader: Trader) -> None:
        faults.next("filled_in_parts")
        entry = trader.market(3.0)
        trader.becomes(entry, "PARTIALLY_FILLED")
        assert trader.held() == 1.5
        stop = trader.stop(-3.0, round(float(server.account.fills[-1].price) * 0.5, 2))
        trader.becomes(stop, "ACCEPTED")
        server.go_on()
        trader.becomes(entry, "FILLED")
        trader.until(lambda: trader.held() == 3)

    trade(server, script)
    assert [float(one.quantity) for one in server.account.fills] == [1.5, 1.5]


def test_an_order_that_was_not_placed_is_unknown_to_the_venue(server: ReplayServer, faults: Faults) -> None:
    exchange = client(server)
    faults.next("unknown_not_placed")
    with pytest.raises(ccxt.BaseError, match="-1007"):
        exchange.create_order(SYNA, "market", "buy", 1.0, params={"newClientOrderId": "a"})
    with pytest.raises(ccxt.OrderNotFound):
        exchange.fetch_order(None, SYNA, {"origClientOrderId": "a"})
    faults.next("unknown_placed")
    with pytest.raises(ccxt.BaseError, match="-1007"):
        exchange.create_order(SYNA, "market", "buy", 1.0, params={"newClientOrderId": "b"})
    assert exchange.fetch_order(None, SYNA, {"origClientOrderId": "b"})["status"] == "closed"


@pytest.mark.parametrize(
    ("kind", "error", "options"),
    [
        ("429", ccxt.DDoSProtection, {"retry_after_s": 3}),
        ("418", ccxt.DDoSProtection, {"retry_after_s": 120}),
        ("503", ccxt.BaseError, {}),
        ("maintenance", ccxt.ExchangeNotAvailable, {}),
        ("500", ccxt.BaseError, {}),
        ("drop", ccxt.NetworkError, {}),
        ("clock_ahead", ccxt.InvalidNonce, {"seconds": 30}),
        ("403", ccxt.BaseError, {}),
    ],
)
def test_a_refused_order_is_not_placed(
    server: ReplayServer, faults: Faults, kind: Any, error: type[Exception], options: dict[str, Any]
) -> None:
    exchange = client(server)
    faults.next(kind, path="POST /fapi/v1/order", **options)
    with pytest.raises(error):
        exchange.create_order(SYNA, "market", "buy", 1.0)
    if "retry_after_s" in options:
        assert exchange.last_response_headers["Retry-After"] == str(options["retry_after_s"])
    assert server.account.orders == []
    assert exchange.create_order(SYNA, "market", "buy", 1.0)["status"] == "closed"


def test_an_order_that_there_is_may_not_be_found(server: ReplayServer, faults: Faults) -> None:
    exchange = client(server)
    made = exchange.create_order(SYNA, "market", "buy", 1.0)
    faults.next("not_found")
    with pytest.raises(ccxt.OrderNotFound):
        exchange.fetch_order(made["id"], SYNA)
    assert exchange.fetch_order(made["id"], SYNA)["status"] == "closed"


def test_answers_leave_out_what_the_venue_leaves_out(server: ReplayServer, faults: Faults) -> None:
    exchange = client(server)
    faults.next("no_average")
    assert float(exchange.create_order(SYNA, "market", "buy", 1.0)["info"]["avgPrice"]) == 0
    price = float(server.account.fills[-1].price)
    stop = {"stopLossPrice": price * 0.9, "reduceOnly": True}
    faults.next("empty_activation")
    assert exchange.create_order(SYNA, "market", "sell", 1.0, params=stop)["info"]["activatePrice"] == ""
    faults.next("no_trigger")
    (waiting,) = exchange.fetch_open_orders(SYNA, params={"trigger": True})
    assert waiting["triggerPrice"] is None


def test_a_symbol_is_settled_then_delisted_and_its_position_closed(server: ReplayServer, faults: Faults) -> None:
    exchange = client(server)
    exchange.create_order(SYNA, "market", "buy", 2.0)
    exchange.create_order(SYNA, "limit", "sell", 1.0, 150.0, {"reduceOnly": True})
    faults.next("settling")
    with pytest.raises(ccxt.BaseError, match="-4108"):
        exchange.create_order(SYNA, "market", "buy", 1.0)
    assert exchange.create_order(SYNA, "market", "sell", 1.0, params={"reduceOnly": True})["status"] == "closed"
    faults.next("delisted", symbol="SYNAUSDT")
    with pytest.raises(ccxt.BaseError, match="-4141"):
        exchange.create_order(SYNA, "market", "sell", 1.0, params={"reduceOnly": True})
    assert exchange.fetch_positions([SYNA]) == []
    assert exchange.fetch_open_orders(SYNA) == []
    assert exchange.fetch_my_trades(SYNA)[-1]["fee"]["cost"] == 0
    assert server.account.orders[-1].client_id.startswith("settlement_autoclose-")
    assert exchange.load_markets(reload=True)[SYNA]["active"] is False


def test_another_tick_size_refuses_old_prices_and_is_told(server: ReplayServer, faults: Faults) -> None:
    exchange = client(server)
    faults.next("tick_size", tick=0.5)
    with pytest.raises(ccxt.BadRequest, match="-4014"):
        exchange.create_order(SYNA, "limit", "buy", 1.0, 80.13)
    assert exchange.load_markets(reload=True)[SYNA]["precision"]["price"] == 0.5
    assert exchange.create_order(SYNA, "limit", "buy", 1.0, 80.13)["price"] == 80.0


def test_what_happens_to_a_symbol_waits_for_its_time(server: ReplayServer, faults: Faults) -> None:
    exchange = client(server)
    faults.next("settling", start=START + timedelta(minutes=2))
    assert exchange.create_order(SYNA, "market", "buy", 1.0)["status"] == "closed"
    server.go_on()
    while server.now < START + timedelta(minutes=3):
        server.wait(0.02)
    with pytest.raises(ccxt.BaseError, match="-4108"):
        exchange.create_order(SYNA, "market", "buy", 1.0)
