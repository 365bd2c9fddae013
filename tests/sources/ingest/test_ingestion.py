"""From a source into the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.examples import examples
from tests.stores import fresh_store
from trading_assets.core.errors import SettingsError
from trading_assets.core.missing_candles import Span
from trading_assets.settings import Settings
from trading_assets.sources import IngestReport, ingest, missing_ranges, open_source, parts_to_fetch
from trading_assets.sources.ingest import ingestion
from trading_assets.store import Store
from trading_assets.store.tables import CANDLES, CANDLES_QUARANTINE

MARKET = "m:A/B"
START = datetime(2025, 3, 1, tzinfo=UTC)
NOW = datetime(2025, 6, 1, tzinfo=UTC)


@dataclass
class Listed:
    """A source with given rows, in pages of a given length; it notes what it was asked for."""

    frame: pl.DataFrame
    page_rows: int = 100
    name: str = "listed"
    synthetic: bool = False
    retries: int = 0
    asked: tuple[datetime, datetime] | None = None
    dies_after_pages: int | None = None

    def fetch(self, market: str, timeframe: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        self.asked = (start, end)
        rows = self.frame.filter(pl.col("ts").is_between(start, end, closed="left"))
        for number, offset in enumerate(range(0, rows.height, self.page_rows)):
            if number == self.dies_after_pages:
                raise KeyboardInterrupt
            yield rows.slice(offset, self.page_rows)


def run(store: Store, source: Listed, minutes: int, *, start: datetime = START, now: datetime = NOW) -> IngestReport:
    return ingest(
        store, source, market=MARKET, timeframe="1m", start=start, end=START + timedelta(minutes=minutes), now=now
    )


@pytest.mark.slow
def test_the_sample_goes_in_with_its_blemishes_accounted_for(settings: Settings, store: Store) -> None:
    market = next(iter(settings.markets))
    source = open_source(settings, market)
    start, end = settings.history_start, settings.history_start + timedelta(days=150)
    report = ingest(store, source, market=market, timeframe="1m", start=start, end=end, now=NOW)
    different = pl.concat(source.fetch(market, "1m", start, end)).unique().height
    assert report.rows + report.quarantined == different, "every row is somewhere, equal ones once"
    assert report.stored == store.read(CANDLES).height == report.rows
    assert report.quarantined == store.read(CANDLES_QUARANTINE).height == sum(report.reasons.values())
    assert report.expected == 150 * 1440
    assert 0 < report.gap_share < 0.005
    assert report.gaps[0].candles >= report.gaps[-1].candles
    assert "SYNTHETIC" in str(report)


def test_running_twice_leaves_the_same_rows(settings: Settings, store: Store) -> None:
    market = next(iter(settings.markets))
    start, end = settings.history_start, settings.history_start + timedelta(days=31)

    def once(now: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
        ingest(store, open_source(settings, market), market=market, timeframe="1m", start=start, end=end, now=now)
        return store.read(CANDLES), store.read(CANDLES_QUARANTINE)

    first, second = once(NOW), once(NOW + timedelta(days=1))
    assert first[0].equals(second[0])
    assert first[1].equals(second[1]), "a bad row keeps the time at which it was first seen"


def test_months_one_by_one_equal_all_at_once(settings: Settings, store: Store, tmp_path: object) -> None:
    from trading_assets.store import open_store

    other = open_store(f"duckdb:///{tmp_path}/other.duckdb")
    market = next(iter(settings.markets))
    days = [settings.history_start + timedelta(days=days) for days in (0, 31, 59, 90)]
    source = open_source(settings, market)
    for start, end in pairwise(days):
        ingest(store, source, market=market, timeframe="1m", start=start, end=end, now=NOW)
    ingest(other, source, market=market, timeframe="1m", start=days[0], end=days[-1], now=NOW)
    for table in (CANDLES, CANDLES_QUARANTINE):
        assert store.read(table).equals(other.read(table), null_equal=True)


def test_nothing_after_the_last_closed_bar_is_asked_for(
    store: Store, plain_candles: Callable[..., pl.DataFrame]
) -> None:
    source = Listed(plain_candles(100))
    now = START + timedelta(minutes=40, seconds=59)
    report = run(store, source, 100, now=now)
    assert source.asked == (START, START + timedelta(minutes=40))
    assert (report.rows, report.expected, report.missing) == (40, 40, 0)


def test_a_window_in_the_future_asks_nothing(store: Store, plain_candles: Callable[..., pl.DataFrame]) -> None:
    source = Listed(plain_candles(10))
    report = run(store, source, 10, now=START)
    assert source.asked is None
    assert (report.rows, report.expected, report.gap_share, report.first) == (0, 0, 0.0, None)


def test_an_empty_range_is_refused(store: Store, plain_candles: Callable[..., pl.DataFrame]) -> None:
    with pytest.raises(SettingsError, match=r"m:A/B: the range is empty: .*give an end after the start"):
        run(store, Listed(plain_candles(1)), 0)


def test_rivals_on_both_sides_of_a_page_break_are_seen_together(
    store: Store, plain_candles: Callable[..., pl.DataFrame]
) -> None:
    candles = plain_candles(30)
    rival = candles[9:10].with_columns(volume=pl.lit(99.0))
    source = Listed(pl.concat([candles[:10], rival, candles[10:]]), page_rows=10)
    report = run(store, source, 30)
    assert report.reasons == {"conflicting_duplicate": 2}
    assert (report.rows, report.missing) == (29, 1)
    assert report.gaps[0].start == START + timedelta(minutes=9)


def left(store: Store, start: datetime, end: datetime, *, now: datetime = NOW, reread: int = 0) -> list[Span]:
    """What is left to fetch of a window of one piece."""
    return parts_to_fetch(store, market=MARKET, timeframe="1m", pieces=[(start, end)], now=now, reread_bars=reread)


def test_one_more_day_fetches_one_more_day(store: Store, plain_candles: Callable[..., pl.DataFrame]) -> None:
    candles, end = plain_candles(3 * 1440), START + timedelta(days=31)
    assert left(store, START, end) == [(START, end)]
    run(store, Listed(candles[: 2 * 1440]), 2 * 1440)
    resumed = START + timedelta(minutes=2 * 1440 - 1)
    assert left(store, START, end) == [(resumed, end)], "the last candle is fetched again"
    report = run(store, Listed(candles), 3 * 1440, start=resumed)
    assert report.rows == 1441
    assert store.read(CANDLES).height == 3 * 1440


def test_a_window_that_grows_is_read_again_by_as_many_bars_as_the_settings_say(
    store: Store, plain_candles: Callable[..., pl.DataFrame]
) -> None:
    run(store, Listed(plain_candles(500)), 500)
    now, end = START + timedelta(minutes=520, seconds=20), START + timedelta(days=31)
    assert left(store, START, end, now=now, reread=100) == [(START + timedelta(minutes=399), end)]
    assert left(store, START, end, now=now, reread=10**6) == [(START, end)], "but not beyond its start"
    assert left(store, START, START + timedelta(minutes=500), now=now, reread=100) == [], "it ended, and is complete"


def test_a_window_that_was_entered_in_the_middle_is_fetched_from_its_start(
    store: Store, plain_candles: Callable[..., pl.DataFrame]
) -> None:
    run(store, Listed(plain_candles(500)), 500, start=START + timedelta(minutes=200))
    end = START + timedelta(days=1)
    assert left(store, START, end) == [(START, end)]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page is a write of its own, except where the sample goes in whole."""
    monkeypatch.setattr(ingestion, "BATCH_ROWS", 1)


