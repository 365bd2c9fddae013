"""Binance's market-data protocol, spot and USD-M: what REST resources and websocket commands answer. No I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from trading_assets.core.candles import Market
from trading_assets.core.precision import MAX_PRICE, MAX_QUANTITY, fixed, step
from trading_live.replay.streams import snapshot
from trading_live.replay.tape import Instrument, Tape

MAX_KLINES: Final = 1500
DEFAULT_KLINES: Final = 500
MAX_PAYMENTS: Final = 1000
DEFAULT_PAYMENTS: Final = 100
_LARGEST_PRICE: Final = fixed(MAX_PRICE, 0)
_LARGEST_QUANTITY: Final = fixed(MAX_QUANTITY, 0)
"""No order is denied for its size: the venue's own limits are those of the client's numbers."""

BOOK_LIMITS: Final = (5, 10, 20, 50, 100, 500, 1000)


@dataclass(frozen=True, slots=True)
class VenueError:
    """A refusal with the venue's own code."""

    code: int
    text: str


Resource = Callable[[Tape, int, Mapping[str, str]], Any]
"""(tape, replayed milliseconds, query) -> the answer, written as JSON already where it is text, or a refusal."""


def ping(_tape: Tape, _now_ms: int, _query: Mapping[str, str]) -> Any:
    """Whether the venue is there."""
    return {}


def server_time(_tape: Tape, now_ms: int, _query: Mapping[str, str]) -> Any:
    """The replayed clock."""
    return {"serverTime": now_ms}


def exchange_info(tape: Tape, now_ms: int, _query: Mapping[str, str]) -> Any:
    """The replayed markets as perpetuals."""
    fixed: dict[str, Any] = {"timezone": "UTC", "rateLimits": [], "exchangeFilters": [], "assets": []}
    return fixed | {"serverTime": now_ms, "symbols": [symbol_info(one) for one in tape.instruments.values()]}


def spot_info(tape: Tape, now_ms: int, _query: Mapping[str, str]) -> Any:
    """The replayed markets as spot markets."""
    fixed: dict[str, Any] = {"timezone": "UTC", "rateLimits": [], "exchangeFilters": []}
    return fixed | {"serverTime": now_ms, "symbols": [spot_symbol_info(one) for one in tape.instruments.values()]}


def no_markets(_tape: Tape, now_ms: int, _query: Mapping[str, str]) -> Any:
    """A venue without markets (coin-margined futures), which clients list beside the others."""
    return {"timezone": "UTC", "serverTime": now_ms, "rateLimits": [], "exchangeFilters": [], "symbols": []}


def klines(tape: Tape, now_ms: int, query: Mapping[str, str]) -> Any:
    """Closed bars; never one that has not closed by the replayed clock."""
    instrument = tape.instruments.get(query.get("symbol", ""))
    if instrument is None:
        return VenueError(-1121, "Invalid symbol.")
    series = instrument.series.get(query.get("interval", ""))
    if series is None:
        return VenueError(-1120, "Invalid interval.")
    page = _page(query, DEFAULT_KLINES, MAX_KLINES)
    return page if isinstance(page, VenueError) else series.rows(now_ms, **page)


def funding_rate(tape: Tape, now_ms: int, query: Mapping[str, str]) -> Any:
    """Funding payments that were settled by the replayed clock; none where none are stored."""
    instrument = tape.instruments.get(query.get("symbol", ""))
    if instrument is None:
        return VenueError(-1121, "Invalid symbol.")
    page = _page(query, DEFAULT_PAYMENTS, MAX_PAYMENTS)
    return page if isinstance(page, VenueError) else instrument.funding.settled(now_ms, **page)


def depth(tape: Tape, now_ms: int, query: Mapping[str, str]) -> Any:
    """The synthetic order book of this moment."""
    instrument = tape.instruments.get(query.get("symbol", ""))
    if instrument is None:
        return VenueError(-1121, "Invalid symbol.")
    limit = query.get("limit", "500")
    if not limit.isdecimal() or int(limit) not in BOOK_LIMITS:
        return VenueError(-4021, f"'{limit}' is not valid depth limit.")
    return snapshot(instrument, now_ms, int(limit))


def premium_index(tape: Tape, now_ms: int, query: Mapping[str, str]) -> Any:
    """The last closed price as mark and index price; the last settled funding rate."""
    wanted = query.get("symbol")
    found = [one for one in tape.instruments.values() if wanted in (None, one.symbol)]
    if not found:
        return VenueError(-1121, "Invalid symbol.")
    rows = [_premium(one, now_ms) for one in found]
    return rows[0] if wanted else rows


