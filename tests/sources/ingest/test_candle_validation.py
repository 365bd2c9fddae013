"""Which rows become candles, and what is said of the others."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.core.candles import CANDLE_COLUMNS
from trading_assets.core.errors import InvalidFrame
from trading_assets.sources.contract import RAW_COLUMNS
from trading_assets.sources.ingest.candle_validation import RULES, row_hashes, split_valid

START = datetime(2025, 3, 1, tzinfo=UTC)
END = START + timedelta(days=1)
LATER = datetime(2025, 6, 1, tzinfo=UTC)
GOOD = (START, 10.0, 12.0, 9.0, 11.0, 5.0)


def frame(*rows: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=RAW_COLUMNS, orient="row")


def split(rows: pl.DataFrame, now: datetime = LATER) -> tuple[pl.DataFrame, pl.DataFrame]:
    return split_valid(rows, market="m:A/B", timeframe="1m", start=START, end=END, now=now)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({3: None}, "missing_value"),
        ({4: math.nan}, "not_finite"),
        ({2: math.inf}, "not_finite"),
        ({5: math.nan}, "not_finite"),
        ({3: 0.0}, "non_positive_price"),
        ({2: 10.5}, "high_too_low"),
        ({3: 10.5}, "low_too_high"),
        ({2: 8.0}, "high_too_low"),
        ({5: -1.0}, "negative_volume"),
        ({0: START + timedelta(seconds=30)}, "off_grid"),
        ({0: START - timedelta(minutes=1)}, "outside_window"),
        ({0: END}, "outside_window"),
        ({5: -1.0, 3: -2.0}, "non_positive_price,negative_volume"),
    ],
)
def test_a_row_that_breaks_rules_is_set_apart_with_all_of_them(change: dict[int, object], reason: str) -> None:
    row = tuple(change.get(place, value) for place, value in enumerate(GOOD))
    good, bad = split(frame(row))
    assert good.is_empty()
    assert bad["reason"].to_list() == [reason]
    kept = bad.select(list(RAW_COLUMNS)).row(0)
    assert all(a == b or (a != a and b != b) for a, b in zip(kept, row, strict=True)), "it is kept as it came"
    assert set(reason.split(",")) <= set(RULES)


def test_a_good_row_is_a_candle() -> None:
    good, bad = split(frame(GOOD, (END - timedelta(minutes=1), 1.0, 1.0, 1.0, 1.0, 0.0)))
    assert good.height == 2
    assert good.schema == pl.Schema(CANDLE_COLUMNS)
    assert bad.is_empty()


def test_a_bar_that_ends_after_now_is_not_closed() -> None:
    rows = frame(GOOD)
    assert split(rows, now=START + timedelta(seconds=59))[1]["reason"].to_list() == ["not_closed"]
    assert split(rows, now=START + timedelta(seconds=60))[1].is_empty()


def test_equal_rows_are_one_row() -> None:
    good, bad = split(frame(GOOD, GOOD, GOOD))
    assert (good.height, bad.height) == (1, 0)


def test_rows_that_contradict_each_other_all_go_to_quarantine() -> None:
    other = (*GOOD[:5], 6.0)
    good, bad = split(frame(GOOD, other, GOOD))
    assert good.is_empty()
    assert bad["reason"].to_list() == ["conflicting_duplicate"] * 2
    assert bad["row_hash"].n_unique() == 2


def test_a_broken_rival_does_not_condemn_the_good_row() -> None:
    good, bad = split(frame((*GOOD[:5], -5.0), GOOD))
    assert good["volume"].to_list() == [5.0]
    assert bad["reason"].to_list() == ["negative_volume"]


def test_the_hash_of_a_row_is_known() -> None:
    rows = frame(GOOD, (*GOOD[:5], None), (*GOOD[:5], math.nan), (*GOOD[:5], 0.0), (*GOOD[:5], -0.0))
    hashes = row_hashes(rows).to_list()
    assert hashes[0] == 1355056272014687967
    assert len(set(hashes)) == 4, "null, NaN and zero differ; the two zeros do not"
    assert all(0 <= value < 2**63 for value in hashes)


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (frame(GOOD).drop("low"), "low is missing"),
        (frame(GOOD).with_columns(pl.col("ts").dt.replace_time_zone(None)), "ts is Datetime"),
        (frame(GOOD).with_columns(pl.col("volume").cast(pl.String)), "volume is String"),
        (frame((None, *GOOD[1:])), "1 rows have no open time"),
    ],
)
def test_what_is_no_page_of_candles_is_refused(page: pl.DataFrame, message: str) -> None:
    with pytest.raises(InvalidFrame, match=message):
        split(page)


numbers = st.one_of(st.none(), st.sampled_from([math.nan, math.inf, -1.0, 0.0]), st.floats(1, 20))
raw_rows = st.tuples(st.integers(-120, 1500).map(lambda half: START + timedelta(seconds=30 * half)), *[numbers] * 5)


@given(st.lists(raw_rows, max_size=40))
def test_every_row_ends_up_on_one_side_and_the_good_side_is_clean(rows: list[tuple[object, ...]]) -> None:
    page = frame(*rows)
    good, bad = split(page)
    assert good.height + bad.height == page.unique().height
    assert good["ts"].is_unique().all()
    assert good["ts"].is_sorted()
    assert (bad["reason"] != "").all()
    assert good.select(
        ok=(pl.col("high") >= pl.max_horizontal("open", "close", "low"))
        & (pl.col("low") <= pl.min_horizontal("open", "close"))
        & (pl.col("low") > 0)
        & (pl.col("volume") >= 0)
        & pl.all_horizontal(pl.col("open", "high", "low", "close", "volume").is_finite())
        & pl.col("ts").is_between(START, END, closed="left")
    )["ok"].all()


@given(st.lists(raw_rows, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows: list[tuple[object, ...]], chance: object) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = split(frame(*rows)), split(frame(*shuffled))
    assert one[0].equals(other[0])
    assert one[1].sort("ts", "row_hash").equals(other[1].sort("ts", "row_hash"))
