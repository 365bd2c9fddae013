"""The story in Binance's words: USD-M futures and spot."""

from __future__ import annotations

from tests.live.venues.account.stories.story import ENTRY, HIT, STOP, TARGET, T, by

BROKER = "x-aHRE4BCj-R"
UNKNOWN = (400, {"code": -2013, "msg": "Order does not exist."})
GONE = (400, {"code": -2011, "msg": "Unknown order sent."})


def usdm(order_id, client_id, kind, side, quantity, executed, status, **more):
    return {
        "orderId": order_id,
        "symbol": "BTCUSDT",
        "status": status,
        "clientOrderId": client_id,
        "price": "0",
        "avgPrice": "0.00000",
        "origQty": quantity,
        "executedQty": executed,
        "cumQuote": "0",
        "timeInForce": "GTC",
        "type": kind,
        "reduceOnly": False,
        "closePosition": False,
        "side": side,
        "positionSide": "BOTH",
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "origType": kind,
        "time": T,
        "updateTime": T,
    } | more


def algo(algo_id, client_id, status, actual=""):
    return {
        "algoId": algo_id,
        "clientAlgoId": client_id,
        "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "positionSide": "BOTH",
        "timeInForce": "GTC",
        "quantity": "0.5",
        "algoStatus": status,
        "actualOrderId": actual,
        "actualPrice": "0.0",
        "triggerPrice": "29000",
        "price": "0",
        "reduceOnly": True,
        "closePosition": False,
        "createTime": T,
        "updateTime": T,
        "triggerTime": 0,
    }


FILLED_STOP = usdm(13, "adl_autoclose", "MARKET", "SELL", "0.5", "0.5", "FILLED", avgPrice="28990")
ENTERED = usdm(10, BROKER + ENTRY, "MARKET", "BUY", "1.0", "1.0", "FILLED", avgPrice="30000.5")


def usdm_trade(trade_id, order_id, side, quantity, price, fee):
    return {
        "buyer": side == "BUY",
        "commission": fee,
        "commissionAsset": "USDT",
        "id": trade_id,
        "maker": False,
        "orderId": order_id,
        "price": price,
        "qty": quantity,
        "quoteQty": "0",
        "realizedPnl": "0",
        "side": side,
        "positionSide": "BOTH",
        "symbol": "BTCUSDT",
        "time": T + trade_id,
    }


def income(kind, amount, tran, trade=""):
    return {
        "symbol": "" if kind == "TRANSFER" else "BTCUSDT",
        "incomeType": kind,
        "income": amount,
        "asset": "USDT",
        "info": kind,
        "time": T,
        "tranId": tran,
        "tradeId": trade,
    }


RISK = {
    "symbol": "BTCUSDT",
    "positionAmt": "0.500",
    "entryPrice": "30000.0",
    "leverage": "5",
    "liquidationPrice": "24000",
    "marginType": "cross",
    "positionSide": "BOTH",
}

LOTS = [
    {"filterType": "PRICE_FILTER", "minPrice": "556.80", "maxPrice": "4529764", "tickSize": "0.10"},
    {"filterType": "LOT_SIZE", "stepSize": "0.001", "maxQty": "1000", "minQty": "0.001"},
    {"filterType": "MARKET_LOT_SIZE", "maxQty": "120", "stepSize": "0.001", "minQty": "0.001"},
]
USDM = {
    "GET /fapi/v1/time": {"serverTime": T + 60_000},
    "GET /fapi/v1/exchangeInfo": {"symbols": [{"symbol": "ETHUSDT"}, {"symbol": "BTCUSDT", "filters": LOTS}]},
    "GET /fapi/v1/openOrders": [
        usdm(11, BROKER + TARGET, "LIMIT", "SELL", "0.5", "0.25", "PARTIALLY_FILLED", price="31000", reduceOnly=True),
        usdm(99, "web_abc", "LIMIT", "BUY", "2", "0", "NEW", price="20000"),
    ],
    "GET /fapi/v1/openAlgoOrders": [algo(2001, BROKER + STOP, "NEW")],
    "GET /fapi/v1/order": lambda asked: {
        BROKER + ENTRY: ENTERED,
        "10": ENTERED,
        "13": FILLED_STOP,
    }.get(str(asked.get("origClientOrderId") or asked.get("orderId")), UNKNOWN),
    "GET /fapi/v1/algoOrder": by("clientAlgoId", {BROKER + HIT: algo(2000, BROKER + HIT, "FINISHED", "13")}, UNKNOWN),
    "GET /fapi/v1/userTrades": [
        usdm_trade(1, 10, "BUY", "0.4", "30000", "0.006"),
        usdm_trade(2, 10, "BUY", "0.6", "30001", "0.009"),
        usdm_trade(3, 13, "SELL", "0.5", "28990", "0.0072"),
    ],
    "GET /fapi/v2/positionRisk": [RISK, RISK | {"symbol": "ETHUSDT", "positionAmt": "0.000"}],
    "GET /fapi/v2/account": {
        "assets": [{"asset": "USDT", "walletBalance": "1000.0"}, {"asset": "BNB", "walletBalance": "0"}]
    },
    "GET /fapi/v1/income": [
        income("COMMISSION", "-0.006", 1, "1"),
        income("REALIZED_PNL", "-505", 1, "3"),
        income("FUNDING_FEE", "-0.1", 7),
    ],
    "GET /fapi/v1/positionSide/dual": {"dualSidePosition": False},
    "POST /fapi/v1/positionSide/dual": (400, {"code": -4059, "msg": "No need to change position side."}),
    "POST /fapi/v1/marginType": (400, {"code": -4046, "msg": "No need to change margin type."}),
    "POST /fapi/v1/leverage": {"leverage": 3, "maxNotionalValue": "1000000", "symbol": "BTCUSDT"},
    "DELETE /fapi/v1/order": by("origClientOrderId", {BROKER + TARGET: ENTERED}, GONE),
    "DELETE /fapi/v1/algoOrder": by(
        "clientAlgoId", {BROKER + STOP: {"algoId": 2001, "code": "200", "msg": "success"}}, GONE
    ),
    "DELETE /fapi/v1/allOpenOrders": {"code": 200, "msg": "The operation of cancel all open order is done."},
    "DELETE /fapi/v1/algoOpenOrders": {"code": 200, "msg": "The operation of cancel all open order is done."},
    "POST /fapi/v1/order": lambda asked: usdm(
        50,
        asked["newClientOrderId"],
        "MARKET",
        asked["side"],
        asked["quantity"],
        asked["quantity"],
        "FILLED",
        reduceOnly=True,
    ),
    "POST /fapi/v1/countdownCancelAll": {"symbol": "BTCUSDT", "countdownTime": "10000"},
}


