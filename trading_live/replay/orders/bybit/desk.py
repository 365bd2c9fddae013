"""Bybit's side of the local exchange: REST, the private stream, and the stream that takes orders."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import WSMsgType, web

from trading_live.replay.faults import AHEAD_MS
from trading_live.replay.orders.bybit import signing
from trading_live.replay.orders.bybit.rest import PUBLIC, SIGNED, TRADED, Resource, answer
from trading_live.replay.orders.bybit.streams import messages
from trading_live.replay.orders.exchange import Exchange
from trading_live.replay.orders.exchange.happenings import Happening
from trading_live.replay.orders.exchange.model import Refusal

STREAMS: Final = ("/v5/private", "/v5/trade")


class BybitDesk:
    """Where Bybit's clients send orders for the same account.

    Parameters
    ----------
    exchange
        The account.
    now_ms
        The replayed clock.
    arrive
        Waited for before every request: its latency.
    settled
        Called after every request, so that what happened is told.
    in_market_time
        Translates the limits of a history from this machine's clock.
    """

    def __init__(
        self,
        exchange: Exchange,
        now_ms: Callable[[], int],
        arrive: Callable[[], Awaitable[None]],
        settled: Callable[[], None],
        in_market_time: Callable[[dict[str, str]], dict[str, str]],
    ) -> None:
        self._exchange = exchange
        self._now_ms = now_ms
        self._arrive = arrive
        self._settled = settled
        self._in_market_time = in_market_time
        self._listening: dict[web.WebSocketResponse, set[str]] = {}

    def routes(self, app: web.Application) -> None:
        """Add its resources and streams to an application."""
        for path, resource in PUBLIC.items():
            app.router.add_get(path, self._serving(resource, signed=False))
        for (method, path), resource in SIGNED.items():
            app.router.add_route(method, path, self._serving(resource, signed=True))
        for path in STREAMS:
            app.router.add_get(path, self._stream)

    async def tell(self, happening: Happening) -> None:
        """Send what happened to those who listen to its topics."""
        if not self._listening:
            return
        for message in messages(happening, self._exchange):
            for socket, topics in list(self._listening.items()):
                if message["topic"] in topics or f"{message['topic']}.linear" in topics:
                    with contextlib.suppress(ConnectionError, RuntimeError):
                        await socket.send_str(json.dumps(message))

    async def drop(self) -> None:
        """Close all connections."""
        sockets, self._listening = list(self._listening), {}
        for socket in sockets:
            with contextlib.suppress(TimeoutError, ConnectionError, RuntimeError):
                await socket.close()

    def _serving(self, resource: Resource, *, signed: bool) -> Callable[[web.Request], Any]:
        async def serve(request: web.Request) -> web.StreamResponse:
            query, body = request.raw_path.partition("?")[2], await request.text()
            if signed:
                ahead = request.get(AHEAD_MS, 0)
                clocks = (round(time.time() * 1000) + ahead, self._now_ms() + ahead)
                refusal = signing.refusal(request.headers, body if request.method == "POST" else query, clocks)
                if refusal is not None:
                    return self._written(refusal)
            try:
                sent = json.loads(body or "{}") if request.method == "POST" else None
            except ValueError:
                sent = ""
            if not isinstance(sent, dict | None):
                return self._written(Refusal(10001, "params error: no JSON object"))
            params = self._in_market_time(dict(parse_qsl(query))) if sent is None else sent
            await self._arrive()
            found = answer(resource, self._exchange, params, self._now_ms())
            self._settled()
            return self._written(found)

        return serve

    def _written(self, found: Any) -> web.Response:
        code, text = (found.code, found.text) if isinstance(found, Refusal) else (0, "OK")
        told = {"retCode": code, "retMsg": text, "retExtInfo": {}, "time": self._now_ms()}
        return web.json_response(told | {"result": {} if isinstance(found, Refusal) else found})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._listening[socket] = set()
        known = False
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._arrive()
                    told, known = self._reply(socket, message.data, known=known)
                    await socket.send_str(json.dumps(told))
        finally:
            self._listening.pop(socket, None)
        return socket

    def _reply(self, socket: web.WebSocketResponse, text: str, *, known: bool) -> tuple[dict[str, Any], bool]:
        """The answer to one message, and whether the connection is the account's."""
        try:
            asked = json.loads(text)
            operation, arguments = str(asked["op"]), list(asked.get("args", []))
        except (ValueError, KeyError, TypeError):
            return {"success": False, "ret_msg": "params error", "op": "", "conn_id": "rehearsal"}, known
        if operation == "ping":
            return {"success": True, "ret_msg": "pong", "op": "pong", "conn_id": "rehearsal"}, known
        if operation == "auth":
            refusal = signing.greeting_refusal(arguments, round(time.time() * 1000))
            told = {"op": "auth", "success": refusal is None, "connId": "rehearsal", "conn_id": "rehearsal"}
            code, words = (0, "OK") if refusal is None else (refusal.code, refusal.text)
            return told | {"retCode": code, "retMsg": words, "ret_msg": words}, refusal is None
        if operation in ("subscribe", "unsubscribe"):
            topics = self._listening.get(socket, set())
            if known:
                (topics.update if operation == "subscribe" else topics.difference_update)(map(str, arguments))
            told = {"success": known, "ret_msg": "" if known else "not authorized", "op": operation}
            return told | {"conn_id": "rehearsal", "req_id": asked.get("req_id", "")}, known
        return self._traded(asked, operation, arguments, known=known), known

    def _traded(self, asked: dict[str, Any], operation: str, arguments: list[Any], *, known: bool) -> dict[str, Any]:
        told = {"op": operation, "reqId": asked.get("reqId", ""), "connId": "rehearsal"}
        found: Any = Refusal(10001, f"params error: {operation} is unknown")
        if operation in TRADED and len(arguments) == 1 and isinstance(arguments[0], dict):
            allowed = known or signing.UNKNOWN_KEY
            found = (
                answer(TRADED[operation], self._exchange, arguments[0], self._now_ms()) if allowed is True else allowed
            )
            self._settled()
        if isinstance(found, Refusal):
            return told | {"retCode": found.code, "retMsg": found.text, "data": {}}
        return told | {"retCode": 0, "retMsg": "OK", "data": found}
