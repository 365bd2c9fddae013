"""Candles as Binance, OKX, Bybit, Bitget, Kraken, Kraken Futures and Gate serve them: what ccxt asks for candles.

What differs between them is kept: page limits, the order of rows, whether a page is a number of rows or a stretch of
time, which end of it is cut, separate addresses for old candles, Kraken's newest 720, and Gate's refusal of all but the
newest 10,000.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import polars as pl

MINUTE, DAY = 60_000, 86_400_000
GATE_KEEPS = 10_000
Query = Mapping[str, str]


class Refusal(Exception):
    """An answer with status 400."""

    def __init__(self, body: Any) -> None:
        self.body = body


class Venue:
    """Serves the candles of BTC/USDT (Kraken: BTC/USD) in one exchange's protocol; a context manager.

    Attributes
    ----------
    now_ms
        The exchange's time: bars that open later do not exist; the newest one is still forming.
    asked
        (path, query) of every request for candles.
    """

    def __init__(self, exchange: str, candles: pl.DataFrame, now_ms: int) -> None:
        self.now_ms = now_ms
        self.asked: list[tuple[str, Query]] = []
        self.hold(candles)
        self.answers = ANSWERS[exchange]
        venue = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536  # header and body in one packet

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                try:
                    status, answer = 200, venue.answer(url.path, dict(parse_qsl(url.query)))
                except Refusal as refusal:
                    status, answer = 400, refusal.body
                body = dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Venue:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def hold(self, candles: pl.DataFrame) -> None:
        """Serve these one-minute candles, and days of them, from now on."""
        days = candles.group_by_dynamic("ts", every="1d").agg(
            pl.first("open"), pl.max("high"), pl.min("low"), pl.last("close"), pl.sum("volume")
        )
        self.bars = {step: (frame["ts"].dt.epoch("ms").to_numpy(), frame) for step, frame in
                     ((MINUTE, candles), (DAY, days))}  # fmt: skip

    def answer(self, path: str, query: Query) -> Any:
        resource = self.answers.get(path)
        if resource is None:
            raise AssertionError(f"nobody serves {path}")
        if "info" not in resource.__name__:
            self.asked.append((path, query))
        return resource(self, query)

    def rows(self, step: int, first: int, last: int, keep: int, *, newest: bool = False) -> list[list[float]]:
        """At most ``keep`` bars that open in [first, last], ascending; the newest or the oldest of them."""
        times, frame = self.bars[step]
        begin, end = np.searchsorted(times, [first, min(last, self.now_ms) + 1])
        begin, end = (max(begin, end - keep), end) if newest else (begin, min(end, begin + keep))
        values = frame[int(begin) : int(end)].drop("ts").rows()
        return [[int(at), *row] for at, row in zip(times[begin:end], values, strict=True)]


def _texts(rows: list[list[float]], *more: str) -> list[list[str]]:
    return [[str(cell) for cell in row] + list(more) for row in rows]


def binance_info(_venue: Venue, _query: Query) -> Any:
    one = {"symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT", "status": "TRADING", "permissions": ["SPOT"],
           "isSpotTradingAllowed": True, "baseAssetPrecision": 8,
           "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.01", "minPrice": "0.01", "maxPrice": "999999"},
                       {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "9"}]}  # fmt: skip
    return {"symbols": [one]}


def binance_no_info(_venue: Venue, _query: Query) -> Any:
    return {"symbols": []}


def binance_empty_info(_venue: Venue, _query: Query) -> Any:
    return []


def binance_candles(venue: Venue, query: Query) -> Any:
    """The first ``limit`` bars from ``startTime`` on, however far apart they are."""
    step = {"1m": MINUTE, "1d": DAY}[query["interval"]]
    end = int(query.get("endTime", venue.now_ms))
    rows = venue.rows(step, int(query["startTime"]), end, min(int(query["limit"]), 1000))
    return [[row[0], *map(str, row[1:]), row[0] + step - 1, "0", 1, "0", "0", "0"] for row in rows]


def gate_info(_venue: Venue, _query: Query) -> Any:
    return [{"id": "BTC_USDT", "base": "BTC", "quote": "USDT", "fee": "0.2", "min_quote_amount": "1",
             "amount_precision": 4, "precision": 2, "trade_status": "tradable", "sell_start": 0}]  # fmt: skip


def gate_no_info(_venue: Venue, _query: Query) -> Any:
    return []


def gate_candles(venue: Venue, query: Query) -> Any:
    """At most 1,000 of a range of seconds; what is older than the newest 10,000 is refused."""
    step = {"1m": MINUTE, "1d": DAY}[query["interval"]]
    first, last = int(query["from"]) * 1000, int(query["to"]) * 1000
    if first < venue.now_ms // step * step - GATE_KEEPS * step:
        message = f"Candlestick too long ago. Maximum {GATE_KEEPS} points ago are allowed"
        raise Refusal({"label": "INVALID_PARAM_VALUE", "message": message})
    rows = venue.rows(step, first, last, 1000)
    return [[str(row[0] // 1000), "0", *(str(row[at]) for at in (4, 2, 3, 1, 5)), "true"] for row in rows]


def okx_info(_venue: Venue, query: Query) -> Any:
    common = {"lotSz": "0.001", "minSz": "0.001", "tickSz": "0.1", "state": "live", "listTime": "1548133413000"}
    spot = {"instId": "BTC-USDT", "instType": "SPOT", "baseCcy": "BTC", "quoteCcy": "USDT"}
    swap = {"instId": "BTC-USDT-SWAP", "instType": "SWAP", "uly": "BTC-USDT", "instFamily": "BTC-USDT",
            "settleCcy": "USDT", "ctVal": "0.01", "ctMult": "1", "ctValCcy": "BTC", "ctType": "linear"}  # fmt: skip
    return {"code": "0", "msg": "", "data": [{**common, **(spot if query["instType"] == "SPOT" else swap)}]}


def okx_candles(venue: Venue, query: Query, oldest: int = 0) -> Any:
    """Newest first, strictly between ``before`` and ``after``."""
    step = {"1m": MINUTE, "1Dutc": DAY}[query["bar"]]
    keep = min(int(query["limit"]), 300)
    first, last = int(query["before"]) + 1, int(query["after"]) - 1
    rows = venue.rows(step, max(first, oldest), last, keep, newest=True)
    contracts = 100 if query["instId"].endswith("SWAP") else 1
    data = [[*row[:5], f"{float(row[5]) * contracts}", row[5], "0", "1"] for row in _texts(rows[::-1])]
    return {"code": "0", "msg": "", "data": data}


def okx_recent(venue: Venue, query: Query) -> Any:
    """The same for the newest 1,440 bars only."""
    step = {"1m": MINUTE, "1Dutc": DAY}[query["bar"]]
    return okx_candles(venue, query, oldest=venue.now_ms - 1440 * step)


def bybit_info(_venue: Venue, query: Query) -> Any:
    one = {"symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "status": "Trading", "settleCoin": "USDT",
           "contractType": "LinearPerpetual", "launchTime": "1585526400000", "deliveryTime": "0",
           "lotSizeFilter": {"qtyStep": "0.001", "basePrecision": "0.000001", "minOrderQty": "0.001"},
           "priceFilter": {"tickSize": "0.1"}, "leverageFilter": {}}  # fmt: skip
    listed = [] if query["category"] == "inverse" else [one]
    result = {"category": query["category"], "list": listed, "nextPageCursor": ""}
    return {"retCode": 0, "retMsg": "OK", "result": result, "time": 0}


def bybit_candles(venue: Venue, query: Query) -> Any:
    """Newest first, for a stretch of time from ``start`` on."""
    step, keep = {"1": MINUTE, "D": DAY}[query["interval"]], min(int(query["limit"]), 1000)
    start = int(query["start"])
    rows = venue.rows(step, start, start + keep * step - 1, keep)
    result = {"symbol": "BTCUSDT", "category": query["category"], "list": _texts(rows[::-1], "0")}
    return {"retCode": 0, "retMsg": "OK", "result": result, "time": 0}


def bitget_info(_venue: Venue, query: Query) -> Any:
    spot = {"symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "status": "online", "pricePrecision": "2",
            "quantityPrecision": "6"}  # fmt: skip
    swap = {"symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "supportMarginCoins": ["USDT"],
            "symbolType": "perpetual", "symbolStatus": "normal", "pricePlace": "1", "volumePlace": "3",
            "priceEndStep": "1", "sizeMultiplier": "0.001", "minTradeNum": "0.001"}  # fmt: skip
    listed = {"": [spot], "USDT-FUTURES": [swap]}.get(query.get("productType", ""), [])
    return {"code": "00000", "msg": "success", "data": listed}


def bitget_margin_info(_venue: Venue, _query: Query) -> Any:
    return {"code": "00000", "msg": "success", "data": []}


_BITGET_STEPS = {"1min": MINUTE, "1m": MINUTE, "1Dutc": DAY}


def bitget_recent(venue: Venue, query: Query) -> Any:
    """A month of minutes; of the range asked for, the end."""
    step = _BITGET_STEPS[query["granularity"]]
    first = max(int(query["startTime"]), venue.now_ms - (30 * DAY if step == MINUTE else 10_000 * DAY))
    rows = venue.rows(step, first, int(query["endTime"]) - 1, min(int(query["limit"]), 1000), newest=True)
    return {"code": "00000", "msg": "success", "data": _texts(rows, "0")}


def bitget_history(venue: Venue, query: Query) -> Any:
    """Up to ``endTime``, whatever the start."""
    step = _BITGET_STEPS[query["granularity"]]
    rows = venue.rows(step, 0, int(query["endTime"]) - 1, min(int(query["limit"]), 200), newest=True)
    return {"code": "00000", "msg": "success", "data": _texts(rows, "0")}


def kraken_info(_venue: Venue, _query: Query) -> Any:
    pair = {"altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD", "pair_decimals": 1,
            "lot_decimals": 8, "status": "online", "fees": [[0, 0.26]], "fees_maker": [[0, 0.16]],
            "leverage_buy": [], "leverage_sell": []}  # fmt: skip
    return {"error": [], "result": {"XXBTZUSD": pair}}


def kraken_candles(venue: Venue, query: Query) -> Any:
    """The newest 720, whatever ``since``."""
    step = int(query["interval"]) * MINUTE
    rows = venue.rows(step, int(query["since"]) * 1000, venue.now_ms, 720, newest=True)
    listed = [[row[0] // 1000, *map(str, row[1:5]), "0", str(row[5]), 1] for row in rows]
    return {"error": [], "result": {"XXBTZUSD": listed, "last": venue.now_ms // 1000}}


def kraken_futures_info(_venue: Venue, _query: Query) -> Any:
    one = {"symbol": "PF_XBTUSD", "type": "flexible_futures", "base": "BTC", "quote": "USD", "tickSize": 1,
           "contractSize": 1, "tradeable": True, "contractValueTradePrecision": 4}  # fmt: skip
    return {"result": "success", "instruments": [{**one, "type": "futures_vanilla"}]}


def kraken_futures_candles(venue: Venue, query: Query, step: int = MINUTE) -> Any:
    """At most 2,000 of a range of seconds."""
    rows = venue.rows(step, int(query["from"]) * 1000, int(query["to"]) * 1000, 2000)
    names = ("time", "open", "high", "low", "close", "volume")
    listed = [dict(zip(names, [row[0], *map(str, row[1:])], strict=True)) for row in rows]
    return {"candles": listed, "more_candles": False}


def kraken_futures_days(venue: Venue, query: Query) -> Any:
    """The same of days."""
    return kraken_futures_candles(venue, query, DAY)


_CHARTS = "/api/charts/v1/trade/PF_XBTUSD/"
ANSWERS: dict[str, dict[str, Callable[[Venue, Query], Any]]] = {
    "binance": {
        "/api/v3/exchangeInfo": binance_info,
        "/fapi/v1/exchangeInfo": binance_no_info,
        "/dapi/v1/exchangeInfo": binance_no_info,
        "/sapi/v1/margin/allPairs": binance_empty_info,
        "/sapi/v1/margin/isolated/allPairs": binance_empty_info,
        "/api/v3/klines": binance_candles,
    },
    "gate": {
        "/api/v4/spot/currency_pairs": gate_info,
        **dict.fromkeys(
            [
                f"/api/v4/{path}"
                for path in (
                    "margin/currency_pairs",
                    "futures/usdt/contracts",
                    "futures/btc/contracts",
                    "delivery/usdt/contracts",
                )
            ],
            gate_no_info,
        ),
        "/api/v4/spot/candlesticks": gate_candles,
    },
    "okx": {
        "/api/v5/public/instruments": okx_info,
        "/api/v5/market/candles": okx_recent,
        "/api/v5/market/history-candles": okx_candles,
    },
    "bybit": {"/v5/market/instruments-info": bybit_info, "/v5/market/kline": bybit_candles},
    "bitget": {
        "/api/v2/spot/public/symbols": bitget_info,
        "/api/v2/margin/currencies": bitget_margin_info,
        "/api/v2/mix/market/contracts": bitget_info,
        "/api/v2/spot/market/candles": bitget_recent,
        "/api/v2/spot/market/history-candles": bitget_history,
        "/api/v2/mix/market/candles": bitget_recent,
        "/api/v2/mix/market/history-candles": bitget_history,
    },
    "kraken": {"/0/public/AssetPairs": kraken_info, "/0/public/OHLC": kraken_candles},
    "krakenfutures": {
        "/derivatives/api/v3/instruments": kraken_futures_info,
        f"{_CHARTS}1m": kraken_futures_candles,
        f"{_CHARTS}1d": kraken_futures_days,
    },
}
