"""What a node sends to OKX for a coin: fees are taken from it, and nothing can be marked as reducing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live.venues.wire.okx_rows import SPOT
from tests.live.venues.wire.okx_trader import OkxTrader, trade_at_okx
from trading_live.execution.rejections import kind_of

MARKET = "okx:BTC/USDT"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return trade_at_okx(tmp_path_factory.mktemp("okx"), MARKET, script, environment="live")


def script(at: OkxTrader) -> dict[str, Any]:
    """A trade that its stop ends, one that an exit ends, and an entry that is refused."""
    exchange, told = at.exchange, dict[str, Any]()
    exchange.parts = 2
    plan = at.trade()
    entry = at.enter(plan)
    at.becomes(entry, "FILLED")
    told["coins"] = at.account.balances()
    stop = at.protect(plan, 0.01999)
    at.becomes(stop, "ACCEPTED")
    exchange.do(lambda: exchange.trigger(stop))
    at.becomes(stop, "FILLED")
    again = at.trade()
    at.becomes(at.enter(again), "FILLED")
    leave = at.leave(again, 0.01999)
    at.becomes(leave, "FILLED")
    exchange.refuse_next = ("51008", "Order failed. Insufficient USDT balance in account")
    refused = at.enter(at.trade())
    at.becomes(refused, "REJECTED")
    told |= {"fills": [at.fills(one) for one in (entry, stop, leave)], "reason": at.reason(refused)}
    told |= {name: exchange.sent(one) for name, one in (("entry", entry), ("stop", stop), ("leave", leave))}
    simulated = [one.path for one in exchange.asked if "x-simulated-trading" in map(str.lower, one.headers)]
    return told | {"unsigned": exchange.unsigned, "simulated": simulated}


def test_nothing_is_simulated_where_the_environment_is_live(told: dict[str, Any]) -> None:
    assert told["simulated"] == []


def test_an_entry_says_how_much_of_the_coin_not_of_the_money(told: dict[str, Any]) -> None:
    wanted = {"instIdCode": 10001, "tdMode": "cash", "side": "buy", "ordType": "market", "tgtCcy": "base_ccy"}
    assert wanted.items() <= told["entry"].items()
    assert float(told["entry"]["sz"]) == 0.02


def test_stop_and_exit_are_not_marked_as_reducing_which_spot_does_not_know(told: dict[str, Any]) -> None:
    wanted = {"instId": SPOT, "tdMode": "cash", "side": "sell", "ordType": "trigger", "orderPx": "-1"}
    assert wanted.items() <= told["stop"].items()
    assert (told["stop"]["triggerPx"], told["stop"]["triggerPxType"]) == ("29700.0", "last")
    assert {"tdMode": "cash", "side": "sell", "ordType": "market"}.items() <= told["leave"].items()
    for name in ("stop", "leave"):
        assert not told[name].get("reduceOnly")
        assert float(told[name]["sz"]) == 0.01999


def test_a_purchases_fee_is_told_in_the_coin_of_each_part_and_a_sales_in_money(told: dict[str, Any]) -> None:
    part = (0.01, 30_000.0, pytest.approx(0.000005), "BTC")
    sale = (0.01999, 30_000.0, pytest.approx(0.29985), "USDT")
    assert told["fills"] == [[part, part], [sale], [sale]]
    assert told["coins"]["BTC"] == pytest.approx(0.01999)


def test_what_the_exchange_says_of_the_balance_is_understood(told: dict[str, Any]) -> None:
    assert kind_of(told["reason"]) == "margin"
    assert told["unsigned"] == []
