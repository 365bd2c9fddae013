from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.errors import InvalidFrame, SettingsError
from trading_assets.labels import label_window, missing_entries, triple_barrier
from trading_assets.settings import LabelSettings
from trading_assets.store.tables import LABELS

START = datetime(2025, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BAR = 15 * MINUTE
TIME = pl.Datetime("us", "UTC")

type Row = tuple[float, float, float, float]


def candles_of(rows: list[Row | None], *, step: timedelta = MINUTE, start: datetime = START + BAR) -> pl.DataFrame:
    """Candles from the first entry on; None is a missing one."""
    kept = [(start + number * step, *row) for number, row in enumerate(rows) if row is not None]
    return pl.DataFrame(kept, schema=["ts", "open", "high", "low", "close"], orient="row").cast({"ts": TIME})


def bars_of(count: int, *, start: datetime = START) -> pl.DataFrame:
    ts = pl.Series([start + number * BAR for number in range(count)], dtype=TIME)
    return pl.DataFrame({"market": ["m"] * count, "ts": ts, "known_at": ts + BAR})


def flat(price: float = 100.0) -> Row:
    return (price, price, price, price)


def label_one(rows: list[Row | None], *, ambiguous: str = "worst_case", horizon_bars: int = 1) -> dict[str, object]:
    """The label of one bar whose horizon is covered by ``rows``; take-profit 102, stop-loss 99."""
    labels = triple_barrier(
        bars_of(1),
        candles_of(rows),
        candle_timeframe="1m",
        settings=LabelSettings(horizon_bars=horizon_bars, ambiguous=ambiguous),
        until=START + BAR + horizon_bars * BAR,
    )
    return labels.row(0, named=True) if labels.height else {}


def test_a_high_at_the_take_profit_is_a_win_at_the_barrier_known_when_that_candle_closes():
    label = label_one([flat(), (100, 101.9, 99.1, 101), (101, 102, 100.5, 101.5), *[flat()] * 12])
    assert label["barrier"] == "take_profit"
    assert label["label"] == 1
    assert label["entry_price"] == 100
    assert label["return"] == pytest.approx(0.02)
    assert label["label_end"] == START + BAR + 3 * MINUTE
    assert label["bars_to_hit"] == 1
    assert not label["ambiguous"]
    assert label["resolution"] == "1m"


def test_a_low_at_the_stop_is_a_loss_even_where_the_target_is_reached_later():
    label = label_one([flat(), (100, 100, 99, 99.5), (101, 105, 101, 104), *[flat()] * 12])
    assert (label["barrier"], label["label"]) == ("stop_loss", -1)
    assert label["return"] == pytest.approx(-0.01)


def test_without_a_touch_the_exit_is_the_last_close_within_the_horizon():
    label = label_one([flat()] * 14 + [(100, 101, 100, 100.7)] + [(100, 200, 1, 150)] * 3)
    assert (label["barrier"], label["label"]) == ("time", 0)
    assert label["return"] == pytest.approx(0.007)
    assert label["label_end"] == START + 2 * BAR
    assert label["bars_to_hit"] == 1


def test_the_entry_candle_itself_can_touch():
    assert label_one([(100, 103, 100, 102), *[flat()] * 14])["label_end"] == START + BAR + MINUTE


def test_bars_to_hit_are_rounded_up():
    rows: list[Row | None] = [flat()] * 60
    for candle, bars in ((0, 1), (14, 1), (15, 2), (29, 2), (30, 3)):
        hit = [*rows[:candle], (100, 102, 100, 102), *rows[candle + 1 :]]
        assert label_one(hit, horizon_bars=4)["bars_to_hit"] == bars


@pytest.mark.parametrize(("policy", "label", "exit_return"), [("worst_case", -1, -0.01), ("best_case", 1, 0.02)])
def test_a_candle_that_touches_both_is_ambiguous_and_the_policy_decides(policy, label, exit_return):
    found = label_one([flat(), (100, 103, 98, 100), *[flat()] * 13], ambiguous=policy)
    assert found["ambiguous"]
    assert found["label"] == label
    assert found["return"] == pytest.approx(exit_return)


def test_the_policy_drop_leaves_ambiguous_rows_out():
    assert label_one([flat(), (100, 103, 98, 100), *[flat()] * 13], ambiguous="drop") == {}


def test_an_open_beyond_a_barrier_is_the_exit_price_and_never_ambiguous():
    up = label_one([flat(), (103, 104, 98, 100), *[flat()] * 13])
    assert (up["label"], up["ambiguous"], up["return"]) == (1, False, pytest.approx(0.03))
    down = label_one([flat(), (97, 104, 96, 100), *[flat()] * 13])
    assert (down["label"], down["ambiguous"], down["return"]) == (-1, False, pytest.approx(-0.03))


def test_missing_candles_within_the_horizon_are_absent_facts():
    label = label_one([flat(), None, None, (100, 101, 100, 100.5), *[None] * 11])
    assert label["barrier"] == "time"
    assert label["return"] == pytest.approx(0.005)
    assert label["label_end"] == START + 2 * BAR
    assert label["missing_candles"] == 13


def test_missing_candles_are_counted_up_to_the_touch_alone():
    touch = (100.0, 102.0, 100.0, 102.0)
    assert label_one([flat(), touch, *[None] * 13])["missing_candles"] == 0
    assert label_one([flat(), None, None, touch, *[None] * 11])["missing_candles"] == 2
    assert label_one([flat()] * 15)["missing_candles"] == 0


def test_a_missing_entry_candle_gives_no_label_and_is_reported():
    assert label_one([None, *[flat()] * 14]) == {}
    candles = candles_of([*[flat()] * 15, None, *[flat()] * 29])
    arguments = {"candle_timeframe": "1m", "settings": LabelSettings(horizon_bars=1), "until": START + 4 * BAR}
    assert triple_barrier(bars_of(3), candles, **arguments).height == 2
    assert missing_entries(bars_of(3), candles, **arguments)["ts"].to_list() == [START + BAR]


def test_only_rows_whose_whole_horizon_is_over_get_a_label():
    candles = candles_of([(100, 103, 100, 100)] * 45)
    for until, rows in ((START + 2 * BAR - MINUTE, 0), (START + 2 * BAR, 1), (START + 3 * BAR, 2)):
        labels = triple_barrier(
            bars_of(3), candles, candle_timeframe="1m", settings=LabelSettings(horizon_bars=1), until=until
        )
        assert labels.height == rows


def test_no_bars_or_no_candles_give_an_empty_table():
    for bars, candles in ((bars_of(0), candles_of([flat()] * 9)), (bars_of(3), candles_of([]))):
        labels = triple_barrier(bars, candles, candle_timeframe="1m", settings=LabelSettings(), until=START + 100 * BAR)
        assert labels.is_empty()
        assert dict(labels.schema) == {
            name: dtype() if isinstance(dtype, type) else dtype for name, dtype in LABELS.columns.items()
        }


def test_frames_that_cannot_be_labelled_are_refused():
    good = {"candle_timeframe": "1m", "settings": LabelSettings(), "until": START + 100 * BAR}
    candles = candles_of([flat()] * 60)
    with pytest.raises(InvalidFrame, match="no column close"):
        triple_barrier(bars_of(3), candles.drop("close"), **good)
    with pytest.raises(InvalidFrame, match="strictly ascending"):
        triple_barrier(bars_of(3), candles.reverse(), **good)
    with pytest.raises(InvalidFrame, match="known_at is before ts"):
        triple_barrier(bars_of(3).with_columns(pl.col("known_at").reverse()), candles, **good)
    with pytest.raises(InvalidFrame, match="several markets"):
        triple_barrier(bars_of(3).with_columns(market=pl.Series(["m", "n", "n"])), candles, **good)
    for bars, path in ((unknown(bars_of(3)), candles), (bars_of(3), unknown(candles))):
        with pytest.raises(InvalidFrame, match="ts has 1 nulls"):
            triple_barrier(bars, path, **good)
    with pytest.raises(InvalidFrame, match="open is not a positive number"):
        triple_barrier(bars_of(3), candles.with_columns(pl.col("open").cast(pl.String)), **good)
    with pytest.raises(InvalidFrame, match="open or close is not between low and high"):
        triple_barrier(bars_of(3), candles.with_columns(high=pl.col("low") * 0.9), **good)
    with pytest.raises(InvalidFrame, match="market is null"):
        triple_barrier(bars_of(3).with_columns(market=pl.lit(None, pl.String)), candles, **good)
    with pytest.raises(SettingsError, match="without a time zone"):
        triple_barrier(bars_of(3), candles, **good | {"until": datetime(2025, 4, 1)})  # noqa: DTZ001
    with pytest.raises(InvalidFrame, match="make it Datetime"):
        triple_barrier(bars_of(3).with_columns(pl.col("known_at").dt.replace_time_zone(None)), candles, **good)


def unknown(frame: pl.DataFrame) -> pl.DataFrame:
    """The second row has no time."""
    return frame.with_columns(ts=pl.when(pl.int_range(pl.len()) != 1).then("ts"))


def test_candles_of_another_timeframe_than_said_are_refused():
    minutes, quarters = candles_of([flat()] * 60), candles_of([flat()] * 60, step=BAR)
    given = {"settings": LabelSettings(horizon_bars=1), "until": START + 100 * BAR}
    with pytest.raises(SettingsError, match="candles of 1h do not end where bars of 15m end"):
        triple_barrier(bars_of(3), candles_of([flat()] * 9, step=4 * BAR), candle_timeframe="1h", **given)
    with pytest.raises(InvalidFrame, match="candles are of less, not of 15m"):
        triple_barrier(bars_of(3), minutes, candle_timeframe="15m", **given)
    said = quarters.with_columns(timeframe=pl.lit("15m"))  # as the store gives them
    assert triple_barrier(bars_of(3), said, candle_timeframe="15m", **given).height == 3
    with pytest.raises(InvalidFrame, match="candles are of 15m, not of 1m"):
        triple_barrier(bars_of(3), said, candle_timeframe="1m", **given)


@pytest.mark.parametrize("side", [2, -2, 0.5, math.nan, "long", True])
def test_a_side_that_is_none_is_refused_instead_of_being_rounded(side):
    bars = bars_of(3).with_columns(side=pl.lit(side))
    given = {"candle_timeframe": "1m", "settings": LabelSettings(horizon_bars=1), "until": START + 100 * BAR}
    with pytest.raises(InvalidFrame, match="a side is not 1, -1 or 0"):
        triple_barrier(bars, candles_of([flat()] * 60), **given)


def test_a_rule_that_has_not_warmed_up_bets_nothing():
    bars = bars_of(3).with_columns(side=pl.Series([None, 0.0, -1.0]))
    given = {"candle_timeframe": "1m", "settings": LabelSettings(horizon_bars=1), "until": START + 100 * BAR}
    assert triple_barrier(bars, candles_of([flat()] * 60), **given).select("ts", "side").rows() == [
        (START + 2 * BAR, -1)
    ]


def test_ambiguous_rows_can_be_kept_where_the_policy_drops_them():
    given = {"candle_timeframe": "1m", "until": START + 2 * BAR}
    candles = candles_of([flat(), (100, 103, 98, 100), *[flat()] * 13])
    drop, worst = (LabelSettings(horizon_bars=1, ambiguous=policy) for policy in ("drop", "worst_case"))
    assert triple_barrier(bars_of(1), candles, settings=drop, **given).is_empty()
    kept = triple_barrier(bars_of(1), candles, settings=drop, keep_ambiguous=True, **given)
    assert kept.equals(triple_barrier(bars_of(1), candles, settings=worst, **given))


# --- against a slow and obvious reference ---


def reference(
    bars: pl.DataFrame, candles: pl.DataFrame, step: timedelta, settings: LabelSettings, until: datetime
) -> list[tuple[object, ...]]:
    """(ts, label_end, barrier, bars_to_hit, ambiguous, missing candles, return), candle by candle."""
    rows = candles.rows(named=True)
    found: list[tuple[object, ...]] = []
    for bar in bars.rows(named=True):
        end = bar["known_at"] + settings.horizon_bars * BAR
        within = [row for row in rows if bar["known_at"] <= row["ts"] < end]
        if end > until or not within or within[0]["ts"] != bar["known_at"] or bar["side"] == 0:
            continue
        entry, side = within[0]["open"], bar["side"]
        target = entry * (1 + side * settings.take_profit_pct / 100)
        stop = entry * (1 - side * settings.stop_loss_pct / 100)
        barrier, price, at, both, seen = "time", within[-1]["close"], end, False, len(within)
        for number, row in enumerate(within):
            favourable, adverse = (row["high"], row["low"]) if side > 0 else (row["low"], row["high"])
            hit, stopped = side * (favourable - target) >= 0, side * (adverse - stop) <= 0
            if not hit and not stopped:
                continue
            at, seen = row["ts"] + step, number + 1
            if side * (row["open"] - target) >= 0 or side * (row["open"] - stop) <= 0:
                barrier = "take_profit" if side * (row["open"] - target) >= 0 else "stop_loss"
                price = row["open"]
            elif hit and stopped:
                both = True
                barrier = "take_profit" if settings.ambiguous == "best_case" else "stop_loss"
                price = target if barrier == "take_profit" else stop
            else:
                barrier, price = ("take_profit", target) if hit else ("stop_loss", stop)
            break
        if not (both and settings.ambiguous == "drop"):
            missing = (at - bar["known_at"]) // step - seen
            earned = side * (price / entry - 1)
            found.append((bar["ts"], at, barrier, math.ceil((at - bar["known_at"]) / BAR), both, missing, earned))
    return found


@st.composite
def worlds(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame, int, LabelSettings]:
    """Bars, candles with gaps, jumps and touches to the tick, minutes per candle, settings."""
    minutes = draw(st.sampled_from([1, 5, 15]))
    count = draw(st.integers(1, 60))
    size = count * 15 // minutes
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.0002, 0.003, 0.02]))
    close = 100 * np.exp(np.cumsum(rng.normal(0, scale, size)))
    open_ = np.concatenate([[100], close[:-1]]) * np.exp(rng.normal(0, scale / 2, size))
    high = np.maximum(open_, close) * (1 + rng.exponential(scale, size))
    low = np.minimum(open_, close) * (1 - rng.exponential(scale, size))
    decimals = draw(st.sampled_from([0, 1, 9]))
    prices = np.column_stack([open_, high, low, close]).round(decimals).clip(1)
    rows: list[Row | None] = [tuple(row) for row in prices.tolist()]
    gaps = draw(st.sampled_from([0.0, 0.1, 0.6]))
    candles = candles_of([None if rng.random() < gaps else row for row in rows], step=minutes * MINUTE)
    sides = draw(st.sampled_from([[1], [-1], [-1, 0, 1]]))
    settings_ = LabelSettings(
        take_profit_pct=draw(st.sampled_from([0.1, 0.5, 2.0])),
        stop_loss_pct=draw(st.sampled_from([0.1, 0.5, 1.0])),
        horizon_bars=draw(st.sampled_from([1, 2, 12, 40])),  # the search leaps by 256, 16 and 1 candles
        ambiguous=draw(st.sampled_from(["worst_case", "best_case", "drop"])),
    )
    return bars_of(count).with_columns(side=pl.Series(rng.choice(sides, count))), candles, minutes, settings_


