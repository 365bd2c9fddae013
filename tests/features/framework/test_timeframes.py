"""One name means the same on every timeframe: a day is a day, 14 bars are 14; what says nothing is left out."""

from __future__ import annotations

import re
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.features.conftest import TIMEFRAMES, World
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import DAY, WEEK, Span, compute, lookback_bars, registry, select
from trading_assets.features.framework.registry import REGISTRY, Registry
from trading_assets.features.framework.selection import RENAMED
from trading_assets.features.framework.windows import rolling_mean
from trading_assets.features.proofs.proving import made_up_bars, made_up_companions

M15, D1 = Timeframe.parse("15m"), Timeframe.parse("1d")
EVERY = [Timeframe(minutes) for minutes in range(1, 1441) if 1440 % minutes == 0]


@given(timeframe=st.sampled_from(EVERY))
def test_a_window_in_time_has_the_bars_of_that_time_and_one_in_bars_has_these(timeframe):
    for feature in registry(timeframe).values():
        for name, window in feature.windows.items():
            if isinstance(window, Span):
                assert feature.parameters[name] * timeframe.length >= window.length
                assert (feature.parameters[name] - 1) * timeframe.length < window.length
            else:
                assert feature.parameters[name] == window


@given(timeframe=st.sampled_from(EVERY))
def test_no_day_or_week_is_written_in_bars(timeframe):
    """Windows in bars are the same numbers on every timeframe; those in time scale with it."""
    spans = {"1d": timedelta(days=1), "7d": timedelta(days=7), "12h": timedelta(hours=12), "4h": timedelta(hours=4)}
    for name, feature in registry(timeframe).items():
        for part in re.findall(r"(?<![a-z])(\d+[dh])(?=_|$)", name):
            windows = {str(window) for window in feature.windows.values()}
            assert part in windows, name
            assert feature.lookback * timeframe.length >= spans[part], name


@pytest.mark.parametrize("timeframe", TIMEFRAMES, ids=str)
def test_changes_and_means_over_a_day_and_a_week_are_those_of_so_many_bars(world, timeframe):
    bars, companions = world(timeframe)
    row, close = compute(bars, companions, timeframe=timeframe).row(-1, named=True), bars["close"].to_numpy()
    funding = pl.Series("rate", companions["funding"]["rate"])
    for span in (DAY, WEEK):
        count = span.bars(timeframe)
        if f"roc_{span}" in row:
            assert row[f"roc_{span}"] == pytest.approx(close[-1] / close[-1 - count] - 1, rel=1e-12)
        if f"sma_{span}_distance" in row:
            assert row[f"sma_{span}_distance"] == pytest.approx(close[-1] / close[-count:].mean() - 1, abs=1e-12)
            high, low = bars["high"].to_numpy()[-count:].max(), bars["low"].to_numpy()[-count:].min()
            assert row[f"high_{span}_distance"] == pytest.approx(close[-1] / high - 1, abs=1e-12)
            assert row[f"low_{span}_distance"] == pytest.approx(close[-1] / low - 1, abs=1e-12)
            squares = np.diff(np.log(close))[-count:] ** 2
            assert row[f"realised_volatility_{span}"] == pytest.approx(np.sqrt(squares.mean()), rel=1e-9)
    assert row["funding_rate"] is None or row["funding_rate"] in funding.to_list()
    ago = bars["known_at"][-1] - timedelta(days=1)
    known = companions["funding"].filter((pl.col("known_at") < ago) & (pl.col("known_at") >= ago - timedelta(days=1)))
    if known.height and row["funding_change_1d"] is not None:
        assert row["funding_change_1d"] == pytest.approx(row["funding_rate"] - known["rate"][-1], abs=1e-15)


def test_on_15_minutes_what_has_another_name_has_the_windows_of_its_old_one():
    features = registry(M15)
    for old, new in RENAMED.items():
        assert [int(one) for one in re.findall(r"\d+", old)] == [
            features[new].parameters[name] for name in ("short", "long", "bars") if name in features[new].parameters
        ], old
        assert old not in REGISTRY.declared


