"""What the settings tell of a market's events stands in the table, once, and what they no longer tell does not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.defs.small import SYNA, Location
from trading_assets.core.errors import SettingsError
from trading_assets.settings import Settings, load_settings
from trading_assets.store import Store
from trading_assets.store.tables import MARKET_EVENTS

SPLIT = {"at": "2025-02-03T08:00", "kind": "split", "factor": 0.1, "note": "one into ten", "who": "ann"}
RENAME = {"at": "2025-03-01", "kind": "rename"}


def told(*events: dict[str, object]) -> Settings:
    markets = {SYNA: {"source": "sample", "events": list(events)}}
    return load_settings(
        sources={"sample": {"kind": "sample"}}, markets=markets, models={}, history={"start": "2025-01-01"}
    )


def test_the_table_follows_the_settings_however_often_they_are_read(location: Location, store: Store) -> None:
    write, partitions = location.module("market_data.candles").write_events, location.module("lib.partitions")
    keys = [partitions.partition_key(SYNA, month) for month in ("2025-01", "2025-02", "2025-03")]

    def stored(settings: Settings) -> list[tuple[object, ...]]:
        for window in partitions.windows(keys, settings):
            write(store, window, settings)
        return store.read(MARKET_EVENTS).rows()

    split = (SYNA, datetime(2025, 2, 3, 8, tzinfo=UTC), "split", 0.1, "one into ten", "ann")
    both = [split, (SYNA, datetime(2025, 3, 1, tzinfo=UTC), "rename", None, "", "")]
    assert stored(told(RENAME, SPLIT)) == both
    assert stored(told(RENAME, SPLIT)) == both
    assert stored(told(SPLIT)) == [split]


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({"at": "2025-02-03", "kind": "merger"}, "kind"),
        ({"at": "soon", "kind": "split"}, "at"),
        ({"at": "2025-02-03", "kind": "split", "factor": 0}, "factor"),
    ],
)
def test_an_event_that_is_none_is_refused_by_name(event: dict[str, object], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        told(event)


def test_an_event_told_twice_is_refused() -> None:
    with pytest.raises(SettingsError, match="2025-03-01 00:00 rename is there twice"):
        told(RENAME, RENAME)
