"""Bars from candles: known answers, a reference in Polars, and windows of any cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.candles import CANDLE_COLUMNS, OHLCV, timeframe_delta, timeframe_minutes
from trading_assets.core.errors import InvalidFrame, SqlModelError
from trading_assets.sql import build_bars, load_models, run_model
from trading_assets.store import Store
from trading_assets.store.tables import BARS, CANDLES

MARKET = "x:A/B"
START = datetime(2025, 1, 31, 22, 0, tzinfo=UTC)  # bars of a day and of 4 hours straddle the end of the month
END = START + timedelta(days=400)
MINUTE = timedelta(minutes=1)
TIMEFRAMES = list(BARS)


@pytest.fixture(scope="module")
def store(duckdb_store: Store) -> Store:
    return duckdb_store


def candles(minutes: list[int], *, timeframe: str = "1m", market: str = MARKET) -> pl.DataFrame:
    """Candles at START + minute, whose prices tell which minute they are of."""
    return (
        pl.DataFrame({"m": minutes}, schema={"m": pl.Float64})
        .select(
            market=pl.lit(market),
            timeframe=pl.lit(timeframe),
            ts=pl.lit(START).dt.cast_time_unit("us") + pl.duration(minutes="m"),
            open=pl.col("m") + 0.1,
            high=pl.col("m") + 0.9,
            low=pl.col("m") - 0.9,
            close=pl.col("m") + 0.2,
            volume=0.1 * (1 + pl.col("m") % 7),
        )
        .cast(dict(CANDLE_COLUMNS))
    )


def bars(
    store: Store, length: str, *, start: datetime = START, end: datetime = END, timeframe: str = "1m"
) -> pl.DataFrame:
    model = load_models()[f"bars_{length}"]
    return build_bars(store, model, market=MARKET, timeframe=timeframe, start=start, end=end)


def put(store: Store, *frames: pl.DataFrame) -> pl.DataFrame:
    store.replace(CANDLES, pl.concat(frames), where={})
    return frames[0]


def reference(frame: pl.DataFrame, length: str, timeframe: str) -> pl.DataFrame:
    """The closed bars by Polars' own resampling."""
    if timeframe_minutes(length) % timeframe_minutes(timeframe):
        return pl.DataFrame(schema=BARS[length].columns)
    known_until = frame["ts"].max() + timeframe_delta(timeframe)
    return (
        frame.sort("ts")
        .group_by_dynamic("ts", every=length)
        .agg(
            pl.col("market").first(),
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
            candles=pl.len().cast(pl.Int32),
        )
        .with_columns(known_at=pl.col("ts") + timeframe_delta(length))
        .filter(pl.col("known_at") <= known_until)
        .select(*BARS[length].columns)
    )


def test_a_bar_is_what_its_candles_say(store: Store) -> None:
    put(store, candles([0, 1, 3, 4, 5]))
    (bar,) = bars(store, "5m").rows(named=True)
    assert bar == {
        "market": MARKET,
        "ts": START,
        "known_at": START + 5 * MINUTE,
        "open": 0.1,
        "high": 4.9,
        "low": -0.9,
        "close": 4.2,
        "volume": pytest.approx(0.1 + 0.2 + 0.4 + 0.5),
        "candles": 4,
    }


def test_an_open_bar_is_not_there_until_its_last_candle_is(store: Store) -> None:
    put(store, candles(list(range(14))))
    assert bars(store, "15m").is_empty()
    put(store, candles(list(range(15))))
    assert bars(store, "15m")["candles"].to_list() == [15]


def test_a_bar_without_its_last_candle_closes_when_a_later_one_is_stored(store: Store) -> None:
    put(store, candles([0, 3]))
    assert bars(store, "5m").is_empty()
    put(store, candles([0, 3, 30]))
    window_before = bars(store, "5m", end=START + 5 * MINUTE)
    assert window_before["candles"].to_list() == [2]


def test_missing_minutes_stay_missing(store: Store) -> None:
    put(store, candles([0, 4, 10, 14]))
    assert bars(store, "5m")["ts"].to_list() == [START, START + 10 * MINUTE]


def test_candles_coarser_than_the_bar_or_not_dividing_it_give_none(store: Store) -> None:
    put(store, candles(list(range(0, 300, 60)), timeframe="1h"), candles(list(range(0, 300, 10)), timeframe="10m"))
    assert bars(store, "15m", timeframe="1h").is_empty()
    assert bars(store, "15m", timeframe="10m").is_empty()
    assert len(bars(store, "1h", timeframe="1h")) == 5
    assert bars(store, "1h", timeframe="10m")["candles"].to_list() == [6] * 5


def test_candles_of_the_bars_own_length_pass_as_they_are(store: Store) -> None:
    given_ = put(store, candles(list(range(0, 150, 15)), timeframe="15m"))
    columns = ["market", "ts", "open", "high", "low", "close", "volume"]
    assert bars(store, "15m", timeframe="15m").select(columns).equals(given_.select(columns))


