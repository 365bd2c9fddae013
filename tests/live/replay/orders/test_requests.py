"""Whatever a client sends, a resource answers in the venue's words."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.live.replay.orders.test_exchange import opened
from trading_live.replay.orders.binance import rest as binance
from trading_live.replay.orders.binance.messages import message
from trading_live.replay.orders.bybit import rest as bybit
from trading_live.replay.orders.bybit.streams import messages
from trading_live.replay.orders.exchange import Exchange
from trading_live.replay.orders.exchange.model import Refusal

number = st.sampled_from(["1", "2.5", "100", "95", "0", "-1", "1e400", "NaN", "", "much", "0.0001", "9" * 40, "1E-30"])
count = st.sampled_from(["1", "2", "0", "-5", "1001", "", "x", "1.5", "9" * 30])
flag = st.sampled_from(["true", "false", "", "TRUE", "maybe"])
name = st.sampled_from(["a", "b", "", "x" * 40, "ä"])

BINANCE = {
    "symbol": st.sampled_from(["X", "X", "X", "NONE", ""]),
    "side": st.sampled_from(["BUY", "SELL", "SELL", "HOLD"]),
    "type": st.sampled_from(["MARKET", "LIMIT", "STOP_MARKET", "TAKE_PROFIT", "STOP", "TRAILING_STOP_MARKET", ""]),
    "algoType": st.sampled_from(["CONDITIONAL", "CONDITIONAL", "OTHER"]),
    "timeInForce": st.sampled_from(["GTC", "IOC", "FOK", "GTX", "DAY"]),
    "positionSide": st.sampled_from(["BOTH", "LONG", "SHORT", "", "UP"]),
    "marginType": st.sampled_from(["CROSSED", "ISOLATED", "NONE"]),
    "incomeType": st.sampled_from(["COMMISSION", "FUNDING_FEE", "NONE"]),
    "newOrderRespType": st.sampled_from(["RESULT", "ACK"]),
    **dict.fromkeys(("quantity", "price", "triggerPrice", "leverage"), number),
    **dict.fromkeys(("orderId", "algoId", "limit", "startTime", "endTime", "fromId", "leverage"), count),
    **dict.fromkeys(("reduceOnly", "closePosition", "dualSidePosition"), flag),
    **dict.fromkeys(("newClientOrderId", "clientAlgoId", "origClientOrderId"), name),
}
BYBIT = {
    "category": st.sampled_from(["linear", "linear", "spot", ""]),
    "symbol": BINANCE["symbol"],
    "side": st.sampled_from(["Buy", "Sell", "None"]),
    "orderType": st.sampled_from(["Market", "Limit", "Other"]),
    "timeInForce": st.sampled_from(["GTC", "IOC", "FOK", "PostOnly", "DAY"]),
    "triggerDirection": st.sampled_from([1, 2, 3, "1"]),
    "positionIdx": st.sampled_from([0, 1, 2, 3, "x"]),
    "mode": st.sampled_from([0, 3, "x"]),
    **dict.fromkeys(("qty", "price", "triggerPrice", "buyLeverage"), number),
    **dict.fromkeys(("orderId", "limit", "cursor", "startTime", "endTime"), count),
    **dict.fromkeys(("reduceOnly", "closeOnTrigger"), st.booleans()),
    "orderLinkId": name,
}


def answered(exchange: Exchange, found: Any) -> None:
    assert isinstance(found, Refusal) or json.dumps(found)
    for happening in exchange.happened:
        assert json.dumps([message(happening, exchange.modes), *messages(happening, exchange)])
    exchange.happened.clear()


@given(st.lists(st.tuples(st.sampled_from(sorted(binance.SIGNED)), st.fixed_dictionaries({}, optional=BINANCE))))
@examples(200)
def test_binance_resources_answer_whatever_is_sent(asked: list[tuple[Any, dict[str, str]]]) -> None:
    exchange = opened()
    for now_ms, (route, params) in enumerate(asked):
        answered(exchange, binance.answer(binance.SIGNED[route], exchange, params, now_ms * 1_000_000))


@given(st.lists(st.tuples(st.sampled_from(sorted(bybit.SIGNED)), st.fixed_dictionaries({}, optional=BYBIT))))
@examples(200)
def test_bybit_resources_answer_whatever_is_sent(asked: list[tuple[Any, dict[str, Any]]]) -> None:
    exchange = opened()
    for now_ms, (route, params) in enumerate(asked):
        answered(exchange, bybit.answer(bybit.SIGNED[route], exchange, params, now_ms * 1_000_000))
