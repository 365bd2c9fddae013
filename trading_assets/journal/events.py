"""What an event of the journal may say, and how it is written and read back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from trading_assets.core.candles import TS
from trading_assets.core.errors import NodeError
from trading_assets.store.tables import (
    ACCOUNT_EQUITY,
    BALANCES,
    FILLS,
    LIVE_FEATURES,
    ORDERS,
    PAYMENTS,
    POSITIONS,
    RISK_STATES,
    SIGNALS,
    Schema,
    Table,
)

TABLES: Final[dict[str, Table]] = {
    table.name: table
    for table in (
        *(SIGNALS, ORDERS, FILLS, POSITIONS, RISK_STATES, PAYMENTS, BALANCES, ACCOUNT_EQUITY),
        LIVE_FEATURES,
    )
}
"""Kind -> the store's table that its events end in."""

NODE: Final = "node"
"""What the node itself did: started, stopped, model deployed or refused, gap, kill. Stays in the journal."""

PLANS: Final = "plans"
"""What the strategy intends with a trade (stop, target, expiry); a restarted node goes on from the newest one."""

SHADOW: Final = "shadow"
"""What challengers, and the model that trades, said on one bar; see :mod:`trading_assets.journal.shadow`."""

EVENT_ID: Final = "event_id"
"""An event may bring its id under this key; else it is the hash of what the event says."""

_LOCAL: Final[dict[str, Schema]] = {
    NODE: {"ts": TS, "event": pl.String, "detail": pl.String},
    PLANS: {"ts": TS, "market": pl.String, "signal_id": pl.String, "plan": pl.String},
    SHADOW: {
        "ts": TS,
        "market": pl.String,
        "timeframe": pl.String,
        "bar_ts": TS,
        "champion": pl.String,
        "challengers": pl.List(pl.String),
    },
}
_ASSIGNED: Final = ("node", "seq")
_BEFORE: Final[Mapping[str, Mapping[str, Any]]] = {SIGNALS.name: SIGNALS.joined}
"""Kind -> what an event means that lacks a column, because the version that wrote it knew no other."""

SCHEMAS: Final[dict[str, Schema]] = {
    kind: {"node": pl.String, "seq": pl.Int64, **schema}
    for kind, schema in ({name: table.columns for name, table in TABLES.items()} | _LOCAL).items()
}
"""Kind -> the columns of its frame."""

KINDS: Final = tuple(SCHEMAS)


def encode(kind: str, event: Mapping[str, Any]) -> tuple[str, str, str]:
    """An event as id, kind and payload.

    Raises
    ------
    NodeError
        For an unknown kind or column, or a time without a zone.
    """
    payload = _payload(kind, {key: value for key, value in event.items() if key != EVENT_ID})
    given = event.get(EVENT_ID) or hashlib.sha256(payload.encode()).hexdigest()
    return f"{kind}:{given}", kind, payload


def decode(seq: int, payload: str) -> dict[str, Any]:
    """A payload's fields, times still as text.

    Raises
    ------
    NodeError
        If the payload is damaged.
    """
    try:
        fields = json.loads(payload)
    except ValueError as error:
        raise damaged(seq, str(error)) from None
    if not isinstance(fields, dict):
        raise damaged(seq, f"{fields!r} is not an event")
    return fields


def frame(kind: str, node: str, rows: list[tuple[int, dict[str, Any]]]) -> pl.DataFrame:
    """Decoded events of one kind with their numbers as a typed frame; columns that an event did not give are null.

    A signal of a version that knew no short trades is long.
    """
    schema = SCHEMAS[kind]
    try:
        meant = _BEFORE.get(kind, {})
        values = [{"node": node, "seq": seq, **meant, **fields} for seq, fields in rows]
        return pl.DataFrame({name: _column(values, name, dtype) for name, dtype in schema.items()}, schema=schema)
    except (ValueError, TypeError, pl.exceptions.PolarsError):
        for seq, fields in rows if len(rows) > 1 else ():
            frame(kind, node, [(seq, fields)])  # raises for the one that it was
        raise damaged(rows[0][0], f"not an event of kind {kind!r}") from None


def damaged(seq: int, why: str) -> NodeError:
    """The error for an event that cannot be understood."""
    return NodeError(
        f"event {seq} of the journal is damaged: {why}",
        remedy="trading journal check lists what is damaged, trading journal export FILE saves the rest",
    )


def _payload(kind: str, event: Mapping[str, Any]) -> str:
    if kind not in SCHEMAS:
        raise NodeError(f"no journal kind {kind!r}", remedy=f"known: {', '.join(KINDS)}")
    unknown = [key for key in event if key not in SCHEMAS[kind] or key in _ASSIGNED]
    if unknown:
        raise NodeError(f"no column {', '.join(unknown)} in journal kind {kind!r}")
    return json.dumps({key: _plain(kind, key, value) for key, value in event.items()}, sort_keys=True)


def _plain(kind: str, key: str, value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise NodeError(f"{kind}.{key} has no time zone: {value}")
        return value.astimezone(UTC).isoformat()
    return value


def _column(rows: list[dict[str, Any]], name: str, dtype: Any) -> list[Any]:
    values = (row.get(name) for row in rows)
    if dtype != TS:
        return list(values)
    return [None if value is None else datetime.fromisoformat(value) for value in values]