@pytest.mark.parametrize("timeframe", TIMEFRAMES, ids=str)
def test_no_feature_of_a_timeframe_stands_still_or_repeats_another(timeframe):
    """What would never change, or be always null, is left out; a daily bar's previous day is the bar before."""
    bars = made_up_bars(lookback_bars(timeframe) + max(WEEK.bars(timeframe) + 96, 900), timeframe)
    jumping = bars.with_columns(open=(pl.col("open") + pl.col("low")) / 2)
    rows = compute(jumping, made_up_companions(bars, timeframe), timeframe=timeframe)
    names = [name for name, one in registry(timeframe).items() if one.family != "patterns"]
    assert [name for name in names if rows[name].drop_nulls().n_unique() < 2] == []
    seen: dict[bytes, str] = {}
    twice = []
    for name in names:
        other = seen.setdefault(rows[name].to_numpy().round(12).tobytes(), name)
        twice += [{other, name}] if other != name else []
    assert twice == ([{"roc_1", "previous_close_distance"}] if timeframe == D1 else [])


def test_what_has_too_few_bars_on_a_timeframe_is_left_out_by_its_rule():
    own = Registry()

    @own.feature("mean_{bars}", inputs=["close"], each=[{"bars": DAY}, {"bars": 3}], lookback=lambda bars: bars, **U)
    def mean(frame, bars):
        return rolling_mean(frame.close, bars)

    @own.feature("half_day", inputs=["ts"], lookback=1, within=Span("12h"), minimum=2, whole=True, **U)
    def half_day(frame):
        return frame.ts % Span("12h").micros

    sets = {text: own.on(Timeframe.parse(text)).names for text in ("15m", "6h", "8h", "12h", "1d", "96m")}
    assert sets == {
        "15m": ("mean_1d", "mean_3", "half_day"),
        "6h": ("mean_1d", "mean_3", "half_day"),
        "8h": ("mean_3",),
        "12h": ("mean_3",),
        "1d": ("mean_3",),
        "96m": ("mean_1d", "mean_3"),
    }
    assert own.declared["half_day"].undefined(Timeframe.parse("96m")) == "12h is no whole number of its bars"
    assert "has 3 of its bars, and at least 4" in own.declared["mean_1d"].undefined(Timeframe.parse("8h"))


U = {"unit": "u", "source": "s"}


@pytest.mark.parametrize("timeframe", EVERY, ids=str)
def test_by_default_no_timeframe_waits_longer_than_three_years_for_its_first_row(timeframe):
    everything = select(None, timeframe)
    assert everything.lookback <= timedelta(days=3 * 365 + 1)
    assert set(everything.names) <= set(REGISTRY.defined(timeframe).names)
    if timeframe.length <= timedelta(hours=12):
        assert everything.names == REGISTRY.defined(timeframe).names


def test_what_looks_back_for_longer_is_there_when_it_is_named():
    assert "ema_200_distance" not in registry(D1)
    assert select(["ema_200_distance"], D1).lookback == timedelta(days=2_048)
    assert "ema_200_distance" not in select(["ema_*"], D1).names
    assert "ema_50_distance" in select(["ema_*"], D1).names


def test_an_hour_of_five_minutes_and_a_minute_look_back_on_the_same_time():
    minute, five = Timeframe.parse("1m"), Timeframe.parse("5m")
    wanted = ["roc_7d", "sma_1d_distance", "h4_rsi_14"]
    assert select(wanted, minute).lookback - select(wanted, five).lookback < timedelta(minutes=5)
    assert lookback_bars(minute, ["momentum"]) == 7 * 1440 + 1


def test_bars_of_another_timeframe_are_refused(world: World):
    from trading_assets.core.errors import InvalidFrame

    bars, _ = world(Timeframe.parse("1h"))
    with pytest.raises(InvalidFrame, match="a bar is not of 15m; give 15m bars"):
        compute(bars, timeframe=M15)
