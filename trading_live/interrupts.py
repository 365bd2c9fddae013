"""SIGTERM ends a command as Ctrl-C does: what runs is taken apart in order, and the exit code is 0."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


@contextmanager
def ends_quietly() -> Iterator[None]:
    """Run a block that SIGINT or SIGTERM ends without an error, also where SIGINT was ignored by the parent process."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread can be interrupted
        yield
        return
    former = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def engine_listens() -> Iterator[None]:
    """Leave both signals to the engine, which stops in order when it gets one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