@examples(150)
@given(world=worlds(), cut=st.integers(-5, 1_000))
def test_labels_equal_a_candle_by_candle_reference(world, cut):
    bars, candles, minutes, settings_ = world
    until = START + cut * MINUTE
    labels = triple_barrier(bars, candles, candle_timeframe=f"{minutes}m", settings=settings_, until=until)
    expected = reference(bars, candles, minutes * MINUTE, settings_, until)
    columns = ["ts", "label_end", "barrier", "bars_to_hit", "ambiguous", "missing_candles"]
    assert labels.select(columns).rows() == [row[:-1] for row in expected]
    np.testing.assert_allclose(labels["return"].to_numpy(), [row[-1] for row in expected], rtol=0, atol=1e-12)
    assert (labels["label_end"] > labels["known_at"]).all()


@examples(40)
@given(world=worlds(), cuts=st.lists(st.integers(0, 30), max_size=4))
def test_partition_by_partition_gives_the_same_table_as_all_at_once(world, cuts):
    bars, candles, minutes, settings_ = world
    end = START + 70 * BAR
    edges = [START, *sorted({START + cut * BAR for cut in cuts if cut}), end]
    arguments = {"candle_timeframe": f"{minutes}m", "settings": settings_}
    parts = []
    for start, stop in pairwise(edges):
        first, last = label_window(start, stop, settings=settings_)
        parts.append(
            triple_barrier(
                bars.filter((pl.col("ts") >= first) & (pl.col("ts") < last)),
                candles.filter((pl.col("ts") >= first) & (pl.col("ts") < stop)),
                until=stop,
                **arguments,
            )
        )
    whole = triple_barrier(bars, candles, until=end, **arguments)
    inside = whole.filter(pl.col("ts") >= label_window(START, end, settings=settings_)[0])
    assert pl.concat(parts).equals(inside)
    assert inside.height == whole.height


