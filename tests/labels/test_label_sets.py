"""Label sets on any timeframe and side: known answers, and mirrored worlds have mirrored labels."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.labels import label
from trading_assets.settings import read_labels
from trading_assets.store.tables import LABELS

START = datetime(2025, 3, 1, tzinfo=UTC)
BOTH = (Side.LONG, Side.SHORT)


def bars_of(rows: list[tuple[float, float, float, float]], timeframe: str) -> pl.DataFrame:
    length = Timeframe.parse(timeframe).length
    ts = pl.Series([START + number * length for number in range(len(rows))], dtype=pl.Datetime("us", "UTC"))
    prices = pl.DataFrame(rows, schema=["open", "high", "low", "close"], orient="row")
    return pl.DataFrame({"market": ["m"] * len(rows), "ts": ts}).with_columns(known_at=ts + length).hstack(prices)


def labelled(bars: pl.DataFrame, timeframe: str, sides: tuple[Side, ...] = BOTH, **chosen: Any) -> pl.DataFrame:
    return label(
        bars,
        bars,
        label_set="s",
        settings=read_labels({"timeframe": timeframe, **chosen}),
        sides=sides,
        candle_timeframe=timeframe,
        until=bars["known_at"][-1],
    )


@pytest.mark.parametrize("timeframe", ["1m", "15m", "1h", "4h", "1d"])
def test_a_short_label_by_hand_on_any_timeframe(timeframe: str) -> None:
    flat = (100.0, 100.2, 99.8, 100.0)
    bars = bars_of([flat, flat, (100.0, 100.5, 97.9, 98.0), flat, flat, flat], timeframe)
    found = labelled(bars, timeframe, horizon_bars=3, take_profit_pct=2.0, stop_loss_pct=1.0, cost_bps=10.0)
    length = Timeframe.parse(timeframe).length
    assert found.schema == LABELS.columns
    long, short = found.head(2).iter_rows(named=True)
    assert (long["side"], long["barrier"], long["label"], long["bars_to_hit"]) == (1, "stop_loss", -1, 2)
    assert (short["side"], short["barrier"], short["label"], short["bars_to_hit"]) == (-1, "take_profit", 1, 2)
    assert long["return"] == pytest.approx(-0.01 - 0.001)
    assert short["return"] == pytest.approx(0.02 - 0.001)
    assert short["take_profit"] == 0.02, "a distance, also where the target lies below"
    assert short["label_end"] == START + 3 * length
    assert (short["timeframe"], short["label_set"]) == (timeframe, "s")


def test_a_forward_return_and_a_trend_pay_one_side() -> None:
    bars = bars_of([(100.0 + n, 101.0 + n, 99.0 + n, 100.5 + n) for n in range(12)], "1h")
    for kind in ("forward_return", "trend_scanning"):
        found = labelled(bars, "1h", kind=kind, horizon_bars=4, cost_bps=0.0)
        assert set(found.filter(side=1)["label"]) == {1}
        assert set(found.filter(side=-1)["label"]) == {-1}
        first = found.row(0, named=True)
        assert first["return"] == pytest.approx(104.5 / 100.5 - 1)
        assert first["label_end"] == first["known_at"] + timedelta(hours=4)
        assert found["barrier"].unique().to_list() == ["time"]
        dear = labelled(bars, "1h", kind=kind, horizon_bars=4, cost_bps=10_000.0)
        assert set(dear["label"]) == {-1}, "what costs eat does not pay"


@examples(40)
@given(
    moves=st.lists(st.integers(-30, 30), min_size=30, max_size=60),
    wicks=st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), min_size=60, max_size=60),
    timeframe=st.sampled_from(["1m", "1h", "1d"]),
    horizon=st.integers(1, 12),
    barriers=st.sampled_from(["fixed", "atr"]),
)
def test_a_mirrored_world_has_mirrored_labels(
    moves: list[int], wicks: list[tuple[int, int]], timeframe: str, horizon: int, barriers: str
) -> None:
    """Prices reflected at a level far from them: what is up is down, in the same distances."""
    level, tick = 1000.0, 0.125
    closes = level + tick * np.cumsum(moves)
    opens = np.concatenate([[level], closes[:-1]])
    rows = [
        (o, max(o, c) + tick * up, min(o, c) - tick * down, c)
        for o, c, (up, down) in zip(opens, closes, wicks, strict=False)
    ]
    mirrored = [(2 * level - o, 2 * level - low, 2 * level - high, 2 * level - c) for o, high, low, c in rows]
    chosen: dict[str, Any] = {"horizon_bars": horizon, "barriers": barriers, "scale_bars": 5, "cost_bps": 0.0}
    asked = {"take_profit_pct": 0.4, "stop_loss_pct": 0.3, "take_profit_multiple": 1.9, "stop_loss_multiple": 1.1}
    one, other = (labelled(bars_of(world, timeframe), timeframe, **chosen, **asked) for world in (rows, mirrored))
    seen = one.join(other.with_columns(-pl.col("side")), on=["ts", "side"], suffix="_there")
    assert seen.height == one.height == other.height
    # distances are shares of a price, which differ a little in the two worlds: a touch within that is left out
    near = seen.filter((pl.col("take_profit") - pl.col("take_profit_there")).abs() < 1e-3)
    apart = near.filter(pl.col("barrier") != pl.col("barrier_there"))
    assert apart.height <= 0.1 * max(near.height, 20)
    same = near.filter(pl.col("barrier") == pl.col("barrier_there"))
    assert (same["return"] - same["return_there"]).abs().max() in (None, pytest.approx(0, abs=2e-3))
