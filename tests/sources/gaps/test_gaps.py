"""What is missing, why, and what a repair asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.examples import examples
from tests.stores import fresh_store
from trading_assets.core.errors import SourceError
from trading_assets.core.missing_candles import Span, explain, merged, missing_times
from trading_assets.sources import IngestReport, ingest
from trading_assets.sources.contract import Beginning
from trading_assets.sources.gaps.gap_report import gap_report
from trading_assets.sources.gaps.ledger import as_ranges, inside, write_ledger
from trading_assets.sources.gaps.repair import RepairReport, repair
from trading_assets.store import Store, open_store
from trading_assets.store.tables import CANDLE_GAPS, CANDLES

MARKET, PEER = "m:A/B", "z:A/B"
START = datetime(2025, 3, 1, tzinfo=UTC)
NOW = datetime(2025, 6, 1, tzinfo=UTC)
MINUTES = 200

Make = Callable[..., pl.DataFrame]


@dataclass
class Tape:
    """A source with given rows; it notes what it is asked for, and fails where it is told to."""

    frame: pl.DataFrame
    name: str = "tape"
    synthetic: bool = False
    retries: int = 0
    asked: list[tuple[int, int]] = field(default_factory=list)
    fails_from: int = 10**9

    def fetch(self, market: str, timeframe: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        self.asked.append((minute(start), minute(end)))
        if minute(end) > self.fails_from:
            yield self.frame.filter(pl.col("ts").is_between(start, at(self.fails_from), closed="left"))
            raise SourceError("the exchange is down", where=market)
        yield self.frame.filter(pl.col("ts").is_between(start, end, closed="left"))


@dataclass
class Listed(Tape):
    """A source that knows since when the market is traded."""

    since: int = 0

    def beginning(self, market: str, timeframe: str, start: datetime) -> Beginning | None:
        return Beginning(at(self.since), "before_listing", "listed later") if start < at(self.since) else None


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def minute(moment: datetime) -> int:
    return (moment - START) // timedelta(minutes=1)


def without(frame: pl.DataFrame, *spans: tuple[int, int]) -> pl.DataFrame:
    lost = inside(frame["ts"], [(at(first), at(last)) for first, last in spans])
    return frame.filter(~lost)


def fill(store: Store, source: Tape, *, first: int = 0, last: int = MINUTES) -> IngestReport:
    return ingest(store, source, market=MARKET, timeframe="1m", start=at(first), end=at(last), now=NOW)


def mend(store: Store, source: Tape, *, again: bool = False, peers: bool = False) -> RepairReport:
    return repair(
        store,
        source,
        market=MARKET,
        timeframe="1m",
        start=START,
        end=at(MINUTES),
        now=NOW,
        peers={PEER: "1m"} if peers else {},
        again=again,
    )


def known(store: Store) -> list[tuple[int, int, str, int]]:
    rows = store.read(CANDLE_GAPS, where={"market": MARKET})
    assert (rows["candles"] == (rows["end"] - rows["ts"]).dt.total_minutes()).all()
    return [(minute(row["ts"]), minute(row["end"]), row["reason"], row["attempts"]) for row in rows.to_dicts()]


def test_a_repair_asks_for_just_what_is_missing_and_confirms_what_stays_so(store: Store, plain_candles: Make) -> None:
    full = plain_candles(MINUTES * 4)
    fill(store, Tape(without(full, (50, 60), (700, 710))), last=800)
    source = Tape(without(full, (55, 60), (700, 710)))
    found = repair(store, source, market=MARKET, timeframe="1m", start=START, end=at(800), now=NOW, peers={})
    assert source.asked == [(50, 60), (700, 710)]
    assert (found.asked, found.filled, found.explained) == (20, 5, {"confirmed_empty": 15})
    assert known(store) == [(55, 60, "confirmed_empty", 1), (700, 710, "confirmed_empty", 1)]


def test_what_is_settled_is_not_asked_for_again_unless_one_insists(store: Store, plain_candles: Make) -> None:
    full = plain_candles(MINUTES)
    holed = without(full, (50, 60))
    fill(store, Tape(holed))
    mend(store, Tape(holed))
    quiet = Tape(holed)
    assert mend(store, quiet).asked == 0
    assert quiet.asked == []
    assert mend(store, Tape(full), again=True).filled == 10
    assert known(store) == []


def test_ranges_close_together_share_a_request(store: Store, plain_candles: Make) -> None:
    fill(store, Tape(without(plain_candles(MINUTES), (50, 51), (60, 62), (150, 151))))
    source = Tape(plain_candles(MINUTES))
    assert mend(store, source).filled == 4
    assert source.asked == [(50, 151)]


def test_where_a_second_exchange_traded_the_empty_answer_is_an_outage_and_the_range_is_split(
    store: Store, plain_candles: Make
) -> None:
    holed = without(plain_candles(MINUTES), (50, 80))
    fill(store, Tape(holed))
    peer = plain_candles(MINUTES)[60:70].with_columns(volume=pl.when(pl.int_range(10) < 2).then(0.0).otherwise(1.0))
    store.upsert(CANDLES, peer.with_columns(market=pl.lit(PEER), timeframe=pl.lit("1m")))
    mend(store, Tape(holed), peers=True)
    assert known(store) == [
        (50, 62, "confirmed_empty", 1),
        (62, 70, "exchange_outage", 1),
        (70, 80, "confirmed_empty", 1),
    ]


def test_what_could_not_be_asked_is_a_failure_that_the_next_repair_asks_for(store: Store, plain_candles: Make) -> None:
    full = plain_candles(MINUTES)
    fill(store, Tape(without(full, (50, 60))))
    found = mend(store, Tape(full, fails_from=55))
    assert (found.filled, found.failure) == (4, "the exchange is down"), "a row of the last time may have a rival"
    assert known(store) == [(54, 60, "fetch_failure", 1)]
    assert mend(store, Tape(full)).filled == 6
    assert known(store) == []


def test_an_exchange_that_is_down_is_not_asked_for_every_range(store: Store, plain_candles: Make) -> None:
    holes = [(first, first + 1) for first in range(100, 4000, 400)]
    fill(store, Tape(without(plain_candles(4000), *holes)), last=4000)
    source = Tape(plain_candles(4000), fails_from=0)
    found = repair(store, source, market=MARKET, timeframe="1m", start=START, end=at(4000), now=NOW, peers={})
    assert len(source.asked) == 3 < len(holes)
    assert found.explained == {"unchecked": 7, "fetch_failure": 3}


def test_a_failed_fetch_leaves_its_reason_until_the_next_one_succeeds(store: Store, plain_candles: Make) -> None:
    full = plain_candles(MINUTES)
    with pytest.raises(SourceError, match="down"):
        fill(store, Tape(full, fails_from=120))
    assert known(store) == [(119, 200, "fetch_failure", 0)]
    fill(store, Tape(full))
    assert known(store) == []


def test_a_candle_in_quarantine_is_missing_for_that_reason_and_asked_for_once(
    store: Store, plain_candles: Make
) -> None:
    spoilt = plain_candles(MINUTES).with_columns(
        volume=pl.when(pl.int_range(pl.len()) == 77).then(-1.0).otherwise("volume")
    )
    fill(store, Tape(spoilt))
    assert known(store) == [(77, 78, "quarantined", 0)]
    assert store.read(CANDLE_GAPS)["detail"].to_list() == ["negative_volume"]
    assert mend(store, Tape(spoilt)).asked == 1
    assert mend(store, Tape(spoilt)).asked == 0
    assert known(store) == [(77, 78, "quarantined", 1)]


@pytest.mark.parametrize("late_s", [14.8, -14.8])
def test_a_row_off_the_grid_explains_the_minute_that_it_stands_for(
    store: Store, plain_candles: Make, late_s: float
) -> None:
    late = pl.col("ts") + pl.duration(milliseconds=round(late_s * 1000))
    odd = plain_candles(MINUTES).with_columns(
        ts=pl.when(pl.int_range(MINUTES).is_between(70, 89)).then(late).otherwise("ts")
    )
    report = fill(store, Tape(odd))
    assert (report.reasons, report.explained) == ({"off_grid": 20}, {"quarantined": 20})
    assert known(store) == [(70, 90, "quarantined", 0)]
    assert mend(store, Tape(odd)).explained == {"quarantined": 20}, "asked again, they are still not empty"


@dataclass
class Files(Tape):
    """A source that reads files, from which the market may have been missing all along."""

    name: str = "files:tape"

    def recorded_in(self, market: str) -> str:
        return "folder/*.zip"


def test_reading_the_same_files_again_confirms_nothing(store: Store, plain_candles: Make) -> None:
    holed = Files(without(plain_candles(MINUTES), (0, 20), (50, 60), (190, 200)))
    assert fill(store, holed).explained == {"unchecked": 20, "not_in_files": 20}
    absent = [(50, 60, "not_in_files", 0), (190, 200, "not_in_files", 0)]
    assert known(store) == absent, "before their first candle files say nothing about the market"
    for attempt in (1, 2):
        assert mend(store, holed).explained == {"unchecked": 20, "not_in_files": 20}
        assert known(store) == [(first, last, reason, attempt) for first, last, reason, _ in absent]
    assert (
        "folder/*.zip has none: complete it, then trading gaps --repair" in store.read(CANDLE_GAPS)["detail"].to_list()
    )
    assert mend(store, Files(plain_candles(MINUTES))).filled == 40, "files that were completed are read again"
    assert known(store) == []


def test_what_an_exchange_has_confirmed_stands_beside_files(store: Store, plain_candles: Make) -> None:
    holed = without(plain_candles(MINUTES), (50, 60))
    fill(store, Tape(holed))
    mend(store, Tape(holed))
    mend(store, Files(holed))
    assert known(store) == [(50, 60, "confirmed_empty", 2)]
    assert mend(store, Files(plain_candles(MINUTES))).filled == 10


def test_what_was_confirmed_by_files_once_no_longer_is(store: Store, plain_candles: Make) -> None:
    holed = without(plain_candles(MINUTES), (50, 60))
    fill(store, Tape(holed, name="files:tape"))
    mend(store, Tape(holed, name="files:tape"))
    assert known(store) == [(50, 60, "confirmed_empty", 1)]
    fill(store, Files(holed))
    assert known(store) == [(50, 60, "not_in_files", 1)]


def test_before_the_first_candle_there_is_nothing_to_fetch(store: Store, plain_candles: Make) -> None:
    report = fill(store, Tape(plain_candles(MINUTES)[60:]))
    assert report.explained == {"before_listing": 60}
    assert known(store) == [(0, 60, "before_listing", 0)]
    source = Tape(plain_candles(MINUTES))
    assert mend(store, source).asked == 0
    assert source.asked == []


def test_a_source_that_knows_the_listing_is_believed(store: Store, plain_candles: Make) -> None:
    fill(store, Listed(plain_candles(MINUTES)[60:], since=30))
    assert known(store) == [(0, 30, "before_listing", 0)], "the half hour after it is a gap"


def test_a_month_before_the_listing_is_settled_although_no_candle_is_stored(store: Store, plain_candles: Make) -> None:
    fill(store, Listed(plain_candles(MINUTES)[:0], since=10 * MINUTES))
    assert known(store) == [(0, MINUTES, "before_listing", 0)]


def test_windows_of_any_cut_leave_the_same_ledger(store: Store, plain_candles: Make, tmp_path: object) -> None:
    holed = without(plain_candles(MINUTES), (0, 20), (90, 110), (150, 151))
    fill(store, Tape(holed))
    mend(store, Tape(holed))
    other = open_store(f"duckdb:///{tmp_path}/other.duckdb")
    fill(other, Tape(holed))
    for first, last in ((100, 200), (0, 100)):
        repair(other, Tape(holed), market=MARKET, timeframe="1m", start=at(first), end=at(last), now=NOW, peers={})
    assert (
        known(other)
        == known(store)
        == [
            (0, 20, "before_listing", 0),
            (90, 110, "confirmed_empty", 1),
            (150, 151, "confirmed_empty", 1),
        ]
    )


def test_the_list_of_gaps_joins_what_is_missing_with_what_is_known(store: Store, plain_candles: Make) -> None:
    holed = without(plain_candles(MINUTES), (0, 20), (90, 110), (190, 200))
    fill(store, Tape(holed))
    window = {"market": MARKET, "timeframe": "1m", "start": START, "end": at(MINUTES)}

    def listed() -> list[tuple[int, int, str]]:
        found = gap_report(store, **window)  # type: ignore[arg-type]
        return [(minute(row["ts"]), minute(row["end"]), row["reason"]) for row in found.to_dicts()]

    assert listed() == [(0, 20, "before_listing"), (90, 110, "unchecked")], "after the last candle nothing is known"
    mend(store, Tape(without(holed, (95, 100))))
    assert listed() == [(0, 20, "before_listing"), (90, 110, "confirmed_empty"), (190, 200, "confirmed_empty")]


def test_what_is_missing_after_the_last_candle_is_a_gap_once_its_month_has_ended(
    store: Store, plain_candles: Make
) -> None:
    month = 31 * 1440
    full = plain_candles(month + 100)
    fill(store, Tape(without(full, (100, 110), (month - 50, month + 100))), last=month)

    def listed(now: datetime) -> list[tuple[int, int, str]]:
        found = gap_report(store, market=MARKET, timeframe="1m", start=START, end=at(month + 100), now=now)
        assert (found["candles"] == (found["end"] - found["ts"]).dt.total_minutes()).all()
        return [(minute(row["ts"]), minute(row["end"]), row["reason"]) for row in found.to_dicts()]

    assert listed(at(month - 1)) == [(100, 110, "unchecked")]
    assert listed(NOW) == [(100, 110, "unchecked"), (month - 50, month, "unchecked")]
    with pytest.raises(SourceError):
        fill(store, Tape(full, fails_from=month - 20), first=month - 60, last=month + 100)
    assert listed(NOW)[1:] == [(month - 21, month + 100, "fetch_failure")] or listed(NOW)[1:] == [
        (month - 21, month, "fetch_failure"),
        (month, month + 100, "fetch_failure"),
    ]


spans = st.lists(st.tuples(st.integers(0, MINUTES), st.integers(1, 30)), max_size=6).map(
    lambda found: merged([(at(first), at(first + length)) for first, length in found])
)


@pytest.mark.slow
@examples(12, suppress=HealthCheck.function_scoped_fixture)
@given(holes=spans, cut=st.integers(1, MINUTES), reasons=st.lists(st.sampled_from(["a", "b"]), min_size=8, max_size=8))
def test_the_ledger_explains_every_missing_candle_of_its_window_and_leaves_the_others(
    tmp_path_factory: pytest.TempPathFactory, holes: Sequence[Span], cut: int, reasons: list[str]
) -> None:
    store = fresh_store(tmp_path_factory.mktemp("ledger"))
    everything = pl.datetime_range(START, at(240), "1m", closed="left", time_unit="us", eager=True)
    missing = missing_times(everything.filter(~inside(everything, holes)), "1m", START, at(240))
    assert set(missing) == set(everything.filter(inside(everything, holes)))

    told = explain(missing, store.read(CANDLE_GAPS)).with_columns(
        reason=pl.Series([reasons[index % 8] for index in range(len(missing))], dtype=pl.String), checked_at=pl.lit(NOW)
    )
    key = {"market": MARKET, "timeframe": "1m"}
    whole = write_ledger(store, told, store.read(CANDLE_GAPS), **key, window=(START, at(240)))
    assert explain(missing, whole)["reason"].equals(told["reason"])
    for part in ((at(cut), at(240)), (START, at(cut))):
        within = told.filter(pl.col("ts").is_between(*part, closed="left"))
        assert write_ledger(store, within, store.read(CANDLE_GAPS), **key, window=part).equals(whole), "any cut"
    assert as_ranges(told, "1m")["candles"].sum() == len(missing)
