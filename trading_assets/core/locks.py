"""Locks between the processes of this machine."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol


class _Open(Protocol):
    def fileno(self) -> int: ...


def lock_now(file: int | _Open, *, shared: bool = False) -> bool:
    """Lock an open file if that can be done at once; whether it was.

    Closing the file frees it, and so does the end of the process.

    Parameters
    ----------
    file
        The file, or its descriptor.
    shared
        Beside others that share it; by default alone.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def held_alone(file: Path, otherwise: Exception) -> Iterator[None]:
    """Hold an exclusive lock, or raise at once what is to be said where another process has it.

    Parameters
    ----------
    file
        As for :func:`locked`.
    otherwise
        What is raised.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as handle:
        if not lock_now(handle):
            raise otherwise
        yield


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold an exclusive lock; the system frees it when a process dies.

    Parameters
    ----------
    file
        The lock file; made with its folder where it does not exist, and left there.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
