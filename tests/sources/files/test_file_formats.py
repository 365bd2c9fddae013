"""Candles as freqtrade and Binance publish them, and files larger than one batch."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.errors import InvalidFrame, SourceError
from trading_assets.settings import FilesSource
from trading_assets.sources import ingest
from trading_assets.sources.candles.files import FileCandles
from trading_assets.sources.files import formats
from trading_assets.sources.files.columns import BINANCE_KLINES
from trading_assets.sources.ingest.candle_validation import split_valid
from trading_assets.store import Store
from trading_assets.store.tables import CANDLE_GAPS, CANDLES

MARKET = "binance:BTC/USDT"
START = datetime(2025, 1, 31, tzinfo=UTC)
A_DAY = timedelta(days=1)
Make = Callable[..., pl.DataFrame]


def read(path: Path | str, start: datetime = START, end: datetime = START + 40 * A_DAY) -> pl.DataFrame:
    files = FileCandles.from_settings("recorded", FilesSource(kind="files", paths={MARKET: str(path)}))
    pages = list(files.fetch(MARKET, "1m", start, end))
    return pl.concat(pages) if pages else pl.DataFrame()


def klines(candles: pl.DataFrame, unit: str) -> pl.DataFrame:
    """Candles in the columns of Binance's public files."""
    at = pl.col("ts").dt.timestamp("ms") * (1000 if unit == "us" else 1)
    further = {name: pl.lit("0") for name in BINANCE_KLINES[7:]}
    return candles.select(at.alias("open_time"), "open", "high", "low", "close", "volume", close_time=at, **further)


def zipped(frame: pl.DataFrame, path: Path, *, header: bool = False) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(path.stem + ".csv", frame.write_csv(include_header=header))
    return path


@pytest.mark.parametrize("unit", ["ms", "us"])
@pytest.mark.parametrize("header", [False, True])
def test_binances_zips_are_read_with_and_without_a_header_in_milliseconds_and_microseconds(
    tmp_path: Path, plain_candles: Make, unit: str, header: bool
) -> None:
    candles = plain_candles(2 * 1440, START)
    zipped(klines(candles[:1440], unit), tmp_path / "BTCUSDT-1m-2025-01.zip", header=header)
    zipped(klines(candles[1440:], unit), tmp_path / "BTCUSDT-1m-2025-02-01.zip", header=not header)
    assert read(tmp_path / "BTCUSDT-1m-*.zip").equals(candles)
    hour = timedelta(hours=1)
    assert read(tmp_path / "*.zip", START + hour, START + 2 * hour).equals(candles[60:120])


def test_milliseconds_of_one_year_and_microseconds_of_the_next_are_one_history(
    tmp_path: Path, plain_candles: Make
) -> None:
    candles = plain_candles(2 * 1440, datetime(2024, 12, 31, tzinfo=UTC))
    zipped(klines(candles[:1440], "ms"), tmp_path / "BTCUSDT-1m-2024-12.zip")
    zipped(klines(candles[1440:], "us"), tmp_path / "BTCUSDT-1m-2025-01.zip")
    assert read(tmp_path / "*.zip", START - 60 * A_DAY).equals(candles)


def test_an_unpacked_file_without_a_header_is_read_too(tmp_path: Path, plain_candles: Make) -> None:
    candles = plain_candles(30, START)
    klines(candles, "us").write_csv(tmp_path / "BTCUSDT-1m-2025-01.csv", include_header=False)
    assert read(tmp_path / "BTCUSDT-1m-2025-01.csv").equals(candles)
    candles.write_csv(tmp_path / "six.csv", include_header=False, datetime_format="%s")
    with pytest.raises(InvalidFrame, match=r"six.csv: no header, and 6 columns: row 1 is '1738281600,.*write a header"):
        read(tmp_path / "six.csv")


def test_freqtrades_feather_is_read(tmp_path: Path, plain_candles: Make) -> None:
    candles = plain_candles(3000, START)
    kept = candles.rename({"ts": "date"}).with_columns(pl.col("date").dt.cast_time_unit("ms"))
    kept.write_ipc(tmp_path / "BTC_USDT-1m.feather", compression="lz4")
    assert read(tmp_path / "BTC_USDT-1m.feather").equals(candles)
    assert read(tmp_path / "*.feather", START + A_DAY).equals(candles[1440:])


def test_files_are_found_in_folders_below_a_glob(tmp_path: Path, plain_candles: Make) -> None:
    candles = plain_candles(20, START)
    for number, part in enumerate((candles[:10], candles[10:])):
        (tmp_path / str(number)).mkdir()
        part.write_parquet(tmp_path / str(number) / "btc.parquet")
    assert read(tmp_path / "**" / "*.parquet").equals(candles)
    assert read(tmp_path / "?" / "btc.parquet").equals(candles)


