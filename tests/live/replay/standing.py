"""A local exchange whose clock stands from its first instant on: what a test does comes before what is replayed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trading_live.replay import ReplayServer
from trading_live.replay.tape import Tape


@contextmanager
def standing(tape: Tape, *, speed: float = 3_000, **more: Any) -> Iterator[ReplayServer]:
    """A server that was paused before it was started: minutes pass in milliseconds, and a busy machine stops later."""
    server = ReplayServer(tape, speed=speed, hold=False, **more)
    server.pause()
    with server:
        yield server
