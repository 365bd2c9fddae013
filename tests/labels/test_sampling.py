"""The clock of activity: it ticks as often as asked for, by what was known, and the same from any part of a history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.timeframes import Timeframe
from trading_assets.labels.sampling import lookback_bars, ticks
from trading_assets.settings import LabelSettings, SamplingSettings

START: Final = datetime(2025, 3, 1, tzinfo=UTC)
WAYS: Final = ("volume", "notional", "imbalance", "moves")
DAY: Final = timedelta(days=1)


def walk(rows: int, timeframe: str = "1h", *, seed: int = 1, start: datetime = START) -> pl.DataFrame:
    length = Timeframe.parse(timeframe).length
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.standard_t(4, rows) * 3e-3))
    opened = np.concatenate([[100.0], close[:-1]])
    ts = pl.datetime_range(start, start + length * (rows - 1), length, time_unit="us", time_zone="UTC", eager=True)
    return pl.DataFrame(
        {
            "market": ["m"] * rows,
            "ts": ts,
            "known_at": ts + length,
            "open": opened,
            "high": np.maximum(opened, close) * 1.001,
            "low": np.minimum(opened, close) * 0.999,
            "close": close,
            "volume": rng.lognormal(3, 1, rows),
        }
    )


def by_hand(bars: pl.DataFrame, sampling: SamplingSettings) -> list[bool]:
    """One bar after the other, from the definition."""
    said, before = [], None
    steps: dict[Any, list[float]] = {}
    for row in bars.iter_rows(named=True):
        day = row["ts"].date()
        step = {
            "volume": row["volume"],
            "notional": row["volume"] * row["close"],
            "imbalance": row["volume"] * row["close"] * float(np.sign(row["close"] - row["open"])),
            "moves": 0.0 if before is None else float(np.log(row["close"] / before)),
        }[sampling.by]
        if day not in steps:
            up = down = 0.0
            usual = [steps[day - n * DAY] for n in range(1, sampling.days + 1) if day - n * DAY in steps]
            whole = bars["ts"][0].date() < day - sampling.days * DAY
            steps[day] = []
            squares = sampling.by in ("imbalance", "moves")
            totals = [sum(s * s if squares else s for s in one) for one in usual]
            limit = sum(totals) / len(totals) / sampling.per_day if totals and whole else 0.0
            if squares and limit:
                rows, sums = sum(map(len, usual)), 2 if sampling.by == "moves" else 1
                far = np.sqrt(sums * rows / len(usual) / sampling.per_day) - 0.583 * sums
                limit = float(np.sqrt(sum(totals) / rows) * max(far, 0.0))
        steps[day].append(step)
        up = max(up + step, 0.0) if sampling.by == "moves" else up + step
        down = max(down - step, 0.0) if sampling.by == "moves" else -up
        ticked = limit > 0 and max(up, down) >= limit * (1 - 1e-12)
        said.append(ticked)
        if ticked:
            up = down = 0.0
        before = row["close"]
    return said


@pytest.mark.parametrize("by", WAYS)
def test_the_clock_is_the_one_that_its_definition_says(by: Any) -> None:
    bars = walk(24 * 14)
    for sampling in (SamplingSettings(by=by, per_day=6, days=3), SamplingSettings(by=by, per_day=11.5, days=1)):
        assert ticks(bars, sampling).to_list() == by_hand(bars, sampling)


@pytest.mark.parametrize("by", WAYS)
def test_it_ticks_about_as_often_as_asked_for_and_more_on_a_busy_day(by: Any) -> None:
    minutes = walk(1440 * 12, "1m")
    sampling = SamplingSettings(by=by, per_day=40, days=3)
    counts = minutes.with_columns(ticks(minutes, sampling)).group_by(day=pl.col("ts").dt.date()).agg(pl.sum("ticks"))
    counts = counts.sort("day")["ticks"]
    assert counts[:4].to_list() == [0, 0, 0, 0], "three whole days before, and the one in which the history begins"
    assert counts[4:].mean() == pytest.approx(40, rel=0.25)  # prices here jump more than a normal walk
    today = pl.col("ts") >= minutes["ts"][-1440]
    busy = minutes.with_columns(
        volume=pl.when(today).then(pl.col("volume") * 5).otherwise("volume"),
        close=pl.when(today).then(pl.col("open") * (pl.col("close") / pl.col("open")) ** 3).otherwise("close"),
    )
    assert ticks(busy, sampling)[-1440:].sum() > 1.5 * ticks(minutes, sampling)[-1440:].sum()


@examples(40)
@given(
    by=st.sampled_from(WAYS),
    days=st.integers(1, 3),
    per_day=st.floats(1, 20),
    lost=st.sets(st.integers(0, 24 * 9 - 1), max_size=40),
    at=st.integers(24 * 5, 24 * 9 - 50),
    seed=st.integers(0, 9),
)
def test_a_tick_depends_on_its_look_back_alone(
    by: Any, days: int, per_day: float, lost: set[int], at: int, seed: int
) -> None:
    """Gaps or not: what a node holds, a month of the history and the whole of it tick on the same bars."""
    sampling = SamplingSettings(by=by, per_day=per_day, days=days)
    whole = walk(24 * 9, seed=seed).filter(~pl.int_range(pl.len()).is_in(list(lost)))
    said = ticks(whole, sampling)
    needed = lookback_bars(sampling, Timeframe(60))
    assert ticks(whole[: at + 1], sampling).equals(said[: at + 1]), "nothing that comes later counts"
    for end in range(max(needed, at), min(at + 30, whole.height) + 1):
        assert ticks(whole[end - needed : end], sampling)[-1] == said[end - 1]


def test_a_market_that_does_not_trade_ticks_never() -> None:
    still = walk(24 * 8).with_columns(volume=pl.lit(0.0), close=pl.lit(100.0), open=pl.lit(100.0))
    for by in WAYS:
        assert ticks(still, SamplingSettings(by=by, days=2)).sum() == 0  # type: ignore[arg-type]


def test_a_clock_that_would_tick_on_every_bar_is_refused() -> None:
    with pytest.raises(ValueError, match=r"per_day 24 is not below the 24 bars of 1h in a day: take a finer timeframe"):
        LabelSettings(timeframe="1h", sampling={"by": "volume", "per_day": 24})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not below the 1 bars of 1d"):
        LabelSettings(timeframe="1d", sampling={"by": "moves"})  # type: ignore[arg-type]
