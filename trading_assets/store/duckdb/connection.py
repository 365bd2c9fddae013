"""A DuckDB file kept open between calls, for as long as nobody else waits for it.

Opening the file costs some 20 ms, and a run makes a hundred calls. Within :func:`kept_open` a process opens it once and
lets go of it when another one stands in its queue, or after a quiet moment. An open
DuckDB file does not survive a fork: start children with ``spawn``.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import duckdb

QUIET_S: Final = 0.25
"""Unused for this long, the file is let go."""

_GLANCE_S: Final = 0.02
"""How often it is looked whether somebody waits."""

_opening = threading.Lock()
"""One thread at a time opens the file or lets go of it.

DuckDB locks it for the process (``fcntl``), and the system drops that lock with the first handle that is closed: a
handle that goes while another comes would leave that one unlocked.
"""


def connect(path: Path, *, write: bool) -> duckdb.DuckDBPyConnection:
    """Open the file; raises what DuckDB raises where another process holds it."""
    with _opening:
        return duckdb.connect(str(path), read_only=not write)


def close(connection: duckdb.DuckDBPyConnection) -> None:
    """Let go of the file."""
    with _opening:
        connection.close()


class KeptConnection:
    """One open file, shared by the calls of this process.

    Parameters
    ----------
    wanted
        Says whether another process waits for the file.
    """

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self._wanted = wanted
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._users = 0
        self._used_at = 0.0
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="duckdb-kept-open", daemon=True)
        self._watcher.start()

    @contextmanager
    def session(self, connect: Callable[[], duckdb.DuckDBPyConnection]) -> Iterator[duckdb.DuckDBPyConnection]:
        """A session of the open file; ``connect`` opens it where it is not."""
        with self._lock:
            if not self._users and self._wanted():
                self._let_go()
            if self._connection is None:
                self._connection = connect()
            self._users += 1
            shared = self._connection
        try:
            with closing(shared.cursor()) as session:
                yield session
        except duckdb.FatalException:
            with self._lock:
                self._connection = None  # the engine has invalidated it
            raise
        finally:
            with self._lock:
                self._users -= 1
                self._used_at = time.monotonic()

    def close(self) -> None:
        """Let go for good."""
        self._over.set()
        self._watcher.join()
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._connection is not None:
            close(self._connection)
            self._connection = None

    def _watch(self) -> None:
        while not self._over.wait(_GLANCE_S):
            with self._lock:
                idle = self._connection is not None and not self._users
                if idle and (time.monotonic() > self._used_at + QUIET_S or self._wanted()):
                    self._let_go()


_kept: dict[Path, tuple[KeptConnection, int]] = {}
_changing = threading.Lock()


@contextmanager
def kept_open(path: Path, wanted: Callable[[], bool]) -> Iterator[None]:
    """Within the block, calls on this file share one connection; blocks may lie within one another."""
    path = path.absolute()
    with _changing:
        file, blocks = _kept.get(path) or (KeptConnection(wanted), 0)
        _kept[path] = file, blocks + 1
    try:
        yield
    finally:
        with _changing:
            file, blocks = _kept.get(path, (file, 1))
            if blocks > 1:
                _kept[path] = file, blocks - 1
            else:
                _kept.pop(path, None)
                file.close()


def _forget() -> None:
    """In a forked child no thread of the parent runs, so nothing would ever release what one of them held."""
    global _opening
    _opening = threading.Lock()


os.register_at_fork(after_in_child=_forget)


def kept(path: Path) -> KeptConnection | None:
    """The file where it is kept open by a block of this process."""
    found = _kept.get(path.absolute())
    return found[0] if found else None