@pytest.mark.slow
@examples(6, suppress=HealthCheck.function_scoped_fixture)
@given(deaths=st.lists(st.integers(0, 6), max_size=2), page_rows=st.integers(30, 90), bad=st.sets(st.integers(0, 199)))
def test_killed_and_resumed_runs_end_like_an_undisturbed_one(
    tmp_path_factory: pytest.TempPathFactory,
    plain_candles: Callable[..., pl.DataFrame],
    deaths: list[int],
    page_rows: int,
    bad: set[int],
) -> None:
    disturbed, quiet = (fresh_store(tmp_path_factory.mktemp(name)) for name in ("disturbed", "quiet"))
    spoilt = pl.int_range(pl.len()).is_in(sorted(bad))
    candles = plain_candles(200).with_columns(volume=pl.when(spoilt).then(-1.0).otherwise("volume"))
    end = START + timedelta(minutes=200)
    with disturbed.kept_open():
        for death in [*deaths, None]:
            source = Listed(candles, page_rows, dies_after_pages=death)
            for begin, _ in left(disturbed, START, end):
                try:
                    run(disturbed, source, 200, start=begin)
                except KeyboardInterrupt:
                    assert death is not None
    run(quiet, Listed(candles, 200), 200)
    for table in (CANDLES, CANDLES_QUARANTINE):
        assert disturbed.read(table).equals(quiet.read(table))


def test_progress_is_reported_page_by_page(store: Store, plain_candles: Callable[..., pl.DataFrame]) -> None:
    seen: list[tuple[datetime, int]] = []
    ingest(
        store,
        Listed(plain_candles(250)),
        market=MARKET,
        timeframe="1m",
        start=START,
        end=START + timedelta(minutes=250),
        now=NOW,
        progress=lambda reached, rows: seen.append((reached, rows)),
    )
    assert seen[-1] == (START + timedelta(minutes=249), 250)
    assert [rows for _, rows in seen] == sorted(rows for _, rows in seen)


def test_missing_ranges_are_found_at_both_ends_and_in_the_middle(plain_candles: Callable[..., pl.DataFrame]) -> None:
    times = plain_candles(10)["ts"]
    kept = pl.concat([times[2:4], times[7:9]])
    gaps = missing_ranges(kept, "1m", START, START + timedelta(minutes=10))
    found = [((gap.start - START).seconds // 60, (gap.end - START).seconds // 60, gap.candles) for gap in gaps]
    assert found == [(0, 2, 2), (4, 7, 3), (9, 10, 1)]
    assert str(gaps[1]) == "2025-03-01 00:04 to 2025-03-01 00:07 UTC: 3 candles"


def test_an_empty_window_is_one_gap() -> None:
    none = pl.Series([], dtype=pl.Datetime("us", "UTC"))
    assert missing_ranges(none, "15m", START, START) == []
    (gap,) = missing_ranges(none, "15m", START + timedelta(minutes=1), START + timedelta(hours=1))
    assert gap.start == START + timedelta(minutes=15), "the first bar that opens in the window"
    assert gap.candles == 3
