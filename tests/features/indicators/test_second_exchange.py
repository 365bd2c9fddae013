"""The spread to the same coin on another exchange: by hand, point in time, and who may read it."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from trading_assets.core.errors import ModelError
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import compute, registry
from trading_assets.features.framework.stored_series import read_companions
from trading_assets.features.proofs.proving import made_up_bars
from trading_assets.settings import Settings
from trading_assets.settings.demand import bars_of, read_beside, second_exchange_of
from trading_assets.store.tables import BARS
from trading_live.node.decisions.admission import Admission

M15 = Timeframe.parse("15m")
NAMES = ["exchange_spread_bps", "exchange_spread_change_1", "exchange_spread_change_4", "exchange_spread_score_96"]
HERE, THERE = "sample:BTC/USDT", "sample:BTCB/USDT"


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return made_up_bars(300, M15)


def elsewhere(bars: pl.DataFrame, spread_bps: np.ndarray) -> pl.DataFrame:
    return bars.select("known_at", close=pl.col("close") / np.exp(spread_bps / 1e4))


def test_the_spread_is_in_basis_points_of_the_other_price(bars: pl.DataFrame) -> None:
    spread = np.random.default_rng(1).normal(5, 3, bars.height)
    rows = compute(bars, {"second_exchange": elsewhere(bars, spread)}, timeframe=M15, features=NAMES)
    told = spread[-rows.height :]
    assert rows["exchange_spread_bps"].to_list() == pytest.approx(told)
    assert rows["exchange_spread_change_4"].to_list() == pytest.approx(told - spread[-rows.height - 4 : -4])
    last = spread[-96:]
    assert rows["exchange_spread_score_96"][-1] == pytest.approx((last[-1] - last.mean()) / last.std())


def test_a_spread_at_rest_has_no_score(bars: pl.DataFrame) -> None:
    rows = compute(bars, {"second_exchange": elsewhere(bars, np.zeros(bars.height))}, timeframe=M15, features=NAMES)
    assert set(rows["exchange_spread_score_96"]) == {0.0}


def test_a_price_that_is_a_bar_old_is_none(bars: pl.DataFrame) -> None:
    other = elsewhere(bars, np.ones(bars.height))
    stale = other.filter(pl.col("known_at") != bars["known_at"][-1])
    rows = compute(bars, {"second_exchange": stale}, timeframe=M15, features=["exchange_spread_bps"])
    assert rows["exchange_spread_bps"].null_count() == 1
    assert rows["exchange_spread_bps"][-1] is None
    late = other.with_columns(pl.col("known_at") + timedelta(microseconds=1))
    told = compute(bars, {"second_exchange": late}, timeframe=M15, features=["exchange_spread_bps"])
    assert told["exchange_spread_bps"].is_null().all(), "what comes after the close is not known at the close"


def test_it_is_read_from_the_bars_of_the_market_that_the_settings_name(store, bars: pl.DataFrame) -> None:
    stored = bars.with_columns(market=pl.lit(THERE), candles=pl.lit(15, pl.Int32))
    store.upsert(BARS["15m"], stored)
    span = {"start": bars["ts"][0], "end": bars["known_at"][-1]}
    assert read_companions(store, HERE, timeframe=M15, **span) == {}
    found = read_companions(store, HERE, timeframe=M15, second_exchange=THERE, **span)
    assert found["second_exchange"].equals(bars.select("known_at", "close"))


def test_each_says_what_it_reads_and_how_far_it_looks_back() -> None:
    found = registry(M15)
    assert {name: (found[name].companions, found[name].lookback) for name in NAMES} == {
        "exchange_spread_bps": (("second_exchange",), 1),
        "exchange_spread_change_1": (("second_exchange",), 2),
        "exchange_spread_change_4": (("second_exchange",), 5),
        "exchange_spread_score_96": (("second_exchange",), 96),
    }


def project(**model: object) -> Settings:
    return Settings(
        sources={"sample": {"kind": "sample"}},
        markets={HERE: {"source": "sample", "second_exchange": THERE}, THERE: {"source": "sample"}},
        labels={"fast": {"timeframe": "15m"}, "slow": {"timeframe": "1h"}},
        models={"m": {"markets": [HERE], "label": "fast", **model}, "n": {"markets": [THERE], "label": "slow"}},
    )


def test_the_other_markets_bars_are_built_for_who_reads_them_and_come_first() -> None:
    read, unread = project(companions=["second_exchange"]), project()
    assert second_exchange_of(read, HERE) == THERE
    assert second_exchange_of(unread, HERE) is None
    assert read_beside(read) == [THERE]
    assert [one.name for one in bars_of(read, THERE)] == ["15m", "1h"]
    assert [one.name for one in bars_of(unread, THERE)] == ["1h"]
    assert read.markets_of(["m"]) == {HERE, THERE}


def test_the_node_refuses_a_model_that_reads_it_and_names_it() -> None:
    reads = SimpleNamespace(bundle=SimpleNamespace(model="m", features=NAMES, plugins=None))
    with pytest.raises(ModelError, match="it reads features of second_exchange, which the node does not hold"):
        Admission(project())._check_companions(reads)


def test_a_model_of_a_market_without_a_second_exchange_is_refused() -> None:
    with pytest.raises(ValidationError, match="sample:BTCB/USDT names no `second_exchange`"):
        project(companions=["second_exchange"], markets=[HERE, THERE])
