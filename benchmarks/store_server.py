"""The server engine beside a bare COPY, and what compression saves: ``python -m benchmarks.store_server``.

It needs the development dependencies: the servers are those of the tests. A TimescaleDB server named by
``TRADING_TEST_TIMESCALE_URL`` is measured instead of the plain PostgreSQL, hypertables and all.
"""

from __future__ import annotations

import os
import sys

import adbc_driver_postgresql.dbapi as adbc
import polars as pl

from benchmarks.store import KEY, MARKETS, ROWS, candles
from benchmarks.table import Measurement, Target, best_of, main
from tests.servers import REAL_TIMESCALE, postgres_server, timescale_server
from trading_assets.store import open_store
from trading_assets.store.postgres.session import opened
from trading_assets.store.tables import CANDLES

WEEKS = 6
_PEER = (
    "CREATE TABLE peer (market text, timeframe text, ts timestamptz, open float8, high float8, low float8, "
    "close float8, volume float8)"
)


def run() -> list[Measurement]:
    """Measure upserts and reads of a million candles."""
    real = REAL_TIMESCALE in os.environ
    url = (timescale_server() if real else postgres_server()).fresh_database()
    kind = "TimescaleDB hypertable" if real else "PostgreSQL"
    store = open_store(url)
    frame = pl.concat([candles(ROWS // 2, market=market) for market in MARKETS])
    changed = frame.with_columns(pl.col("close") + 1)
    with adbc.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(_PEER)
        connection.commit()

    def bare_copy() -> None:
        with adbc.connect(url) as connection, connection.cursor() as cursor:
            cursor.adbc_ingest("peer", frame.to_arrow(), mode="append")
            connection.commit()

    def bare_read(sql: str) -> pl.DataFrame:
        return pl.read_database_uri(sql, url, engine="adbc")

    def clear() -> None:
        with opened(url, timeout_s=60) as session:
            session.run("TRUNCATE candles, peer")

    store.prepare([CANDLES])
    copied = best_of(bare_copy, setup=clear)
    new = best_of(lambda: store.upsert(CANDLES, frame), setup=clear)
    same = best_of(lambda: store.upsert(CANDLES, frame), repeat=2)
    revised = best_of(lambda: store.upsert(CANDLES, changed), repeat=1)
    with opened(url, timeout_s=60) as session:
        session.run("ANALYZE candles")
    one = "SELECT ts, open, high, low, close, volume FROM candles WHERE market = '{market}'".format(**KEY)
    fast, quick = Target(min_rows_per_s=60_000), Target(min_rows_per_s=1_000_000)
    copy = "ADBC COPY, no key"
    return [
        Measurement(f"{kind}: upsert 1M candles, new", new, ROWS, copy, copied, fast),
        Measurement(f"{kind}: upsert 1M candles, identical", same, ROWS, copy, copied, fast),
        Measurement(f"{kind}: upsert 1M candles, all changed", revised, ROWS, copy, copied, fast),
        Measurement(
            f"{kind}: read 1M candles, all markets",
            best_of(lambda: store.read(CANDLES)),
            ROWS,
            "ADBC, unsorted",
            best_of(lambda: bare_read("SELECT * FROM candles")),
            quick,
        ),
        Measurement(
            f"{kind}: read 500k candles, one market",
            best_of(lambda: store.read(CANDLES, where=KEY)),
            ROWS // 2,
            "ADBC, unsorted",
            best_of(lambda: bare_read(one)),
            quick,
        ),
    ]


def compression() -> str:
    """What TimescaleDB's compression makes of a few weeks of candles, in words."""
    url = timescale_server().fresh_database()
    store = open_store(url)
    frame = candles(WEEKS * 7 * 1440)
    store.upsert(CANDLES, frame)
    size = "SELECT sum(total_bytes)::float8 AS bytes FROM chunks_detailed_size('candles')"
    with opened(url, timeout_s=600) as session:
        before = session.fetch(size).item()
        session.fetch("SELECT compress_chunk(c)::text FROM show_chunks('candles') AS c")
        after = session.fetch(size).item()
    assert store.read(CANDLES).equals(frame), "compression changed the candles"
    server = "TimescaleDB" if REAL_TIMESCALE in os.environ else "TimescaleDB's WebAssembly build"
    sizes = f"{before / 1e6:.1f} MB with the key's index, {after / 1e6:.1f} MB compressed"
    return (
        f"{len(frame):,} SYNTHETIC one-minute candles ({WEEKS} weeks, one market) on {server}: {sizes}: "
        f"{before / after:.1f} to 1, {after / len(frame):.0f} bytes each"
    )


if __name__ == "__main__":
    main(run, __doc__, title="Store on a server")
    sys.stdout.write(compression() + "\n")
