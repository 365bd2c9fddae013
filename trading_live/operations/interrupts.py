"""SIGTERM ends a command as Ctrl-C does: what runs is taken apart in order, and the exit code is 0."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

_GRACE_S: Final = 4.0
"""Less than the ten seconds after which a container is killed."""


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
def stops_engine(stop: Callable[[], None], stuck: Callable[[], None] | None = None) -> Iterator[None]:
    """Call ``stop`` in a thread of its own at SIGINT or SIGTERM, while the engine holds the main thread.

    Python's own handlers run only when the main thread does; the engine listens to signals only after it has connected.

    Parameters
    ----------
    stop
        Asks the engine to stop.
    stuck
        Called in that thread if the block has not ended a few seconds later.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ended = threading.Event()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    former = {number: signal.signal(number, _leave_to_thread) for number in (signal.SIGINT, signal.SIGTERM)}
    former_fd = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread = threading.Thread(target=_wait_and_stop, args=(reader, ended, stop, stuck), name="interrupts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(former_fd)
        for number, handler in former.items():
            signal.signal(number, handler)
        os.close(writer)
        thread.join()
        os.close(reader)


def take_back() -> None:
    """Take SIGINT and SIGTERM from the engine, which has set handlers of its own that end it at once.

    Within :func:`stops_engine`, on the main thread and once the engine runs; elsewhere nothing is done. Doing it again
    costs a few microseconds.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is _leave_to_thread:
            signal.signal(number, _leave_to_thread)


def _wait_and_stop(
    reader: int, ended: threading.Event, stop: Callable[[], None], stuck: Callable[[], None] | None
) -> None:
    while numbers := os.read(reader, 64):  # empty when the writing end is closed
        if any(number in (signal.SIGINT, signal.SIGTERM) for number in numbers):
            stop()
            if not ended.wait(_GRACE_S) and stuck is not None:
                stuck()


def _leave_to_thread(_number: int, _frame: FrameType | None) -> None:
    pass


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
