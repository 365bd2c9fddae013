"""The node's journal: an append-only SQLite file that outlives a killed process, and its way into the store.

Every decision, order event, fill and position change is one row, on disk before :meth:`Journal.record` returns
(write-ahead log, ``synchronous=FULL``). An event has an id; recording it again after a restart changes nothing.

A session is one run of market time: it goes on over restarts, and ends only when a replay begins anew and the market's
clock goes back.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from trading_assets.candles import TS
from trading_assets.errors import NodeError
from trading_assets.store.contract import Store
from trading_assets.store.tables import FILLS, ORDERS, POSITIONS, SIGNALS, Schema, Table

JOURNAL_FILE: Final = "journal.sqlite"
"""The journal's name in ``settings.live_dir``."""

TABLES: Final[dict[str, Table]] = {table.name: table for table in (SIGNALS, ORDERS, FILLS, POSITIONS)}
"""Kind -> the store's table that its events end in."""

NODE: Final = "node"
"""What the node itself did: started, stopped, model deployed or refused, gap, kill. Stays in the journal."""

PLANS: Final = "plans"
"""What the strategy intends with a trade (stop, target, expiry); a restarted node goes on from the newest one."""

EVENT_ID: Final = "event_id"
"""An event may bring its id under this key; else it is the hash of what the event says."""

_LOCAL: Final[dict[str, Schema]] = {
    NODE: {"ts": TS, "event": pl.String, "detail": pl.String},
    PLANS: {"ts": TS, "market": pl.String, "signal_id": pl.String, "plan": pl.String},
}
_ASSIGNED: Final = ("node", "seq")
_SCHEMAS: Final[dict[str, Schema]] = {
    kind: {"node": pl.String, "seq": pl.Int64, **schema}
    for kind, schema in ({name: table.columns for name, table in TABLES.items()} | _LOCAL).items()
}
KINDS: Final = tuple(_SCHEMAS)

_DDL: Final = """
CREATE TABLE IF NOT EXISTS journal_node (node TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    session INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    UNIQUE (session, event_id)
);
"""


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
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        with _explained(path), ExitStack() as failed:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            failed.callback(self._connection.close)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("PRAGMA busy_timeout=10000")
            self._connection.executescript(_DDL)
            self.node = self._claim(node)
            self._session = int(self._connection.execute("SELECT coalesce(max(session), 1) FROM journal").fetchone()[0])
            failed.pop_all()

    def _claim(self, node: str) -> str:
        with self._transaction():
            row = self._connection.execute("SELECT node FROM journal_node").fetchone()
            name = str(row[0]) if row else f"{node}-{uuid.uuid4().hex[:8]}"
            if row is None:
                self._connection.execute("INSERT INTO journal_node VALUES (?)", (name,))
        return name

    def record(self, kind: str, event: Mapping[str, Any]) -> int:
        """Write one event; it is on disk when this returns.

        Parameters
        ----------
        kind
            ``signals``, ``orders``, ``fills``, ``positions``, ``plans`` or ``node``.
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
        rows = [_row(kind, event) for kind, event in events]
        with self._lock, _explained(self.path), self._transaction():
            return [self._insert(*row) for row in rows]

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
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def read_since(path: Path, seq: int) -> dict[str, pl.DataFrame]:
    """Events after ``seq``, as one typed frame per kind, in the order of writing; every kind is there.

    Times are UTC microseconds; columns that an event did not give are null. No file means empty frames.

    Raises
    ------
    NodeError
        If the file is not a journal.
    """
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    with _reader(path) as connection:
        if connection is not None:
            node = _node(connection)
            for number, kind, payload in connection.execute(
                "SELECT seq, kind, payload FROM journal WHERE seq > ? ORDER BY seq", (seq,)
            ):
                if kind in rows:
                    rows[kind].append({"node": node, "seq": number, **json.loads(payload)})
    return {kind: _frame(rows[kind], schema) for kind, schema in _SCHEMAS.items()}


def read_session(path: Path) -> dict[str, pl.DataFrame]:
    """The newest session's events, as :func:`read_since` gives them."""
    begin = 1
    with _reader(path) as connection:
        if connection is not None:
            first = "SELECT coalesce(min(seq), 1) FROM journal WHERE session = (SELECT max(session) FROM journal)"
            begin = int(connection.execute(first).fetchone()[0])
    return read_since(path, begin - 1)


