"""What is set apart can be counted, explained and released; a release is whole, lasting and never doubled."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.errors import SourceError
from trading_assets.quality.shape import inconsistent, schema
from trading_assets.sources.contract import RAW_COLUMNS
from trading_assets.sources.ingest import quarantine
from trading_assets.sources.ingest.candle_validation import RULES, split_valid
from trading_assets.sources.ingest.ingestion import ingest
from trading_assets.store import Store
from trading_assets.store.tables import CANDLES, CANDLES_QUARANTINE, Table

START = datetime(2025, 3, 1, tzinfo=UTC)
NOW = datetime(2025, 6, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MARKET = "m:A/B"
GOOD = (10.0, 12.0, 9.0, 11.0, 5.0)
LOW_HIGH = (10.0, 10.5, 9.0, 11.0, 5.0)


@dataclass
class Page:
    """A source that gives the same rows whenever it is asked."""

    rows: list[tuple[object, ...]]
    name: str = "page"
    synthetic: bool = False
    retries: int = field(default=0)

    def fetch(self, market: str, timeframe: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        yield pl.DataFrame(self.rows, schema=RAW_COLUMNS, orient="row")


def minute(number: int, values: tuple[object, ...]) -> tuple[object, ...]:
    return (START + number * MINUTE, *values)


PAGE = Page([minute(0, GOOD), minute(1, LOW_HIGH), minute(2, GOOD), minute(2, (*GOOD[:4], 7.0)), minute(3, GOOD)])


def fetch(store: Store, source: Page = PAGE, now: datetime = NOW) -> int:
    report = ingest(store, source, market=MARKET, timeframe="1m", start=START, end=START + 4 * MINUTE, now=now)
    return report.quarantined


def release(store: Store, **which: object) -> quarantine.Release:
    rows = quarantine.select(store, **which)  # type: ignore[arg-type]
    return quarantine.release(store, rows, by="me", note="seen elsewhere", now=NOW)


def stored(store: Store, number: int) -> tuple[float, ...] | None:
    at = START + number * MINUTE
    found = store.read(CANDLES, where={"market": MARKET}, start=at, end=at + MINUTE)
    return None if found.is_empty() else found.select("open", "high", "low", "close", "volume").row(0)


def test_rows_are_counted_by_market_month_and_reason(store: Store) -> None:
    fetch(store)
    release(store, reason="high_too_low")
    assert quarantine.counts(store).rows() == [
        (MARKET, "1m", "2025-03", "conflicting_duplicate", 2, 0),
        (MARKET, "1m", "2025-03", "high_too_low", 0, 1),
    ]


def test_a_released_row_is_a_candle_that_encloses_its_prices_and_says_who_when_and_why(store: Store) -> None:
    fetch(store)
    done = release(store, reason="high_too_low")
    assert (done.released, done.before, done.spans) == (1, 0, {MARKET: (START + MINUTE, START + MINUTE)})
    assert stored(store, 1) == (10.0, 11.0, 9.0, 11.0, 5.0)
    (row,) = quarantine.select(store, reason="high_too_low").to_dicts()
    assert (row["high"], row["released_by"], row["note"], row["released_at"]) == (10.5, "me", "seen elsewhere", NOW)


def test_releasing_again_changes_nothing(store: Store) -> None:
    fetch(store)
    release(store, reason="high_too_low")
    before = store.read(CANDLES), store.read(CANDLES_QUARANTINE)
    again = quarantine.release(
        store, quarantine.select(store, reason="high_too_low"), by="other", note="once more", now=NOW + MINUTE
    )
    assert (again.released, again.before) == (0, 1)
    assert store.read(CANDLES).equals(before[0])
    assert store.read(CANDLES_QUARANTINE).equals(before[1])


def test_a_release_outlasts_further_fetches(store: Store) -> None:
    assert fetch(store) == 3
    release(store, reason="high_too_low")
    rows = store.read(CANDLES_QUARANTINE)
    assert fetch(store, now=NOW + timedelta(days=1)) == 2, "it is no longer counted among the bad rows"
    assert stored(store, 1) == (10.0, 11.0, 9.0, 11.0, 5.0)
    assert store.read(CANDLES_QUARANTINE).equals(rows)


def test_a_release_brings_the_candle_back_where_the_table_was_emptied(store: Store) -> None:
    fetch(store)
    release(store, reason="high_too_low")
    store.replace(CANDLES, store.read(CANDLES).clear(), where={"market": MARKET})
    fetch(store)
    assert stored(store, 1) == (10.0, 11.0, 9.0, 11.0, 5.0)


def test_a_source_that_mends_the_row_has_the_last_word(store: Store) -> None:
    fetch(store)
    release(store, reason="high_too_low")
    fetch(store, Page([minute(1, GOOD), minute(1, LOW_HIGH)]))
    assert stored(store, 1) == GOOD


def test_one_of_two_rivals_is_released_by_its_row(store: Store) -> None:
    fetch(store)
    with pytest.raises(SourceError, match="2 of the rows claim a time that another claims too; release one of them"):
        release(store, reason="conflicting_duplicate")
    rows = quarantine.select(store, reason="conflicting_duplicate")
    right = quarantine.row_id(rows.filter(pl.col("volume") == 7.0)["row_hash"][0])
    assert release(store, row=right[:8]).released == 1
    assert stored(store, 2) == (*GOOD[:4], 7.0)
    fetch(store)
    assert stored(store, 2) == (*GOOD[:4], 7.0)
    with pytest.raises(SourceError, match="a valid candle of this time is stored"):
        release(store, reason="conflicting_duplicate")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((10.0, 12.0, 9.0, math.nan, 5.0), "close is nan; trading backfill"),
        ((10.0, 12.0, -9.0, 11.0, 5.0), "low is -9; trading backfill"),
        ((10.0, 12.0, 9.0, 11.0, -5.0), "volume is -5; trading backfill"),
        ((10.0, None, 9.0, 11.0, 5.0), "high is empty; trading backfill"),
        ((10.0, 10.5, 9.0, 11.0, -5.0), "volume is -5; trading backfill"),
    ],
)
def test_what_leaves_nothing_to_store_is_refused_and_nothing_is_written(
    store: Store, values: tuple[object, ...], message: str
) -> None:
    fetch(store, Page([minute(0, LOW_HIGH), minute(1, values)]))
    with pytest.raises(SourceError, match=f"cannot be a candle: .*{message}"):
        release(store)
    assert store.read(CANDLES).is_empty()
    assert store.read(CANDLES_QUARANTINE)["released_at"].null_count() == 2


def test_a_release_that_dies_on_the_way_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from trading_assets.store.duckdb import store as engine

    fetch(store)
    before = store.read(CANDLES), store.read(CANDLES_QUARANTINE)
    write = engine._write

    def dies(connection: object, table: Table, *rest: object, **options: object) -> None:
        if table is CANDLES_QUARANTINE:
            raise KeyboardInterrupt
        write(connection, table, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "_write", dies)
    with pytest.raises(KeyboardInterrupt):
        release(store, reason="high_too_low")
    assert store.read(CANDLES).equals(before[0])
    assert store.read(CANDLES_QUARANTINE).equals(before[1])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (LOW_HIGH, "high_too_low: the high is below open, close or low: high 10.5 is below close 11"),
        ((10.0, 12.0, 10.5, 11.0, 5.0), "low_too_high: the low is above open or close: low 10.5 is above open 10"),
        ((math.inf, 12.0, 9.0, 11.0, 5.0), "not_finite: a price or the volume is NaN or infinite: open is inf"),
        ((0.0, 12.0, 0.0, 11.0, 5.0), "non_positive_price: a price is zero or negative: open is 0, low is 0"),
    ],
)
def test_a_reason_is_explained_by_the_value_that_broke_it(
    store: Store, values: tuple[object, ...], expected: str
) -> None:
    fetch(store, Page([minute(1, values)]))
    (row,) = store.read(CANDLES_QUARANTINE).to_dicts()
    assert expected in quarantine.explain(row)


def test_times_and_rivals_are_explained(store: Store) -> None:
    fetch(store, Page([*PAGE.rows, (START + timedelta(seconds=7), *GOOD), minute(400, GOOD)]))
    rows = store.read(CANDLES_QUARANTINE)
    said = {row["reason"]: quarantine.explain(row, rows.filter(pl.col("ts") == row["ts"])) for row in rows.to_dicts()}
    assert "it opens 7 s after a multiple of 1m" in said["off_grid"][0]
    assert "it opens at 2025-03-01 06:40:00" in said["outside_window"][0]
    assert said["conflicting_duplicate"][0].endswith(("volume 5.0 against 7.0", "volume 7.0 against 5.0"))
    unfinished = {**rows.to_dicts()[0], "reason": "not_closed", "seen_at": rows["ts"][0] + timedelta(seconds=20)}
    assert "40.0 s after it was fetched" in quarantine.explain(unfinished)[0]


def test_every_rule_has_a_remedy() -> None:
    assert set(quarantine.REMEDIES) == set(RULES)
    assert set(quarantine.RELEASABLE) < set(RULES)


def test_a_row_is_shown_among_the_candles_around_it(store: Store) -> None:
    fetch(store)
    (row,) = quarantine.select(store, reason="high_too_low").to_dicts()
    near = quarantine.around(store, row, bars=1)
    assert near["ts"].to_list() == [START, START + 3 * MINUTE]


numbers = st.floats(1, 20)


@given(rows=st.lists(st.tuples(st.integers(0, 6), numbers, numbers, numbers, numbers), min_size=1, max_size=12))
@examples(40, suppress=HealthCheck.function_scoped_fixture)
def test_whatever_may_be_released_makes_candles_that_keep_every_rule(rows: list[tuple[float, ...]]) -> None:
    page = pl.DataFrame(
        [(START + int(number) * MINUTE, *prices, 1.0) for number, *prices in rows], schema=RAW_COLUMNS, orient="row"
    )
    _, bad = split_valid(page, market=MARKET, timeframe="1m", start=START, end=START + 5 * MINUTE, now=NOW)
    candles = quarantine.as_candles(
        bad.filter(pl.col("reason").str.split(",").list.eval(pl.element().is_in(quarantine.RELEASABLE)).list.all())
    )
    assert schema(candles).passed
    assert inconsistent(candles).passed