@pytest.mark.parametrize(("spoil", "message"), [(False, ""), (True, r"its SHA-256 is \w+\.\.\., .*CHECKSUM says")])
def test_a_checksum_beside_a_zip_must_agree(tmp_path: Path, plain_candles: Make, spoil: bool, message: str) -> None:
    candles = plain_candles(10, START)
    path = zipped(klines(candles, "us"), tmp_path / "BTCUSDT-1m-2025-01.zip")
    digest = hashlib.sha256(path.read_bytes() + b"x" * spoil).hexdigest()
    (tmp_path / f"{path.name}.CHECKSUM").write_text(f"{digest}  {path.name}\n")
    if spoil:
        with pytest.raises(SourceError, match=message):
            read(tmp_path / "*")
    else:
        assert read(tmp_path / "*").equals(candles)


def test_the_zip_of_a_month_stands_for_those_of_its_days(tmp_path: Path, plain_candles: Make) -> None:
    candles = plain_candles(1440, START)
    zipped(klines(candles, "us"), tmp_path / "BTCUSDT-1m-2025-01.zip")
    zipped(klines(candles, "us"), tmp_path / "BTCUSDT-1m-2025-01-31.zip")
    assert read(tmp_path / "*.zip").equals(candles)


def test_a_short_month_is_completed_from_its_days(tmp_path: Path, plain_candles: Make) -> None:
    candles = plain_candles(3 * 1440, datetime(2025, 4, 21, tzinfo=UTC))
    other = candles.with_columns(volume=pl.lit(99.0))
    month = pl.concat([candles[:300], other[1000:1440], candles[1440 + 457 : 1440 + 500]])
    zipped(klines(month, "us"), tmp_path / "BTCUSDT-1m-2025-04.zip")
    for day in range(3):
        rows = candles[day * 1440 : (day + 1) * 1440]
        zipped(klines(rows[:457] if day == 1 else rows, "us"), tmp_path / f"BTCUSDT-1m-2025-04-{21 + day}.zip")
    found = read(tmp_path / "*.zip", START, START + 100 * A_DAY)
    wanted = pl.concat([candles[:1000], other[1000:1440], candles[1440 : 1440 + 500], candles[2880:]])
    assert found.equals(wanted), "where the month has a row, that counts"
    part = read(tmp_path / "*.zip", candles["ts"][200], candles["ts"][400])
    assert part.equals(candles[200:400])


def test_days_make_good_what_is_broken_in_their_month(tmp_path: Path, plain_candles: Make) -> None:
    candles = plain_candles(1440, datetime(2025, 4, 21, tzinfo=UTC))
    rows = pl.int_range(pl.len())
    late = pl.when(rows.is_between(100, 1300)).then(pl.col("ts") + timedelta(seconds=14.8)).otherwise("ts")
    negative = pl.when(rows == 50).then(-1.0).otherwise("volume")
    zipped(klines(candles.with_columns(ts=late, volume=negative), "us"), tmp_path / "BTCUSDT-1m-2025-04.zip")
    zipped(klines(candles, "us"), tmp_path / "BTCUSDT-1m-2025-04-21.zip")
    found = read(tmp_path / "*.zip", START, START + 100 * A_DAY)
    window = {"start": START, "end": START + 100 * A_DAY, "now": START + 200 * A_DAY}
    good, bad = split_valid(found, market=MARKET, timeframe="1m", **window)
    assert good.drop("market", "timeframe").equals(candles)
    assert bad["reason"].value_counts().sort("reason").rows() == [("negative_volume", 1), ("off_grid", 1201)]


def test_the_days_of_a_complete_month_are_not_opened(tmp_path: Path, plain_candles: Make) -> None:
    candles = plain_candles(1440, START)
    zipped(klines(candles, "us"), tmp_path / "BTCUSDT-1m-2025-01.zip")
    (tmp_path / "BTCUSDT-1m-2025-01-31.zip").write_bytes(b"broken")
    assert read(tmp_path / "*.zip").equals(candles)


def test_zips_of_other_months_are_not_opened(tmp_path: Path, plain_candles: Make) -> None:
    candles = plain_candles(60, START)
    zipped(klines(candles, "us"), tmp_path / "BTCUSDT-1m-2025-01.zip")
    (tmp_path / "BTCUSDT-1m-2025-02.zip").write_bytes(b"broken")
    assert read(tmp_path / "*.zip", end=START + A_DAY).equals(candles)
    with pytest.raises(SourceError, match=r"2025-02.zip: cannot be read as a zip of one CSV file"):
        read(tmp_path / "*.zip")


