"""A feature that gives anything but one honest number per bar is refuted, and does not stop the proofs of others."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from trading_assets.core.timeframes import Timeframe
from trading_assets.features import compute
from trading_assets.features.framework.registry import REGISTRY, Registry
from trading_assets.features.framework.windows import shift
from trading_assets.features.proofs.divergences import undeclared_inputs
from trading_assets.features.proofs.proving import made_up_companions, prove
from trading_assets.features.proofs.soundness import unsound_values

M15 = Timeframe.parse("15m")


def _wrong(frame):
    raise KeyError("oops")


UNFIT = {
    "raises": (_wrong, "raises KeyError: 'oops' (line"),
    "too_short": (lambda frame: frame.close[1:], "returns an array of shape (1199,) for 1,200 bars"),
    "newest_alone": (lambda frame: frame.close[-1:], "returns an array of shape (1,) for 1,200 bars"),
    "matrix": (lambda frame: np.stack([frame.close, frame.open], axis=1), "of shape (1200, 2) for 1,200 bars"),
    "scalar": (lambda frame: 1.0, "returns float instead of a NumPy array"),
    "series": (lambda frame: pl.Series(frame.close), "returns Series instead of a NumPy array"),
    "texts": (lambda frame: frame.close.astype(str), "returns an array of <U32 instead of numbers"),
    "two_for_one": (lambda frame: (frame.close, frame.open), "returns 2 arrays for 1 names"),
    "missing": (lambda frame: np.full(len(frame), np.nan), "at 2025-01-01 00:15: nan is not a number"),
    "infinite": (lambda frame: frame.close / 0 * (frame.close > 0), "inf is infinite"),
    "percent": (lambda frame: frame.close, "is outside 0 .. 1"),
}
SOUND = {
    "honest": lambda frame: frame.close / shift(frame.close, 1),
    "flag": lambda frame: frame.close > frame.open,
    "count": lambda frame: (frame.close > frame.open).astype(np.int64),
    "single": lambda frame: frame.close.astype(np.float32),
}


@pytest.fixture(scope="module")
def mixed() -> Registry:
    registry = Registry()
    for name, function in {**{name: one for name, (one, _) in UNFIT.items()}, **SOUND}.items():
        top = 1.0 if name == "percent" else None
        add = registry.feature(name, inputs=["open", "close"], lookback=2, unit="u", source="s", low=0, high=top)
        add(function)
    return registry


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_is_no_number_per_bar_is_refuted_by_name_and_the_others_are_proven(make_bars, mixed):
    verdicts = {one.feature: one for one in prove(mixed.on(M15), make_bars(1_200, M15), replayed=1_196)}
    for name, (_, message) in UNFIT.items():
        assert message in str(verdicts[name].failures["values"]), name
    assert [name for name in SOUND if not verdicts[name].proven] == []


ROWS = 3_000
PRICES = ("open", "high", "low", "close")


def _jumping(bars: pl.DataFrame, share: float = 0.02) -> pl.DataFrame:
    """A share of the bars, the fiftieth part, opens half or twice as high as the one before closed."""
    rng = np.random.default_rng(4)
    level = np.exp(np.cumsum(np.where(rng.random(ROWS) < share, rng.choice([-0.69, 0.69], ROWS), 0)))
    return bars.with_columns(pl.col(*PRICES) * level)


def _stepping(bars: pl.DataFrame, length: int) -> pl.DataFrame:
    """Bars without a range, whose price moves once in so many bars."""
    level = bars["close"].gather(np.arange(ROWS) // length * length)
    return bars.with_columns(level.alias(name) for name in PRICES)


HARSH = {
    "ordinary": lambda bars: bars,
    "cheap": lambda bars: bars.with_columns(pl.col(*PRICES) * 1e-8),
    "dear": lambda bars: bars.with_columns(pl.col(*PRICES) * 1e6, pl.col("volume") * 1e-9),
    "jumps of half the price": _jumping,
    "steps of 7 bars": lambda bars: _stepping(bars, 7),
    "steps of 24 bars": lambda bars: _stepping(bars, 24),
    "steps of a day without volume": lambda bars: _stepping(bars, 96).with_columns(volume=pl.lit(0.0)),
    "a straight line": lambda bars: bars.with_columns((100 + pl.int_range(pl.len()) / 10).alias(x) for x in PRICES),
    "volume once in 300 bars": lambda bars: bars.with_columns(volume=1e9 * (pl.int_range(pl.len()) % 300 == 0)),
}


def test_supertrend_is_below_the_price_when_up_and_above_when_down_however_wild_the_bars(bars):
    rows = compute(_jumping(bars, share=0.6), timeframe=M15)
    wild = rows.filter(pl.col("natr_14") > 0.4)  # the lower band is below zero
    assert wild.height > 100
    assert ((wild["supertrend_direction_10"] > 0) == (wild["supertrend_distance_10"] > 0)).all()


@pytest.mark.parametrize("market", HARSH)
def test_every_value_of_the_project_is_finite_and_in_its_declared_range(bars, companions, market):
    assert unsound_values(REGISTRY.on(M15), compute(HARSH[market](bars), companions, timeframe=M15)) == []


def _loses_falls(frame):
    returns = frame.log_return
    returns[returns < 0] = 0
    return returns


def _lowers_averages(frame):
    mean = frame.ema(9)
    mean -= 1
    return frame.close - mean


def _forgets_the_leader(frame):
    close = frame.companion("leader.close")
    close[:] = 1
    return close


def test_a_feature_that_writes_into_what_others_read_is_refuted_not_they(make_bars):
    own, bars = Registry(), make_bars(1_000, M15)
    for function in (_loses_falls, _lowers_averages, _forgets_the_leader):
        inputs = ["leader.close"] if function is _forgets_the_leader else ["close"]
        own.feature(function.__name__, inputs=inputs, lookback=256, unit="u", source="s")(function)
    own.feature("victim", inputs=["close", "leader.close"], lookback=256, unit="u", source="s")(
        lambda frame: frame.log_return + frame.ema(9) + np.nan_to_num(frame.companion("leader.close"))
    )
    verdicts = prove(own.on(M15), bars, made_up_companions(bars, M15), replayed=200)
    assert [one.feature for one in verdicts if one.proven] == ["victim"]
    assert all("read-only" in str(one.failures["values"]) for one in verdicts[:3])


def test_the_proof_finds_times_and_companions_that_are_read_unsaid(bars, companions):
    own = Registry()

    def reads(name: str, *inputs: str):
        return own.feature(name, inputs=["close", *inputs], lookback=1, unit="u", source="s")

    reads("clock")(lambda frame: frame.close * (frame.ts % 7))
    reads("clock_said", "ts")(lambda frame: frame.close * (frame.ts % 7))
    reads("leader")(lambda frame: frame.close + np.nan_to_num(frame.companion("leader.close")))
    reads("leader_said", "leader.close")(lambda frame: frame.close + frame.companion("leader.close"))
    reads("other_column", "book.spread_bps")(lambda frame: frame.companion("book.depth_imbalance"))
    found = {one.feature for one in undeclared_inputs(own.on(M15), bars, companions)}
    assert found == {"clock", "leader", "other_column"}
