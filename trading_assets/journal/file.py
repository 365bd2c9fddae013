"""The journal's file: its tables, and connections that explain what is wrong with it."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from trading_assets.core.errors import NodeError
from trading_assets.core.locks import locked

JOURNAL_FILE: Final = "journal.sqlite"
"""The journal's name in ``settings.live_dir``."""

BESIDE: Final = ("-wal", "-shm")
"""How the names of SQLite's files beside it end."""

DDL: Final = """
CREATE TABLE IF NOT EXISTS journal_node (node TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    session INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    UNIQUE (session, event_id)
);
CREATE INDEX IF NOT EXISTS journal_kind ON journal (kind);
CREATE TABLE IF NOT EXISTS journal_checkpoint (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    version INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    state TEXT NOT NULL
);
"""

_MAKE_ROOM: Final = "free space on the disk, or make the file and its folder writable"
_BUSY_MS: Final = 10_000
_BEGINNING_S: Final = 10.0
"""So long a busy machine may take from an empty file to the journal's first rows."""
_NO_SPACE: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def connect(path: Path) -> sqlite3.Connection:
    """A connection without implicit transactions that waits a while for others."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    return connection


def make(path: Path, node: str) -> None:
    """Make a journal with its node's name: it is there whole or not at all, whenever the process is killed.

    Its rows stand in the file beside it, as those of a running node do: a copy without that is no journal.
    """
    with locked(path.with_name(f".{path.name}.lock")):
        if path.exists():
            return
        made = path.with_name(f".{path.name}.made")
        for suffix in ("", *BESIDE):
            made.with_name(made.name + suffix).unlink(missing_ok=True)
        with closing(connect(made)) as connection:
            connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            begin(connection, node)
        made.with_name(f"{made.name}-shm").unlink(missing_ok=True)
        wal(made).replace(wal(path))
        made.replace(path)


def begin(connection: sqlite3.Connection, node: str) -> None:
    """Make tables that are missing, and name the node where that is not done."""
    connection.executescript(DDL)
    named = "INSERT INTO journal_node SELECT ? WHERE NOT EXISTS (SELECT 1 FROM journal_node)"
    connection.execute(named, (f"{node}-{uuid.uuid4().hex[:8]}",))


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """One consistent look at a journal, by a connection that cannot write; None where no journal was begun.

    Raises
    ------
    NodeError
        If the file cannot be read or is no journal.
    """
    if not path.is_file():
        yield None
        return
    alone = not wal(path).exists()  # SQLite makes one as soon as it looks
    with explained(path), ExitStack() as used:
        connection = _look_at(path, used)
        begun = _begun(connection)
        if alone and not begun:
            raise without_wal(path)
        yield connection if begun else None


def _look_at(path: Path, used: ExitStack) -> sqlite3.Connection:
    """A connection with a read transaction, also where nothing can be written: SQLite wants a file beside a journal."""
    connection = used.enter_context(closing(connect(path)))
    try:
        return _snapshot(connection)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _NO_SPACE:
            raise
    newest = wal(path)
    if newest.is_file() and newest.stat().st_size:
        folder = Path(used.enter_context(TemporaryDirectory()))
        for file in (path, newest):
            shutil.copy(file, folder)
        return _snapshot(used.enter_context(closing(connect(folder / path.name))))
    still = sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, isolation_level=None)
    return _snapshot(used.enter_context(closing(still)))


def _snapshot(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.execute("PRAGMA query_only=1")
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection


def wal(path: Path) -> Path:
    """The file beside a journal with what was written last."""
    return path.with_name(path.name + "-wal")


def _begun(connection: sqlite3.Connection) -> bool:
    tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'journal_node'").fetchone()[0]
    return bool(tables and connection.execute("SELECT count(*) FROM journal_node").fetchone()[0])


def require_whole(path: Path) -> None:
    """Refuse to begin a journal in a file that is the half of one.

    Raises
    ------
    NodeError
        If the file is there, holds no journal, and no file lies beside it that would.
    """
    if path.is_file() and not wal(path).exists():
        with reading(path):
            pass


def without_wal(path: Path) -> NodeError:
    """The error for a file that was copied without what was written last."""
    return NodeError(
        "the file has no journal in it",
        where=str(path),
        remedy="what a node writes stands in the file ending in -wal until the node ends: a copy needs both; "
        "trading journal export FILE makes a whole one; where no node ever ran, remove the file",
    )


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system say of the file into a :class:`NodeError` that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise NodeError(f"the journal cannot be used: {error}", where=str(path), remedy=_remedy(error)) from error
    except OSError as error:
        problem = f"the journal cannot be used: {error.strerror or error}"
        raise NodeError(problem, where=str(path), remedy=_MAKE_ROOM) from error


def _remedy(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGED:
        return (
            "trading journal check says what is damaged and trading journal export FILE saves what can be read; "
            "a new journal in its place would not know of open positions"
        )
    if code in _NO_SPACE:
        return _MAKE_ROOM
    return "end what else writes to the file, then try again"


def lacks_room(error: NodeError) -> bool:
    """Whether a journal could not be written for want of room or of the right to write: what it holds is whole."""
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _NO_SPACE
    return isinstance(cause, OSError)


def node_name(connection: sqlite3.Connection) -> str:
    """The name of the node that writes the journal."""
    return str(connection.execute("SELECT node FROM journal_node").fetchone()[0])


def last_seq(connection: sqlite3.Connection) -> int:
    """The newest event's number; 0 where there is none."""
    return int(connection.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()[0])


def checkpointed_seq(connection: sqlite3.Connection) -> int:
    """The newest event that the checkpoint sums up; 0 where there is no checkpoint."""
    return int(connection.execute("SELECT coalesce(max(seq), 0) FROM journal_checkpoint").fetchone()[0])
