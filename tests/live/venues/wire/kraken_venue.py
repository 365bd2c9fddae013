"""A small Kraken spot: signed REST requests and websocket v2, as documented; it keeps what it was sent."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import WSMsgType, web

from tests.live.venues.account.documented import KEYS
from tests.live.venues.wire.kraken_account import KrakenAccount
from tests.live.venues.wire.kraken_orders import LAST, PAIR, PAIRS, TICKER, Refused, moment


@dataclass(frozen=True)
class Request:
    """A signed request."""

    path: str
    params: dict[str, str]
    headers: Mapping[str, str]


@dataclass(eq=False)
class KrakenVenue(KrakenAccount):
    """Serves an account.

    Attributes
    ----------
    requests, frames
        What came: signed requests, and what was sent by websocket.
    silent
        Whether new orders are taken without an answer.
    closed, turned_away
        Whether no websocket is let in, and how many were not.
    overtaken
        So many of the next signed requests come after another one with a later nonce.
    """

    requests: list[Request] = field(default_factory=list)
    frames: list[dict[str, Any]] = field(default_factory=list)
    silent: bool = False
    closed: bool = False
    overtaken: int = 0
    turned_away: int = 0
    url: str = ""
    _nonce: int = 0
    _tokens: list[str] = field(default_factory=list)
    _listening: list[web.WebSocketResponse] = field(default_factory=list)
    _sequence: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    # -- what a test has the venue do ---------------------------------------------------------------------------------

    def trigger(self, client_id: str, *parts: str, price: str) -> None:
        """Let the market reach a stop, which fills in parts."""
        self._do(self.reach(self.of(client_id), [Decimal(one) for one in parts], Decimal(price)))

    def hang_up(self) -> None:
        """Close every websocket; the tokens that were given are good no more."""

        async def close() -> None:
            self._tokens.clear()
            for one in list(self._listening):
                await one.close()

        self._do(close())

    @property
    def listens(self) -> bool:
        """Whether somebody hears of executions."""
        return bool(self._listening)

    def sent(self, method: str) -> list[dict[str, Any]]:
        """The parameters of what came by websocket under a name, without the token."""
        found = (one["params"] for one in list(self.frames) if one["method"] == method)
        return [{name: value for name, value in one.items() if name != "token"} for one in found]

    def asked(self, name: str) -> list[Request]:
        return [one for one in list(self.requests) if one.path.endswith(f"/{name}")]

    def _do(self, what: Any) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    # -- REST ---------------------------------------------------------------------------------------------------------

    async def public(self, request: web.Request) -> web.Response:
        now = datetime.now(UTC)
        answers = {
            "Time": {"unixtime": int(now.timestamp()), "rfc1123": now.strftime("%a, %d %b %y %H:%M:%S +0000")},
            "AssetPairs": PAIRS,
            "Assets": {"XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10, "display_decimals": 5}},
            "Ticker": {PAIR: {"a": [str(LAST)] * 3, "b": [str(LAST)] * 3, "c": [str(LAST)] * 2}},
        }
        name = request.match_info["name"]
        if request.query.get("aclass_base") == "tokenized_asset":
            answers["AssetPairs"] = {}
        known = {"result": answers[name]} if name in answers else {}
        return web.json_response({"error": [] if known else ["EGeneral:Unknown method"], **known})

    async def private(self, request: web.Request) -> web.Response:
        body = await request.text()
        params = dict(parse_qsl(body, keep_blank_values=True))
        self.requests.append(
            Request(request.path, params, {name.lower(): value for name, value in request.headers.items()})
        )
        try:
            self._check(request.path, body, params, request.headers)
            answer = await self.answer(request.match_info["name"], params)
        except Refused as refused:
            return web.json_response({"error": [str(refused)]})
        return web.json_response({"error": [], "result": answer})

    def _check(self, path: str, body: str, params: Mapping[str, str], headers: Mapping[str, str]) -> None:
        nonce = params.get("nonce", "")
        digest = hashlib.sha256((nonce + body).encode()).digest()
        signature = hmac.new(base64.b64decode(KEYS.secret), path.encode() + digest, hashlib.sha512).digest()
        if headers.get("API-Key") != KEYS.key:
            raise Refused("EAPI:Invalid key")
        if headers.get("API-Sign") != base64.b64encode(signature).decode():
            raise Refused("EAPI:Invalid signature")
        self.overtaken, late = max(self.overtaken - 1, 0), self.overtaken > 0
        if int(nonce or 0) <= self._nonce or late:
            raise Refused("EAPI:Invalid nonce")
        self._nonce = int(nonce)

    async def answer(self, name: str, params: Mapping[str, str]) -> Any:
        """A token too."""
        if name != "GetWebSocketsToken":
            return await super().answer(name, params)
        self._tokens.append(f"token-{len(self.requests)}")
        return {"token": self._tokens[-1], "expires": 900}

    # -- websocket ----------------------------------------------------------------------------------------------------

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        if self.closed:
            self.turned_away += 1
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        status = {"api_version": "v2", "connection_id": 1, "system": "online", "version": "2.0.0"}
        await socket.send_json({"channel": "status", "type": "update", "data": [status]})
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    asked = json.loads(message.data)
                    self.frames.append(asked)
                    await self._hear(socket, asked)
        finally:
            if socket in self._listening:
                self._listening.remove(socket)
        return socket

    async def _hear(self, socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        method, params = asked["method"], asked.get("params") or {}
        frame = {"method": method, "time_in": moment(), "time_out": moment()}
        frame |= {"req_id": asked["req_id"]} if "req_id" in asked else {}
        if method == "ping":
            await socket.send_json(frame | {"method": "pong"})
            return
        order = None
        try:
            if "token" in params and params["token"] not in self._tokens:
                raise Refused("ESession:Invalid session")
            if method == "add_order":
                order = await self.add(params)
                result = {"order_id": order.id, "cl_ord_id": order.client_id}
            else:
                result = await self._done(socket, method, params)
        except Refused as refused:
            await socket.send_json(frame | {"success": False, "error": str(refused)})
            return
        if not (self.silent and order is not None):
            await socket.send_json(frame | {"success": True, "result": result})
        if order is not None:
            await self.match(order)
        if method == "subscribe" and params["channel"] == "ticker":
            await socket.send_json(
                {"channel": "ticker", "type": "snapshot", "data": [TICKER | {"timestamp": moment()}]}
            )

    async def _done(self, socket: web.WebSocketResponse, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if method == "subscribe":
            if params["channel"] == "executions":
                self._listening.append(socket)
            return {"channel": params["channel"], "snapshot": True}
        if method != "cancel_order":
            raise Refused("EGeneral:Unknown method")
        found = await self.cancel([*params.get("order_id", []), *params.get("cl_ord_id", [])])
        if not found:
            raise Refused("EOrder:Unknown order")
        return {"order_id": found[0]}

    async def tell(self, event: dict[str, Any]) -> None:
        """To whoever listens."""
        self._sequence += 1
        said = {"channel": "executions", "type": "update", "data": [event], "sequence": self._sequence}
        for one in self._listening:
            await one.send_json(said)

    # -- running ------------------------------------------------------------------------------------------------------

    async def serve(self, ready: threading.Event) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/0/public/{name}", self.public)
        app.router.add_post("/0/private/{name}", self.private)
        app.router.add_get("/v2", self.websocket)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        return runner


@contextmanager
def kraken_venue() -> Iterator[KrakenVenue]:
    """Serve it on a local port, in a thread of its own."""
    venue, ready = KrakenVenue(), threading.Event()

    def run() -> None:
        runner = venue._loop.run_until_complete(venue.serve(ready))
        venue._loop.run_forever()
        venue._loop.run_until_complete(runner.cleanup())
        venue._loop.close()

    thread = threading.Thread(target=run, name="kraken", daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield venue
    finally:
        venue._loop.call_soon_threadsafe(venue._loop.stop)
        thread.join(30)


def until(what: Any, seconds: float = 300) -> Any:
    """Wait until something is truthy."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.01)
    raise AssertionError("waited in vain")
