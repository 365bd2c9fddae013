"""Output that nobody reads never holds up the process that writes it: it is kept for a while, then dropped and counted.

A pipe whose reader sleeps or is gone blocks whoever writes to it, or breaks. Here a thread writes to it instead, when
it takes something; what waits has a bound. Terminals and files stay as they are.
"""

from __future__ import annotations

import io
import os
import select
import signal
import stat
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

MOST_BYTES: Final = 1_000_000
"""What waits for a reader at most."""

_AT_ONCE: Final = 4_096
"""A pipe that says that it takes something takes so much without blocking (POSIX: PIPE_BUF)."""

_LOOK_MS: Final = 200
_GOODBYE_S: Final = 2.0
_END_S = 10
"""So long after its end a process may hang on output that nobody reads."""


class Outlet:
    """Writes to a descriptor in a thread of its own.

    Parameters
    ----------
    descriptor
        Of a pipe or socket.
    on_drop
        Told in words when the first line of a row of them is dropped, by whoever writes; and when it goes on.

    Attributes
    ----------
    dropped
        Bytes that nobody will read.
    """

    def __init__(self, descriptor: int, on_drop: Callable[[str], None] = lambda _: None) -> None:
        self.dropped = 0
        self._descriptor = descriptor
        self._on_drop = on_drop
        self._waiting: deque[bytes] = deque()
        self._held = 0
        self._dropping = 0
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"output-{descriptor}", daemon=True)
        self._thread.start()

    def put(self, text: bytes) -> None:
        """Take a text; never waits."""
        begins = False
        with self._changed:
            if self._held + len(text) > MOST_BYTES:
                begins = not self._dropping
                self._dropping += len(text)
                self.dropped += len(text)
            else:
                self._waiting.append(text)
                self._held += len(text)
                self._changed.notify()
        if begins:
            self._on_drop(f"nobody reads the output: what is more than {MOST_BYTES:,} bytes of it is dropped")

    def close(self) -> bool:
        """Write what waits, as far as somebody reads it within two seconds; whether all was."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(_GOODBYE_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        while (part := self._next()) is not None:
            while part:
                if not poll.poll(_LOOK_MS):
                    continue
                try:
                    part = part[os.write(self._descriptor, part[:_AT_ONCE]) :]
                except OSError:  # the reader is gone
                    with self._changed:
                        self.dropped += len(part)
                    part = b""

    def _next(self) -> bytes | None:
        """What is to be written next; None at the end."""
        with self._changed:
            while not self._waiting and not self._ended:
                self._changed.wait()
            if not self._waiting:
                return None
            part = self._waiting.popleft()
            self._held -= len(part)
            lost, self._dropping = (self._dropping, 0) if self._held < MOST_BYTES // 2 else (0, self._dropping)
        return part + f"[{lost:,} bytes of output were dropped: nobody read it]\n".encode() if lost else part


class _Stream(io.TextIOBase):
    """A text stream whose texts go to an outlet."""

    def __init__(self, former: Any, outlet: Outlet) -> None:
        self._former = former
        self._outlet = outlet

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As before."""
        return str(self._former.encoding or "utf-8")

    def write(self, text: str) -> int:
        """Take a text; never waits."""
        self._outlet.put(text.encode(self.encoding, "replace"))
        return len(text)

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """As before."""
        return int(self._former.fileno())

    def flush(self) -> None:
        """Nothing is held back here."""

    def isatty(self) -> bool:
        """No terminal: those stay as they are."""
        return False


@contextmanager
def unread(on_drop: Callable[[str], None] = lambda _: None, *, children: bool = False) -> Iterator[None]:
    """Within a block, let nothing that this process prints or logs wait for a reader.

    Standard output is a pipe of our own meanwhile, as libraries write to its descriptor. Standard error is replaced for
    Python alone, so that the last words of a process that aborts still go where they went; should a library's thread
    wait there for a reader at the end, the process is ended by a signal.

    Parameters
    ----------
    on_drop
        Told in words when output is dropped.
    children
        Whether this process stands before others that do the work: it reads their standard error, too, and is there
        when one of them aborts.
    """
    stderr = _descriptor("stderr", on_drop) if children else _python_stderr(on_drop)
    with stderr, _descriptor("stdout", on_drop):
        yield


@contextmanager
def _python_stderr(on_drop: Callable[[str], None]) -> Iterator[None]:
    former = sys.stderr
    if not _may_block(former):
        yield
        return
    outlet = Outlet(former.fileno(), on_drop)
    sys.stderr = _Stream(former, outlet)
    try:
        yield
    finally:
        if outlet.close():
            sys.stderr = former
        else:
            signal.alarm(_END_S)


@contextmanager
def _descriptor(name: str, on_drop: Callable[[str], None]) -> Iterator[None]:
    former = getattr(sys, name)
    if not _may_block(former):
        yield
        return
    with suppress(OSError, ValueError):
        former.flush()
    outer, number = os.dup(former.fileno()), former.fileno()
    reader, writer = os.pipe()
    os.dup2(writer, number)
    os.close(writer)
    outlet = Outlet(outer, on_drop)
    pump = threading.Thread(target=_pump, args=(reader, outlet), name="output-pump", daemon=True)
    pump.start()
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            former.flush()
        os.dup2(outer, number)  # the last writing end is closed with it, unless a child has one
        pump.join(_GOODBYE_S)
        if not outlet.close():  # what comes now must not wait either
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)


def _pump(reader: int, outlet: Outlet) -> None:
    while text := os.read(reader, 65_536):
        outlet.put(text)
    os.close(reader)


def _may_block(stream: Any) -> bool:
    """Whether a stream is a pipe or a socket."""
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
