"""The story in Kraken's words: futures and spot."""

from __future__ import annotations

from tests.live.venues.account.stories.story import ENTRY, HIT, ISO, STOP, TARGET, T


def kf(**more):
    return {"result": "success", "serverTime": "2023-11-14T22:14:20.000Z"} | more


def kf_open(order_id, client_id, kind, side, left, filled, **more):
    return {
        "order_id": order_id,
        "cliOrdId": client_id,
        "symbol": "PF_XBTUSD",
        "side": side,
        "orderType": kind,
        "unfilledSize": left,
        "filledSize": filled,
        "receivedTime": ISO,
        "status": "untouched",
        "reduceOnly": False,
        "lastUpdateTime": ISO,
    } | more


def kf_fill(fill, order_id, client_id, side, size, price):
    return {
        "fill_id": fill,
        "order_id": order_id,
        "cliOrdId": client_id,
        "symbol": "PF_XBTUSD",
        "side": side,
        "size": size,
        "price": price,
        "fillTime": f"2023-11-14T22:13:20.00{fill[-1]}Z",
        "fillType": "taker",
    }


def kf_log(number, info, **more):
    return {
        "id": number,
        "date": ISO,
        "asset": "usd",
        "contract": "pf_xbtusd",
        "info": info,
        "collateral": "usd",
        "booking_uid": f"u{number}",
        "execution": None,
        "fee": None,
        "realized_pnl": None,
        "realized_funding": None,
        "old_balance": 0,
        "new_balance": 0,
    } | more


def kf_status(asked):
    if asked["cliOrdIds"] != ENTRY:
        return kf(orders=[])
    order = {
        "type": "ORDER",
        "orderId": "k10",
        "cliOrdId": ENTRY,
        "symbol": "PF_XBTUSD",
        "side": "buy",
        "quantity": 1.0,
        "filled": 1.0,
        "limitPrice": None,
        "reduceOnly": False,
        "timestamp": ISO,
    }
    return kf(orders=[{"order": order, "status": "FULLY_EXECUTED", "updateReason": None, "error": None}])


PAST_STOP = {
    "uid": "k13",
    "clientId": HIT,
    "tradeable": "PF_XBTUSD",
    "direction": "Sell",
    "quantity": "0.5",
    "filled": "0.5",
    "timestamp": T,
    "limitPrice": "0",
    "triggerPrice": "29000",
    "orderType": "stop",
    "reduceOnly": True,
}

KRAKEN_FUTURES = {
    "GET /derivatives/api/v3/instruments/status": kf(instrumentStatus=[]),
    "GET /derivatives/api/v3/instruments": kf(
        instruments=[{"symbol": "PF_XBTUSD", "type": "flexible_futures", "contractValueTradePrecision": 4}]
    ),
    "GET /derivatives/api/v3/openorders": kf(
        openOrders=[
            kf_open("k11", TARGET, "lmt", "sell", 0.25, 0.25, limitPrice=31000.0, reduceOnly=True),
            kf_open("k12", STOP, "stp", "sell", 0.5, 0, stopPrice=29000.0, reduceOnly=True),
            kf_open("k99", None, "lmt", "buy", 2, 0, limitPrice=20000.0),
        ]
    ),
    "GET /derivatives/api/v3/orders/status": kf_status,
    "GET /api/history/v2/orders": {
        "elements": [{"uid": "e1", "timestamp": T, "event": {"OrderTriggerActivated": {"order": PAST_STOP}}}]
    },
    "GET /derivatives/api/v3/fills": kf(
        fills=[
            kf_fill("f3", "k13", HIT, "sell", 0.5, 28990.0),
            kf_fill("f2", "k10", ENTRY, "buy", 0.6, 30001.0),
            kf_fill("f1", "k10", ENTRY, "buy", 0.4, 30000.0),
        ]
    ),
    "GET /api/history/v3/account-log": {
        "logs": [
            kf_log(1, "futures trade", execution="f1", fee=0.006),
            kf_log(2, "futures trade", execution="f2", fee=0.009),
            kf_log(3, "futures trade", execution="f3", fee=0.0072, realized_pnl=-505.0),
            kf_log(4, "funding rate change", realized_funding=-0.1),
        ]
    },
    "GET /derivatives/api/v3/openpositions": kf(
        openPositions=[{"side": "long", "symbol": "PF_XBTUSD", "price": 30000.0, "fillTime": ISO, "size": 0.5}]
    ),
    "GET /derivatives/api/v3/accounts": kf(
        accounts={"flex": {"currencies": {"USD": {"quantity": 1000, "value": 1000}}}}
    ),
    "GET /derivatives/api/v3/leveragepreferences": kf(leveragePreferences=[]),
    "PUT /derivatives/api/v3/leveragepreferences": kf(),
    "POST /derivatives/api/v3/cancelorder": lambda asked: kf(
        cancelStatus={"status": "cancelled" if asked["cliOrdId"] in (TARGET, STOP) else "notFound"}
    ),
    "POST /derivatives/api/v3/cancelallorders": kf(cancelStatus={"status": "cancelled"}),
    "POST /derivatives/api/v3/sendorder": lambda asked: kf(
        sendStatus={
            "order_id": "k50",
            "status": "placed",
            "receivedTime": ISO,
            "orderEvents": [{"type": "EXECUTION", "amount": float(asked["size"]), "price": 29500.0}],
        }
    ),
    "POST /derivatives/api/v3/cancelallordersafter": kf(status={}),
}