def test_other_markets_and_timeframes_are_not_mixed_in(store: Store) -> None:
    mine = candles([0, 1, 2, 3, 4])
    others = [candles([0, 1, 90], market="x:C/D"), candles([0, 5, 95], timeframe="5m")]
    put(store, mine, *others)
    assert bars(store, "5m").equals(reference(mine, "5m", "1m"))


def test_a_day_begins_at_midnight_utc_and_four_hours_divide_it(store: Store) -> None:
    put(store, candles(list(range(0, 4 * 1440, 7))))
    assert {moment.hour for moment in bars(store, "1d")["ts"]} == {0}
    assert {moment.hour for moment in bars(store, "4h")["ts"]} == {0, 4, 8, 12, 16, 20}


minutes = st.lists(st.integers(0, 3000), min_size=1, max_size=120, unique=True)


@examples(4)
@given(minutes, st.sampled_from(["1m", "5m", "12m"]))
def test_bars_of_every_timeframe_equal_polars_resampling(store: Store, minutes: list[int], timeframe: str) -> None:
    length = timeframe_minutes(timeframe)
    frame = put(store, candles(sorted({minute // length * length for minute in minutes}), timeframe=timeframe))
    for name in TIMEFRAMES:
        built = bars(store, name, start=START - timedelta(days=2), timeframe=timeframe)
        expected = reference(frame, name, timeframe)
        assert (built["known_at"] - built["ts"] == timeframe_delta(name)).all()
        assert built.drop("volume").equals(expected.drop("volume"))
        assert built["volume"].to_list() == pytest.approx(expected["volume"].to_list(), rel=1e-12)


@examples(12)
@given(minutes, st.lists(st.integers(-200, 3200), max_size=4, unique=True), st.sampled_from(TIMEFRAMES))
def test_windows_of_any_cut_give_the_same_bars(store: Store, minutes: list[int], cuts: list[int], length: str) -> None:
    put(store, candles(sorted(minutes)))
    edges = [START - timedelta(days=2), *(START + cut * MINUTE for cut in sorted(cuts)), END]
    pieces = [bars(store, length, start=start, end=end) for start, end in pairwise(edges)]
    assert pl.concat(pieces).equals(bars(store, length, start=edges[0]))


def test_volumes_are_the_same_to_the_last_digit_on_every_run(store: Store) -> None:
    put(store, candles(list(range(200_000))))
    first = bars(store, "1d")
    for _ in range(3):
        assert bars(store, "1d").equals(first)
    assert bars(store, "1d", start=START + timedelta(days=30)).equals(
        first.filter(pl.col("ts") >= START + timedelta(days=30))
    )


def test_real_minutes_give_the_bars_that_the_exchange_itself_published(store: Store, real_candles: Path) -> None:
    minutes, published = (
        pl.read_parquet(real_candles / f"binance_BTC-USDT_{timeframe}.parquet").drop("exchange", "symbol")
        for timeframe in ("1m", "5m")
    )
    put(store, minutes.select(market=pl.lit(MARKET), timeframe=pl.lit("1m"), ts="ts", **{c: c for c in OHLCV}))
    built = bars(store, "5m", start=minutes["ts"][0]).filter(pl.col("candles") == 5)
    both = built.join(published, on="ts", suffix="_published", validate="1:1")
    assert len(both) == len(built) == 8_639
    for column in ("open", "high", "low", "close"):
        assert both[column].equals(both[f"{column}_published"])
    assert both["volume"].to_list() == pytest.approx(both["volume_published"].to_list(), rel=1e-9)


def test_bars_of_a_minute_are_the_candles_and_not_stored_again(store: Store) -> None:
    frame = put(store, candles([0, 1, 2, 5, 6]), candles([0, 5], timeframe="5m"))
    table = BARS["1m"]
    read = store.read(table, where={"market": MARKET})
    assert read.equals(bars(store, "1m"))
    assert read["ts"].equals(frame["ts"])
    assert store.tail(table, where={"market": MARKET}, before=END, rows=2).equals(read[-2:])
    assert store.bounds(table, where={"market": MARKET}) == (frame["ts"][0], frame["ts"][-1])
    assert store.query("SELECT count(*) AS n FROM bars_1m").item() == 5
    with pytest.raises(InvalidFrame, match=r"bars_1m: its rows come from other tables"):
        store.upsert(table, read)


def test_a_missing_parameter_is_named_with_the_file(store: Store) -> None:
    with pytest.raises(
        SqlModelError, match=r"bars_{timeframe}.sql: needs the parameters candle_minutes, end.*was given market"
    ):
        run_model(store, load_models()["bars_5m"], market=MARKET)
