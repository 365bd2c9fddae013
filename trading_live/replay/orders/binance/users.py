"""User streams: listen keys, and the connections that are told what happens to the account."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from aiohttp import WSMsgType, web

VALID_S: Final = 3_600.0
"""A listen key that is not renewed for so long expires; on this machine's clock."""

_KEPT: Final = 100_000
_CLOSE_S: Final = 0.2


class UserStreams:
    """Listen keys and the sockets that came with one.

    Parameters
    ----------
    clock
        Seconds; of this machine, as it is the client that renews keys.

    Attributes
    ----------
    sent
        The newest messages that were to be sent, also where nobody listened.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.sent: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._clock = clock
        self._keys: dict[str, float] = {}
        self._made = 0
        self._sockets: dict[web.WebSocketResponse, str] = {}

    @property
    def keys(self) -> list[str]:
        """The listen keys that are valid."""
        return [key for key, until in self._keys.items() if until > self._clock()]

    def create(self) -> str:
        """The valid key, renewed, or a new one."""
        for key in self.keys:
            self._keys[key] = self._clock() + VALID_S
            return key
        self._made += 1
        key = f"rehearsal{self._made:055d}"
        self._keys[key] = self._clock() + VALID_S
        return key

    def renew(self, key: str | None = None) -> str | None:
        """Renew a key, or the only one; None where there is none."""
        found = [one for one in self.keys if key in (None, "", one)]
        for one in found:
            self._keys[one] = self._clock() + VALID_S
        return found[0] if found else None

    def close(self, key: str | None = None) -> bool:
        """Forget a key, or all; whether there was one."""
        found = [one for one in self.keys if key in (None, "", one)]
        for one in found:
            del self._keys[one]
        return bool(found)

    def key_of(self, request: web.Request) -> str | None:
        """The listen key that a connection comes with: ``?listenKey=`` or the last part of the path."""
        key = request.query.get("listenKey") or request.path.rsplit("/", 1)[-1]
        return key if key in self._keys else None

    async def serve(self, request: web.Request, key: str) -> web.StreamResponse:
        """Keep a client connected until it leaves."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets[socket] = key
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await socket.send_str(json.dumps({"result": None, "id": _number(message.data)}))
        finally:
            self._sockets.pop(socket, None)
        return socket

    async def publish(self, message: dict[str, Any]) -> None:
        """Send to all that listen with a valid key."""
        self.sent.append(message)
        valid, body = set(self.keys), json.dumps(message)
        for socket, key in list(self._sockets.items()):
            if key in valid:
                await _tell(socket, body)

    async def expire(self, now_ms: int, *, all_of_them: bool = True) -> None:
        """Tell those who listen with a key that has expired, and forget it; all keys expire now, or those of age."""
        valid = set() if all_of_them else set(self.keys)
        expired = [key for key in self._keys if key not in valid]
        for key in expired:
            message = {"e": "listenKeyExpired", "E": now_ms, "listenKey": key}
            self.sent.append(message)
            for socket in [one for one, own in self._sockets.items() if own == key]:
                await _tell(socket, json.dumps(message))
            del self._keys[key]

    async def drop(self) -> None:
        """Close all connections; keys stay valid."""
        sockets, self._sockets = list(self._sockets), {}
        for socket in sockets:
            with contextlib.suppress(TimeoutError, ConnectionError, RuntimeError):
                await asyncio.wait_for(socket.close(), _CLOSE_S)


async def _tell(socket: web.WebSocketResponse, body: str) -> None:
    with contextlib.suppress(ConnectionError, RuntimeError):  # it has left
        await socket.send_str(body)


def _number(text: str) -> Any:
    try:
        command = json.loads(text)
    except ValueError:
        return None
    return command.get("id") if isinstance(command, dict) else None