def test_a_month_that_cannot_be_read_keeps_no_other_out_of_the_store(
    store: Store, tmp_path: Path, plain_candles: Make
) -> None:
    begins = [datetime(2025, month, 1, tzinfo=UTC) for month in (1, 2, 3, 4)]
    for begin in (begins[0], begins[2]):
        zipped(klines(plain_candles(1440, begin), "us"), tmp_path / f"BTCUSDT-1m-{begin:%Y-%m}.zip")
    (tmp_path / "BTCUSDT-1m-2025-02.zip").write_bytes(b"broken")
    files = FilesSource(kind="files", paths={MARKET: str(tmp_path / "*.zip")})
    what: dict[str, Any] = {"market": MARKET, "timeframe": "1m", "start": begins[0], "end": begins[3]}
    with pytest.raises(SourceError, match=r"2025-02.zip: cannot be read as a zip"):
        ingest(
            store,
            FileCandles.from_settings("recorded", files),
            **what,
            now=begins[3],
            parts=list(pairwise(begins)),
        )
    days = store.read(CANDLES)["ts"].dt.truncate("1d").unique().sort().to_list()
    assert days == [begins[0], begins[2]]
    failed = store.read(CANDLE_GAPS).filter(pl.col("reason") == "fetch_failure")
    assert failed.select("ts", "end").rows() == [(begins[1], begins[2])]


def test_a_zip_that_holds_another_month_than_its_name_says_is_refused(tmp_path: Path, plain_candles: Make) -> None:
    zipped(klines(plain_candles(60, START), "us"), tmp_path / "BTCUSDT-1m-2025-02.zip")
    with pytest.raises(InvalidFrame, match=r"holds 2025-01-31 00:00 to .*, its name says 2025-02-01 up to 2025-03-01"):
        read(tmp_path / "*.zip")


def test_a_zip_holds_one_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "ts\n")
        archive.writestr("b.csv", "ts\n")
    with pytest.raises(SourceError, match=r"two.zip: holds 2 CSV files, not one"):
        read(tmp_path / "two.zip")


def test_what_is_no_number_is_named_with_its_row(tmp_path: Path, plain_candles: Make) -> None:
    spoilt = klines(plain_candles(60, START), "us").with_columns(
        low=pl.when(pl.int_range(pl.len()) == 41).then(pl.lit("n/a")).otherwise(pl.col("low").cast(pl.String))
    )
    path = zipped(spoilt, tmp_path / "BTCUSDT-1m-2025-01.zip")
    with pytest.raises(InvalidFrame, match=r"column low: 1 values are not numbers, e.g. 'n/a' in row 42; write plain"):
        read(path, START + timedelta(minutes=30))


@examples(60)
@given(
    rows=st.integers(1, 40),
    batch=st.integers(1, 7),
    cut=st.tuples(st.integers(0, 45), st.integers(1, 45)),
    suffix=st.sampled_from([".csv", ".parquet", ".feather", ".zip"]),
)
def test_however_a_file_is_cut_into_batches_the_rows_of_the_window_come_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, rows: int, batch: int, cut: tuple[int, int], suffix: str
) -> None:
    ts = pl.Series([START + timedelta(minutes=row) for row in range(rows)], dtype=pl.Datetime("us", "UTC"))
    price = pl.Series(range(1, rows + 1), dtype=pl.Float64)
    candles = pl.DataFrame({"ts": ts, **dict.fromkeys(("open", "high", "low", "close", "volume"), price)})
    path = tmp_path_factory.mktemp("cut") / f"btc{suffix}"
    match suffix:
        case ".parquet":
            candles.write_parquet(path, row_group_size=5)
        case ".feather":
            candles.write_ipc(path, record_batch_size=5)
        case ".csv":
            candles.write_csv(path)
        case _:
            zipped(klines(candles, "us"), path)
    start, end = START + timedelta(minutes=cut[0]), START + timedelta(minutes=cut[0] + cut[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "BATCH_ROWS", batch)
        found = read(path, start, end)
    wanted = candles.filter(pl.col("ts").is_between(start, end, closed="left"))
    assert found.equals(wanted) if wanted.height else found.is_empty()


def test_disorder_is_found_across_batches(tmp_path: Path, plain_candles: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "BATCH_ROWS", 10)
    candles = plain_candles(30, START)
    pl.concat([candles[:10], candles[9:]]).write_csv(tmp_path / "doubled.csv")
    with pytest.raises(InvalidFrame, match="duplicated times: row 11 is at 2025-01-31 00:09"):
        read(tmp_path / "doubled.csv")
    mixed = [klines(candles[:10], "ms"), klines(candles[10:], "us")]
    pl.concat(mixed).write_csv(tmp_path / "mixed.csv")
    with pytest.raises(InvalidFrame, match="times in ms up to row 10, then in us; write one unit in every row"):
        read(tmp_path / "mixed.csv")
