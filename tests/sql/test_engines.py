"""Every SQL model gives the same rows on DuckDB and on a real PostgreSQL, to the last digit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading_assets.core.candles import CANDLE_COLUMNS, OHLCV
from trading_assets.sql import SqlModel, check_expectations, load_models, run_model
from trading_assets.store import TABLES, Store
from trading_assets.store.tables import (
    CANDLE_REVISIONS,
    CANDLES,
    CANDLES_QUARANTINE,
    FILLS,
    POSITIONS,
    SIGNALS,
    Table,
)

START = datetime(2025, 1, 30, 5, 7, tzinfo=UTC)
MINUTES = 4_000
MARKETS = ("a:BTC/USDT", "b:BTC/USDT", "b:ETH/USDT", "c:ETH/USDT:USDT")
GIVEN = {
    "market": MARKETS[1],
    "timeframe": "1m",
    "candle_minutes": 1,
    "start": datetime(2025, 1, 31, tzinfo=UTC),
    "end": datetime(2025, 2, 2, tzinfo=UTC),
    "limit_bps": 5.0,
}


def candles(market: str, seed: int) -> pl.DataFrame:
    """A random walk with gaps, silent minutes and an hour of frozen prices."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 1e-3, MINUTES)))
    close = np.roll(close, seed % 3) * (1 + rng.normal(0, 3e-4, MINUTES))
    close[1_500:1_560] = close[1_500]
    spread = np.where((np.arange(MINUTES) >= 1_500) & (np.arange(MINUTES) < 1_560), 0, 0.1)
    frame = pl.DataFrame(
        {
            "market": market,
            "timeframe": "1m",
            "ts": [START + timedelta(minutes=minute) for minute in range(MINUTES)],
            "open": close,
            "high": close + spread,
            "low": close - spread,
            "close": close,
            "volume": rng.exponential(3, MINUTES) * (rng.random(MINUTES) > 0.1),
        },
        schema=CANDLE_COLUMNS,
    )
    there = rng.random(MINUTES) > 0.01
    there[2_000:2_300] = False
    return frame.filter(pl.Series(there))


def rows_of(table: Table, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in table.columns} for row in rows], schema=table.columns)


def journal(rng: np.random.Generator) -> list[tuple[Table, pl.DataFrame]]:
    """Decisions, fills and positions of two models on two nodes."""
    events: dict[str, list[dict[str, Any]]] = {"signals": [], "fills": [], "positions": []}
    for seq in range(400):
        node, model = f"n{seq % 2}", f"m{seq % 3}"
        event = {"node": node, "seq": seq, "ts": START + timedelta(minutes=seq), "market": MARKETS[seq % 2]}
        owner = f"s{seq - seq % 4}"
        if seq % 4 == 0:
            action = str(rng.choice(["enter", "hold", "refuse"]))
            events["signals"].append({**event, "signal_id": owner, "action": action, "model": model})
        elif seq % 4 == 1:
            events["fills"].append({**event, "signal_id": owner, "fee": rng.random()})
        else:
            closed = {"event": "closed", "quantity": 0.0, "realized_pnl": rng.normal()}
            opened = {"event": "opened", "quantity": 1.0, "realized_pnl": 0.0}
            events["positions"].append({**event, "signal_id": owner, **(closed if seq % 4 == 3 else opened)})
    return [(table, rows_of(table, events[table.name])) for table in (SIGNALS, FILLS, POSITIONS)]


@pytest.fixture(scope="module")
def filled(duckdb_store: Store, postgres_store: Store) -> tuple[Store, Store]:
    """Both stores with the same candles and the same journal."""
    stored = pl.concat(candles(market, seed) for seed, market in enumerate(MARKETS))
    some = stored.filter(market=MARKETS[1]).gather_every(97)
    refused = some.with_columns(
        reason=pl.lit("high_below_low"),
        source=pl.lit("x"),
        row_hash=pl.int_range(some.height).cast(pl.UInt64) + 2**63,
        seen_at=pl.col("ts"),
    )
    refused = rows_of(CANDLES_QUARANTINE, refused.rows(named=True))
    revised = some.select(
        "market",
        "timeframe",
        "ts",
        *(pl.col(name).alias(f"{when}_{name}") for when in ("old", "new") for name in OHLCV),
        seen_at=pl.col("ts") + timedelta(days=1),
        source=pl.lit("x"),
    )
    tables = [(CANDLES, stored), (CANDLES_QUARANTINE, refused), (CANDLE_REVISIONS, revised)]
    for table, frame in [*tables, *journal(np.random.default_rng(5))]:
        for store in (duckdb_store, postgres_store):
            store.upsert(table, frame)
    return duckdb_store, postgres_store


def result(store: Store, model: SqlModel) -> pl.DataFrame:
    """The model's rows, stored too."""
    frame = run_model(store, model, **{name: GIVEN[name] for name in model.parameters})
    store.replace(TABLES[model.name], frame, where={})
    return frame


@pytest.mark.parametrize("name", list(load_models()))
def test_a_model_gives_the_same_rows_on_both_engines(filled: tuple[Store, Store], name: str) -> None:
    model = load_models()[name]
    duckdb, postgres = filled
    wanted, found = result(duckdb, model), result(postgres, model)
    assert wanted.height
    empty = [column for column in wanted.columns if wanted[column].null_count() == wanted.height]
    assert empty == (["model_version"] if name == "performance_summary" else []), "else there is nothing to compare"
    assert_frame_equal(found, wanted, check_exact=True)
    assert_frame_equal(postgres.read(TABLES[name]), duckdb.read(TABLES[name]), check_exact=True)


@pytest.mark.parametrize("name", [name for name, model in load_models().items() if model.expectations])
def test_the_tests_beside_a_model_find_the_same_on_both_engines(filled: tuple[Store, Store], name: str) -> None:
    model, when = load_models()[name], {}
    if "market" in model.parameters:
        when = {"where": {"market": MARKETS[1]}, "start": GIVEN["start"], "end": GIVEN["end"]}
    for store in filled:
        if store.read(TABLES[name]).is_empty():
            result(store, model)
    duckdb, postgres = (
        {one.expectation.name: one.failing for one in check_expectations(store, model, **when)} for store in filled
    )
    assert duckdb == postgres
    strict = {one.name for one in model.expectations if one.severity == "error"}
    assert {failing for test, failing in duckdb.items() if test in strict} == {0}
