"""Sleeves whose returns are drawn, and the frames that they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from trading_assets.core.candles import TS
from trading_assets.store.tables import EQUITY, MODEL_VERSIONS, TRADES

START = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)


def drawn(
    spreads: Mapping[str, float], *, days: int = 200, seed: int = 1, mean: float = 0.0005
) -> dict[str, np.ndarray]:
    """Independent daily returns of sleeves with these volatilities."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(mean, spread, days) for name, spread in spreads.items()}


def equity_of(returns: Mapping[str, Sequence[float] | np.ndarray], *, balance: float = 1000.0) -> pl.DataFrame:
    """``model, ts, equity`` of accounts with these returns."""
    parts = [
        pl.DataFrame(
            {
                "model": name,
                "ts": [START + DAY * n for n in range(len(one))],
                "equity": balance * np.cumprod(1 + np.asarray(one)),
            },
            schema={"model": pl.String, "ts": TS, "equity": pl.Float64},
        )
        for name, one in returns.items()
    ]
    return pl.concat(parts)


def trades_of(rows: Sequence[tuple[str, datetime, datetime]] = ()) -> pl.DataFrame:
    """``model, entry_ts, exit_ts``."""
    return pl.DataFrame(list(rows), schema={"model": pl.String, "entry_ts": TS, "exit_ts": TS}, orient="row")


def store_sleeves(
    store, returns, *, balance: float, statuses: Mapping[str, str], versions: Mapping[str, int] | None = None
):
    """Put the records of sleeves into a store, as backtest and registry would."""
    equity = equity_of(returns, balance=balance)
    numbers = {name: (versions or {}).get(name, 1) for name in {*returns, *statuses}}
    version = pl.col("model").replace_strict(numbers, return_dtype=pl.Int32).alias("version")
    store.upsert(EQUITY, equity.with_columns(version, drawdown=pl.lit(0.0)).select(*EQUITY.columns))
    rows = [
        {
            "model": name,
            "version": numbers[name],
            "status": status,
            "bundle": "b",
            "bundle_hash": "h",
            "dataset_hash": "d",
            "train_start": START,
            "train_end": START,
            "created_at": START,
            "changed_at": START,
            "run_id": "",
            "traded_under": "u",
        }
        for name, status in statuses.items()
    ]
    store.upsert(MODEL_VERSIONS, pl.DataFrame(rows, schema=MODEL_VERSIONS.columns))
    store.upsert(TRADES, pl.DataFrame(schema=TRADES.columns))