RESOURCES: Final[Mapping[str, Resource]] = {
    "/api/v3/ping": ping,
    "/api/v3/time": server_time,
    "/api/v3/exchangeInfo": spot_info,
    "/api/v3/klines": klines,
    "/dapi/v1/exchangeInfo": no_markets,
    "/fapi/v1/ping": ping,
    "/fapi/v1/time": server_time,
    "/fapi/v1/exchangeInfo": exchange_info,
    "/fapi/v1/klines": klines,
    "/fapi/v1/fundingRate": funding_rate,
    "/fapi/v1/depth": depth,
    "/fapi/v1/premiumIndex": premium_index,
}


def answer_command(streams: set[str], text: str) -> dict[str, Any]:
    """The answer to a websocket command; subscribing and unsubscribing changes ``streams``."""
    try:
        command = json.loads(text)
        number, method = command.get("id"), command["method"]
        named = {str(stream).lower() for stream in command.get("params", [])}
    except (ValueError, KeyError, AttributeError, TypeError):
        return {"error": {"code": 3, "msg": "Invalid JSON: expected method, params and id"}, "id": None}
    if method == "SUBSCRIBE":
        streams |= named
    elif method == "UNSUBSCRIBE":
        streams -= named
    elif method == "LIST_SUBSCRIPTIONS":
        return {"result": sorted(streams), "id": number}
    else:
        return {"error": {"code": 1, "msg": f"Unknown method {method}"}, "id": number}
    return {"result": None, "id": number}


def plain(_stream: str, event: Any) -> Any:
    """An event as it is sent where a client has one path for each stream."""
    return event


def wrapped(stream: str, event: Any) -> Any:
    """An event as it is sent on the path of combined streams."""
    return {"stream": stream, "data": event}


class _Page(TypedDict):
    start_ms: int | None
    end_ms: int | None
    limit: int


def _page(query: Mapping[str, str], usual: int, most: int) -> _Page | VenueError:
    """What part of a history is asked for."""
    try:
        start, end = (int(query[name]) if name in query else None for name in ("startTime", "endTime"))
        limit = int(query.get("limit", usual))
    except ValueError:
        return VenueError(-1102, "A parameter was malformed.")
    if not 1 <= limit <= most:
        return VenueError(-1130, "Data sent for parameter 'limit' is not valid.")
    return {"start_ms": start, "end_ms": end, "limit": limit}


def _premium(instrument: Instrument, now_ms: int) -> dict[str, Any]:
    finest = next(iter(instrument.series.values()))
    newest = finest.closed(now_ms, start_ms=None, end_ms=None, limit=1)
    price = newest[0].texts[3] if newest else "0"
    prices = dict.fromkeys(("markPrice", "indexPrice", "estimatedSettlePrice"), price)
    rate, due_ms = instrument.funding.last(now_ms)
    rates = {"lastFundingRate": rate, "interestRate": "0", "nextFundingTime": due_ms}
    return {"symbol": instrument.symbol, **prices, **rates, "time": now_ms}


def spot_symbol_info(one: Instrument) -> dict[str, Any]:
    """One symbol of the spot ``exchangeInfo``, with the precision of its candles."""
    market = Market.parse(one.market)
    tick, lot = (fixed(step(decimals), decimals) for decimals in (one.price_decimals, one.volume_decimals))
    return {
        "symbol": one.symbol,
        "status": "TRADING",
        "baseAsset": market.base,
        "quoteAsset": market.quote,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "MARKET"],
        "isSpotTradingAllowed": True,
        "permissionSets": [["SPOT"]],
        "permissions": [],
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": tick, "minPrice": tick, "maxPrice": _LARGEST_PRICE},
            {"filterType": "LOT_SIZE", "stepSize": lot, "minQty": lot, "maxQty": _LARGEST_QUANTITY},
        ],
    }


def symbol_info(one: Instrument) -> dict[str, Any]:
    """One symbol of ``exchangeInfo``, with the precision of its candles."""
    market = Market.parse(one.market)
    tick, lot = (fixed(step(decimals), decimals) for decimals in (one.price_decimals, one.volume_decimals))
    return {
        "symbol": one.symbol,
        "pair": one.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "maintMarginPercent": "2.5",
        "requiredMarginPercent": "5.0",
        "baseAsset": market.base,
        "quoteAsset": market.quote,
        "marginAsset": market.quote,
        "pricePrecision": max(one.price_decimals, 0),
        "quantityPrecision": max(one.volume_decimals, 0),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.05",
        "liquidationFee": "0.01",
        "marketTakeBound": "0.05",
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": tick, "minPrice": tick, "maxPrice": _LARGEST_PRICE},
            {"filterType": "LOT_SIZE", "stepSize": lot, "minQty": lot, "maxQty": _LARGEST_QUANTITY},
            {"filterType": "MARKET_LOT_SIZE", "stepSize": lot, "minQty": lot, "maxQty": _LARGEST_QUANTITY},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ],
    }