def ks(result):
    return {"error": [], "result": result}


def ks_order(client_id, kind, side, volume, executed, status, price="0", average="0"):
    return {
        "refid": None,
        "cl_ord_id": client_id,
        "status": status,
        "opentm": T / 1000,
        "descr": {"pair": "XBTUSD", "type": side, "ordertype": kind, "price": price, "price2": "0"},
        "vol": volume,
        "vol_exec": executed,
        "cost": "0",
        "fee": "0",
        "price": average,
    }


KS_OPEN = {
    "OT": ks_order(TARGET, "limit", "sell", "0.5", "0.25", "open", "31000"),
    "OS": ks_order(STOP, "stop-loss", "sell", "0.5", "0", "open", "29000"),
    "OX": ks_order(None, "limit", "buy", "2", "0", "open", "20000"),
}
KS_CLOSED = {
    "OE": ks_order(ENTRY, "market", "buy", "1.0", "1.0", "closed", average="30000.5"),
    "OH": ks_order(HIT, "stop-loss", "sell", "0.5", "0.5", "closed", "29000", "28990"),
}


def ks_trade(order_id, side, volume, price, fee, at):
    return {
        "ordertxid": order_id,
        "pair": "XXBTZUSD",
        "time": T / 1000 + at,
        "type": side,
        "ordertype": "market",
        "price": price,
        "cost": "0",
        "fee": fee,
        "vol": volume,
        "maker": False,
    }


def ks_filter(rows, asked):
    wanted = asked.get("cl_ord_id")
    return {name: row for name, row in rows.items() if wanted in (None, row["cl_ord_id"])}


def ks_sent(asked):
    KS_CLOSED["OC"] = ks_order(
        None, "market", asked["type"], asked["volume"], asked["volume"], "closed", average="29500"
    )
    return ks({"txid": ["OC"]})


KRAKEN_SPOT = {
    "GET /0/public/Time": ks({"unixtime": T // 1000 + 60}),
    "GET /0/public/AssetPairs": ks({"XXBTZUSD": {"altname": "XBTUSD", "lot_decimals": 8, "ordermin": "0.00005"}}),
    "POST /0/private/OpenOrders": lambda asked: ks({"open": ks_filter(KS_OPEN, asked)}),
    "POST /0/private/ClosedOrders": lambda asked: ks({"closed": ks_filter(KS_CLOSED, asked)}),
    "POST /0/private/QueryOrders": lambda asked: ks(
        {name: row for name, row in KS_CLOSED.items() if name in asked["txid"].split(",")}
    ),
    "POST /0/private/TradesHistory": ks(
        {
            "trades": {
                "3": ks_trade("OH", "sell", "0.5", "28990", "0.0072", 3),
                "2": ks_trade("OE", "buy", "0.6", "30001", "0.009", 2),
                "1": ks_trade("OE", "buy", "0.4", "30000", "0.006", 1),
            }
        }
    ),
    "POST /0/private/Balance": ks({"ZUSD": "1000", "XXBT": "0.0"}),
    "POST /0/private/Ledgers": ks(
        {
            "ledger": {
                "L1": {
                    "refid": "1",
                    "time": T / 1000,
                    "type": "trade",
                    "asset": "ZUSD",
                    "amount": "-12000",
                    "fee": "0.006",
                    "balance": "1",
                }
            }
        }
    ),
    "POST /0/private/CancelOrder": lambda asked: (
        ks({"count": 1})
        if asked.get("cl_ord_id") in (TARGET, STOP) or asked.get("txid")
        else {"error": ["EOrder:Unknown order"]}
    ),
    "POST /0/private/AddOrder": ks_sent,
    "POST /0/private/CancelAllOrdersAfter": ks({"triggerTime": "0"}),
}
