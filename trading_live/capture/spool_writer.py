"""Writes to the spool in a thread of its own, for who must not wait for a disk."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import polars as pl

from trading_assets.core.errors import NodeError
from trading_assets.recordings import Spool
from trading_live.capture.buffer import keep_noted

_EVERY_S: Final = 0.2
_MOST: Final = 3_600
"""Writes that may wait for room on the disk: an hour of them; beyond, the oldest are given up."""


class SpoolWriter:
    """Takes what a buffer gave, and brings it to disk in order; what the disk refused is tried again.

    Parameters
    ----------
    spool
        Of this writer alone.
    warn
        (event, detail): told once when the disk refuses, and of what had to be given up.

    Attributes
    ----------
    trouble
        Why nothing can be written; None where it can.
    """

    def __init__(self, spool: Spool, warn: Callable[[str, str], None]) -> None:
        self.trouble: str | None = None
        self._spool = spool
        self._warn = warn
        self._waiting: deque[tuple[Mapping[str, pl.DataFrame], str]] = deque()
        self._said: deque[tuple[str, str]] = deque()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    def put(self, frames: Mapping[str, pl.DataFrame], noted: str) -> None:
        """Leave rows to be written, and what the buffer noted with them; waits for nothing."""
        if len(self._waiting) >= _MOST:
            self._waiting.popleft()
            self._said.append(("recording lost", f"{self.trouble}: more than {_MOST:,} writes wait for the disk"))
        self._waiting.append((frames, noted))

    def tell(self) -> None:
        """Say what went wrong; on the thread that may journal it."""
        while self._said:
            self._warn(*self._said.popleft())

    def close(self) -> None:
        """Write what waits, as far as the disk takes it, and let others write there."""
        self._over.set()
        self._thread.join()
        self._spool.close()
        self.tell()

    def _run(self) -> None:
        while not self._over.wait(_EVERY_S):
            self._write()
        self._write()

    def _write(self) -> None:
        try:
            self._spool.write({})  # seals what is old enough
            while self._waiting:
                frames, noted = self._waiting[0]
                self._spool.write(frames)
                keep_noted(self._spool.folder, noted)
                self._waiting.popleft()
            self.trouble = None
        except (NodeError, OSError) as error:
            if self.trouble is None:
                self._said.append(("recording refused", f"{error}; it is tried again"))
            self.trouble = str(error)