def newest_seq(path: Path) -> int:
    """The newest event's sequence number; 0 where there is none."""
    with _reader(path) as connection:
        return 0 if connection is None else _newest(connection)


def cursor(path: Path) -> str:
    """A text that changes whenever the journal grows or is replaced; empty where there is none. Compare with ``!=``."""
    with _reader(path) as connection:
        return "" if connection is None else f"{_node(connection)}:{_newest(connection)}"


def load_journal(store: Store, path: Path) -> dict[str, int]:
    """Bring what the store does not have yet into ``signals``, ``orders``, ``fills`` and ``positions``, exactly once.

    Each table is asked for the newest sequence number that it has of this node, so a load killed between two tables is
    finished by the next one, and a second load writes nothing.

    Returns
    -------
    dict
        Table -> rows written.
    """
    with _reader(path) as connection:
        node = "" if connection is None else _node(connection)
    stored = {name: _stored_seq(store, table, node) for name, table in TABLES.items()}
    events = read_since(path, min(stored.values())) if node else {}
    counts = {}
    for name, table in TABLES.items():
        fresh = events[name].filter(pl.col("seq") > stored[name]) if node else pl.DataFrame()
        counts[name] = store.upsert(table, fresh) if fresh.height else 0
    return counts


def _stored_seq(store: Store, table: Table, node: str) -> int:
    newest = store.read(table, where={"node": node}, columns=["seq"])["seq"].max()
    return int(newest) if isinstance(newest, int) else 0


def _encode(kind: str, event: Mapping[str, Any]) -> str:
    if kind not in _SCHEMAS:
        raise NodeError(f"no journal kind {kind!r}", remedy=f"known: {', '.join(KINDS)}")
    unknown = [key for key in event if key not in _SCHEMAS[kind] or key in _ASSIGNED]
    if unknown:
        raise NodeError(f"no column {', '.join(unknown)} in journal kind {kind!r}")
    return json.dumps({key: _plain(kind, key, value) for key, value in event.items()}, sort_keys=True)


def _row(kind: str, event: Mapping[str, Any]) -> tuple[str, str, str]:
    payload = _encode(kind, {key: value for key, value in event.items() if key != EVENT_ID})
    given = event.get(EVENT_ID) or hashlib.sha256(payload.encode()).hexdigest()
    return f"{kind}:{given}", kind, payload


def _plain(kind: str, key: str, value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise NodeError(f"{kind}.{key} has no time zone: {value}")
        return value.astimezone(UTC).isoformat()
    return value


def _frame(rows: list[dict[str, Any]], schema: Schema) -> pl.DataFrame:
    times = {name for name, dtype in schema.items() if dtype == TS}
    columns = {name: [_time(row.get(name)) if name in times else row.get(name) for row in rows] for name in schema}
    return pl.DataFrame(columns, schema=schema)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None


def _node(connection: sqlite3.Connection) -> str:
    return str(connection.execute("SELECT node FROM journal_node").fetchone()[0])


def _newest(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()[0])


@contextmanager
def _reader(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A connection that cannot write; None where no journal was begun."""
    if not path.is_file():
        yield None
        return
    with _explained(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA busy_timeout=10000")
        connection.execute("PRAGMA query_only=1")
        begun = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'journal_node'").fetchone()[0]
        named = begun and connection.execute("SELECT count(*) FROM journal_node").fetchone()[0]
        yield connection if named else None


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise NodeError(
            f"the journal cannot be used: {error}", where=str(path), remedy="move the file away to begin a new journal"
        ) from error
