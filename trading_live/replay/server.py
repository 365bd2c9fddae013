"""The local exchange: Binance market data over HTTP (spot, USD-M) and websocket (USD-M), from stored candles."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

from aiohttp import WSMsgType, web

from trading_assets.errors import NodeError
from trading_live.replay.protocol import RESOURCES, VenueError, answer_command
from trading_live.replay.streams import Sent, within
from trading_live.replay.tape import Kline, Tape, epoch_ms

AHEAD_MS: Final = web.RequestKey("ahead_ms", int)
"""By how much the venue's clock is ahead for a request."""

_HORIZON_S: Final = 10.0
_PROGRESS_S: Final = 0.2
_SETTLE_S: Final = 0.7
_PAUSE_S: Final = 0.02
_GLANCE_S: Final = 0.5
"""How often the player looks for who has subscribed to trades and books meanwhile."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the replay is."""

    fraction: float
    replayed_at: datetime
    waiting: bool


@dataclass(eq=False, slots=True)
class _Client:
    socket: web.WebSocketResponse
    combined: bool
    streams: set[str] = field(default_factory=set)


class ReplayServer:
    """Serves a tape; runs in a thread of its own between :meth:`start` and :meth:`stop`.

    The clock stands still until a client has subscribed to its streams (``hold``), so that a node misses nothing while
    it starts. REST shows exactly the bars that closed up to the newest one sent, and the book of that moment. Who
    subscribes to them is sent trades and book updates (synthetic, see :mod:`~trading_live.replay.streams`).

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
    ) -> None:
        self.tape = tape
        self.host = host
        self.port = port
        self.speed = speed
        self._hold = hold
        self._glance_ms = max(round(_GLANCE_S * speed * 1000), 1)
        self._on_progress = on_progress
        self._on_sent = on_sent
        self._middlewares = middlewares
        self._now_ms = epoch_ms(tape.start)
        self._clients: set[_Client] = set()
        self._outage = False
        self._paused = False
        self._reported = 0.0
        self._ready = threading.Event()
        self._finished = threading.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._subscribed: asyncio.Event | None = None

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
        return datetime.fromtimestamp(self._now_ms / 1000, UTC)

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
        self.tape = tape
        self._now_ms = epoch_ms(tape.end)

    def pause(self) -> None:
        """Stop the clock; everyone stays connected."""
        self._paused = True

    def go_on(self) -> None:
        """Let the clock run again."""
        self._paused = False

    def begin_outage(self) -> None:
        """Drop every client and refuse new ones; the replayed clock goes on."""
        self._outage = True
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._drop_clients(), self._loop).result(_HORIZON_S)

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
        self._subscribed = asyncio.Event()
        app = web.Application(middlewares=[self._refuse_in_outage, *self._middlewares])
        for path in RESOURCES:
            app.router.add_get(path, self._rest)
        app.router.add_get("/{tail:.*}", self._websocket)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self.host, self.port)
            await site.start()
            self.port = runner.addresses[0][1]
            self._ready.set()
            player = asyncio.create_task(self._play())
            await self._stop.wait()
            player.cancel()
            await asyncio.gather(player, return_exceptions=True)
            await self._drop_clients()
        finally:
            await runner.cleanup()

    async def _play(self) -> None:
        assert self._subscribed is not None
        self._report(force=True)
        if self._hold:
            await self._everyone_subscribed()
        due = time.monotonic()
        for close_ms, bars in groupby(self.tape.play(), key=lambda bar: bar.close_ms):
            while self._now_ms <= close_ms:
                due = await self._play_within(due, min(self._now_ms + self._glance_ms, close_ms + 1))
            for bar in bars:
                await self._send(bar)
            self._report()
        self._now_ms = epoch_ms(self.tape.end)
        self._finished.set()
        self._report(force=True)

    async def _play_within(self, due: float, end_ms: int) -> float:
        """Send the trades and book updates up to an instant to those who listen now, and go there."""
        for sent in self._within(self._now_ms, end_ms):
            due = await self._until(due, sent.at_ms + 1)
            await self._publish(sent.stream, sent.message)
            self._report()
        return await self._until(due, end_ms)

    async def _until(self, due: float, at_ms: int) -> float:
        """Set the replayed clock to an instant, when it is there; returns the wall clock's time of it."""
        due += (at_ms - self._now_ms) / 1000 / self.speed
        await asyncio.sleep(max(due - time.monotonic(), 0))
        while self._paused:
            await asyncio.sleep(_PAUSE_S)
            due = time.monotonic()
        self._now_ms = at_ms
        return due

    def _within(self, start_ms: int, end_ms: int) -> list[Sent]:
        """The trades and book updates that somebody listens to, of all symbols, in the order of sending."""
        streams = {stream for client in self._clients for stream in client.streams}
        found = (within(one, start_ms, end_ms, streams) for one in self.tape.instruments.values())
        return sorted((sent for messages in found for sent in messages), key=lambda sent: sent.at_ms)

    async def _everyone_subscribed(self) -> None:
        """Wait for the first subscription, and until no other came for a while: clients send few at a time."""
        assert self._subscribed is not None
        await self._subscribed.wait()
        while self._subscribed.is_set():
            self._subscribed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._subscribed.wait(), _SETTLE_S)
        self._hold = False

    async def _send(self, bar: Kline) -> None:
        noted = self._on_sent
        note = None if noted is None else lambda: noted(bar, time.time_ns())
        await self._publish(f"{bar.symbol.lower()}@kline_{bar.interval}", bar.message(), note)

    async def _publish(self, stream: str, message: Any, note: Callable[[], None] | None = None) -> None:
        listeners = [client for client in self._clients if stream in client.streams]
        if not listeners:
            return
        plain, wrapped = json.dumps(message), json.dumps({"stream": stream, "data": message})
        for client in listeners:
            if note is not None:
                note()
            try:
                await client.socket.send_str(wrapped if client.combined else plain)
            except ConnectionError:
                self._clients.discard(client)

    def _report(self, *, force: bool = False) -> None:
        if self._on_progress is None or (not force and time.monotonic() - self._reported < _PROGRESS_S):
            return
        self._reported = time.monotonic()
        begin, end = epoch_ms(self.tape.start), epoch_ms(self.tape.end)
        share = 1.0 if self.finished or end == begin else (self._now_ms - begin) / (end - begin)
        self._on_progress(Progress(share, self.now, self._hold))

    async def _drop_clients(self) -> None:
        clients, self._clients = self._clients, set()
        for client in clients:
            with contextlib.suppress(TimeoutError, ConnectionError, RuntimeError):
                await asyncio.wait_for(client.socket.close(), 0.2)

    @web.middleware
    async def _refuse_in_outage(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self._outage:
            return web.json_response({"code": -1001, "msg": "Internal error; unable to process."}, status=503)
        response: web.StreamResponse = await handler(request)
        return response

    async def _rest(self, request: web.Request) -> web.Response:
        answer = RESOURCES[request.path](self.tape, self._now_ms + request.get(AHEAD_MS, 0), request.query)
        if isinstance(answer, VenueError):
            return web.json_response({"code": answer.code, "msg": answer.text}, status=400)
        if isinstance(answer, str):
            return web.Response(text=answer, content_type="application/json")
        return web.json_response(answer)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(heartbeat=None)
        if not socket.can_prepare(request):
            return web.json_response({"code": -5000, "msg": f"Path {request.path} is unknown."}, status=404)
        await socket.prepare(request)
        client = _Client(socket, combined="/stream" in request.path)
        self._clients.add(client)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await socket.send_str(json.dumps(self._command(client, message.data)))
        finally:
            self._clients.discard(client)
        return socket

    def _command(self, client: _Client, text: str) -> dict[str, Any]:
        assert self._subscribed is not None
        before = len(client.streams)
        answer = answer_command(client.streams, text)
        if len(client.streams) > before:
            self._subscribed.set()
        return answer
