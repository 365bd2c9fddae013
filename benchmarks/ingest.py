"""From the local exchange into the store, beside a plain ccxt loop: ``python -m benchmarks.ingest``.

The exchange runs in a process of its own, so that time and memory are those of the ingesting side.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from benchmarks.table import Measurement, Target, best_of, print_table
from trading_assets.settings import CcxtSource
from trading_assets.sources import ingest
from trading_assets.sources.candles.exchange import ExchangeCandles
from trading_assets.store import open_store

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = 1440
MARKETS = tuple(f"binance:B{number}/USDT:USDT" for number in range(10))
MOST_BYTES = 1_000_000_000


def candles(minutes: int, seed: int) -> pl.DataFrame:
    """A random walk of one-minute candles."""
    rng = np.random.default_rng(seed)
    close = (100 * np.exp(np.cumsum(rng.normal(0, 5e-4, minutes)))).round(2)
    opened = np.concatenate([[100.0], close[:-1]])
    end = START + timedelta(minutes=minutes)
    return pl.DataFrame(
        {
            "ts": pl.datetime_range(START, end, "1m", closed="left", time_unit="us", eager=True),
            "open": opened,
            "high": np.maximum(opened, close) + 0.05,
            "low": np.minimum(opened, close) - 0.05,
            "close": close,
            "volume": rng.exponential(10, minutes).round(3) + 0.001,
        }
    )


def _serve(pipe: Connection, minutes: int, markets: int) -> None:
    from trading_live.replay.server import ReplayServer
    from trading_live.replay.tape import whole_tape

    with ReplayServer(
        whole_tape({name: candles(minutes, seed) for seed, name in enumerate(MARKETS[:markets])})
    ) as server:
        pipe.send(server.url_http)
        pipe.recv()


@contextmanager
def exchange(minutes: int, markets: int) -> Iterator[str]:
    """The address of a local exchange that holds so many minutes of so many markets."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, minutes, markets), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join(10)


def fetch(url: str, path: Path, market: str, minutes: int) -> None:
    """Ingest one market as a backfill does."""
    source = ExchangeCandles.from_settings(
        CcxtSource(kind="ccxt", exchange="binanceusdm", base_url=url, rate_limit=False)
    )
    end = START + timedelta(minutes=minutes)
    store = open_store(f"duckdb:///{path}")
    report = ingest(store, source, market=market, timeframe="1m", start=START, end=end, now=end)
    assert report.missing == 0, report


def plain(url: str, path: Path, market: str, minutes: int) -> None:
    """What one would write first: ``fetch_ohlcv`` in a loop, each page into a table with a primary key."""
    import ccxt

    client: Any = ccxt.binanceusdm({"enableRateLimit": False})
    client.urls["api"] = dict.fromkeys(client.urls["api"], f"{url}/fapi/v1")
    symbol, since = market.split(":", 1)[1], round(START.timestamp() * 1000)
    stop = since + minutes * 60_000
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE candles (ts BIGINT PRIMARY KEY, o DOUBLE, h DOUBLE, l DOUBLE, c DOUBLE, v DOUBLE)"
        )
        while since < stop:
            rows = client.fetch_ohlcv(symbol, "1m", since=since, limit=1000)
            connection.register("page", pl.DataFrame(rows, schema=list("tohlcv"), orient="row").to_arrow())
            connection.execute("INSERT OR REPLACE INTO candles SELECT * FROM page")
            since = rows[-1][0] + 60_000


def speed(minutes: int) -> list[Measurement]:
    """Candles per second of ours and of the plain loop."""
    with exchange(minutes, 1) as url, tempfile.TemporaryDirectory() as folder:
        fetch(url, Path(folder) / "warm.duckdb", MARKETS[0], DAY)
        names = iter(range(99))
        ours = best_of(lambda: fetch(url, Path(folder) / f"{next(names)}.duckdb", MARKETS[0], minutes), repeat=2)
        peer = best_of(lambda: plain(url, Path(folder) / f"{next(names)}.duckdb", MARKETS[0], minutes), repeat=2)
    name = f"ingest {minutes:,} candles from the local exchange"
    return [Measurement(name, ours, minutes, "ccxt loop, INSERT OR REPLACE", peer, Target(min_rows_per_s=5_000))]


def memory(minutes: int) -> int:
    """Peak bytes of this process while it ingests all markets, two at a time as a backfill may."""
    with exchange(minutes, len(MARKETS)) as url, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "year.duckdb"
        halves = [
            threading.Thread(target=lambda half=half: [fetch(url, path, market, minutes) for market in half])
            for half in (MARKETS[::2], MARKETS[1::2])
        ]
        for thread in halves:
            thread.start()
        for thread in halves:
            thread.join()
        assert open_store(f"duckdb:///{path}").query("SELECT count(*) AS n FROM candles")["n"].item() == minutes * 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.add_argument("--days", type=int, default=365, help="of ten markets, for the peak of memory")
    days = parser.parse_args().days
    print_table(speed(120 * DAY), title="Ingest")
    peak = memory(days * DAY)
    kept = "within" if peak <= MOST_BYTES else "BEYOND"
    print(f"{days} days of {len(MARKETS)} markets: peak memory {peak / 1e6:,.0f} MB, {kept} {MOST_BYTES / 1e6:,.0f} MB")
