"""The state of alerts on disk: one small file that all processes of a data folder share, swapped as a whole."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Final

from pydantic import ValidationError

from trading_assets.alerts.state import AlertState
from trading_assets.core.atomic_files import write_file
from trading_assets.core.locks import locked

STATE_FILE: Final = "alerts.json"
"""Its name in the data folder."""

_LOG: Final = logging.getLogger(__name__)


class StateFile:
    """Reads, changes and writes the state, one process and one thread at a time.

    Where the disk refuses it, this process goes on with what it remembers: alerts do not wait for a disk.

    Parameters
    ----------
    data_dir
        The data folder.
    """

    def __init__(self, data_dir: Path) -> None:
        self.path: Final = data_dir / STATE_FILE
        self._lock_file = data_dir / f".{STATE_FILE}.lock"
        self._remembered: AlertState | None = None
        self._one = Lock()
        self._seen: tuple[tuple[int, int, int], AlertState] | None = None

    def read(self) -> AlertState:
        """The state; an empty one where there is none yet. A file that is damaged is set aside, and said to be."""
        if self._remembered is not None:
            return self._remembered
        try:
            with self.path.open("rb") as file:
                there = os.fstat(file.fileno())
                stamp = there.st_ino, there.st_mtime_ns, there.st_size
                if self._seen is not None and self._seen[0] == stamp:
                    return self._seen[1]
                content = file.read()
        except OSError:
            return AlertState()
        try:
            state = AlertState.model_validate_json(content)
            self._seen = stamp, state
            return state
        except ValidationError:
            aside = self.path.with_name(f"{STATE_FILE}.damaged")
            with suppress(OSError):
                self.path.replace(aside)
            _LOG.error("the state of alerts is damaged, and begins anew: %s", aside)
            return AlertState()

    def change[T](self, decide: Callable[[AlertState], tuple[T, AlertState]]) -> T:
        """Decide on the state, keep the new one, and answer what was decided."""
        with self._one, self._alone():
            before = self.read()
            answer, after = decide(before)
            if after != before or self._remembered is not None:
                self._write(after)
            return answer

    def _write(self, state: AlertState) -> None:
        try:
            write_file(self.path, state.model_dump_json().encode())
        except OSError as error:
            if self._remembered is None:
                _LOG.error("the state of alerts stays in memory: %s: %s", self.path, error.strerror or error)
            self._remembered = state
        else:
            self._remembered = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            lock = locked(self._lock_file)
            lock.__enter__()
        except OSError:  # a full disk: better twice than not at all
            yield
            return
        try:
            yield
        finally:
            lock.__exit__(None, None, None)
