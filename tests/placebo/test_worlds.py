"""Null worlds have nothing to find, and are otherwise like a market."""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.core.errors import SettingsError
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.labels import triple_barrier
from trading_assets.placebo.rearranging import FIRST_PRICE, MARKET, START, excerpt, mirrored, permuted, shifted
from trading_assets.placebo.worlds import KINDS, PERMUTED, PLANTED, RANDOM_WALK, REVERTING, SHIFTED, World, worlds
from trading_assets.settings import LabelSettings
from trading_assets.sources.ingest.candle_validation import split_valid

if TYPE_CHECKING:
    from conftest import PlantedFrames


@pytest.mark.parametrize("kind", KINDS)
def test_a_worlds_candles_are_valid_and_its_seed_decides_them(kind: str) -> None:
    candles = World(kind, seed=3, days=4).candles()
    assert candles.equals(World(kind, seed=3, days=4).candles())
    assert not candles.equals(World(kind, seed=4, days=4).candles())
    end = START + timedelta(days=4)
    raw = candles.drop("market", "timeframe")
    good, bad = split_valid(raw, market=MARKET, timeframe="1m", start=START, end=end, now=end)
    assert bad.is_empty()
    assert good.height == 4 * 1440


def test_the_kinds_take_turns_and_no_world_comes_twice() -> None:
    found = worlds(null=60, planted=10, reverting=5, days=150)
    assert len(set(found)) == 75
    counts = {kind: sum(world.kind == kind for world in found) for kind in KINDS}
    assert counts == dict.fromkeys(KINDS, 20) | {PLANTED: 10, REVERTING: 5}
    assert all(world.has_edge == (world.kind in (PLANTED, REVERTING)) for world in found)
    with pytest.raises(SettingsError, match="at least one world"):
        worlds(null=0, planted=0, days=150)


