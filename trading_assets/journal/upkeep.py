"""Looks a journal through for damage, and saves what can be read of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import polars as pl

from trading_assets.core.errors import NodeError
from trading_assets.journal.events import SCHEMAS, damaged, decode
from trading_assets.journal.file import DDL, connect, explained, node_name, reading
from trading_assets.journal.state import JournalState, add_all, checkpointed, state_of, to_json, write_checkpoint

_DAMAGED_DDL: Final = """
CREATE TABLE journal_damaged (seq INTEGER PRIMARY KEY, session INTEGER, event_id TEXT, kind TEXT, payload TEXT);
"""
_PYTHON: Final[dict[type[pl.DataType], tuple[type, ...]]] = {
    pl.String: (str,),
    pl.Int32: (int,),
    pl.Int64: (int,),
    pl.Float64: (int, float),
}

Row = tuple[int, int, str, str, str]
"""An event as it is stored: number, session, id, kind, payload."""


@dataclass(frozen=True, slots=True)
class JournalReport:
    """What a look through a journal found.

    Attributes
    ----------
    node
        The node that wrote it.
    events
        How many can be read.
    damaged
        What cannot be understood or read, a line each.
    """

    node: str
    events: int
    damaged: tuple[str, ...]


def check_journal(path: Path) -> JournalReport:
    """Read every event of a journal, and compare its checkpoint with what the events before it add up to.

    Raises
    ------
    NodeError
        If the file is missing, cannot be opened, or is no journal.
    """
    with _required(path) as connection:
        problems = [f"SQLite: {line}" for line in _integrity(connection)]
        events = 0
        for row in _rows(connection, problems):
            events += 1
            if (why := _problem(row)) is not None:
                problems.append(why)
        if not problems:
            problems += _wrong_checkpoint(connection)
        return JournalReport(node_name(connection), events, tuple(problems))


def export_journal(path: Path, target: Path) -> JournalReport:
    """Write a complete, consistent copy of a journal, also of one that a node is writing.

    What is damaged stands in the copy's table ``journal_damaged`` as far as it can be read. A checkpoint that sums it
    up is kept: the positions and plans that it names are not lost.

    Raises
    ------
    NodeError
        If there is no journal, the target exists, or it cannot be written.
    """
    if target.exists():
        raise NodeError("the file exists already", where=str(target), remedy="name a new file")
    beside = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
    with _required(path) as source, explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(connect(beside)) as copy:
                report = _copy(source, copy)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    return report


def _copy(source: sqlite3.Connection, copy: sqlite3.Connection) -> JournalReport:
    copy.executescript(DDL + _DAMAGED_DDL)
    copy.execute("BEGIN")
    node, problems, events = node_name(source), list[str](), 0
    copy.execute("INSERT INTO journal_node VALUES (?)", (node,))
    for row in _rows(source, problems):
        why = _problem(row)
        table = "journal" if why is None else "journal_damaged"
        copy.execute(f"INSERT INTO {table} (seq, session, event_id, kind, payload) VALUES (?, ?, ?, ?, ?)", row)
        events += why is None
        problems += [] if why is None else [why]
    with suppress(sqlite3.Error):
        if (state := checkpointed(source)) is not None:
            write_checkpoint(copy, state)
    if not problems:
        write_checkpoint(copy, state_of(copy))
    copy.execute("COMMIT")
    return JournalReport(node, events, tuple(problems))


@contextmanager
def _required(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise NodeError("there is no journal", where=str(path), remedy="a node begins it: trading paper")
    with reading(path) as connection:
        if connection is None:
            raise NodeError("the journal has not begun", where=str(path), remedy="try again in a moment")
        yield connection


def _integrity(connection: sqlite3.Connection) -> list[str]:
    try:
        lines = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [] if lines == ["ok"] else [part for line in lines for part in line.splitlines()]


def _rows(connection: sqlite3.Connection, problems: list[str]) -> Iterator[Row]:
    """All events in order; where a page cannot be read, the events that stand elsewhere."""
    wanted = "SELECT seq, session, event_id, kind, payload FROM journal"
    seq = 0
    try:
        for row in connection.execute(f"{wanted} ORDER BY seq"):
            seq = row[0]
            yield row
        return
    except sqlite3.DatabaseError as error:
        problems.append(f"after event {seq}: {error}")
    for number in range(seq + 1, _last(connection) + 1):
        try:
            row = connection.execute(f"{wanted} WHERE seq = ?", (number,)).fetchone()
        except sqlite3.DatabaseError:
            problems.append(f"event {number} cannot be read")
        else:
            if row is not None:
                yield row


def _last(connection: sqlite3.Connection) -> int:
    for sql in ("SELECT max(seq) FROM journal", "SELECT max(seq) FROM sqlite_sequence WHERE name = 'journal'"):
        with suppress(sqlite3.DatabaseError):
            if (row := connection.execute(sql).fetchone()) and row[0]:
                return int(row[0])
    return 0


def _problem(row: Row) -> str | None:
    """Why an event cannot be understood; None for a kind of a later version, too."""
    seq, session, _, kind, payload = row
    if kind not in SCHEMAS:
        return None
    try:
        fields = decode(seq, payload)
        for name, dtype in SCHEMAS[kind].items():
            value = fields.get(name)
            if value is not None and not _fits(value, dtype):
                raise damaged(seq, f"{kind}.{name} is {value!r}")
        JournalState().add(seq, session, kind, payload)
    except NodeError as error:
        return error.what
    return None


def _fits(value: Any, dtype: Any) -> bool:
    if isinstance(dtype, pl.Datetime):
        try:
            return datetime.fromisoformat(value).tzinfo is not None
        except (TypeError, ValueError):
            return False
    return type(value) in _PYTHON.get(dtype, (type(value),))


def _wrong_checkpoint(connection: sqlite3.Connection) -> list[str]:
    state = checkpointed(connection)
    if state is None:
        return []
    same = to_json(add_all(state, connection)) == to_json(add_all(JournalState(), connection))
    return [] if same else ["the checkpoint is not what the events add up to"]
