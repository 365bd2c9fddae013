"""Bybit's market-data protocol, linear perpetuals: what REST resources and the public stream say. No I/O.

What streams are called and what happens on them is the local exchange's own; here is how Bybit words it. Books come
whole, as Bybit may send them at any time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from trading_assets.core.candles import timeframe_minutes
from trading_live.replay.protocol import Resource
from trading_live.replay.streams import TRADES, WHOLE_BOOK
from trading_live.replay.tape import INTERVALS, Instrument, Tape

STREAMS: Final = "/v5/public/"
"""Where its public streams are."""

_INTERVALS: Final = {"D" if name == "1d" else str(timeframe_minutes(name)): name for name in INTERVALS}
_NAMES: Final = {name: interval for interval, name in _INTERVALS.items()}
_MAX_KLINES: Final = 1000
_MAX_PAYMENTS: Final = 200
_CONNECTION: Final = "rehearsal"


class _Malformed(Exception):
    """A parameter that cannot be read."""


def _answering(result: Any) -> Resource:
    """A resource that wraps what ``result`` makes of an instrument and a query."""

    def answer(tape: Tape, now_ms: int, query: Mapping[str, str]) -> Any:
        told: dict[str, Any] = {"retCode": 0, "retMsg": "OK", "retExtInfo": {}, "time": now_ms}
        try:
            one = tape.instruments.get(query.get("symbol", "")) if query.get("category") == "linear" else None
            if one is None:
                raise _Malformed("symbol invalid")
            return told | {"result": {"category": "linear", "symbol": one.symbol, "list": result(one, now_ms, query)}}
        except _Malformed as error:
            return told | {"retCode": 10001, "retMsg": f"params error: {error}", "result": {}}

    return answer


def _klines(one: Instrument, now_ms: int, query: Mapping[str, str]) -> list[list[str]]:
    """Closed bars, the newest first: those up to an end, or of one page of time from a start on."""
    series = one.series.get(_INTERVALS.get(query.get("interval", ""), ""))
    if series is None:
        raise _Malformed("interval invalid")
    start, end, limit = _page(query, "start", "end", 200, _MAX_KLINES)
    if start is not None and end is None:
        end = start + limit * timeframe_minutes(series.interval) * 60_000 - 1
    found = series.closed(now_ms, start_ms=None, end_ms=end, limit=limit)
    return [[str(bar.open_ms), *bar.texts, "0"] for bar in reversed(found) if bar.open_ms >= (start or 0)]


def _payments(one: Instrument, now_ms: int, query: Mapping[str, str]) -> list[dict[str, str]]:
    """Funding that was settled by the replayed clock, the newest first."""
    start, end, limit = _page(query, "startTime", "endTime", _MAX_PAYMENTS, _MAX_PAYMENTS)
    rows = one.funding.settled(now_ms, start_ms=None, end_ms=end, limit=limit)
    return [
        {
            "symbol": one.symbol,
            "fundingRate": row["fundingRate"],
            "fundingRateTimestamp": str(row["fundingTime"]),
        }
        for row in reversed(rows)
        if row["fundingTime"] >= (start or 0)
    ]


def _tickers(one: Instrument, now_ms: int, _query: Mapping[str, str]) -> list[dict[str, str]]:
    """The last closed price as every price; the last settled funding rate."""
    newest = next(iter(one.series.values())).closed(now_ms, start_ms=None, end_ms=None, limit=1)
    prices = dict.fromkeys(("lastPrice", "markPrice", "indexPrice"), newest[0].texts[3] if newest else "0")
    rate, due_ms = one.funding.last(now_ms)
    return [{"symbol": one.symbol, **prices, "fundingRate": rate, "nextFundingTime": str(due_ms)}]


RESOURCES: Final[Mapping[str, Resource]] = {
    "/v5/market/kline": _answering(_klines),
    "/v5/market/funding/history": _answering(_payments),
    "/v5/market/tickers": _answering(_tickers),
}


def answer_command(streams: set[str], text: str) -> dict[str, Any]:
    """The answer to a message of the public stream; subscribing and unsubscribing changes ``streams``."""
    try:
        asked = json.loads(text)
        operation, named = str(asked["op"]), {_stream_of(str(topic)) for topic in asked.get("args", [])}
        told = {"conn_id": _CONNECTION, "req_id": asked.get("req_id", "")}
    except (ValueError, KeyError, AttributeError, TypeError):
        return {"success": False, "ret_msg": "params error", "op": "", "conn_id": _CONNECTION}
    if operation == "ping":
        return told | {"success": True, "ret_msg": "pong", "op": "ping"}
    if operation == "subscribe":
        streams |= named
    elif operation == "unsubscribe":
        streams -= named
    else:
        return told | {"success": False, "ret_msg": f"{operation} is unknown", "op": operation}
    return told | {"success": True, "ret_msg": "", "op": operation}


def written(stream: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """An event of a stream: a closed bar, a trade, or a book."""
    data: Any
    match event["e"]:
        case "kline":
            kind, data = f"kline.{_NAMES[event['k']['i']]}", [_bar(event)]
        case "aggTrade":
            kind, data = "publicTrade", [_trade(event)]
        case _:
            depth = stream.rpartition(f"@{WHOLE_BOOK}")[2]
            kind, data = f"orderbook.{depth}", _book(event, int(depth))
    return {"topic": f"{kind}.{event['s']}", "type": "snapshot", "ts": event["E"], "data": data}


def _bar(event: Mapping[str, Any]) -> dict[str, Any]:
    bar = event["k"]
    prices = {"open": bar["o"], "high": bar["h"], "low": bar["l"], "close": bar["c"], "volume": bar["v"]}
    times = {"start": bar["t"], "end": bar["T"], "timestamp": event["E"]}
    return {"interval": _NAMES[bar["i"]], "turnover": "0", "confirm": bar["x"], **prices, **times}


def _trade(event: Mapping[str, Any]) -> dict[str, Any]:
    taker = "Sell" if event["m"] else "Buy"
    size = {"v": event["q"], "p": event["p"], "L": "ZeroPlusTick", "BT": False}
    return {"T": event["T"], "s": event["s"], "S": taker, "i": str(event["a"]), **size}


def _book(event: Mapping[str, Any], depth: int) -> dict[str, Any]:
    number = event["lastUpdateId"]
    return {"s": event["s"], "b": event["bids"][:depth], "a": event["asks"][:depth], "u": number, "seq": number}


def _stream_of(topic: str) -> str:
    """The stream that a topic is; what is not served stays as it is called, and nothing comes on it."""
    match topic.split("."):
        case ["kline", interval, symbol] if interval in _INTERVALS:
            return f"{symbol.lower()}@kline_{_INTERVALS[interval]}"
        case ["publicTrade", symbol]:
            return f"{symbol.lower()}@{TRADES}"
        case ["orderbook", depth, symbol] if depth.isdecimal():
            return f"{symbol.lower()}@{WHOLE_BOOK}{depth}"
    return topic


def _page(query: Mapping[str, str], begin: str, end: str, usual: int, most: int) -> tuple[int | None, int | None, int]:
    """From when to when, and how many rows."""
    texts = [query.get(name, "") for name in (begin, end)] + [query.get("limit") or str(usual)]
    if not all(text.isdecimal() or not text for text in texts) or not 1 <= int(texts[2]) <= most:
        raise _Malformed(f"{begin}, {end} or limit invalid")
    since, until = (int(text) if text else None for text in texts[:2])
    return since, until, int(texts[2])
