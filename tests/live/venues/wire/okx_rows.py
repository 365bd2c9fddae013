"""What OKX says of instruments, orders and accounts, in the fields of its v5 documentation."""

from __future__ import annotations

import time
from typing import Any

SWAP, SPOT = "BTC-USDT-SWAP", "BTC-USDT"
CODES = {10459: SWAP, 10001: SPOT}
"""Instrument by the number that orders over the websocket name it by."""

Row = dict[str, Any]


def now_ms() -> str:
    return str(time.time_ns() // 1_000_000)


def answer(*rows: Any, code: str = "0", msg: str = "") -> Row:
    return {"code": code, "msg": msg, "data": list(rows)}


def instrument(name: str) -> Row:
    """A swap of 0.01 BTC a contract, and the coin."""
    common = dict.fromkeys(
        ("alias", "auctionEndTime", "contTdSwTime", "expTime", "maxMktAmt", "openType", "optType", "preMktSwTime"), ""
    ) | {
        "instId": name,
        "instIdCode": next(code for code, one in CODES.items() if one == name),
        "category": "1",
        "futureSettlement": False,
        "lever": "100",
        "listTime": "1573557408000",
        "maxIcebergSz": "100000000",
        "maxLmtAmt": "20000000",
        "maxLmtSz": "100000000",
        "maxMktSz": "12000",
        "maxStopSz": "12000",
        "maxTriggerSz": "100000000",
        "maxTwapSz": "100000000",
        "ruleType": "normal",
        "state": "live",
        "stk": "",
        "tickSz": "0.1",
        "tradeQuoteCcyList": ["USDT"],
    }
    if name == SWAP:
        return common | {
            "instType": "SWAP",
            "baseCcy": "",
            "quoteCcy": "",
            "settleCcy": "USDT",
            "ctMult": "1",
            "ctType": "linear",
            "ctVal": "0.01",
            "ctValCcy": "BTC",
            "instFamily": "BTC-USDT",
            "uly": "BTC-USDT",
            "lotSz": "0.01",
            "minSz": "0.01",
        }
    blank = dict.fromkeys(("settleCcy", "ctMult", "ctType", "ctVal", "ctValCcy", "instFamily", "uly"), "")
    return (
        common
        | blank
        | {"instType": "SPOT", "baseCcy": "BTC", "quoteCcy": "USDT", "lotSz": "0.00000001", "minSz": "0.00001"}
    )


def order(asked: Row, name: str, order_id: str) -> Row:
    """An order as the orders channel and the REST queries give it."""
    blank = dict.fromkeys(
        (
            *(
                "algoClOrdId",
                "algoId",
                "amendResult",
                "attachAlgoClOrdId",
                "avgPx",
                "cancelSource",
                "cancelSourceReason",
            ),
            *(
                "ccy",
                "execType",
                "fillFeeCcy",
                "fillPx",
                "fillTime",
                "pxType",
                "pxUsd",
                "pxVol",
                "quickMgnType",
                "reqId",
            ),
            *("slOrdPx", "slTriggerPx", "slTriggerPxType", "source", "stpId", "tpOrdPx", "tpTriggerPx"),
            *("tpTriggerPxType", "tradeId"),
        ),
        "",
    )
    return blank | {
        "instType": instrument(name)["instType"],
        "instId": name,
        "ordId": order_id,
        "clOrdId": asked.get("clOrdId", ""),
        "side": asked["side"],
        "posSide": asked.get("posSide", "net"),
        "tdMode": asked["tdMode"],
        "ordType": asked["ordType"],
        "sz": asked["sz"],
        "px": asked.get("px", ""),
        "tgtCcy": asked.get("tgtCcy", ""),
        "reduceOnly": str(asked.get("reduceOnly", False)).lower(),
        "tag": asked.get("tag", ""),
        "accFillSz": "0",
        "attachAlgoOrds": [],
        "category": "normal",
        "code": "0",
        "msg": "",
        "fee": "0",
        "feeCcy": "USDT",
        "fillFee": "0",
        "fillNotionalUsd": "",
        "fillPnl": "0",
        "fillSz": "0",
        "isTpLimit": "false",
        "lever": "5" if name == SWAP else "",
        "linkedAlgoOrd": {"algoId": ""},
        "notionalUsd": "",
        "pnl": "0",
        "rebate": "0",
        "rebateCcy": "USDT",
        "state": "live",
        "stpMode": "cancel_maker",
        "cTime": now_ms(),
        "uTime": now_ms(),
    }


def algo(asked: Row, algo_id: str) -> Row:
    """An algo order as its channel and the REST queries give it."""
    blank = dict.fromkeys(
        (
            *(
                "activePx",
                "actualPx",
                "actualSide",
                "callbackRatio",
                "callbackSpread",
                "ccy",
                "closeFraction",
                "clOrdId",
            ),
            *("failCode", "ordId", "slOrdPx", "slTriggerPx", "slTriggerPxType", "tag", "tgtCcy", "tpOrdPx"),
            *("tpTriggerPx", "tpTriggerPxType", "triggerTime"),
        ),
        "",
    )
    return blank | {
        "instType": instrument(asked["instId"])["instType"],
        "instId": asked["instId"],
        "algoId": algo_id,
        "algoClOrdId": asked.get("algoClOrdId", ""),
        "ordIdList": [],
        "side": asked["side"],
        "posSide": asked.get("posSide", "net"),
        "tdMode": asked["tdMode"],
        "ordType": asked["ordType"],
        "sz": asked["sz"],
        "triggerPx": asked.get("triggerPx", ""),
        "triggerPxType": asked.get("triggerPxType", "last"),
        "ordPx": asked.get("orderPx", ""),
        "reduceOnly": str(asked.get("reduceOnly", False)).lower(),
        "actualSz": "0",
        "lever": "5" if asked["instId"] == SWAP else "",
        "notionalUsd": "",
        "state": "live",
        "cTime": now_ms(),
        "uTime": now_ms(),
    }


def fill(row: Row) -> Row:
    """The newest fill of an order."""
    return {
        "instType": row["instType"],
        "instId": row["instId"],
        "tradeId": row["tradeId"],
        "ordId": row["ordId"],
        "clOrdId": row["clOrdId"],
        "billId": "9" + row["tradeId"],
        "tag": row["tag"],
        "fillPx": row["fillPx"],
        "fillSz": row["fillSz"],
        "fillIdxPx": row["fillPx"],
        "fillPnl": "0",
        "side": row["side"],
        "posSide": row["posSide"],
        "execType": row["execType"],
        "feeCcy": row["feeCcy"],
        "fee": row["fillFee"],
        "feeRate": "-0.0005",
        "ts": row["fillTime"],
        "fillTime": row["fillTime"],
    }


def position(size: str, price: str, mode: str) -> Row:
    """A position of the swap in net mode."""
    zero = ("realizedPnl", "fee", "fundingFee", "interest", "liqPenalty", "pnl", "upl", "uplLastPx", "uplRatio")
    blank = ("baseBal", "bizRefId", "bizRefType", "deltaBS", "liab", "liabCcy", "liqPx", "margin", "optVal", "posCcy")
    return (
        dict.fromkeys(zero, "0")
        | dict.fromkeys(blank, "")
        | {
            "instType": "SWAP",
            "instId": SWAP,
            "mgnMode": mode,
            "posId": "1",
            "posSide": "net",
            "pos": size,
            "availPos": size,
            "avgPx": price,
            "bePx": price,
            "markPx": price,
            "idxPx": price,
            "last": price,
            "usdPx": "1",
            "ccy": "USDT",
            "lever": "5",
            "adl": "1",
            "imr": "100",
            "mmr": "10",
            "mgnRatio": "99",
            "notionalUsd": "300",
            "uplRatioLastPx": "0",
            "tradeId": "1",
            "spotInUseAmt": "",
            "spotInUseCcy": "",
            "quoteBal": "",
            "quoteBorrowed": "",
            "quoteInterest": "",
            "pendingCloseOrdLiabVal": "",
            "closeOrderAlgo": [],
            "cTime": now_ms(),
            "uTime": now_ms(),
        }
    )


def account(balances: dict[str, float]) -> Row:
    """Equity and cash of each coin."""
    blank = ("adjEq", "borrowFroz", "imr", "mgnRatio", "mmr", "notionalUsd", "ordFroz", "upl", "availEq")
    more = ("notionalUsdForBorrow", "notionalUsdForFutures", "notionalUsdForOption", "notionalUsdForSwap")
    return dict.fromkeys((*blank, *more), "") | {
        "totalEq": "10000",
        "isoEq": "0",
        "uTime": now_ms(),
        "details": [_coin(name, f"{amount:.8f}") for name, amount in balances.items()],
    }


def _coin(name: str, amount: str) -> Row:
    zero = (
        "disEq",
        "fixedBal",
        "frozenBal",
        "imr",
        "isoEq",
        "isoUpl",
        "mmr",
        "notionalLever",
        "ordFrozen",
        "rewardBal",
    )
    zero2 = ("smtSyncEq", "spotCopyTradingEq", "spotIsoBal", "stgyEq", "twap", "upl", "borrowFroz", "interest", "liab")
    blank = (
        "accAvgPx",
        "clSpotInUseAmt",
        "crossLiab",
        "isoLiab",
        "maxLoan",
        "maxSpotInUseAmt",
        "mgnRatio",
        "openAvgPx",
    )
    blank2 = ("spotBal", "spotInUseAmt", "spotUpl", "spotUplRatio", "totalPnl", "totalPnlRatio", "uplLiab")
    return (
        dict.fromkeys((*zero, *zero2), "0")
        | dict.fromkeys((*blank, *blank2), "")
        | {"ccy": name, "availBal": amount, "availEq": amount, "cashBal": amount, "eq": amount, "eqUsd": amount}
        | {"collateralEnabled": False, "uTime": now_ms()}
    )
