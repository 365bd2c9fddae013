"""Writes the journal, and sees to it that its file stays in its place."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from trading_assets.core.errors import NodeError
from trading_assets.journal.events import NODE, encode
from trading_assets.journal.file import (
    BESIDE,
    begin,
    checkpointed_seq,
    connect,
    explained,
    last_seq,
    make,
    node_name,
    require_whole,
)
from trading_assets.journal.state import state_of, write_checkpoint

CHECKPOINT_EVENTS: Final = 1000
"""A checkpoint after so many events, as soon as nothing has to be written."""

MOST_EVENTS: Final = 4
"""So many times as many events are a checkpoint's turn in any case: what a start or a status reads at most."""

_WAL_PAGES: Final = 20_000
"""SQLite moves its log into the file by itself after so many pages, 80 MB; a checkpoint does it long before."""

_LOG: Final = logging.getLogger(__name__)
_WAIT_MS: Final = 1000
"""How long a write may wait for another process that holds the file: the node's orders wait as long."""

Row = tuple[str, str, str]
"""An encoded event: id, kind, payload."""


class Journal:
    """The writer; one per file.

    Parameters
    ----------
    path
        The SQLite file; made with its folder where it does not exist.
    node
        The node's name. A new file adds eight hex digits to it, so that the rows of a deleted journal and of its
        successor never share a key; an existing file keeps the name that it has.

    Raises
    ------
    NodeError
        If the file is not a journal or cannot be written.
    """

    def __init__(self, path: Path, node: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                make(path, node)
            require_whole(path)
            self._open()
            with ExitStack() as failed:
                failed.callback(self._connection.close)
                begin(self._connection, node)
                self.node = node_name(self._connection)
                newest = self._connection.execute("SELECT coalesce(max(session), 1) FROM journal").fetchone()
                self._session = int(newest[0])
                self._checkpointed = checkpointed_seq(self._connection)
                self._connection.execute(f"PRAGMA busy_timeout={_WAIT_MS}")
                failed.pop_all()
        self._inodes = self._in_place()
        self._checkpoint(CHECKPOINT_EVENTS)

    def _open(self) -> None:
        self._connection = connect(self.path)
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
        except BaseException:
            self._connection.close()
            raise

    def record(self, kind: str, event: Mapping[str, Any]) -> int:
        """Write one event; it is on disk when this returns.

        Parameters
        ----------
        kind
            ``signals``, ``orders``, ``fills``, ``positions``, ``live_features``, ``plans`` or ``node``.
        event
            Columns of the kind's table except ``node`` and ``seq``, which the journal assigns; missing ones are null.
            Times are aware datetimes. ``event_id`` names the event; without it, its content does.

        Returns
        -------
        int
            The event's sequence number; an event recorded before keeps the one it has.

        Raises
        ------
        NodeError
            For an unknown kind or column, a time without a zone, or a file that cannot be written.
        """
        return self.record_all([(kind, event)])[0]

    def record_all(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> list[int]:
        """Write several events as one: a killed process leaves all of them or none.

        Parameters
        ----------
        events
            Pairs of kind and event, as for :meth:`record`.
        """
        return self.write([encode(kind, event) for kind, event in events])

    def write(self, rows: Sequence[Row]) -> list[int]:
        """Write encoded events as one, as :meth:`record_all` does."""
        with self._lock, explained(self.path):
            self._stay_in_place()
            with self._transaction():
                written = [self._insert(*row) for row in rows]
            self._checkpoint(MOST_EVENTS * CHECKPOINT_EVENTS)
        return written

    def stay(self) -> list[int]:
        """See to the file while there is nothing to write: that it is in its place, and that it has its checkpoint.

        Where somebody deleted it, it is written again. A node calls this once a second, so that no decision waits until
        what was written before is summed up.

        Raises
        ------
        NodeError
            If another file lies there, or this one cannot be written again.
        """
        with self._lock, explained(self.path):
            self._stay_in_place()
            self._checkpoint(CHECKPOINT_EVENTS)
        return []

    def forget(self, kind: str, before: datetime) -> int:
        """Delete the events of a kind from before a time (their ``ts``); returns how many.

        For what sums up to nothing, and may be loaded from the store later on: state and checkpoints stay as they are.
        The space is used again by what comes.

        Raises
        ------
        NodeError
            If the file cannot be written.
        """
        old = "DELETE FROM journal WHERE kind = ? AND json_extract(payload, '$.ts') < ?"
        with self._lock, explained(self.path):
            self._stay_in_place()
            with self._transaction():
                return self._connection.execute(old, (kind, before.astimezone(UTC).isoformat())).rowcount

    def new_session(self) -> int:
        """Begin a new session: what happened before no longer counts as the same events. Returns its number."""
        with self._lock:
            self._session += 1
        self.record(NODE, {"event": "session", "detail": str(self._session)})
        return self._session

    def _insert(self, event_id: str, kind: str, payload: str) -> int:
        row = self._connection.execute(
            "INSERT INTO journal (session, event_id, kind, payload) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (session, event_id) DO NOTHING RETURNING seq",
            (self._session, event_id, kind, payload),
        ).fetchone()
        if row is None:
            row = self._connection.execute(
                "SELECT seq FROM journal WHERE session = ? AND event_id = ?", (self._session, event_id)
            ).fetchone()
        return int(row[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # where the disk is full, SQLite may have rolled back already
                self._connection.execute("ROLLBACK")
            raise

    def _checkpoint(self, events: int) -> None:
        """Sum up what was written since the last time, if it is so many events, and move it from the log to the file.

        What fails here is tried again and costs readers time only.
        """
        with suppress(sqlite3.Error, NodeError):
            if last_seq(self._connection) - self._checkpointed < events:
                return
            state = state_of(self._connection)
            with self._transaction():
                write_checkpoint(self._connection, state)
            self._checkpointed = state.seq
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    # -- the file's place -----------------------------------------------------------------------------------------

    def _in_place(self) -> tuple[int | None, ...]:
        """The inodes of the file and of those beside it; None for one that is missing."""
        return tuple(_inode(self.path.with_name(self.path.name + suffix)) for suffix in ("", *BESIDE))

    def _stay_in_place(self) -> None:
        """Bring the file back that somebody deleted: what is open still has all that was in it."""
        now = self._in_place()
        if now == self._inodes:
            return
        if now[0] not in (None, self._inodes[0]):
            raise NodeError(
                "another file lies in the journal's place",
                where=str(self.path),
                remedy="move it away: the node writes its own again, with all that was in it",
            )
        if now[0] is None:
            self._write_again()
        else:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()  # removes the files beside it
        beside = self.path.with_name(f".{self.path.name}.again")
        if beside.exists():
            for suffix in BESIDE:
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            beside.replace(self.path)
        self._open()
        self._connection.execute("SELECT count(*) FROM journal_node").fetchone()
        self._inodes = self._in_place()
        _LOG.error("the journal's file was deleted while the node ran: written again, whole: %s", self.path)
        with self._transaction():
            told = {"ts": datetime.now(UTC), "event": "journal restored", "detail": "its file was deleted"}
            self._insert(*encode(NODE, told))

    def _write_again(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(f".{self.path.name}.again")
        beside.unlink(missing_ok=True)
        self._connection.execute("VACUUM INTO ?", (str(beside),))
        with beside.open("rb") as file:
            os.fsync(file.fileno())

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
