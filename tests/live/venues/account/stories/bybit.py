"""The story in Bybit's words: linear contracts."""

from __future__ import annotations

from tests.live.venues.account.stories.story import ENTRY, HIT, STOP, TARGET, T


def v5(result, code=0, text="OK"):
    return {"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": T + 60_000}


def bybit(order_id, client_id, kind, side, quantity, executed, status, **more):
    return {
        "orderId": order_id,
        "orderLinkId": client_id,
        "symbol": "BTCUSDT",
        "price": "0",
        "qty": quantity,
        "side": side,
        "orderStatus": status,
        "avgPrice": "",
        "cumExecQty": executed,
        "orderType": kind,
        "stopOrderType": "",
        "triggerPrice": "",
        "reduceOnly": False,
        "createdTime": str(T),
        "updatedTime": str(T),
    } | more


def execution(exec_id, order_id, client_id, side, quantity, price, fee):
    return {
        "symbol": "BTCUSDT",
        "orderId": order_id,
        "orderLinkId": client_id,
        "side": side,
        "execFee": fee,
        "feeCurrency": "",
        "execId": exec_id,
        "execPrice": price,
        "execQty": quantity,
        "execType": "Trade",
        "isMaker": False,
        "execTime": str(T + int(exec_id)),
    }


BYBIT_OPEN = [
    bybit("b11", TARGET, "Limit", "Sell", "0.5", "0.25", "PartiallyFilled", price="31000", reduceOnly=True),
    bybit(
        "b12",
        STOP,
        "Market",
        "Sell",
        "0.5",
        "0",
        "Untriggered",
        triggerPrice="29000",
        stopOrderType="Stop",
        reduceOnly=True,
    ),
    bybit("b99", "", "Limit", "Buy", "2", "0", "New", price="20000"),
]
BYBIT_PAST = {
    ENTRY: [bybit("b10", ENTRY, "Market", "Buy", "1.0", "1.0", "Filled", avgPrice="30000.5")],
    HIT: [
        bybit(
            "b13",
            HIT,
            "Market",
            "Sell",
            "0.5",
            "0.5",
            "Filled",
            avgPrice="28990",
            triggerPrice="29000",
            reduceOnly=True,
        )
    ],
}
BYBIT_POSITION = {
    "symbol": "BTCUSDT",
    "side": "Buy",
    "size": "0.5",
    "avgPrice": "30000",
    "leverage": "5",
    "liqPrice": "24000",
    "tradeMode": 0,
    "positionIdx": 0,
}


def bybit_sent(asked):
    BYBIT_PAST[asked["orderLinkId"]] = [
        bybit(
            "b50", asked["orderLinkId"], "Market", asked["side"], asked["qty"], asked["qty"], "Filled", reduceOnly=True
        )
    ]
    return v5({"orderId": "b50", "orderLinkId": asked["orderLinkId"]})


def log_line(line, kind, **more):
    return {
        "id": line,
        "symbol": "BTCUSDT",
        "category": "linear",
        "side": "Buy",
        "transactionTime": str(T),
        "type": kind,
        "fee": "",
        "funding": "",
        "cashFlow": "0",
        "change": "0",
        "currency": "USDT",
        "tradeId": "",
    } | more


BYBIT = {
    "GET /v5/market/time": v5({"timeSecond": str(T // 1000)}),
    "GET /v5/market/instruments-info": v5(
        {"category": "linear", "list": [{"symbol": "BTCUSDT", "lotSizeFilter": {"qtyStep": "0.001"}}]}
    ),
    "GET /v5/order/realtime": lambda asked: v5(
        {"list": BYBIT_OPEN if "orderLinkId" not in asked else [], "nextPageCursor": ""}
    ),
    "GET /v5/order/history": lambda asked: v5({"list": BYBIT_PAST.get(asked["orderLinkId"], []), "nextPageCursor": ""}),
    "GET /v5/execution/list": lambda asked: v5(
        {
            "list": [execution("3", "b13", HIT, "Sell", "0.5", "28990", "0.0072")]
            if asked.get("cursor")
            else [
                execution("2", "b10", ENTRY, "Buy", "0.6", "30001", "0.009"),
                execution("1", "b10", ENTRY, "Buy", "0.4", "30000", "0.006"),
                execution("4", "b10", ENTRY, "Buy", "0.4", "30000", "0.1") | {"execType": "Funding"},
            ],
            "nextPageCursor": "" if asked.get("cursor") else "more",
        }
    ),
    "GET /v5/position/list": lambda asked: v5(
        {"list": [] if asked.get("settleCoin") == "USDC" else [BYBIT_POSITION], "nextPageCursor": ""}
    ),
    "GET /v5/account/wallet-balance": v5({"list": [{"coin": [{"coin": "USDT", "walletBalance": "1000"}]}]}),
    "GET /v5/account/transaction-log": v5(
        {
            "list": [
                log_line("l1", "TRADE", fee="0.006", cashFlow="-505", tradeId="1"),
                log_line("l2", "SETTLEMENT", funding="-0.1"),
            ],
            "nextPageCursor": "",
        }
    ),
    "GET /v5/account/info": v5({"marginMode": "REGULAR_MARGIN"}),
    "POST /v5/account/set-margin-mode": v5({}),
    "POST /v5/position/switch-mode": v5({}, 110025, "Position mode is not modified"),
    "POST /v5/position/set-leverage": v5({}, 110043, "Set leverage has not been modified"),
    "POST /v5/order/cancel": lambda asked: (
        v5({"orderId": "b"})
        if asked["orderLinkId"] in (TARGET, STOP)
        else v5({}, 110001, "order not exists or too late to cancel")
    ),
    "POST /v5/order/cancel-all": v5({"list": []}),
    "POST /v5/order/create": bybit_sent,
}
