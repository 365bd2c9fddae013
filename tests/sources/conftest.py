"""A local exchange: the REST part of Binance's USD-M protocol that candles need, with faults on demand."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from aiohttp import web

START = datetime(2025, 3, 1, tzinfo=UTC)


@pytest.fixture
def start() -> datetime:
    """When the plain candles begin."""
    return START


@pytest.fixture
def plain_candles() -> Callable[..., pl.DataFrame]:
    """Makes valid candles without surprises."""

    def make(rows: int, start: datetime = START, minutes: int = 1) -> pl.DataFrame:
        price = pl.Series([100.0 + row % 7 for row in range(rows)], dtype=pl.Float64)
        ts = pl.Series(
            [start + timedelta(minutes=minutes * row) for row in range(rows)], dtype=pl.Datetime("us", "UTC")
        )
        return pl.DataFrame(
            {"ts": ts, "open": price, "high": price + 2, "low": price - 2, "close": price + 1, "volume": price * 0 + 10}
        )

    return make


class LocalExchange:
    """Serves candles of BTCUSDT; each klines request takes the next fault from ``faults``, if there is one."""

    def __init__(self) -> None:
        self.candles: list[list[Any]] = []
        self.faults: deque[str] = deque()
        self.requests: list[dict[str, str]] = []
        self.answers_for_rows: int | None = None
        """Answer only for so many minutes from the start on, as OKX and Coinbase do."""
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def hold(self, frame: pl.DataFrame) -> None:
        ms = frame["ts"].dt.timestamp("ms")
        self.candles = [[at, *map(str, row)] for at, row in zip(ms, frame.drop("ts").iter_rows(), strict=True)]

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._open())
        self._ready.set()
        self._loop.run_forever()

    async def _open(self) -> None:
        app = web.Application()
        app.router.add_get("/fapi/v1/exchangeInfo", self._exchange_info)
        app.router.add_get("/fapi/v1/klines", self._klines)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _exchange_info(self, request: web.Request) -> web.Response:
        symbol = {
            "symbol": "BTCUSDT",
            "pair": "BTCUSDT",
            "contractType": "PERPETUAL",
            "status": "TRADING",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "marginAsset": "USDT",
            "pricePrecision": 2,
            "quantityPrecision": 3,
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
                {"filterType": "LOT_SIZE", "stepSize": "0.001", "maxQty": "1000", "minQty": "0.001"},
            ],
        }
        return web.json_response({"timezone": "UTC", "serverTime": 0, "rateLimits": [], "symbols": [symbol]})

    async def _klines(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(dict(request.query))
        fault = self.faults.popleft() if self.faults else ""
        since, limit = int(request.query["startTime"]), int(request.query["limit"])
        until = since + 60_000 * self.answers_for_rows if self.answers_for_rows else float("inf")
        rows = [row for row in self.candles if since <= row[0] < until][:limit]
        if fault == "drop":
            assert request.transport is not None
            request.transport.abort()
        if fault in ("403", "404", "500", "502", "503"):
            return web.Response(status=int(fault), text="<html>no</html>", content_type="text/html")
        if fault in ("418", "429"):
            return web.json_response({"code": -1003, "msg": "no"}, status=int(fault), headers={"Retry-After": "0.2"})
        if fault == "ban":
            return web.json_response({"code": -1003, "msg": "no"}, status=418, headers={"Retry-After": "7200"})
        if fault == "truncated":
            return web.Response(text='[[1740787200000,"100.0","10', content_type="application/json")
        if fault == "html":
            return web.Response(text="<html>maintenance</html>", content_type="text/html")
        if fault == "refused key":
            return web.json_response({"code": -2015, "msg": "Invalid API-key"}, status=401)
        if fault == "empty":
            rows = []
        if fault == "reordered and doubled":
            rows = [*reversed(rows), *rows[:5]]
        return web.json_response(rows)


@pytest.fixture
def local_exchange() -> Iterator[LocalExchange]:
    """A running local exchange without candles."""
    server = LocalExchange()
    server.start()
    yield server
    server.stop()
