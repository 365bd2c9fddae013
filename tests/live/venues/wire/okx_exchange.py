"""A small OKX on local ports: its v5 REST and websocket as documented, for an account of a swap and of its coin.

It takes only what carries a valid signature, keeps each request and frame as it came, and fills orders at one price.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from tests.live.venues.wire import okx_rows as rows
from tests.live.venues.wire.okx_orders import OkxOrders
from tests.live.venues.wire.okx_rows import CODES, SPOT, SWAP, Row, answer, now_ms
from trading_live.venues.account.keys import Credentials

KEYS = Credentials("wire-key-0123456789", "d2lyZS1zZWNyZXQtMDEyMzQ1Njc4OQ", "wire-passphrase")


@dataclass(frozen=True)
class Asked:
    """One REST request."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: Any


class OkxExchange(OkxOrders):
    """Serves in a thread of its own.

    Attributes
    ----------
    asked, frames
        Each REST request, and each frame of a websocket, oldest first.
    unsigned
        What was refused for its signature.
    silent
        Takes orders, but says nothing of them unless it is asked.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Asked] = []
        self.frames: list[Row] = []
        self.unsigned: list[str] = []
        self.silent = False
        self.url_http = self.url_ws = ""
        self._sockets: dict[web.WebSocketResponse, list[Row]] = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="okx", daemon=True)

    def __enter__(self) -> OkxExchange:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)

    # -- what a test sees and does ------------------------------------------------------------------------------------

    def sent(self, client_id: str) -> Row:
        """What came of an order with this id, by websocket or by REST: its arguments as they stood on the wire."""
        args = [arg for one in self.frames if one["op"] == "order" for arg in one["args"]]
        args += [
            one.body for one in self.asked if one.method == "POST" and one.path.endswith(("/order", "/order-algo"))
        ]
        return next(arg for arg in args if client_id in (arg.get("clOrdId"), arg.get("algoClOrdId")))

    def do(self, what: Callable[[], Any]) -> Any:
        """Do something in the server's thread, such as :meth:`~OkxOrders.trigger`."""

        async def work() -> Any:
            found = what()
            return await found if asyncio.iscoroutine(found) else found

        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(60)

    # -- REST ---------------------------------------------------------------------------------------------------------

    async def _rest(self, request: web.Request) -> web.Response:
        text = await request.text()
        body = json.loads(text) if text else None
        path = request.path.removeprefix("/api/v5")
        asked = Asked(request.method, path, dict(request.query), dict(request.headers), body)
        self.asked.append(asked)
        if not path.startswith(("/public", "/market")) and not self._signed(request, text):
            self.unsigned.append(path)
            return web.json_response(answer(code="50113", msg="Invalid Sign"), status=401)
        if request.method == "POST":
            return web.json_response(await self._post(path, body))
        return web.json_response(answer(*self._get(path, asked.params)))

    def _signed(self, request: web.Request, text: str) -> bool:
        head = request.headers
        said = head.get("OK-ACCESS-TIMESTAMP", "") + request.method + request.raw_path + text
        mine = (head.get("OK-ACCESS-KEY"), head.get("OK-ACCESS-PASSPHRASE")) == (KEYS.key, KEYS.passphrase)
        return mine and head.get("OK-ACCESS-SIGN") == _sign(said)

    async def _post(self, path: str, body: Any) -> Row:
        if path == "/trade/order":
            said = await self._place(body, body["instId"])
            return answer(said, code="0" if said["sCode"] == "0" else "1")
        if path == "/trade/order-algo":
            said = await self._place_algo(body)
            return answer(code="50004", msg="API endpoint request timeout.") if self.silent else said
        if path == "/trade/cancel-algos":
            return await self._cancel_algos(body)
        if path == "/trade/cancel-order":
            said = await self._cancel(body)
            return answer(said, code="0" if said["sCode"] == "0" else "1")
        return answer(body)

    def _get(self, path: str, asked: dict[str, str]) -> list[Row]:
        resting = ("live", "partially_filled")
        if path in ("/public/instruments", "/account/instruments"):
            found = [rows.instrument(one) for one in (SWAP, SPOT)]
            return [one for one in found if one["instType"] == asked.get("instType")]
        if path == "/account/positions":
            held = self.account.held
            return [rows.position(f"{held:f}", f"{self.account.paid:f}", self.account.mode)] if held else []
        if path.startswith("/trade/orders-algo"):
            wanted = (asked.get("algoId"), asked.get("algoClOrdId"))
            live = path.endswith("pending")
            found = [one for one in self.algos.values() if (one["state"] == "live") is live]
            found = [one for one in found if one["ordType"] in asked.get("ordType", "trigger")]
            found = [one for one in found if asked.get("state", one["state"]) == one["state"]]
            return [one for one in found if wanted == (None, None) or {one["algoId"], one["algoClOrdId"]} & set(wanted)]
        if path == "/trade/order-algo":
            return [one for one in self.algos.values() if asked.get("algoClOrdId") == one["algoClOrdId"]]
        if path == "/trade/order":
            wanted = (asked.get("ordId"), asked.get("clOrdId"))
            return [one for one in self.orders.values() if {one["ordId"], one["clOrdId"] or "none"} & set(wanted)]
        if path.startswith("/trade/orders-"):
            rests = path.endswith("pending")
            return [one for one in self.orders.values() if (one["state"] in resting) is rests]
        if path.startswith("/trade/fills"):
            return [one for one in reversed(self.fills) if asked.get("ordId", one["ordId"]) == one["ordId"]]
        fixed = {
            "/public/time": [{"ts": now_ms()}],
            "/account/balance": [rows.account(self.account.coins)],
            "/account/config": [{"posMode": "net_mode", "acctLv": "2", "uid": "1"}],
            "/account/leverage-info": [{"instId": SWAP, "lever": "5", "mgnMode": "cross", "posSide": "net"}],
        }
        return fixed.get(path, [])

    # -- websocket ----------------------------------------------------------------------------------------------------

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets[socket] = []
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            if message.data == "ping":
                await socket.send_str("pong")
                continue
            frame = json.loads(message.data)
            self.frames.append(frame)
            for said in await self._said(socket, frame):
                await socket.send_json(said)
        self._sockets.pop(socket, None)
        return socket

    async def _said(self, socket: web.WebSocketResponse, frame: Row) -> list[Row]:
        op, args = frame["op"], frame["args"]
        if op == "login":
            good = args[0]["sign"] == _sign(f"{args[0]['timestamp']}GET/users/self/verify")
            good = good and (args[0]["apiKey"], args[0]["passphrase"]) == (KEYS.key, KEYS.passphrase)
            code, words = ("0", "") if good else ("60009", "Login failed.")
            self.unsigned += [] if good else ["login"]
            return [{"event": "login" if good else "error", "code": code, "msg": words, "connId": "a4d3ae55"}]
        if op == "subscribe":
            self._sockets[socket] += args
            return [{"event": "subscribe", "arg": one, "connId": "a4d3ae55"} for one in args]
        if op in ("order", "cancel-order"):
            one = args[0]
            name = one.get("instId") or CODES[one["instIdCode"]]
            said = await (self._place(one, name) if op == "order" else self._cancel(one))
            code = "0" if said["sCode"] == "0" else "1"
            if self.silent:
                return []
            return [
                {"id": frame["id"], "op": op, "code": code, "msg": "", "data": [said], "inTime": "1", "outTime": "2"}
            ]
        return []

    async def _push(self, channel: str, row: Row) -> None:
        if self.silent:
            return
        for socket, wanted in list(self._sockets.items()):
            for one in wanted:
                if one["channel"] == channel and one.get("instType", row.get("instType")) in (
                    row.get("instType"),
                    "ANY",
                ):
                    await socket.send_json({"arg": one | {"uid": "1"}, "data": [row]})

    # -- running ------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._open())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _open(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/api/v5/{tail:.*}", self._rest)
        app.router.add_get("/ws", self._stream)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port = self._runner.addresses[0][1]
        self.url_http, self.url_ws = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}/ws"


def _sign(text: str) -> str:
    return base64.b64encode(hmac.new(KEYS.secret.encode(), text.encode(), hashlib.sha256).digest()).decode()
