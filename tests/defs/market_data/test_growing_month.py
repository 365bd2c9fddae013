"""The month that still grows: what an hourly run fetches, whatever the runs before it left."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.defs.small import SYNA, Location, Undisturbed, assert_same_tables, copy_of, fill
from trading_assets.sources import IngestReport
from trading_assets.store import open_store
from trading_assets.store.tables import CANDLES

NOW = datetime(2025, 3, 19, 7, 5, tzinfo=UTC)


def fetched_after_losing(
    location: Location, undisturbed: Undisturbed, folder: Path, first: datetime, last: datetime, *, months: list[str]
) -> IngestReport:
    """Remove the candles of [first, last), fetch the months at ``NOW``, and compare with the undisturbed store."""
    settings = copy_of(undisturbed, location, folder)
    store = open_store(settings.store_url)
    where = {"market": SYNA}
    store.replace(CANDLES, store.read(CANDLES)[:0], where=where, start=first, end=last)
    (window,) = location.module("lib.partitions").windows([f"{SYNA}|{month}" for month in months], settings)
    fetching = location.module("market_data.fetching")
    report: IngestReport = fetching.fetch_window(
        store, window, settings, kind=fetching.Fetch.REST, now=NOW, log=lambda _line: None
    )
    assert store.read(CANDLES, where=where, end=NOW).equals(undisturbed.store.read(CANDLES, where=where, end=NOW))
    return report


@pytest.mark.parametrize("month", ["2025-01", "2025-02"])
def test_a_month_that_a_kill_cut_off_is_completed_although_a_later_one_was_fetched(
    location: Location, undisturbed: Undisturbed, tmp_path: Path, month: str
) -> None:
    first = datetime.fromisoformat(f"{month}-20T13:37Z")
    last = datetime(2025, int(month[-2:]) + 1, 1, tzinfo=UTC)
    months = ["2025-01", "2025-02", "2025-03"]
    fetched_after_losing(location, undisturbed, tmp_path, first, last, months=months)


def test_a_candle_that_the_exchange_delivered_late_is_fetched_by_a_later_run(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    first, last = datetime(2025, 3, 19, 5, 58, tzinfo=UTC), datetime(2025, 3, 19, 6, 2, tzinfo=UTC)
    fetched_after_losing(location, undisturbed, tmp_path, first, last, months=["2025-03"])


@pytest.mark.parametrize("months", [["2025-03"], ["2025-02", "2025-03"]])
def test_an_hour_more_costs_an_hour_and_the_bars_that_are_read_again_however_long_the_window(
    location: Location, undisturbed: Undisturbed, tmp_path: Path, months: list[str]
) -> None:
    first = datetime(2025, 3, 19, 6, 5, tzinfo=UTC)
    report = fetched_after_losing(location, undisturbed, tmp_path, first, NOW, months=months)
    assert 60 < report.rows <= 60 + 240 + 1


def test_a_history_that_grew_tick_by_tick_ends_like_one_that_was_filled_at_once(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = location.settings(tmp_path)
    ticks = [
        ("2025-02-27T13:05Z", "2025-01", "2025-02"),
        ("2025-03-01T00:05Z", "2025-02", "2025-03"),
        ("2025-03-01T01:05Z", "2025-02", "2025-03"),
        ("2025-03-20T00:00Z", "2025-03", "2025-03"),
    ]
    for moment, first, last in ticks:
        fill(location, settings, SYNA, first, last, now=datetime.fromisoformat(moment))
    assert_same_tables(open_store(settings.store_url), undisturbed.store, SYNA)
