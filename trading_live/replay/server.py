"""The local exchange: market data of Binance (spot, USD-M) and Bybit (linear), and an account that both trade."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from aiohttp import web

from trading_assets.core.errors import NodeError
from trading_live.replay import bybit
from trading_live.replay.clients import Clients
from trading_live.replay.faults import AHEAD_MS, Faults
from trading_live.replay.orders.account import AccountView
from trading_live.replay.orders.desk import Desk
from trading_live.replay.orders.exchange.model import Terms
from trading_live.replay.pace import HEARD
from trading_live.replay.player import Player, Progress
from trading_live.replay.protocol import RESOURCES, VenueError
from trading_live.replay.tape import Kline, Tape, epoch_ms

_HORIZON_S: Final = 10.0


class ReplayServer:
    """Serves a tape; runs in a thread of its own between :meth:`start` and :meth:`stop`.

    The clock stands still until a client has subscribed to its streams (``hold``), so that a node misses nothing while
    it starts, and waits where a node that says how far it has come is more than two decision bars behind. REST shows
    exactly the bars that closed up to the newest one sent, and the book of that moment. Who subscribes to them is sent
    trades and book updates (synthetic, see :mod:`~trading_live.replay.streams`).

    Parameters
    ----------
    tape
        What is replayed.
    host, port
        Where to listen; port 0 takes a free one.
    speed
        Replayed seconds per second.
    hold
        Whether the clock waits for subscriptions.
    on_progress
        Called about five times a second, in the server's thread.
    on_sent
        Called with each bar and the wall clock in nanoseconds right before it goes on the wire.
    middlewares
        What stands between a request and its answer, e.g. :meth:`Faults.middleware`.
    terms
        How the orders of its account are filled and charged.
    faults
        What goes wrong, with requests and otherwise.
    """

    def __init__(
        self,
        tape: Tape,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        speed: float = 60.0,
        hold: bool = True,
        on_progress: Callable[[Progress], None] | None = None,
        on_sent: Callable[[Kline, int], None] | None = None,
        middlewares: Sequence[Any] = (),
        terms: Terms | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.speed = speed
        self._middlewares = [*middlewares, *([faults.middleware] if faults else [])]
        self._outage = False
        self._ready = threading.Event()
        self._finished = threading.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._clients = Clients()
        self._player = Player(
            tape,
            self._clients,
            speed=speed,
            hold=hold,
            on_finished=self._finished.set,
            on_progress=on_progress,
            on_sent=on_sent,
            on_closed=lambda bars: self._desk.closed(bars),
        )
        self._desk = Desk(tape, terms or Terms(), lambda: self._player.now_ms, speed, faults)

    @property
    def account(self) -> AccountView:
        """What the account's orders came to, in truth."""
        return self._desk.account

    @property
    def tape(self) -> Tape:
        """What is replayed."""
        return self._player.tape

    @property
    def url_http(self) -> str:
        """The REST address."""
        return f"http://{self.host}:{self.port}"

    @property
    def url_ws(self) -> str:
        """The websocket address."""
        return f"ws://{self.host}:{self.port}/ws"

    @property
    def now(self) -> datetime:
        """The replayed clock."""
        return self._player.now

    @property
    def held_s(self) -> float:
        """For how long the replay has waited for a node that could not keep up, in seconds."""
        return self._player.pace.held_s

    @property
    def finished(self) -> bool:
        """Whether the last bar was sent."""
        return self._finished.is_set()

    @property
    def running(self) -> bool:
        """Whether the server's thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the server has stopped."""
        if self._thread is not None:
            self._thread.join(timeout)

    def start(self) -> None:
        """Listen and return.

        Raises
        ------
        NodeError
            If the port is in use.
        """
        self._thread = threading.Thread(target=self._run, name="replay", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the last bar was sent; False after ``timeout`` seconds."""
        return self._finished.wait(timeout)

    def stop(self) -> None:
        """Close all connections and free the port."""
        loop, stop, thread = self._loop, self._stop, self._thread
        if loop is None or stop is None or thread is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop ended by itself
            loop.call_soon_threadsafe(stop.set)
        thread.join(_HORIZON_S)

    def show(self, tape: Tape) -> None:
        """Serve another tape's history from now on, as of its end."""
        self._player.show(tape)

    def pause(self) -> None:
        """Stop the clock; everyone stays connected."""
        self._player.paused = True

    def go_on(self) -> None:
        """Let the clock run again."""
        self._player.paused = False

    def play_until(self, end: datetime | None) -> None:
        """Let the clock go no further than to an instant; None: to the tape's end."""
        self._player.stop_ms = None if end is None else epoch_ms(end)

    @property
    def streams(self) -> frozenset[str]:
        """What somebody listens to now."""
        return frozenset(self._clients.streams)

    @property
    def at_rest(self) -> bool:
        """Whether the clock stands still and the node has dealt with all that was sent to it."""
        return self._player.stands and not self._player.pace.must_wait(time.monotonic(), ahead_ms=0)

    def spoil(self, change: Callable[[Kline], Kline | None]) -> None:
        """Send what ``change`` makes of each bar from now on, or nothing where it makes None of it."""
        self._player.spoil = change

    def begin_outage(self) -> None:
        """Drop every client and refuse new ones; the replayed clock goes on."""
        self._outage = True
        self._player.pace.forget()
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result(_HORIZON_S)

    def end_outage(self) -> None:
        """Serve again."""
        self._outage = False

    def __enter__(self) -> ReplayServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as error:
            self._failure = NodeError(
                f"port {self.port} is in use" if error.errno == errno.EADDRINUSE else f"cannot listen: {error}",
                where=f"replay on {self.host}",
                remedy="stop what listens there, or choose another with --port or TRADING_REPLAY__PORT",
            )
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()
            self._finished.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        app = web.Application(middlewares=[self._refuse_in_outage, *self._middlewares])
        for path in (*RESOURCES, *bybit.RESOURCES):
            app.router.add_get(path, self._rest)
        app.router.add_get(HEARD, self._heard)
        self._desk.routes(app)
        app.router.add_get("/{tail:.*}", self._stream)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self.host, self.port)
            await site.start()
            self.port = runner.addresses[0][1]
            self._ready.set()
            tasks = [asyncio.create_task(work) for work in (self._player.play(), self._desk.tell())]
            await self._stop.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._drop()
        finally:
            await runner.cleanup()

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        key = self._desk.users.key_of(request)
        return await (self._clients.serve(request) if key is None else self._desk.users.serve(request, key))

    async def _drop(self) -> None:
        await self._clients.drop()
        await self._desk.drop()

    @web.middleware
    async def _refuse_in_outage(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self._outage:
            return web.json_response({"code": -1001, "msg": "Internal error; unable to process."}, status=503)
        response: web.StreamResponse = await handler(request)
        return response

    async def _heard(self, request: web.Request) -> web.Response:
        """A node says how far it has come: the replay goes no further ahead of it than a bar or two."""
        text = request.query.get("ms", "")
        if not text.isdecimal():
            return web.json_response({"code": -1102, "msg": "A parameter was malformed."}, status=400)
        self._player.pace.hear(int(text), time.monotonic())
        if (ahead := request.query.get("ahead_ms", "")).isdecimal():
            self._player.pace.ahead_ms = int(ahead)
        return web.json_response({})

    async def _rest(self, request: web.Request) -> web.Response:
        resource = RESOURCES.get(request.path) or bybit.RESOURCES[request.path]
        answer = resource(self.tape, self._player.now_ms + request.get(AHEAD_MS, 0), request.query)
        if request.path == "/fapi/v1/exchangeInfo":
            answer = self._desk.with_filters(answer)
        if isinstance(answer, VenueError):
            return web.json_response({"code": answer.code, "msg": answer.text}, status=400)
        if isinstance(answer, str):
            return web.Response(text=answer, content_type="application/json")
        return web.json_response(answer)
