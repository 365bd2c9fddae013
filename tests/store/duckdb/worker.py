"""A process of its own that writes to a store: ``worker.py URL MODE NAME COUNT ROWS``; it says each step on a line."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import polars as pl

from trading_assets.store import open_store
from trading_assets.store.tables import CANDLES

MINUTE = timedelta(minutes=1)
START = datetime(2025, 1, 1, tzinfo=UTC)


def candles(market: str, first: int, minutes: int, value: float) -> pl.DataFrame:
    start = START + first * MINUTE
    ts = pl.datetime_range(start, start + minutes * MINUTE, MINUTE, closed="left", time_unit="us", eager=True)
    prices = {column: pl.lit(value) for column in ("open", "high", "low", "close", "volume")}
    return pl.DataFrame({"ts": ts}).select(market=pl.lit(market), timeframe=pl.lit("1m"), ts="ts", **prices)


def main(url: str, mode: str, name: str, count: int, rows: int) -> None:
    store = open_store(url, lock_timeout_s=300)
    print("ready", flush=True)  # noqa: T201
    for step in range(count):
        if mode == "append":  # a page of its own each time, overlapping the last
            store.upsert(CANDLES, candles(name, max(step * 100 - 10, 0), 110, 1.0))
        elif mode == "keep":  # likewise, in a block that keeps the store open
            with store.kept_open():
                for page in range(10 * step, 10 * step + 10):
                    store.upsert(CANDLES, candles(name, page * 100, 100, 1.0))
                    assert store.read(CANDLES, where={"market": name}).height == 100 * (page + 1)
        elif mode == "rewrite":  # the same rows each time, all with the step's value
            store.upsert(CANDLES, candles(name, 0, rows, float(step)))
        else:  # "replace"
            store.replace(CANDLES, candles(name, step, rows, float(step)), where={"market": name})
        print(step, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