@pytest.mark.parametrize(
    ("timeframe", "candles", "days"), [("1m", "1m", 4), ("15m", "1m", 60), ("1h", "5m", 240), ("1d", "1h", 5760)]
)
def test_a_world_has_the_same_bars_to_find_its_edge_in_on_every_timeframe(
    timeframe: str, candles: str, days: int
) -> None:
    """Bars of an episode rise or fall by as many of their own deviations, whatever their length."""
    bar = Timeframe.parse(timeframe)
    *_, world = worlds(null=1, planted=1, days=days, timeframe=bar)
    made = world.candles()
    assert set(made["timeframe"]) == {candles}
    bars = made.group_by_dynamic("ts", every=timeframe).agg(pl.col("close").last())
    assert bars.height == days * 1440 // bar.minutes
    steps = bars["close"].log().diff().drop_nulls().to_numpy()
    day = 24
    lasting = np.array([chunk.sum() for chunk in np.array_split(steps, len(steps) // day)])
    assert lasting.std() > 1.2 * steps.std() * np.sqrt(day), "prices go further than a martingale's would"
    assert 0.4 < steps.std() * np.sqrt(365 * 1440 / bar.minutes) < 1.1, (
        "the volatility of a year is everywhere the same"
    )


def test_worlds_for_other_decisions_are_other_worlds() -> None:
    asked = [
        dict(zip(("timeframe", "sides"), (Timeframe.parse(name), sides), strict=True))
        for name in ("15m", "1h")
        for sides in ([Side.LONG], [Side.SHORT])
    ]
    made = [worlds(null=1, planted=0, days=4, candles="5m", **one)[0].candles()["close"] for one in asked]
    for one, other in combinations(made, 2):
        assert np.corrcoef(one.log().diff()[1:], other.log().diff()[1:])[0, 1] < 0.15


def test_what_a_rule_wants_is_moved_in_time_and_stays_one_answer_for_both_sides() -> None:
    ts = pl.datetime_range(START, START + timedelta(days=3), "15m", closed="left", time_unit="us", eager=True)
    wanted = pl.Series(np.random.default_rng(1).integers(-1, 2, len(ts)).astype(float))
    bars = pl.DataFrame({"market": [MARKET] * len(ts), "ts": ts, "wanted": wanted})
    rows = bars.join(pl.DataFrame({"side": [1, -1]}), how="cross").select("market", "ts", "side", "wanted")
    moved = World(SHIFTED, seed=1, days=3).wanted(rows, "wanted")
    assert moved.drop("wanted").equals(rows.drop("wanted"))
    assert (moved.group_by("ts").agg(pl.col("wanted").n_unique())["wanted"] == 1).all()
    assert sorted(moved["wanted"]) == sorted(rows["wanted"])
    assert (moved["wanted"] == rows["wanted"]).mean() < 0.5  # type: ignore[operator]
    assert World(PLANTED, seed=1, days=3).wanted(rows, "wanted") is rows


def test_a_stronger_edge_carries_prices_further_and_is_another_world() -> None:
    *_, plain = worlds(null=1, planted=1, days=60)
    *_, strong = worlds(null=1, planted=1, days=60, edge=2.0)
    assert plain.stream != strong.stream
    hours = [world.candles()["close"].log()[::60].diff().drop_nulls().to_numpy() for world in (plain, strong)]
    ties = [np.corrcoef(steps[1:], steps[:-1])[0, 1] for steps in hours]
    assert ties[0] + 0.1 < ties[1]


def test_a_reverting_world_gives_back_the_wanted_share_of_its_moves() -> None:
    """Of independent moves the variance over long stretches tells what is left of each, once the rest is given back."""
    made = {share: World(REVERTING, 1, 360, candle_timeframe="15m", edge=share).candles() for share in (0.25, 0.75)}
    for share, candles in made.items():
        steps = candles["close"].log().diff().drop_nulls().to_numpy()
        two_days = steps[: len(steps) // 192 * 192].reshape(-1, 192).sum(axis=1)
        left = two_days.std() / (steps.std() * np.sqrt(192))
        assert left == pytest.approx(1 - share, abs=0.15)
    with pytest.raises(SettingsError, match=r"a market cannot give back 1\.5 times its moves"):
        worlds(null=0, planted=0, reverting=1, days=60, edge=1.5)


def test_the_worlds_that_the_tables_of_the_docs_were_made_on_are_still_these() -> None:
    sums = {kind: float(World(kind, 1, 4).candles()["close"].sum()) for kind in (PLANTED, RANDOM_WALK)}
    assert sums == pytest.approx({PLANTED: 52_636_589.92, RANDOM_WALK: 56_320_849.51}, rel=1e-9)


def test_candles_that_bars_cannot_be_built_from_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"15m bars cannot be built from candles of 4m; candles of 1m are"):
        worlds(null=1, planted=0, days=4, candles="4m")


@given(seed=st.integers(0, 1000), days=st.integers(1, 6))
def test_permuted_candles_are_those_of_the_market_in_other_order_without_its_drift(seed: int, days: int) -> None:
    source = (
        World(PLANTED, seed=1, days=3)
        .candles()
        .with_columns(pl.col("open", "high", "low", "close") * (1 + 0.0005 * pl.int_range(pl.len())))
    )
    made = permuted(source, "1m", np.random.default_rng(seed), days=days, block=60)
    assert made.height == days * 1440
    assert set(made["volume"]) <= set(source["volume"])
    if days == 3:  # each hour exactly once
        assert sorted(made["volume"]) == sorted(source["volume"])
        closes = np.concatenate([[FIRST_PRICE], made["close"].to_numpy()])
        assert abs((closes[1:] / closes[:-1] - 1).mean()) < 1e-12
    shape, given_shape = (
        frame.select((pl.col("high") / pl.col("low")).log().alias("range")) for frame in (made, source)
    )
    assert shape["range"].max() <= given_shape["range"].max() + 1e-12  # type: ignore[operator]


def test_a_mirrored_market_keeps_its_sizes_and_its_coin_is_fair_to_the_last_bit(real_candles: Path) -> None:
    source = pl.read_parquet(real_candles / "binance_BTC-USDT_15m.parquet")[:2000]
    worlds = [mirrored(source, "15m", np.random.default_rng(seed)) for seed in range(8)]
    steps = np.array(
        [
            np.diff(world["close"].to_numpy(), prepend=FIRST_PRICE) / world["close"].shift(1, fill_value=FIRST_PRICE)
            for world in worlds
        ]
    )
    up, down = steps.max(axis=0), steps.min(axis=0)
    tossed_both = up > 0
    tossed_both &= down < 0
    assert tossed_both.mean() > 0.95
    assert np.abs(up + down)[tossed_both].max() < 1e-12, "a martingale: what a step may win is what it may lose"
    for world in worlds:
        assert world["volume"].equals(source["volume"])
        ranges, real = ((frame["high"] / frame["low"]).log() for frame in (world, source))
        assert np.allclose(ranges, real, atol=1e-12)


def test_an_excerpt_is_a_stretch_of_its_market_and_cannot_be_longer(real_candles: Path) -> None:
    source = pl.read_parquet(real_candles / "binance_BTC-USDT_15m.parquet")
    found = {seed: excerpt(source, "15m", np.random.default_rng(seed), days=300) for seed in range(5)}
    for stretch in found.values():
        at = source.with_row_index().filter(pl.col("volume") == stretch["volume"][0])["index"][0]
        prices = ["open", "high", "low", "close", "volume"]
        assert stretch.select(prices).equals(source[at : at + 300 * 96].select(prices))
    assert len({stretch["close"][0] for stretch in found.values()}) == 5
    with pytest.raises(SettingsError, match="374 days of candles make no world of 375"):
        excerpt(source, "15m", np.random.default_rng(1), days=375)


@pytest.mark.parametrize("kind", [RANDOM_WALK, PERMUTED, SHIFTED])
def test_every_null_world_can_be_made_from_a_real_market(real_candles: Path, kind: str) -> None:
    source = pl.read_parquet(real_candles / "binance_BTC-USDT_15m.parquet")
    source = source.with_columns(timeframe=pl.lit("15m"))
    made = World(kind, seed=1, days=150).candles(source)
    assert made.equals(World(kind, seed=1, days=150).candles(source))
    assert not made.equals(World(kind, seed=2, days=150).candles(source))
    assert (made.height, made["timeframe"].unique().to_list()) == (150 * 96, ["15m"])
    assert (made["high"] >= made.select(pl.max_horizontal("open", "close")).to_series()).all()
    assert (made["low"] <= made.select(pl.min_horizontal("open", "close")).to_series()).all()
    assert World(PLANTED, seed=1, days=2).candles(source)["timeframe"][0] == "1m", "real prices have no known edge"


def test_shifted_outcomes_keep_their_length_and_leave_their_features() -> None:
    world = World(SHIFTED, seed=1, days=5)
    candles = world.candles()
    bars = candles.filter(pl.col("ts").dt.minute() % 15 == 0).with_columns(
        known_at=pl.col("ts") + timedelta(minutes=15)
    )
    end = START + timedelta(days=5)
    labels = triple_barrier(bars, candles, candle_timeframe="1m", settings=LabelSettings(), until=end)
    moved = world.labels(labels)
    keys = ["market", "ts", "known_at", "entry_price"]
    assert moved.select(keys).equals(labels.select(keys))
    assert sorted(moved["return"]) == sorted(labels["return"])
    lasted = (pl.col("label_end") - pl.col("known_at")).alias("lasted")
    assert sorted(moved.select(lasted)["lasted"]) == sorted(labels.select(lasted)["lasted"])
    assert (moved["return"] == labels["return"]).mean() < 0.5  # type: ignore[operator]
    for seed in range(20):
        turned = shifted(
            labels.with_row_index("row").with_columns(bars_to_hit="row").drop("row"), np.random.default_rng(seed)
        )
        turn = int(turned["bars_to_hit"][0])
        assert labels.height / 5 <= turn <= labels.height * 4 / 5 + 1
    assert World(PLANTED, seed=1, days=5).labels(labels) is labels


def test_what_a_plan_earned_is_moved_in_stops_since_these_stay(planted: PlantedFrames) -> None:
    labels = planted(days=20)[1]
    stop = np.random.default_rng(2).uniform(0.005, 0.02, labels.height)
    labels = labels.with_columns(stop_loss=pl.Series(stop), **{"return": pl.when(label=1).then(2).otherwise(-1) * stop})
    there = shifted(labels, np.random.default_rng(1), in_stops=True)
    assert there["stop_loss"].equals(labels["stop_loss"])
    assert not there["label"].equals(labels["label"])
    times = there.select((pl.col("return") / pl.col("stop_loss")).round(9))["return"]
    assert times.equals(there.select(pl.when(label=1).then(2.0).otherwise(-1.0).alias("return"))["return"])
    plain = shifted(labels, np.random.default_rng(1))
    assert plain.drop("return").equals(there.drop("return"))
    assert sorted(plain["return"]) == sorted(labels["return"])
