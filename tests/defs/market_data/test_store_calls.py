"""How often one fetch enters the store: each call waits for its turn at a file with one writer."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.defs.small import SYNA, Location
from trading_assets.store import Store, open_store
from trading_assets.store.tables import Table

NOW = datetime(2025, 3, 20, 6, 5, tzinfo=UTC)


class Counted:
    """A store that counts what is asked of each table."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        def call(table: Table, *args: Any, **options: Any) -> Any:
            columns = options.get("columns")
            self.calls[f"{name} {table.name}" + (" times" if columns == ["ts"] else "")] += 1
            return getattr(self._store, name)(table, *args, **options)

        return call


@pytest.mark.parametrize("kind", ["rest", "gaps", "gaps_again", "all"])
def test_a_fetch_reads_the_ledger_and_the_stored_times_once(location: Location, tmp_path: Path, kind: str) -> None:
    settings = location.settings(tmp_path)
    partitions, fetching = location.module("lib.partitions"), location.module("market_data.fetching")
    (window,) = partitions.windows([f"{SYNA}|{month}" for month in ("2025-01", "2025-02", "2025-03")], settings)
    store = Counted(open_store(settings.store_url))

    def fetch(kind: str, now: datetime) -> Counter[str]:
        store.calls.clear()
        fetching.fetch_window(store, window, settings, kind=fetching.Fetch(kind), now=now, log=lambda _: None)
        return store.calls

    first = fetch("rest", NOW)
    assert first["read candle_gaps"] == first["read candles times"] == 1
    calls = fetch(kind, NOW + timedelta(hours=1))
    assert calls["read candle_gaps"] == calls["read candles times"] == 1
    assert calls["tail candles"] == 0
    assert calls["bounds candles"] <= 1
    if kind == "rest":
        assert calls.total() <= 5
