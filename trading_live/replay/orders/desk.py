"""Where orders arrive at the local exchange: signed requests in, answers and user events out."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl

import numpy as np
from aiohttp import web

from trading_live.replay.faults import AHEAD_MS, ORDER_FAULTS, Fault, Faults
from trading_live.replay.orders import incidents
from trading_live.replay.orders.account import AccountView
from trading_live.replay.orders.binance import rest, signing
from trading_live.replay.orders.binance.accounts import Resource
from trading_live.replay.orders.binance.messages import message
from trading_live.replay.orders.binance.requests import Malformed, symbol_of, whole_number
from trading_live.replay.orders.binance.rest import answer
from trading_live.replay.orders.binance.users import UserStreams
from trading_live.replay.orders.bybit.desk import BybitDesk
from trading_live.replay.orders.exchange import Exchange, candles
from trading_live.replay.orders.exchange.happenings import Happening
from trading_live.replay.orders.exchange.model import Refusal, Terms
from trading_live.replay.orders.opening import bar_of, open_account, with_filters
from trading_live.replay.streams import finest
from trading_live.replay.tape import Kline, Tape

LISTEN: Final = "/fapi/v1/listenKey"
COUNTDOWN: Final = "/fapi/v1/countdownCancelAll"
_SWAP_S: Final = 1.0
"""How long an event waits for the one that overtakes it."""


class Desk:
    """The order side of the local exchange.

    What concerns the market runs on the replayed clock: fills, funding, stamps. What is agreed between a client and
    its venue runs on this machine's: the time of a signature, listen keys, the countdown that cancels all. A history
    that is asked for from a time of this machine's clock is given from the market's time at that moment.

    Parameters
    ----------
    tape
        What is replayed.
    terms
        How orders are filled and charged.
    now_ms
        The replayed clock.
    speed
        Replayed seconds per second.
    faults
        What goes wrong; those of requests are committed on the way here as well.
    """

    def __init__(
        self, tape: Tape, terms: Terms, now_ms: Callable[[], int], speed: float, faults: Faults | None = None
    ) -> None:
        self.exchange: Exchange = open_account(tape, terms)
        self.users = UserStreams(time.monotonic)
        self.account = AccountView(self.exchange, self.users)
        self._tape = tape
        self._now_ms = now_ms
        self._speed = speed
        self._chance = random.Random(terms.seed)
        self._faults = faults or Faults()
        self._befallen: list[Fault] = []
        self._looked: dict[str, int] = {}
        self._late: set[asyncio.Task[None]] = set()
        self._outbox: asyncio.Queue[Happening] = asyncio.Queue()
        self.bybit = BybitDesk(self.exchange, now_ms, self._arrive, self._post, self._in_market_time)
        self._countdowns: dict[str, asyncio.TimerHandle] = {}
        self._wall_ms: list[int] = []
        self._market_ms: list[int] = []

    def routes(self, app: web.Application) -> None:
        """Add the signed resources to an application."""
        for (method, path), resource in rest.SIGNED.items():
            app.router.add_route(method, path, self._serving(resource))
        for method in ("POST", "PUT", "DELETE"):
            app.router.add_route(method, LISTEN, self._listen)
        app.router.add_post(COUNTDOWN, self._serving(self._count_down))
        self.bybit.routes(app)

    async def tell(self) -> None:
        """Send what happens, one message after the other, until cancelled."""
        while True:
            await self._tell(await self._outbox.get())

    def closed(self, bars: Sequence[Kline]) -> None:
        """Match the candles that have closed at an instant, before anybody is told of them."""
        self._befall()
        self._wall_ms.append(round(time.time() * 1000))
        self._market_ms.append(self._now_ms())
        for bar in sorted(bars, key=lambda one: one.symbol):
            if bar.interval == finest(self._tape.instruments[bar.symbol]).interval:
                candles.play(self.exchange, bar_of(bar))
        self._post()

    def with_filters(self, info: dict[str, Any]) -> dict[str, Any]:
        """``exchangeInfo`` with the filters that orders are checked by."""
        self._befall()
        filters = self.exchange.filters
        return info | {"symbols": [with_filters(one, filters.get(one["symbol"])) for one in info["symbols"]]}

    def _serving(self, resource: Resource) -> Callable[[web.Request], Any]:
        async def serve(request: web.Request) -> web.StreamResponse:
            query, body = request.raw_path.partition("?")[2], await request.text()
            params = dict(parse_qsl(query, keep_blank_values=True) + parse_qsl(body, keep_blank_values=True))
            refusal = self._unknown(request, query, body, params)
            if refusal is not None:
                return _written(refusal)
            await self._arrive()
            kinds = request.get(ORDER_FAULTS, frozenset())
            asked = rest.cancel_falsely if "fill_after_cancel" in kinds else resource
            self.exchange.slow = "filled_in_parts" in kinds
            found = answer(asked, self.exchange, self._in_market_time(params), self._now_ms())
            self.exchange.slow = False
            if "ended_later" in kinds:
                incidents.end_again(self.exchange, found, self._now_ms())
            self._post()
            return _written(found)

        return serve

    def _unknown(self, request: web.Request, query: str, body: str, params: dict[str, str]) -> Refusal | None:
        ahead = request.get(AHEAD_MS, 0)
        clocks = (round(time.time() * 1000) + ahead, self._now_ms() + ahead)
        return (
            signing.key_refusal(request.headers.get("X-MBX-APIKEY"))
            or signing.time_refusal(params, clocks)
            or signing.signature_refusal(query, body, params)
        )

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        refusal = signing.key_refusal(request.headers.get("X-MBX-APIKEY"))
        if refusal is not None:
            return _written(refusal)
        if request.method == "POST":
            return _written({"listenKey": self.users.create()})
        body = dict(parse_qsl(await request.text()))
        key = request.query.get("listenKey") or body.get("listenKey")
        if request.method == "PUT":
            renewed = self.users.renew(key)
            return _written({"listenKey": renewed} if renewed else Refusal(-1125, "This listenKey does not exist."))
        self.users.close(key)
        return _written({})

    def _count_down(self, exchange: Exchange, params: Any, _now_ms: int) -> Any:
        """Cancel all orders of a symbol after a while, unless it is said again; 0 stops it."""
        symbol, wait_ms = symbol_of(params, exchange), whole_number(params, "countdownTime")
        if wait_ms is None or wait_ms < 0:
            raise Malformed(-1102, "Mandatory parameter 'countdownTime' was not sent, was empty/null, or malformed.")
        if symbol in self._countdowns:
            self._countdowns.pop(symbol).cancel()
        if wait_ms:
            loop = asyncio.get_running_loop()
            self._countdowns[symbol] = loop.call_later(wait_ms / 1000, self._counted_down, symbol)
        return {"symbol": symbol, "countdownTime": str(wait_ms)}

    def _counted_down(self, symbol: str) -> None:
        self._countdowns.pop(symbol, None)
        for order in self.exchange.open_orders(symbol):
            self.exchange.cancel(order.id, self._now_ms())
        for one in self.exchange.waiting(symbol):
            self.exchange.cancel_waiting(one.id, self._now_ms())
        self._post()

    async def _arrive(self) -> None:
        """Let a request take its time, which is the market's; what has come due meanwhile is there before it."""
        latency_ms = self.exchange.terms.latency_ms
        if latency_ms:
            await asyncio.sleep(latency_ms * (1 + 0.2 * self._chance.random()) / 1000 / self._speed)
        self._befall()
        self._look()

    def _in_market_time(self, params: dict[str, str]) -> dict[str, str]:
        """The same with a history's limits by the replayed clock, where they are later than it says."""
        changed = dict(params)
        begin, end = params.get("startTime", ""), params.get("endTime", "")
        if begin.isdecimal() and int(begin) > self._now_ms():
            place = bisect_right(self._wall_ms, int(begin))
            changed["startTime"] = str(self._market_ms[place - 1] if place else 0)
        if end.isdecimal() and int(end) > self._now_ms():
            del changed["endTime"]
        return changed

    def _look(self) -> None:
        """The newest price is the first of the candle that is under way: it is known as soon as that has opened."""
        now_ms = self._now_ms()
        for symbol, one in self._tape.instruments.items():
            series = finest(one)
            index = int(np.searchsorted(series.open_ms, now_ms, side="right")) - 1
            if index >= 0 and self._looked.get(symbol) != index and now_ms <= series.close_ms[index]:
                self._looked[symbol] = index
                self.exchange.prices[symbol] = Decimal(series.kline(index).texts[0])

    def _befall(self) -> None:
        """Let happen to symbols what has come due by the replayed clock, each once."""
        now_ms = self._now_ms()
        for fault in self._faults.of_symbols(datetime.fromtimestamp(now_ms / 1000, UTC)):
            if not any(fault is one for one in self._befallen):
                self._befallen.append(fault)
                incidents.befall(self.exchange, fault, now_ms)

    async def drop(self) -> None:
        """Close the connections of all user streams."""
        await self.users.drop()
        await self.bybit.drop()

    async def _tell(self, happening: Happening) -> None:
        """Tell one happening in each protocol."""
        await self._send(message(happening, self.exchange.modes))
        await self.bybit.tell(happening)

    async def _send(self, message: dict[str, Any]) -> None:
        """Send one message of the user stream, or not, as the faults say."""
        await self.users.expire(self._now_ms(), all_of_them=False)
        striking = {fault.fault: fault for fault in self._faults.at_event(_name(message))}
        if "key_expired" in striking:
            await self.users.expire(self._now_ms())
        if "stream_broken" in striking:
            await self.users.drop()
        if "event_swapped" in striking:
            with contextlib.suppress(TimeoutError):
                await self._tell(await asyncio.wait_for(self._outbox.get(), _SWAP_S))
        if "event_lost" in striking:
            self.users.sent.append(message)
        elif "event_late" in striking:
            task = asyncio.create_task(self._send_late(message, striking["event_late"].seconds))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        else:
            for _ in range(2 if "event_doubled" in striking else 1):
                await self.users.publish(message)

    async def _send_late(self, message: dict[str, Any], seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.users.publish(message)

    def _post(self) -> None:
        for happening in self.exchange.happened:
            self._outbox.put_nowait(happening)
        self.exchange.happened.clear()


def _name(message: dict[str, Any]) -> str:
    """What a message is known by, e.g. ``ORDER_TRADE_UPDATE TRADE`` or ``ALGO_UPDATE TRIGGERED``."""
    told = message.get("o", {})
    return f"{message['e']} {told.get('x') or told.get('X', '')}".strip()


def _written(found: Any) -> web.Response:
    if isinstance(found, Refusal):
        return web.json_response({"code": found.code, "msg": found.text}, status=found.status)
    return web.json_response(found)
