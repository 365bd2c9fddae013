"""Threads of one process in front of a single-writer file: many readers, or one writer."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ReadWriteLock:
    """A lock for many readers or one writer; a waiting writer goes before new readers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._writing = False
        self._writers_waiting = 0

    @contextmanager
    def read(self, timeout_s: float) -> Iterator[bool]:
        """Hold the lock with other readers; False where that took longer than the time-out."""
        with self._changed:
            entered = self._changed.wait_for(lambda: not self._writing and not self._writers_waiting, timeout_s)
            self._readers += entered
        try:
            yield entered
        finally:
            with self._changed:
                self._readers -= entered
                self._changed.notify_all()

    @contextmanager
    def write(self, timeout_s: float) -> Iterator[bool]:
        """Hold the lock alone; False where that took longer than the time-out."""
        with self._changed:
            self._writers_waiting += 1
            try:
                entered = self._changed.wait_for(lambda: not self._writing and not self._readers, timeout_s)
            finally:
                self._writers_waiting -= 1
                self._changed.notify_all()
            self._writing = self._writing or entered
        try:
            yield entered
        finally:
            with self._changed:
                if entered:
                    self._writing = False
                self._changed.notify_all()


_locks: dict[str, ReadWriteLock] = {}
_creation = threading.Lock()


def lock_of(path: str) -> ReadWriteLock:
    """The one lock of a file in this process."""
    with _creation:
        return _locks.setdefault(path, ReadWriteLock())


def _forget() -> None:
    """In a forked child no thread of the parent runs, so nothing would ever open a gate that one of them held."""
    global _creation
    _creation = threading.Lock()
    _locks.clear()


os.register_at_fork(after_in_child=_forget)
