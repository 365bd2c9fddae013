"""Many markets' newest features in one call are to the bit what each market's bars give alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets import features
from trading_assets.core.errors import InvalidFrame
from trading_assets.core.timeframes import Timeframe

M15 = Timeframe.parse("15m")
LOOKBACK_BARS = features.lookback_bars(M15)

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
EXTRA = 40


def bars(market: int, rows: int) -> pl.DataFrame:
    """A market at a scale of its own, with missing bars, still minutes and bars without volume."""
    rng = np.random.default_rng(market)
    opened = np.sort(rng.choice(rows + rows // 10, rows, replace=False))
    ts = [BEGIN + int(number) * QUARTER for number in opened]
    move = rng.normal(0, 3e-3, rows) * (rng.random(rows) < 0.9)
    close = np.exp(np.cumsum(move)) * 10.0 ** rng.integers(-8, 6)
    before = np.concatenate(([close[0]], close[:-1]))
    spread = 1 + np.abs(rng.normal(0, 1e-3, rows))
    return pl.DataFrame(
        {
            "market": [f"sample:M{market}/USDT"] * rows,
            "ts": pl.Series(ts, dtype=pl.Datetime("us", "UTC")),
            "known_at": pl.Series([one + QUARTER for one in ts], dtype=pl.Datetime("us", "UTC")),
            "open": before,
            "high": np.maximum(before, close) * spread,
            "low": np.minimum(before, close) / spread,
            "close": close,
            "volume": rng.gamma(2.0, 400.0, rows) * (rng.random(rows) < 0.97),
        }
    )


@pytest.fixture(scope="module")
def held() -> list[pl.DataFrame]:
    return [bars(market, LOOKBACK_BARS + EXTRA * (market % 2)) for market in range(12)]


def alone(frames: list[pl.DataFrame], companions: list[dict[str, pl.DataFrame]]) -> pl.DataFrame:
    return pl.concat(
        features.compute(frame, others, timeframe=M15).tail(1) for frame, others in zip(frames, companions, strict=True)
    )


def framed(rows: list[features.FeatureRow]) -> pl.DataFrame:
    return pl.concat(row.frame for row in rows)


def test_together_they_are_to_the_bit_what_each_is_alone(held: list[pl.DataFrame]) -> None:
    none: list[dict[str, pl.DataFrame]] = [{}] * len(held)
    assert framed(features.compute_newest(held, timeframe=M15)).equals(alone(held, none))
    assert framed(features.compute_newest(held[:1], timeframe=M15)).equals(alone(held[:1], none[:1]))


@pytest.mark.parametrize("led", [range(12), range(5)])
def test_with_a_leader_of_all_or_of_some_too(held: list[pl.DataFrame], led: range) -> None:
    leader = held[0].select("known_at", "close")
    companions = [{"leader": leader} if market in led else {} for market in range(len(held))]
    assert framed(features.compute_newest(held, companions, timeframe=M15)).equals(alone(held, companions))


def test_too_few_bars_are_refused_by_name(held: list[pl.DataFrame]) -> None:
    with pytest.raises(InvalidFrame, match=r"sample:M1/USDT: 100 bars, the look-back is"):
        features.compute_newest([held[0], held[1].tail(100)], timeframe=M15)


def test_a_row_gives_numbers_in_any_order_and_a_null_as_nan(held: list[pl.DataFrame]) -> None:
    whole = alone(held[:1], [{}])
    (row,) = features.compute_newest(held[:1], timeframe=M15)
    wanted = tuple(reversed(row.names))
    expected = whole.select(wanted).cast(pl.Float64).to_numpy()[0]
    assert np.isnan(expected).any(), "no leader is given"
    np.testing.assert_array_equal(row.of(wanted), expected)
    np.testing.assert_array_equal(features.FeatureRow.of_frame(whole).of(wanted), expected)
    with pytest.raises(InvalidFrame, match="the row lacks the features unheard_of"):
        row.of(("roc_4", "unheard_of"))
