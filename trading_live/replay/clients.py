"""The websocket side of the local exchange: who is connected, who listens to what."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import WSMsgType, web

from trading_live.replay import bybit, protocol

_CLOSE_S: Final = 0.2


@dataclass(eq=False, slots=True)
class _Client:
    socket: web.WebSocketResponse
    answer_command: Callable[[set[str], str], dict[str, Any]]
    written: Callable[[str, Any], Any]
    streams: set[str] = field(default_factory=set)


class Clients:
    """The connected clients and their subscriptions.

    Attributes
    ----------
    subscribed
        Set whenever a client has subscribed to something more.
    """

    def __init__(self) -> None:
        self.subscribed = asyncio.Event()
        self._clients: set[_Client] = set()

    @property
    def streams(self) -> set[str]:
        """What anybody listens to; also asked from other threads than the server's."""
        return {stream for client in list(self._clients) for stream in list(client.streams)}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Keep a client connected until it leaves; 404 for a request that is no websocket's."""
        socket = web.WebSocketResponse(heartbeat=None)
        if not socket.can_prepare(request):
            return web.json_response({"code": -5000, "msg": f"Path {request.path} is unknown."}, status=404)
        await socket.prepare(request)
        client = _client(socket, request.path)
        self._clients.add(client)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await socket.send_str(json.dumps(self._command(client, message.data)))
        finally:
            self._clients.discard(client)
        return socket

    async def publish(self, stream: str, message: Any, note: Callable[[], None] | None = None) -> bool:
        """Send a message to all who listen to its stream; whether anybody does.

        ``note`` is called right before each sending.
        """
        listeners = [client for client in self._clients if stream in client.streams]
        if not listeners:
            return False
        texts = {written: json.dumps(written(stream, message)) for written in {one.written for one in listeners}}
        for client in listeners:
            if note is not None:
                note()
            try:
                await client.socket.send_str(texts[client.written])
            except ConnectionError:
                self._clients.discard(client)
        return True

    async def drop(self) -> None:
        """Close all connections."""
        clients, self._clients = self._clients, set()
        for client in clients:
            with contextlib.suppress(TimeoutError, ConnectionError, RuntimeError):
                await asyncio.wait_for(client.socket.close(), _CLOSE_S)

    def _command(self, client: _Client, text: str) -> dict[str, Any]:
        before = len(client.streams)
        answer = client.answer_command(client.streams, text)
        if len(client.streams) > before:
            self.subscribed.set()
        return answer


def _client(socket: web.WebSocketResponse, path: str) -> _Client:
    """A client that speaks as the path says."""
    if path.startswith(bybit.STREAMS):
        return _Client(socket, bybit.answer_command, bybit.written)
    return _Client(socket, protocol.answer_command, protocol.wrapped if "/stream" in path else protocol.plain)
