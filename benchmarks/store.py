"""The DuckDB store beside plain DuckDB and Parquet: ``python -m benchmarks.store``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from benchmarks.table import Measurement, Target, best_of, main, median_of
from trading_assets.sql import build_bars, load_models
from trading_assets.store import Store, open_store
from trading_assets.store.tables import CANDLES

ROWS = 1_000_000
MARKETS = ("bench:A/USDT", "bench:B/USDT")
DAY = 1440
YEAR = 365 * DAY
MINUTE = timedelta(minutes=1)
START = datetime(2020, 1, 1, tzinfo=UTC)
KEY = {"market": MARKETS[0], "timeframe": "1m"}


def candles(minutes: int, *, first: int = 0, market: str = MARKETS[0]) -> pl.DataFrame:
    """A random walk of one-minute candles; the minutes from ``first`` on."""
    rng = np.random.default_rng(first + 7)
    close = (100 * np.exp(np.cumsum(rng.normal(0, 5e-4, minutes)))).round(2)
    begin = START + first * MINUTE
    ts = pl.datetime_range(begin, begin + minutes * MINUTE, MINUTE, closed="left", time_unit="us", eager=True)
    return pl.DataFrame({"ts": ts, "close": close, "volume": rng.exponential(10, minutes).round(3)}).select(
        market=pl.lit(market),
        timeframe=pl.lit("1m"),
        ts="ts",
        open=pl.col("close").shift(fill_value=100.0),
        high=pl.max_horizontal("close", pl.col("close").shift(fill_value=100.0)) + 0.05,
        low=pl.min_horizontal("close", pl.col("close").shift(fill_value=100.0)) - 0.05,
        close="close",
        volume="volume",
    )


def run() -> list[Measurement]:
    """Measure writes, reads and the cost of one more day."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_bulk(Path(folder)), *_one_more_day(Path(folder))]


def _bulk(folder: Path) -> list[Measurement]:
    frame = pl.concat([candles(ROWS // 2, market=market) for market in MARKETS])
    changed = frame.with_columns(pl.col("close") + 1)
    store, peer = _store(folder / "bulk.duckdb"), _WithPrimaryKey(folder / "peer.duckdb")
    parquet = folder / "candles.parquet"
    conflict = "INSERT ... ON CONFLICT, primary key"

    def again() -> None:
        store.replace(CANDLES, frame[:0], where={})

    first = best_of(lambda: store.upsert(CANDLES, frame), setup=again)
    same = best_of(lambda: store.upsert(CANDLES, frame))
    before = store.read(CANDLES)
    store.upsert(CANDLES, frame)
    assert store.read(CANDLES).equals(before), "an identical upsert changed the table"
    revised = best_of(lambda: store.upsert(CANDLES, changed), setup=lambda: store.upsert(CANDLES, frame))
    peer_first = best_of(lambda: peer.upsert(frame), setup=peer.clear)
    peer_same = best_of(lambda: peer.upsert(frame), repeat=2)
    peer_revised = best_of(lambda: peer.upsert(changed), setup=lambda: peer.upsert(frame), repeat=2)
    fast, quick = Target(min_rows_per_s=700_000), Target(min_rows_per_s=3_000_000)
    whole = best_of(lambda: store.read(CANDLES))
    one = best_of(lambda: store.read(CANDLES, where=KEY))
    frame.write_parquet(parquet)
    peer_one = best_of(lambda: pl.scan_parquet(parquet).filter(market=MARKETS[0], timeframe="1m").sort("ts").collect())
    return [
        Measurement("upsert 1M candles, new", first, ROWS, conflict, peer_first, fast),
        Measurement("upsert 1M candles, identical", same, ROWS, conflict, peer_same, fast),
        Measurement("upsert 1M candles, all changed", revised, ROWS, conflict, peer_revised, fast),
        Measurement(
            "read 1M candles, all markets",
            whole,
            ROWS,
            "read_parquet, sort",
            best_of(lambda: pl.read_parquet(parquet).sort(CANDLES.key)),
            quick,
        ),
        Measurement("read 500k candles, one market", one, ROWS // 2, "scan_parquet, filter, sort", peer_one, quick),
    ]


def _one_more_day(folder: Path) -> list[Measurement]:
    short, long = _store(folder / "one_year.duckdb"), _store(folder / "five_years.duckdb")
    short.upsert(CANDLES, candles(YEAR))
    for year in range(5):
        long.upsert(CANDLES, candles(YEAR, first=year * YEAR))
    results = []
    for name, work in {
        "write a day": _write,
        "read a day": _read,
        "tail of 500": _tail,
        "15m bars of a day": _bars,
    }.items():
        after_five, after_one = _each_day(work, long), _each_day(work, short)
        target = Target(max_times_peer=1.5)
        results.append(
            Measurement(f"{name} after 5 years", after_five, DAY, "the same after 1 year", after_one, target)
        )
    return results


def _each_day(work: Callable[[Store, pl.DataFrame], object], store: Store, repeat: int = 9) -> float:
    """Seconds of the work on one day at the end of the history; what writes gets another day each time."""
    newest = store.bounds(CANDLES, where=KEY)
    assert newest is not None
    after = round((newest[1] - START) / MINUTE) + 1
    first = [after + DAY * number if work is _write else after - DAY for number in range(repeat)]
    days = iter([candles(DAY, first=minute) for minute in first])
    return median_of(lambda: work(store, next(days)), repeat=repeat)


def _write(store: Store, day: pl.DataFrame) -> object:
    return store.upsert(CANDLES, day)


def _read(store: Store, day: pl.DataFrame) -> object:
    return store.read(CANDLES, where=KEY, start=day["ts"][0])


def _tail(store: Store, day: pl.DataFrame) -> object:
    return store.tail(CANDLES, where=KEY, before=day["ts"][-1], rows=500)


def _bars(store: Store, day: pl.DataFrame) -> object:
    model = load_models()["bars_15m"]
    end = day["ts"][-1] + MINUTE
    return build_bars(store, model, market=MARKETS[0], timeframe="1m", start=day["ts"][0], end=end)


def _store(path: Path) -> Store:
    return open_store(f"duckdb:///{path}")


class _WithPrimaryKey:
    """What one would write first: a primary key and ON CONFLICT, a connection per call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with duckdb.connect(str(path)) as connection:
            connection.execute(
                "CREATE TABLE candles (market VARCHAR, timeframe VARCHAR, ts TIMESTAMPTZ, open DOUBLE, high DOUBLE, "
                "low DOUBLE, close DOUBLE, volume DOUBLE, PRIMARY KEY (market, timeframe, ts))"
            )

    def clear(self) -> None:
        with duckdb.connect(str(self.path)) as connection:
            connection.execute("DELETE FROM candles")

    def upsert(self, frame: pl.DataFrame) -> None:
        with duckdb.connect(str(self.path)) as connection:
            connection.register("fresh", frame.to_arrow())
            connection.execute("INSERT OR REPLACE INTO candles SELECT * FROM fresh")


if __name__ == "__main__":
    main(run, __doc__, title="Store")
