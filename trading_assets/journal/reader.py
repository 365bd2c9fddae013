"""Looks at a journal, by connections that cannot write."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from trading_assets.core.errors import NodeError
from trading_assets.journal.events import KINDS, decode, frame
from trading_assets.journal.file import last_seq, node_name, reading


def read_since(path: Path, seq: int) -> dict[str, pl.DataFrame]:
    """Events after ``seq``, as one typed frame per kind, in the order of writing; every kind is there.

    Times are UTC microseconds; columns that an event did not give are null. No file means empty frames.

    Raises
    ------
    NodeError
        If the file is not a journal, or an event is damaged.
    """
    with reading(path) as connection:
        if connection is None:
            return _frames("", ())
        rows = connection.execute("SELECT seq, kind, payload FROM journal WHERE seq > ? ORDER BY seq", (seq,))
        return _frames(node_name(connection), rows)


def read_session(path: Path) -> dict[str, pl.DataFrame]:
    """The newest session's events, as :func:`read_since` gives them."""
    begin = 1
    with reading(path) as connection:
        if connection is not None:
            first = "SELECT coalesce(min(seq), 1) FROM journal WHERE session = (SELECT max(session) FROM journal)"
            begin = int(connection.execute(first).fetchone()[0])
    return read_since(path, begin - 1)


def read_sessions(path: Path, kinds: Sequence[str]) -> list[dict[str, pl.DataFrame]]:
    """The events of some kinds of each session, the oldest session first, as :func:`read_since` gives them."""
    with reading(path) as connection:
        if connection is None:
            return []
        node, marks = node_name(connection), ", ".join("?" * len(kinds))
        found: list[dict[str, pl.DataFrame]] = []
        for (session,) in connection.execute("SELECT DISTINCT session FROM journal ORDER BY session").fetchall():
            chosen = f"SELECT seq, kind, payload FROM journal WHERE session = ? AND kind IN ({marks}) ORDER BY seq"
            found.append(_frames(node, connection.execute(chosen, (session, *kinds))))
        return found


def session_events(path: Path, kinds: Sequence[str], *, newest: int | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Kind and row of the newest session's events of some kinds, in the order of writing; damaged ones are passed over.

    Parameters
    ----------
    path
        The journal.
    kinds
        Which.
    newest
        So many of each at most, the last ones; None for all.

    Raises
    ------
    NodeError
        If the file is not a journal.
    """
    with reading(path) as connection:
        if connection is None:
            return []
        wanted = (
            "SELECT seq, payload FROM journal WHERE kind = ? AND session = (SELECT max(session) FROM journal) "
            "ORDER BY seq DESC LIMIT ?"
        )
        found: list[tuple[str, dict[str, Any]]] = []
        for kind in kinds:
            rows = connection.execute(wanted, (kind, -1 if newest is None else newest)).fetchall()
            found += [(kind, row) for row in _readable(kind, node_name(connection), rows)]
    return sorted(found, key=lambda one: int(one[1]["seq"]))


def newest_events(path: Path, kind: str, count: int, *, of_session: bool = False) -> pl.DataFrame:
    """The last ``count`` events of a kind, the newest last; only those of the newest session where that is asked."""
    with reading(path) as connection:
        if connection is None:
            return frame(kind, "", [])
        of = "AND session = (SELECT max(session) FROM journal) " if of_session else ""
        newest = f"SELECT seq, payload FROM journal WHERE kind = ? {of}ORDER BY seq DESC LIMIT ?"
        rows = connection.execute(newest, (kind, count)).fetchall()
        return frame(kind, node_name(connection), [(seq, decode(seq, payload)) for seq, payload in reversed(rows)])


def find_events(path: Path, kind: str, column: str, value: str | datetime) -> pl.DataFrame:
    """The events of a kind whose column says a value, in the order of writing; damaged ones are passed over."""
    with reading(path) as connection:
        if connection is None:
            return frame(kind, "", [])
        said = "CASE WHEN json_valid(payload) THEN json_extract(payload, '$.' || ?) END"
        sought = value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        matching = f"SELECT seq, payload FROM journal WHERE kind = ? AND {said} = ? ORDER BY seq"
        rows = connection.execute(matching, (kind, column, sought)).fetchall()
        return frame(kind, node_name(connection), [(seq, decode(seq, payload)) for seq, payload in rows])


def events_after(connection: sqlite3.Connection, kind: str, seq: int, count: int) -> pl.DataFrame:
    """The first ``count`` events of a kind after ``seq``."""
    following = "SELECT seq, payload FROM journal WHERE kind = ? AND seq > ? ORDER BY seq LIMIT ?"
    rows = connection.execute(following, (kind, seq, count)).fetchall()
    return frame(kind, node_name(connection), [(number, decode(number, payload)) for number, payload in rows])


def newest_seq(path: Path) -> int:
    """The newest event's sequence number; 0 where there is none."""
    with reading(path) as connection:
        return 0 if connection is None else last_seq(connection)


def cursor(path: Path) -> str:
    """A text that changes whenever the journal grows or is replaced; empty where there is none. Compare with ``!=``."""
    with reading(path) as connection:
        return "" if connection is None else f"{node_name(connection)}:{last_seq(connection)}"


def _readable(kind: str, node: str, rows: Sequence[tuple[int, str]]) -> Iterator[dict[str, Any]]:
    """The rows of the events that can be understood: all at once where every one can."""
    try:
        yield from list(frame(kind, node, [(seq, decode(seq, payload)) for seq, payload in rows]).iter_rows(named=True))
    except NodeError:
        for row in rows if len(rows) > 1 else ():
            yield from _readable(kind, node, [row])


def _frames(node: str, events: Iterable[tuple[int, str, str]]) -> dict[str, pl.DataFrame]:
    rows: dict[str, list[tuple[int, dict[str, Any]]]] = {kind: [] for kind in KINDS}
    for seq, kind, payload in events:
        if kind in rows:
            rows[kind].append((seq, decode(seq, payload)))
    return {kind: frame(kind, node, found) for kind, found in rows.items()}