def test_a_partition_holds_the_rows_whose_horizon_ends_in_it():
    first, last = label_window(
        datetime(2025, 4, 1, tzinfo=UTC), datetime(2025, 5, 1, tzinfo=UTC), settings=LabelSettings()
    )
    assert (first, last) == (datetime(2025, 3, 31, 18, tzinfo=UTC), datetime(2025, 4, 30, 18, tzinfo=UTC))
    newest = last - BAR
    assert newest + BAR + LabelSettings().horizon_bars * BAR == datetime(2025, 5, 1, tzinfo=UTC)


def test_a_long_frame_is_labelled_part_by_part_without_a_seam():
    rng = np.random.default_rng(2)
    size = 40_000
    close = 100 * np.exp(np.cumsum(rng.normal(0, 2e-3, size)))
    open_ = np.concatenate([[100], close[:-1]])
    frame = pl.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_, close) * 1.001,
            "low": np.minimum(open_, close) * 0.999,
            "close": close,
        }
    )
    bars = bars_of(size)
    candles = pl.concat([bars.select(ts="known_at"), frame], how="horizontal")
    arguments = {"candle_timeframe": "15m", "settings": LabelSettings(horizon_bars=100), "until": START + size * BAR}
    whole = triple_barrier(bars, candles, **arguments)
    some = triple_barrier(bars[8_100:8_300], candles, **arguments)
    assert whole.height == size - 100
    assert some.equals(whole[8_100:8_300])


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0, None])
@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
def test_a_price_that_is_no_price_is_refused_instead_of_touching_a_barrier(column, bad):
    broken = pl.when(pl.int_range(pl.len()) == 7).then(pl.lit(bad, dtype=pl.Float64)).otherwise(column).alias(column)
    candles = candles_of([flat()] * 60).with_columns(broken)
    given = {"candle_timeframe": "1m", "until": START + 100 * BAR}
    with pytest.raises(InvalidFrame, match=f"{column} is not a positive number everywhere"):
        triple_barrier(bars_of(3), candles, settings=LabelSettings(), **given)
    if column != "open":  # the bars that scaled barriers are measured on
        bars = bars_of(60).with_columns(high=100.0, low=100.0, close=100.0).with_columns(broken)
        with pytest.raises(InvalidFrame, match=f"{column} is not a positive number everywhere"):
            triple_barrier(
                bars, candles_of([flat()] * 60), settings=LabelSettings(barriers="atr", scale_bars=5), **given
            )
