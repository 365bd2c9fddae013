"""On every timeframe that divides the day, a node's newest bars give the rows that are stored."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Final

import polars as pl
import pytest

from tests.stores import fresh_store
from trading_assets import features
from trading_assets.core.candles import CANDLE_COLUMNS
from trading_assets.core.timeframes import TIMEFRAMES, Timeframe
from trading_assets.features.proofs.proving import made_up_bars
from trading_assets.sql import build_bars, load_models
from trading_assets.store import Store
from trading_assets.store.tables import BARS, CANDLES

MARKET: Final = "x:A/B"
CHOSEN: Final = ["roc_16", "vortex_up_14", "body_share"]
ROWS: Final = 3


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return fresh_store(tmp_path_factory.mktemp("timeframes"))


def stored(store: Store, timeframe: Timeframe, seed: int) -> pl.DataFrame:
    """The bars of a timeframe as the store has them, built from candles of a fraction of its length."""
    finest = next(
        one
        for one in reversed(TIMEFRAMES)
        if one.minutes <= max(timeframe.minutes // 3, 1) and timeframe.is_built_from(one.name)
    )
    needed = features.lookback_bars(timeframe, CHOSEN) + ROWS
    candles = made_up_bars(needed * timeframe.minutes // finest.minutes, finest, seed=seed).with_columns(
        market=pl.lit(MARKET), timeframe=pl.lit(finest.name)
    )
    store.replace(CANDLES, candles.select(list(CANDLE_COLUMNS)), where={})
    start, end = candles["ts"][0], candles["known_at"][-1]
    table = BARS[timeframe.name]
    if not table.view:
        model = load_models()[table.name]
        bars = build_bars(store, model, market=MARKET, timeframe=finest.name, start=start, end=end)
        store.replace(table, bars, where={"market": MARKET})
    return store.read(table, where={"market": MARKET})


@pytest.mark.parametrize("timeframe", TIMEFRAMES, ids=str)
def test_the_tail_of_a_node_gives_the_stored_rows(store: Store, timeframe: Timeframe) -> None:
    bars = stored(store, timeframe, seed=timeframe.minutes)
    rows = features.compute(bars, timeframe=timeframe, features=CHOSEN)
    needed = features.lookback_bars(timeframe, CHOSEN)
    assert rows.height >= ROWS
    assert (rows["known_at"] - rows["ts"] == timeframe.length).all()
    assert all(later - earlier >= timedelta(minutes=timeframe.minutes) for earlier, later in pairwise(rows["ts"]))
    for number in range(rows.height):
        tail = bars[number : number + needed]
        (newest,) = features.compute_newest([tail], timeframe=timeframe, features=CHOSEN)
        assert newest.frame.equals(rows[number : number + 1])
