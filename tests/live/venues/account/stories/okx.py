"""The story in OKX's words: swaps."""

from __future__ import annotations

from tests.live.venues.account.stories.story import ENTRY, HIT, STOP, TARGET, T


def ok(*rows, code="0"):
    return {"code": code, "msg": "", "data": list(rows)}


NOT_THERE = {"code": "51603", "msg": "Order does not exist", "data": []}


def okx(order_id, client_id, kind, side, quantity, executed, state, **more):
    return {
        "instType": "SWAP",
        "instId": "BTC-USDT-SWAP",
        "ordId": order_id,
        "clOrdId": client_id,
        "algoClOrdId": "",
        "algoId": "",
        "px": "",
        "sz": quantity,
        "ordType": kind,
        "side": side,
        "posSide": "net",
        "tdMode": "cross",
        "accFillSz": executed,
        "avgPx": "",
        "state": state,
        "reduceOnly": "false",
        "cTime": str(T),
        "uTime": str(T),
    } | more


def okx_algo(algo_id, client_id, state, became=""):
    return {
        "instType": "SWAP",
        "instId": "BTC-USDT-SWAP",
        "algoId": algo_id,
        "algoClOrdId": client_id,
        "ordId": became,
        "ordIdList": [became] if became else [],
        "sz": "50",
        "ordType": "trigger",
        "side": "sell",
        "posSide": "net",
        "tdMode": "cross",
        "triggerPx": "29000",
        "ordPx": "-1",
        "state": state,
        "reduceOnly": "true",
        "cTime": str(T),
    }


def okx_fill(trade, order_id, client_id, side, quantity, price, fee):
    return {
        "instType": "SWAP",
        "instId": "BTC-USDT-SWAP",
        "tradeId": trade,
        "ordId": order_id,
        "clOrdId": client_id,
        "billId": "b" + trade,
        "fillPx": price,
        "fillSz": quantity,
        "side": side,
        "execType": "T",
        "feeCcy": "USDT",
        "fee": fee,
        "ts": str(T + int(trade)),
        "fillTime": str(T + int(trade)),
    }


OKX_ORDERS = {
    ENTRY: okx("10", ENTRY, "market", "buy", "100", "100", "filled", avgPx="30000.5"),
    "13": okx("13", "", "market", "sell", "50", "50", "filled", avgPx="28990", algoClOrdId=HIT, algoId="2000"),
}
OKX_POSITION = {
    "instType": "SWAP",
    "instId": "BTC-USDT-SWAP",
    "pos": "50",
    "posSide": "net",
    "avgPx": "30000",
    "lever": "5",
    "mgnMode": "cross",
    "liqPx": "24000",
}


def okx_order(asked):
    found = OKX_ORDERS.get(str(asked.get("clOrdId") or asked.get("ordId")))
    return ok(found) if found else NOT_THERE


def okx_sent(asked):
    OKX_ORDERS["50"] = okx(
        "50", asked["clOrdId"], "market", asked["side"], asked["sz"], asked["sz"], "filled", reduceOnly="true"
    )
    return ok({"ordId": "50", "clOrdId": asked["clOrdId"], "sCode": "0", "sMsg": ""})


OKX = {
    "GET /api/v5/public/time": ok({"ts": str(T + 60_000)}),
    "GET /api/v5/public/instruments": ok({"instId": "BTC-USDT-SWAP", "ctVal": "0.01", "ctMult": "1", "lotSz": "0.1"}),
    "GET /api/v5/trade/orders-pending": ok(
        okx("11", TARGET, "limit", "sell", "50", "25", "partially_filled", px="31000", reduceOnly="true"),
        okx("99", "", "limit", "buy", "200", "0", "live", px="20000"),
    ),
    "GET /api/v5/trade/orders-algo-pending": lambda asked: ok(
        *([okx_algo("2001", STOP, "live")] if asked["ordType"] == "trigger" else [])
    ),
    "GET /api/v5/trade/order": okx_order,
    "GET /api/v5/trade/order-algo": lambda asked: {
        HIT: ok(okx_algo("2000", HIT, "effective", "13")),
        STOP: ok(okx_algo("2001", STOP, "live")),
    }.get(asked["algoClOrdId"], NOT_THERE),
    "GET /api/v5/trade/fills-history": ok(
        okx_fill("3", "13", "", "sell", "50", "28990", "-0.0072"),
        okx_fill("2", "10", ENTRY, "buy", "60", "30001", "-0.009"),
        okx_fill("1", "10", ENTRY, "buy", "40", "30000", "-0.006"),
    ),
    "GET /api/v5/account/positions": ok(OKX_POSITION),
    "GET /api/v5/account/balance": ok({"details": [{"ccy": "USDT", "cashBal": "1000"}]}),
    "GET /api/v5/account/bills-archive": ok(
        {
            "billId": "1",
            "type": "2",
            "ccy": "USDT",
            "balChg": "-505.006",
            "pnl": "-505",
            "fee": "-0.006",
            "instId": "BTC-USDT-SWAP",
            "ts": str(T),
            "tradeId": "1",
        },
        {
            "billId": "2",
            "type": "8",
            "ccy": "USDT",
            "balChg": "-0.1",
            "pnl": "-0.1",
            "fee": "0",
            "instId": "BTC-USDT-SWAP",
            "ts": str(T),
            "tradeId": "",
        },
    ),
    "GET /api/v5/account/config": ok({"posMode": "net_mode", "acctLv": "2"}),
    "GET /api/v5/account/leverage-info": ok({"instId": "BTC-USDT-SWAP", "lever": "5", "mgnMode": "cross"}),
    "POST /api/v5/account/set-position-mode": ok({"posMode": "net_mode"}),
    "POST /api/v5/account/set-leverage": ok({"lever": "3"}),
    "POST /api/v5/trade/cancel-order": lambda asked: (
        ok({"ordId": "11", "sCode": "0"})
        if asked["clOrdId"] == TARGET
        else {
            "code": "1",
            "msg": "",
            "data": [{"ordId": "", "sCode": "51400", "sMsg": "Cancellation failed as the order does not exist."}],
        }
    ),
    "POST /api/v5/trade/cancel-algos": ok({"algoId": "2001", "sCode": "0"}),
    "POST /api/v5/trade/cancel-batch-orders": ok({"ordId": "11", "sCode": "0"}),
    "POST /api/v5/trade/order": okx_sent,
    "POST /api/v5/trade/cancel-all-after": ok({"triggerTime": "0", "ts": str(T)}),
}
