"""A journal that keeps in memory what cannot be written yet, and writes it first when it can."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from trading_assets.core.errors import NodeError
from trading_assets.journal.events import NODE, encode
from trading_assets.journal.writer import Row

WRITTEN_LATE: Final = "written late"
"""The node event that says how many events had to wait for the disk, and why."""

_LOG: Final = logging.getLogger(__name__)
_RETRY_S: Final = 1.0
_PATIENCE_S: Final = 0.25
"""So long what has happened waits for a disk that is slow to take it: then it goes on in memory, and stops are sent."""
_ENTRY_PATIENCE: Final = 4
"""So many times as long an entry waits for what happened before it."""


class Writer(Protocol):
    """What :class:`Journal` offers."""

    path: Path
    node: str

    def write(self, rows: Sequence[Row]) -> list[int]: ...  # noqa: D102
    def stay(self) -> list[int]: ...  # noqa: D102
    def forget(self, kind: str, before: datetime) -> int: ...  # noqa: D102
    def new_session(self) -> int: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class BufferedJournal:
    """The journal of a running node: what reduces risk does not wait for the disk, what adds risk does.

    One thread of its own writes, so that a disk which takes its time, or none that works, holds up no stop.

    Parameters
    ----------
    journal
        The writer.
    clock
        Monotonic seconds: a file that cannot be written is tried again once a second.
    patience_s
        How long a disk may take to write what has happened, until that waits in memory.

    Attributes
    ----------
    trouble
        Why the file cannot be written; None while it can.
    told
        If set, given all events that were taken, to be written now or later; it must not take time, nor raise.
    """

    def __init__(
        self, journal: Writer, *, clock: Callable[[], float] = time.monotonic, patience_s: float = _PATIENCE_S
    ) -> None:
        self.trouble: str | None = None
        self.told: Callable[[Sequence[tuple[str, Mapping[str, Any]]]], None] | None = None
        self._journal = journal
        self._clock = clock
        self._patience_s = patience_s
        self._waiting: list[Row] = []
        self._tried_at = -_RETRY_S
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._writing: tuple[Future[list[int]], int] | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return self._journal.path

    @property
    def node(self) -> str:
        """The node's name."""
        return self._journal.node

    @property
    def waiting(self) -> int:
        """How many events stand in memory only."""
        return len(self._waiting)

    @property
    def complaint(self) -> str:
        """Why the file cannot be written, and how much waits; empty while it can."""
        return f"{self.trouble}; {len(self._waiting)} events wait in memory" if self.trouble is not None else ""

    def record_all(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> list[int]:
        """Write events as one, after those that wait; they are on disk when this returns.

        Raises
        ------
        NodeError
            If they cannot be written, or the disk is still at what came before; then they do not wait either.
        """
        if not self._settle(_ENTRY_PATIENCE * self._patience_s):
            raise NodeError(
                "the disk has not yet taken what happened before",
                where=str(self.path),
                remedy="the next entry finds it done; see what else writes to this disk if this is told often",
            )
        rows = [encode(kind, event) for kind, event in events]
        written = self._write(rows)[-len(rows) :]
        self._tell(events)
        return written

    def keep_all(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Write events as one, or keep them in memory until the disk takes them: what happened, or was done already."""
        self.put(events)
        self.flush()

    def put(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Keep events in memory; the next write or :meth:`flush` brings them to disk first."""
        self._waiting += [encode(kind, event) for kind, event in events]
        self._tell(events)

    def _tell(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        if self.told is not None:
            self.told(events)

    def forget(self, kind: str, before: datetime) -> int:
        """Delete old events of a kind, as the writer does; none where the file cannot be written, or not at once."""
        if not self._settle(0.0):
            return 0
        with suppress(NodeError):
            return self._journal.forget(kind, before)
        return 0

    def new_session(self) -> int:
        """Begin a new session, as the writer does."""
        return self._journal.new_session()

    def flush(self, *, now: bool = False) -> bool:
        """Write what waits, once a second or ``now``, and see to the file's place; whether nothing waits any more.

        ``now`` waits for the disk however long that takes.
        """
        patience = None if now else self._patience_s
        if not self._settle(patience if now else 0.0):
            return False
        if now or self.trouble is None or self._clock() - self._tried_at >= _RETRY_S:
            self._begin([])
            self._settle(patience)
        return not self._waiting and self._writing is None

    def _write(self, rows: list[Row]) -> list[int]:
        """Write what waits, and these rows after it."""
        writing = self._begin(rows)
        self._settle()
        return writing.result()

    def _begin(self, rows: list[Row]) -> Future[list[int]]:
        """Give the thread what waits and these rows after it; nothing is being written."""
        self._tried_at = self._clock()
        late = [self._late()] if self._waiting and self.trouble is not None else []
        every = [*late, *self._waiting, *rows]
        writing = self._thread.submit(self._journal.write, every) if every else self._thread.submit(self._journal.stay)
        self._writing = writing, len(self._waiting)
        return writing

    def _settle(self, seconds: float | None = None) -> bool:
        """Wait for what is being written, and take note of what became of it; False where that takes longer."""
        if self._writing is None:
            return True
        writing, waited = self._writing
        try:
            error = writing.exception(seconds)
        except TimeoutError:
            return False
        self._writing = None
        if isinstance(error, NodeError):
            if self.trouble is None:
                _LOG.error("no entries, and what happens waits in memory: %s", error)
            self.trouble = str(error)
        elif error is not None:
            raise error
        else:
            if self.trouble is not None:
                _LOG.warning("the journal can be written again; %d events had to wait", waited)
            self.trouble = None
            del self._waiting[:waited]
        return True

    def _late(self) -> Row:
        detail = f"{len(self._waiting)} events: {self.trouble}"
        return encode(NODE, {"ts": datetime.now(UTC), "event": WRITTEN_LATE, "detail": detail})

    def close(self) -> None:
        """Write what waits, or say what is lost, and close the file; once."""
        if self._closed:
            return
        self._closed = True
        if not self.flush(now=True):
            for event_id, _, payload in self._waiting:
                _LOG.error("lost with this process, as the journal cannot be written: %s %s", event_id, payload)
        self._thread.shutdown()
        self._journal.close()
