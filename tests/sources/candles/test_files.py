"""Candles from Parquet and CSV files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from trading_assets.core.errors import InvalidFrame, SettingsError, SourceError, TradingError
from trading_assets.settings import FilesSource
from trading_assets.sources.candles.files import FileCandles
from trading_assets.sources.files.timestamps import to_utc
from trading_assets.store.tables import CANDLES

MARKET = "binance:BTC/USDT"
START = datetime(2025, 3, 1, tzinfo=UTC)
END = START + timedelta(days=2)


def source(path: Path | str, *, time_zone: str | None = None, **columns: str) -> FileCandles:
    settings = FilesSource(kind="files", paths={MARKET: str(path)}, columns=columns, time_zone=time_zone)
    return FileCandles.from_settings("recorded", settings)


def read(files: FileCandles, start: datetime = START, end: datetime = END, timeframe: str = "1m") -> pl.DataFrame:
    return pl.concat(files.fetch(MARKET, timeframe, start, end))


@pytest.fixture
def candles(plain_candles: Callable[..., pl.DataFrame]) -> pl.DataFrame:
    return plain_candles(600)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz"])
def test_a_file_gives_the_rows_of_the_window(tmp_path: Path, candles: pl.DataFrame, suffix: str) -> None:
    path = tmp_path / f"btc{suffix}"
    write(candles, path)
    window = read(source(path), START + timedelta(minutes=5), START + timedelta(minutes=300))
    assert window.equals(candles[5:300])


def write(frame: pl.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        frame.write_parquet(path, row_group_size=100)
    elif path.suffix == ".gz":
        frame.write_csv(path, compression="gzip")
    else:
        frame.write_csv(path)


@pytest.mark.parametrize(
    "times",
    [
        pl.col("ts").dt.timestamp("ms") // 1000,
        pl.col("ts").dt.timestamp("ms"),
        pl.col("ts").dt.timestamp("us"),
        pl.col("ts").dt.timestamp("us") * 1000,
        pl.col("ts").dt.timestamp("ms").cast(pl.UInt64),
        pl.col("ts").dt.convert_time_zone("Asia/Tokyo"),
        pl.col("ts").dt.cast_time_unit("ns"),
        pl.col("ts").dt.cast_time_unit("ms"),
        pl.col("ts").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        pl.col("ts").dt.strftime("%Y-%m-%d %H:%M:%S UTC"),
        pl.col("ts").dt.strftime("%Y-%m-%d %H:%M:%S%.6f+00:00"),
        pl.col("ts").dt.convert_time_zone("America/New_York").dt.strftime("%Y-%m-%dT%H:%M:%S%z"),
        pl.col("ts").dt.convert_time_zone("America/New_York").dt.strftime("%Y-%m-%d %H:%M%:z"),
        pl.col("ts").dt.timestamp("ms").cast(pl.String),
        pl.col("ts").dt.timestamp("ms") / 1000,
        pl.col("ts").dt.timestamp("ms").cast(pl.Float64),
        pl.col("ts").dt.timestamp("ms") / 1000 - 2e-7,
        pl.col("ts").dt.timestamp("ms") / 1000 + 2e-7,
        (pl.col("ts").dt.timestamp("ms") // 1000).cast(pl.String) + ".0",
        pl.col("ts").dt.strftime("%Y-%m-%d %H:%M:%S+00"),
        pl.col("ts").dt.convert_time_zone("Asia/Tokyo").dt.strftime("%Y-%m-%d %H:%M:%S%.6f+09"),
        pl.col("ts").dt.convert_time_zone("Asia/Tokyo").dt.strftime("%Y-%m-%d %H:%M+09"),
    ],
)
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_times_with_a_zone_and_epoch_numbers_are_understood(
    tmp_path: Path, candles: pl.DataFrame, times: pl.Expr, suffix: str
) -> None:
    path = tmp_path / f"btc{suffix}"
    write(candles.with_columns(times.alias("ts")), path)
    if suffix == ".parquet" or candles.select(times).dtypes[0] in (pl.String, pl.Int64, pl.UInt64, pl.Float64):
        assert read(source(path), START + timedelta(minutes=7), START + timedelta(minutes=9)).equals(candles[7:9])


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_times_without_a_zone_are_refused_until_it_is_declared(
    tmp_path: Path, candles: pl.DataFrame, suffix: str
) -> None:
    path = tmp_path / f"btc{suffix}"
    naive = candles.with_columns(pl.col("ts").dt.replace_time_zone(None))
    write(naive, path)
    with pytest.raises(InvalidFrame, match=r"column ts: times carry no time zone, .*time_zone: UTC"):
        read(source(path))
    assert read(source(path, time_zone="UTC"), START, START + timedelta(minutes=3)).equals(candles[:3])
    tokyo = read(source(path, time_zone="Asia/Tokyo"), START - timedelta(hours=9), START - timedelta(hours=8))
    assert tokyo["ts"][0] == START - timedelta(hours=9)
    with pytest.raises(InvalidFrame, match="do not fit the zone 'Utopia/Nowhere'"):
        read(source(path, time_zone="Utopia/Nowhere"))


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop("low", "volume"), r"no column low, volume; the file has ts, open, high, close; map ours"),
        (
            lambda f: f.rename({"ts": "moment"}),
            r"no column ts; the file has moment, .*columns: \{ts: open_time\}",
        ),
        (lambda f: f.reverse(), r"the newest row comes first: row 2 is at .*turn the file round"),
        (lambda f: f.sort("close", "ts"), r"not sorted by time: row \d+ is at .*sort the file by time"),
        (lambda f: pl.concat([f[:5], f[4:]]), r"duplicated times: row 6 is at 2025-03-01 00:04:00\+00:00"),
        (lambda f: f.clear(), "no rows"),
        (lambda f: f.with_columns(timeframe=pl.lit("5m")), r"column 'timeframe' says 5m, the settings say 1m"),
        (
            lambda f: f.with_columns(symbol=pl.lit("ETH/USDT")),
            r"column 'symbol' says ETH/USDT, the settings say BTC/USDT",
        ),
        (lambda f: f.with_columns(symbol=pl.lit("BTC/USDT:USDT")), r"says BTC/USDT:USDT, the settings say BTC/USDT"),
        (lambda f: f.with_columns(close=pl.lit("twelve")), r"column close: 600 values are not numbers, e.g. 'twelve'"),
        (lambda f: f.gather_every(5), r"its rows are 0:05:00 apart, but the timeframe is 1m"),
        (
            lambda f: f.with_columns(ts=pl.when(pl.int_range(pl.len()) != 3).then("ts")),
            "1 rows have no time, the first is row 4",
        ),
        (lambda f: f.with_columns(ts=pl.lit("yesterday")), r"600 times cannot be read, e.g. 'yesterday'"),
        (lambda f: f.with_columns(ts=pl.int_range(pl.len())), r"numbers from 0 to 599 are not epoch times of one unit"),
    ],
)
def test_a_file_that_is_not_right_is_named_with_the_remedy(
    tmp_path: Path, candles: pl.DataFrame, change: Callable[[pl.DataFrame], pl.DataFrame], message: str, suffix: str
) -> None:
    path = tmp_path / f"btc{suffix}"
    write(change(candles), path)
    with pytest.raises(InvalidFrame, match=message) as raised:
        read(source(path))
    assert str(path) in str(raised.value)


def test_other_types_are_refused(tmp_path: Path, candles: pl.DataFrame) -> None:
    path = tmp_path / "btc.parquet"
    candles.with_columns(high=pl.col("ts")).write_parquet(path)
    with pytest.raises(InvalidFrame, match=r"high is Datetime.*not a number"):
        read(source(path))
    candles.with_columns(ts=pl.col("close") > 0).write_parquet(path)
    with pytest.raises(InvalidFrame, match="column ts: times of type Boolean"):
        read(source(path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.parquet", None, r"absent.parquet: no such file; mend the path of binance:BTC/USDT"),
        ("broken.parquet", b"PAR1 this is no parquet", r"broken.parquet: cannot be read as Parquet"),
        ("empty.csv", b"", r"empty.csv: the file is empty"),
        ("book.xlsx", b"x", r"book.xlsx: not a format of candle files; use .parquet, .csv, .csv.gz"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read(source(tmp_path / name))


@pytest.mark.parametrize("form", ["%Y-%-m-%-d %H:%M:%S", " %Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S"])
def test_no_row_is_lost_however_its_date_is_written(
    tmp_path: Path, plain_candles: Callable[..., pl.DataFrame], form: str
) -> None:
    candles = plain_candles(90, datetime(2025, 2, 9, 23, 30, tzinfo=UTC))
    candles.with_columns(pl.col("ts").dt.strftime(form)).write_csv(tmp_path / "btc.csv")
    window = read(source(tmp_path / "btc.csv", time_zone="UTC"), candles["ts"][10], candles["ts"][80])
    assert window.equals(candles[10:80])


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"is a folder; give a file or a glob"):
        read(source(tmp_path))


def test_columns_are_mapped(tmp_path: Path, candles: pl.DataFrame) -> None:
    path = tmp_path / "btc.csv"
    candles.rename({"ts": "open_time", "volume": "base_volume"}).write_csv(path)
    assert read(source(path, ts="open_time", volume="base_volume")).equals(candles)
    with pytest.raises(SettingsError, match=r"sources.recorded.columns: candles have no column time"):
        source(path, time="open_time")


def test_files_of_a_market_follow_each_other(tmp_path: Path, candles: pl.DataFrame) -> None:
    candles[300:].write_parquet(tmp_path / "a.parquet")
    candles[:300].write_parquet(tmp_path / "b.parquet")
    assert read(source(tmp_path / "*.parquet")).equals(candles)
    candles[250:].write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InvalidFrame, match=r"a.parquet: begins at 2025-03-01 04:10 UTC, before b.parquet ends"):
        read(source(tmp_path / "*.parquet"))


def test_a_file_that_was_replaced_is_looked_over_again(tmp_path: Path, candles: pl.DataFrame) -> None:
    path = tmp_path / "btc.parquet"
    candles[:100].write_parquet(path)
    assert read(source(path)).height == 100
    candles.write_parquet(path)
    assert read(source(path)).height == 600


def test_bad_values_are_left_to_the_rules(tmp_path: Path, candles: pl.DataFrame) -> None:
    path = tmp_path / "btc.csv"
    spoilt = candles.with_columns(
        close=pl.when(pl.int_range(pl.len()) == 1).then(None).otherwise("close"),
        volume=pl.when(pl.int_range(pl.len()) == 2).then(float("nan")).otherwise("volume"),
    )
    spoilt.write_csv(path)
    assert read(source(path)).equals(spoilt, null_equal=True)


def test_exchange_spellings_of_the_symbol_agree(tmp_path: Path, candles: pl.DataFrame) -> None:
    path = tmp_path / "btc.parquet"
    for spelling in ("BTC/USDT", "BTCUSDT", "btc-usdt", "BTC_USDT"):
        candles.with_columns(symbol=pl.lit(spelling), timeframe=pl.lit("1m")).write_parquet(path)
        assert read(source(path)).height == 600


def test_an_unknown_market_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    files = source(tmp_path / "btc.parquet")
    with pytest.raises(SourceError, match=r"binance:ETH/USDT: files:recorded has no path .*it has binance:BTC/USDT"):
        list(files.fetch("binance:ETH/USDT", "1m", START, END))


def test_local_times_that_do_not_exist_are_refused() -> None:
    skipped = pl.Series([datetime(2025, 3, 30, 2, 30)])  # noqa: DTZ001
    with pytest.raises(InvalidFrame, match="do not fit the zone 'Europe/Berlin'"):
        to_utc(skipped, time_zone="Europe/Berlin", where="here")


@pytest.mark.parametrize(
    ("file", "market", "timeframe", "rows"),
    [
        ("binance_BTC-USDT_USDT_1m.parquet", "binance:BTC/USDT:USDT", "1m", 73_139),
        ("binance_BTC-USDT_5m.parquet", "binance:BTC/USDT", "5m", 140_614),
        ("binance_LTC-USDT_15m.parquet", "binance:LTC/USDT", "15m", 35_999),
    ],
)
def test_recorded_candles_are_read(real_candles: Path, file: str, market: str, timeframe: str, rows: int) -> None:
    settings = FilesSource(kind="files", paths={market: str(real_candles / file)})
    files = FileCandles.from_settings("recorded", settings)
    window: dict[str, Any] = {"start": datetime(2023, 1, 1, tzinfo=UTC), "end": datetime(2026, 1, 1, tzinfo=UTC)}
    assert sum(page.height for page in files.fetch(market, timeframe, **window)) == rows
    with pytest.raises(TradingError, match="the settings say"):
        list(files.fetch(market, "1h", **window))


def test_a_headerless_file_of_kraken_is_read(tmp_path: Path, candles: pl.DataFrame) -> None:
    path = tmp_path / "XBTUSD_1.csv"
    kraken = candles.with_columns(pl.col("ts").dt.timestamp("ms") // 1000, trades=pl.lit(7))
    kraken.write_csv(path, include_header=False)
    assert read(source(path)).equals(candles)


@pytest.mark.parametrize("heads", [str.upper, str.title, str.lower])
def test_the_case_of_names_and_the_usual_names_of_the_time_do_not_matter(
    tmp_path: Path, candles: pl.DataFrame, heads: Callable[[str], str]
) -> None:
    path = tmp_path / "btc.csv"
    epoch = candles.with_columns(pl.col("ts").dt.timestamp("ms") // 1000).rename({"ts": "timestamp"})
    epoch.rename(heads).write_csv(path)
    assert read(source(path)).equals(candles)


def test_what_the_store_copies_out_is_read_back_for_each_of_its_markets(tmp_path: Path, candles: pl.DataFrame) -> None:
    keys = {"timeframe": pl.lit("1m"), "market": pl.lit(MARKET)}
    mine = candles.with_columns(**keys)
    other = mine.with_columns(market=pl.lit("okx:ETH/USDT"), close=pl.col("close") + 1, high=pl.col("high") + 1)
    table = pl.concat([mine, other]).select(list(CANDLES.columns)).to_arrow()
    for name, options in (("out.csv", "HEADER"), ("out.parquet", "FORMAT parquet")):
        path = tmp_path / name
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("candles", table)
            connection.execute(f"COPY (SELECT * FROM candles ORDER BY market, ts) TO '{path}' ({options})")
        assert read(source(path)).equals(candles), name
    with pytest.raises(InvalidFrame, match="no rows of kraken:BTC/USD"):
        list(FileCandles("files:x", {"kraken:BTC/USD": str(path)}, {}).fetch("kraken:BTC/USD", "1m", START, END))


def test_a_line_above_the_header_is_shown(tmp_path: Path, candles: pl.DataFrame) -> None:
    path = tmp_path / "btc.csv"
    path.write_text("https://www.example-data.test\n" + candles.write_csv())
    with pytest.raises(InvalidFrame, match=r"row 1 is no header but 'https://www.example-data.test'.*remove the line"):
        read(source(path))


@pytest.mark.parametrize("suffix", [".feather", ".parquet", ".csv", ".csv.gz", ".zip"])
def test_an_empty_file_is_called_empty(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"btc{suffix}"
    path.touch()
    with pytest.raises(SourceError, match=r"the file is empty; download or export it again"):
        read(source(path))


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        ("2025-10-26 01:30", "2025-10-26 02:00 happens twice: summer time ends"),
        ("2025-03-30 01:30", "2025-03-30 02:00 does not exist: summer time begins"),
    ],
)
def test_local_times_over_a_change_of_the_clocks_are_refused_in_plain_words(
    tmp_path: Path, candles: pl.DataFrame, moment: str, said: str
) -> None:
    path = tmp_path / "btc.csv"
    times = pl.lit(moment).str.to_datetime() + pl.duration(minutes=pl.int_range(pl.len()))
    candles.with_columns(ts=times).write_csv(path)
    with pytest.raises(InvalidFrame, match=f"zone 'Europe/Berlin': {said}.*export the file in UTC"):
        read(source(path, time_zone="Europe/Berlin"))
