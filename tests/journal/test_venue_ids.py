"""Journals and stores from before orders said the venue's id, and fills who filled them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trading_assets.journal import Journal, read_session
from trading_assets.store import Store
from trading_assets.store.tables import FILLS, ORDERS, Table

NOW = datetime(2025, 5, 20, tzinfo=UTC)
EVENT = {
    "ts": NOW,
    "market": "sample:SYNA/USDT:USDT",
    "order_id": "O-1",
    "signal_id": "s",
    "side": "buy",
    "quantity": 1.0,
}
ORDER = EVENT | {"purpose": "entry", "order_type": "market", "status": "filled", "reason": ""}
FILL = EVENT | {"trade_id": "1", "price": 1.0, "fee": 0.0, "fee_currency": "USDT"}


@pytest.mark.parametrize(
    ("table", "row", "column", "says"),
    [(ORDERS, ORDER, "venue_order_id", "77"), (FILLS, FILL, "filled_by", "live")],
    ids=lambda value: value.name if isinstance(value, Table) else "",
)
def test_rows_of_before_are_read_and_stand_beside_new_ones(
    table: Table, row: dict[str, object], column: str, says: str, tmp_path: Path, store: Store
) -> None:
    with closing(Journal(tmp_path / "journal.sqlite", "n")) as journal:
        journal.record(table.name, row)
        journal.record(table.name, row | {column: says})
    events = read_session(tmp_path / "journal.sqlite")[table.name]
    assert events[column].to_list() == [None, says]
    before = replace(table, columns={name: kind for name, kind in table.columns.items() if name != column})
    store.upsert(before, events.head(1).select(list(before.columns)))
    store.upsert(table, events.tail(1))
    assert store.read(table).sort("seq")[column].to_list() == [None, says]
    assert store.query(f"SELECT count({column}) AS n FROM {table.name}")["n"].item() == 1
