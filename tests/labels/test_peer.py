"""The triple barrier beside another implementation, where both mean the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.labels import triple_barrier
from trading_assets.settings import LabelSettings

START = datetime(2025, 3, 1, tzinfo=UTC)
BAR = timedelta(minutes=15)
ROWS, HORIZON = 3_000, 24


def market(seed: int) -> pl.DataFrame:
    """Bars that each open at the last one's close: then the close at which the peer enters is the next bar's open."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.004, ROWS)))
    opens = np.concatenate([[100.0], close[:-1]])
    wick = rng.exponential(0.002, (2, ROWS))
    ts = pl.datetime_range(START, START + ROWS * BAR, BAR, closed="left", time_unit="us", eager=True)
    return pl.DataFrame({"market": "m", "ts": ts, "open": opens, "close": close}).with_columns(
        known_at=pl.col("ts") + BAR,
        high=pl.Series(np.maximum(opens, close) * (1 + wick[0])),
        low=pl.Series(np.minimum(opens, close) * (1 - wick[1])),
    )


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("seed", range(3))
def test_ml4t_engineer_finds_the_same_outcomes(seed: int, side: int) -> None:
    labelling = pytest.importorskip("ml4t.engineer.labeling")
    config = pytest.importorskip("ml4t.engineer.config").LabelingConfig.triple_barrier(
        upper_barrier=0.02, lower_barrier=0.01, max_holding_period=HORIZON, side=side
    )
    bars = market(seed)
    theirs = labelling.triple_barrier_labels(
        bars.drop("known_at", "market"),
        config,
        price_col="close",
        high_col="high",
        low_col="low",
        open_col="open",
        timestamp_col="ts",
    )
    ours = triple_barrier(
        bars.with_columns(side=pl.lit(side)),
        bars,
        candle_timeframe="15m",
        settings=LabelSettings(horizon_bars=HORIZON),
        until=bars["known_at"][-1],
    )
    both = ours.join(theirs.select("ts", "label_return", "label_time", "barrier_hit"), on="ts")
    assert both.height == ours.height == ROWS - HORIZON
    names = {"upper": "take_profit", "lower": "stop_loss", "time": "time"}
    assert both["barrier"].to_list() == both["barrier_hit"].replace(names).to_list()
    assert set(both["barrier"]) == set(names.values())
    np.testing.assert_allclose(both["return"].to_numpy(), both["label_return"].to_numpy(), rtol=0, atol=1e-12)
    assert (both["label_end"] == both["label_time"] + BAR).all()  # theirs is the open of the bar that touched