def spot(order_id, client_id, kind, side, quantity, executed, status, **more):
    return {
        "symbol": "BTCUSDT",
        "orderId": order_id,
        "orderListId": -1,
        "clientOrderId": client_id,
        "price": "0.0",
        "origQty": quantity,
        "executedQty": executed,
        "cummulativeQuoteQty": "0",
        "status": status,
        "timeInForce": "GTC",
        "type": kind,
        "side": side,
        "stopPrice": "0.0",
        "time": T,
        "updateTime": T,
        "isWorking": True,
    } | more


SPOT_BROKER = "x-TD67BGP9-R"
SPOT_ENTERED = spot(10, SPOT_BROKER + ENTRY, "MARKET", "BUY", "1.0", "1.0", "FILLED", cummulativeQuoteQty="30000.5")
SPOT_HIT = spot(13, SPOT_BROKER + HIT, "STOP_LOSS", "SELL", "0.5", "0.5", "FILLED", stopPrice="29000")


def spot_trade(trade_id, order_id, buyer, quantity, price, fee):
    return {
        "symbol": "BTCUSDT",
        "id": trade_id,
        "orderId": order_id,
        "orderListId": -1,
        "price": price,
        "qty": quantity,
        "quoteQty": "0",
        "commission": fee,
        "commissionAsset": "USDT",
        "time": T + trade_id,
        "isBuyer": buyer,
        "isMaker": False,
        "isBestMatch": True,
    }


SPOT_LOTS = [
    {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
    {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "107.0", "stepSize": "0.00000000"},
]
SPOT = {
    "GET /api/v3/time": {"serverTime": T + 60_000},
    "GET /api/v3/exchangeInfo": {"symbols": [{"symbol": "BTCUSDT", "filters": SPOT_LOTS}]},
    "GET /api/v3/openOrders": [
        spot(11, SPOT_BROKER + TARGET, "LIMIT", "SELL", "0.5", "0.25", "PARTIALLY_FILLED", price="31000"),
        spot(12, SPOT_BROKER + STOP, "STOP_LOSS", "SELL", "0.5", "0", "NEW", stopPrice="29000"),
        spot(99, "web_abc", "LIMIT", "BUY", "2", "0", "NEW", price="20000"),
    ],
    "GET /api/v3/order": lambda asked: {
        SPOT_BROKER + ENTRY: SPOT_ENTERED,
        SPOT_BROKER + HIT: SPOT_HIT,
        "10": SPOT_ENTERED,
        "13": SPOT_HIT,
    }.get(str(asked.get("origClientOrderId") or asked.get("orderId")), UNKNOWN),
    "GET /api/v3/myTrades": [
        spot_trade(1, 10, True, "0.4", "30000", "0.006"),
        spot_trade(2, 10, True, "0.6", "30001", "0.009"),
        spot_trade(3, 13, False, "0.5", "28990", "0.0072"),
    ],
    "GET /api/v3/account": {
        "balances": [{"asset": "USDT", "free": "900", "locked": "100"}, {"asset": "X", "free": "0", "locked": "0"}]
    },
    "DELETE /api/v3/order": by(
        "origClientOrderId", {SPOT_BROKER + TARGET: SPOT_ENTERED, SPOT_BROKER + STOP: SPOT_ENTERED}, GONE
    ),
    "DELETE /api/v3/openOrders": [],
    "POST /api/v3/order": lambda asked: spot(
        50, asked["newClientOrderId"], "MARKET", asked["side"], asked["quantity"], asked["quantity"], "FILLED"
    ),
}
