"""Each check catches its own fault, says which value broke which limit, and keeps quiet on clean candles."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.quality.stretches import NO_GAPS, START, found, load, stretch, walk
from trading_assets.core.candles import CANDLE_COLUMNS
from trading_assets.core.missing_candles import explain, missing_times
from trading_assets.quality import CANDLE_CHECKS, inspect
from trading_assets.quality.gaps import gap_share
from trading_assets.quality.outliers import outliers, volume_unit
from trading_assets.quality.runs import frozen_prices, zero_volume
from trading_assets.quality.shape import duplicates, inconsistent, off_time, schema
from trading_assets.settings.sections.quality import QualitySettings
from trading_assets.sources.candles.sample import MARKETS, SampleCandles
from trading_assets.sources.ingest.candle_validation import split_valid
from trading_assets.store.tables import CANDLE_GAPS

ROWS = 4 * 1440
ROW = pl.int_range(pl.len())
PRICES = ("open", "high", "low", "close")


def scaled(at: pl.Expr, factor: float, *columns: str) -> list[pl.Expr]:
    return [pl.when(at).then(pl.col(name) * factor).otherwise(name).alias(name) for name in columns]


def fixed(at: pl.Expr, value: float, *columns: str) -> list[pl.Expr]:
    return [pl.when(at).then(pl.lit(value)).otherwise(name).alias(name) for name in columns]


def spoilt(candles: pl.DataFrame, fault: str, row: int) -> pl.DataFrame:
    """The candles with one fault that begins at a row."""
    at = row == ROW
    run = ROW.is_between(row, row + 80)
    edits: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
        "candle_schema": lambda f: f.with_columns(fixed(at, float("inf"), "volume")),
        "no_duplicates": lambda f: pl.concat([f, f[row : row + 1]]).sort("ts"),
        "ohlc_consistency": lambda f: f.with_columns(scaled(at, 0.99, "high")),
        "monotone_time": lambda f: f.with_columns(
            ts=pl.when(at).then(pl.col("ts") + timedelta(seconds=7)).otherwise("ts")
        ),
        "gap_share": lambda f: f.filter(~ROW.is_between(row, row + 400)),
        "frozen_prices": lambda f: f.with_columns(
            pl.when(run).then(pl.lit(f["close"][row - 1])).otherwise(name).alias(name) for name in PRICES
        ),
        "outliers": lambda f: f.with_columns(scaled(at, 1.25, "high", "close")),
        "level_step": lambda f: f.with_columns(scaled(row <= ROW, 10.0, *PRICES)),
        "zero_volume": lambda f: f.with_columns(fixed(run, 0.0, "volume")),
        "volume_unit": lambda f: f.with_columns(scaled(row <= ROW, 100.0, "volume")),
    }
    return edits[fault](candles)


FAULTS = [name for name in CANDLE_CHECKS if name not in ("clock_skew", "second_exchange", "freshness")]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_caught_by_its_check_and_by_no_other(fault: str) -> None:
    caught = found(spoilt(walk(), fault, 2000))
    assert set(caught) == {fault}


@examples(25)
@given(fault=st.sampled_from(FAULTS), row=st.integers(1000, ROWS - 1000), seed=st.integers(0, 50))
def test_a_fault_is_caught_wherever_it_stands_and_placed_in_time(fault: str, row: int, seed: int) -> None:
    clean = walk(seed=seed)
    caught = found(spoilt(clean, fault, row))
    assert set(caught) == {fault}
    if fault != "gap_share":  # whose rows are months
        away = abs(caught[fault].rows["ts"][0] - clean["ts"][row])
        assert away <= timedelta(hours=1 if fault == "volume_unit" else 0.2)


@examples(20)
@given(first=st.integers(1, 40_000), length=st.integers(1, 4000))
def test_a_hole_is_the_same_share_of_its_month_whether_a_run_is_about_its_days_or_all(first: int, length: int) -> None:
    begin, end = START, START + timedelta(days=31)
    everything = pl.datetime_range(begin, end, "1m", closed="left", time_unit="us", eager=True)
    times = pl.concat([everything[:first], everything[first + length :]])
    hole = (everything[first], everything[min(first + length, len(everything)) - 1] + timedelta(minutes=1))
    row = {"market": "m:A/B", "timeframe": "1m", "ts": hole[0], "end": hole[1], "reason": "exchange_outage"}
    known = pl.DataFrame([row | {"detail": "", "attempts": 1, "candles": length, "checked_at": end}]).select(
        pl.col(name).cast(dtype) for name, dtype in CANDLE_GAPS.columns.items()
    )
    limits = {
        "timeframe": "1m",
        "listed": begin,
        "now": end + timedelta(days=9),
        "max_share": 0.0,
        "max_empty_share": 1,
    }
    days = (hole[0].replace(hour=0, minute=0), min(hole[1].replace(hour=0, minute=0) + timedelta(days=1), end))
    whole = gap_share(times, known, months=[(begin, end)], **limits)  # type: ignore[arg-type]
    part = gap_share(times, known, months=[days], whole=[(begin, end)], **limits)  # type: ignore[arg-type]
    assert part.rows["share"].to_list() == whole.rows["share"].to_list() == [(44640 - len(times)) / 44640]
    alone = times.filter(times.is_between(*days, closed="left"))
    fetched = gap_share(alone, NO_GAPS, months=[days], whole=[(begin, end)], **limits)  # type: ignore[arg-type]
    assert fetched.rows["expected"][0] == (days[1] - days[0]) // timedelta(minutes=1), "other days were never fetched"


@examples(20)
@given(seed=st.integers(0, 10_000), minutes=st.sampled_from([1, 5, 15, 60]))
def test_clean_candles_pass(seed: int, minutes: int) -> None:
    assert found(walk(seed=seed, minutes=minutes)) == {}


def test_every_sentence_names_value_and_limit() -> None:
    said = {fault: found(spoilt(walk(), fault, 2000))[fault].summary() for fault in FAULTS}
    assert said["candle_schema"] == "volume is inf, must be finite"
    assert said["no_duplicates"] == "2 candles share the key of 2025-03-02 09:20"
    assert re.fullmatch(r"high \d+\.\d+ is below \d+\.\d+ at 2025-03-02 09:20", said["ohlc_consistency"])
    assert said["monotone_time"] == "2025-03-02 09:20:07 is no multiple of 1m"
    assert said["gap_share"] == "6.96% missing (401 of 5,759: unchecked 401), limit 2.0%"
    assert "in 81 bars from 2025-03-02 09:20, limit 30" in said["frozen_prices"]
    assert "deviations at 2025-03-02 09:20, limit 50" in said["outliers"]
    assert said["zero_volume"] == "no trade in 81 bars from 2025-03-02 09:20, limit 60"
    assert "limit 20-fold" in said["volume_unit"]


@pytest.mark.parametrize(
    ("name", "timeframe"),
    [
        ("binance_BTC-USDT_1m", "1m"),
        ("binance_XRP-USDT_USDT_1m", "1m"),
        ("binance_BTC-USDT_5m", "5m"),
        ("binance_DOGE-USDT_15m", "15m"),
        ("binance_XRP-USDT_15m", "15m"),
    ],
)
def test_recorded_candles_of_an_exchange_pass(real: Callable[[str], pl.DataFrame], name: str, timeframe: str) -> None:
    candles = real(name)
    assert candles["timeframe"][0] == timeframe
    assert {check: finding.summary() for check, finding in found(candles).items()} == {}


@examples(15)
@given(fault=st.sampled_from(FAULTS), row=st.integers(2000, 8000))
def test_a_fault_planted_in_recorded_candles_is_caught(real_candles: Path, fault: str, row: int) -> None:
    candles = load(real_candles / "binance_ETH-USDT_1m.parquet").head(10_000)
    assert set(found(spoilt(candles, fault, row))) == {fault}


@pytest.mark.parametrize("market", MARKETS)
def test_the_synthetic_sample_passes_once_its_blemishes_are_set_apart(market: str) -> None:
    end = START + timedelta(days=31)
    (page,) = SampleCandles(START, 31, 7).fetch(market, "1m", START, end)
    good, bad = split_valid(page, market=market, timeframe="1m", start=START, end=end, now=end)
    assert bad.height > 0
    assert found(good) == {}


# schema, key, prices, time


@pytest.mark.slow
@given(
    rows=st.lists(
        st.tuples(
            *[st.one_of(st.none(), st.sampled_from([float("nan"), float("inf"), -1.0, 0.0, 1.0, 2.5]))] * 5,
        ),
        min_size=1,
        max_size=8,
    )
)
@examples(60)
def test_the_fast_scan_and_the_pandera_schema_agree(rows: list[tuple[float | None, ...]]) -> None:
    frame = pl.DataFrame(
        [("m:A/B", "1m", START + timedelta(minutes=i), *row) for i, row in enumerate(rows)],
        schema=CANDLE_COLUMNS,
        orient="row",
    )

    def broken(name: str, value: float | None) -> bool:
        return value is None or not abs(value) < float("inf") or value < 0 or (value == 0 and name != "volume")

    cells = {
        (START + timedelta(minutes=i), name)
        for i, row in enumerate(rows)
        for name, value in zip((*PRICES, "volume"), row, strict=True)
        if broken(name, value)
    }
    finding = schema(frame)
    assert set(finding.rows.select("ts", "column").iter_rows() if cells else ()) == cells
    assert finding.passed == (not cells)


def test_a_column_of_another_type_is_named() -> None:
    candles = walk(0.01).with_columns(pl.col("volume").cast(pl.Float32))
    (row,) = schema(candles).rows.to_dicts()
    assert (row["column"], row["ts"]) == ("volume", START)
    assert "Float32" in row["what"]


def test_a_null_key_is_found() -> None:
    candles = walk(0.01).with_columns(market=pl.lit(None, pl.String))
    assert set(schema(candles).rows["column"]) == {"market"}


def test_equal_times_of_two_markets_are_no_duplicates() -> None:
    assert duplicates(pl.concat([walk(0.1), walk(0.1, market="m:C/D")])).passed


def test_a_low_above_the_open_is_inconsistent() -> None:
    candles = walk(0.1).with_columns(fixed(ROW == 3, 100.15, "low"), high=pl.lit(200.0))
    assert "low 100.15 is above" in inconsistent(candles).rows["what"][0]


def test_a_time_that_falls_back_is_found() -> None:
    candles = walk(0.1)
    swapped = pl.concat([candles[:5], candles[6:7], candles[5:6], candles[7:]])
    (row,) = off_time(swapped, timeframe="1m").rows.to_dicts()
    assert row["ts"] == candles["ts"][5]
    assert "after a later candle" in row["what"]


# gaps


def ledger(*rows: tuple[int, int, str]) -> pl.DataFrame:
    minute = timedelta(minutes=1)
    return pl.DataFrame(
        [("m:A/B", "1m", START + a * minute, START + b * minute, b - a, why, "", 1, START) for a, b, why in rows],
        schema=CANDLE_GAPS.columns,
        orient="row",
    )


def shares(present: list[int], known: pl.DataFrame, **limits: float) -> pl.DataFrame:
    times = walk(0.1)["ts"][present]
    hour = (START, START + timedelta(minutes=100))
    return gap_share(
        times,
        known,
        months=[hour],
        timeframe="1m",
        listed=START,
        now=START + timedelta(days=1),
        max_share=limits.get("max_share", 0.0),
        max_empty_share=limits.get("max_empty_share", 1.0),
    ).rows


@given(
    present=st.sets(st.integers(0, 99)),
    spans=st.lists(st.integers(0, 100), min_size=2, max_size=8, unique=True).map(sorted),
    reasons=st.lists(st.sampled_from(["confirmed_empty", "before_listing", "exchange_outage"]), min_size=8, max_size=8),
)
@examples(60)
def test_missing_candles_count_by_their_reason(present: set[int], spans: list[int], reasons: list[str]) -> None:
    known = ledger(*[(a, b, why) for a, b, why in zip(spans[::2], spans[1::2], reasons, strict=False)])
    why = {
        minute: reason for a, b, reason in zip(spans[::2], spans[1::2], reasons, strict=False) for minute in range(a, b)
    }
    missing = [why.get(minute, "unchecked") for minute in range(100) if minute not in present]
    expected = 100 - missing.count("before_listing")
    counted = len(missing) - missing.count("before_listing") - missing.count("confirmed_empty")
    rows = shares(sorted(present), known)
    assert rows["missing"].to_list() == ([counted] if counted else [])
    assert rows["expected"].to_list() == ([expected] if counted else [])


def test_a_month_in_which_nobody_traded_has_a_limit_of_its_own() -> None:
    quiet = ledger((10, 80, "confirmed_empty"))
    present = [*range(10), *range(80, 100)]
    assert shares(present, quiet).is_empty()
    assert shares(present, quiet, max_empty_share=0.5)["what"][0] == "70.00% confirmed empty (70 of 100), limit 50.0%"


def test_the_reasons_of_what_is_missing_are_told() -> None:
    rows = shares([*range(10), *range(90, 100)], ledger((10, 50, "exchange_outage"), (50, 60, "quarantined")))
    assert "80 of 100: exchange_outage 40, quarantined 10, unchecked 30" in rows["what"][0]


def test_a_bar_under_way_is_not_missing_yet() -> None:
    times = walk(1)["ts"]
    found_rows = gap_share(
        times[:-1],
        NO_GAPS,
        months=[(START, START + timedelta(days=31))],
        timeframe="1m",
        listed=START,
        now=START + timedelta(days=1) - timedelta(seconds=30),
        max_share=0.0,
        max_empty_share=0.0,
    ).rows
    assert found_rows.is_empty()


def test_an_empty_window_lacks_nothing_and_a_stale_ledger_blames_nobody() -> None:
    nothing = missing_times(walk(0.1)["ts"], "1m", START, START)
    assert nothing.is_empty()
    assert explain(nothing, ledger((0, 10, "confirmed_empty"))).is_empty()


# what stands still, what stands out


def test_a_gap_ends_a_run() -> None:
    flat = walk(0.1).with_columns(pl.lit(100.0).alias(name) for name in PRICES).with_columns(volume=pl.lit(0.0))
    holed = flat.filter(ROW != 50)
    assert frozen_prices(holed, timeframe="1m", max_bars=10).rows["bars"].to_list() == [93, 50]
    assert zero_volume(holed, timeframe="1m", max_bars=60).rows["bars"].to_list() == [93]


def test_a_price_that_ticks_between_two_levels_is_not_frozen() -> None:
    ticking = walk(0.1).with_columns((100 + ROW % 2 * 0.01).alias(name) for name in PRICES)
    assert frozen_prices(ticking, timeframe="1m", max_bars=2).passed


def test_a_jump_that_lasts_is_no_outlier_but_up_to_three_bad_prints_are() -> None:
    candles = walk(1)
    assert outliers(candles.with_columns(scaled(ROW >= 700, 1.5, *PRICES)), max_z=50, min_move_pct=2).passed
    for prints in (1, 2, 3):
        bad = candles.with_columns(scaled(ROW.is_between(700, 699 + prints), 0.1, *PRICES))
        assert outliers(bad, max_z=50, min_move_pct=2).rows.sort("ts")["ts"].to_list() == (
            candles["ts"][700 : 700 + prints].to_list()
        )


def test_the_newest_bars_are_judged_once_others_follow() -> None:
    candles = walk(1).with_columns(scaled(ROW == 1435, 3.0, "high"))
    assert outliers(candles, max_z=50, min_move_pct=2).passed
    longer = pl.concat([candles, walk(0.1, start=START + timedelta(days=1))])
    assert outliers(longer, max_z=50, min_move_pct=1000 / 9).rows.height == 1


def test_a_single_huge_trade_is_no_change_of_unit() -> None:
    candles = walk().with_columns(scaled(ROW.is_between(3000, 3030), 1e4, "volume"))
    assert volume_unit(candles, timeframe="1m", max_factor=20).passed


@pytest.mark.parametrize("factor", [0.01, 0.001, 1000.0, 65_000.0])
def test_the_factor_between_two_units_is_measured(factor: float) -> None:
    candles = walk(10).with_columns(scaled(ROW >= 7 * 1440, factor, "volume"))
    (row,) = volume_unit(candles, timeframe="1m", max_factor=20).rows.to_dicts()
    assert row["factor"] == pytest.approx(factor, rel=0.3)


# clocks and a second exchange


def test_a_bar_from_the_future_is_found_with_how_far_ahead_it_is() -> None:
    candles = walk(0.1)
    now = candles["ts"][-1] + timedelta(seconds=15)
    finding = found(candles, now=now)["clock_skew"]
    assert finding.rows["ahead_s"].to_list() == [45.0]
    assert finding.summary() == "the bar of 2025-03-01 02:23 ends 45.0 s after the present time, limit 0 s"
    assert "clock_skew" not in found(
        candles, QualitySettings.model_validate({"clock_skew": {"tolerance_s": 60}}), now=now
    )


@pytest.mark.parametrize(("minutes", "fresh"), [(90, True), (91, True), (92, False)])
def test_a_month_that_goes_on_is_stale_when_its_newest_candle_is_late(minutes: int, fresh: bool) -> None:
    candles = walk(0.1)
    end = candles["ts"][-1] + timedelta(minutes=1)
    going_on = {"months": ((START, START + timedelta(days=31)),), "now": end + timedelta(minutes=minutes)}
    quality = QualitySettings.model_validate({"gap_share": {"max_share": 1}})
    caught = found(candles, quality, **going_on)
    assert ("freshness" not in caught) == fresh
    if not fresh:
        assert caught["freshness"].summary() == "no candle after 2025-03-01 02:24: 91 minutes late, limit 90"


def test_a_second_exchange_that_agrees_is_quiet_and_one_that_moved_away_is_not() -> None:
    candles = walk(1)
    near = candles.select("ts", close=pl.col("close") * 1.001)
    assert found(candles, second=near, second_name="n:A/B") == {}
    away = near.with_columns(scaled(ROW.is_between(300, 339), 0.97, "close"))
    (row,) = found(candles, second=away, second_name="n:A/B")["second_exchange"].rows.to_dicts()
    assert abs(row["bars"] - 40) <= 4
    assert row["deviation_bps"] == pytest.approx((1 / 1.001 / 0.97 - 1) * 1e4)
    assert "bps from n:A/B in" in row["what"]
    noise = near.with_columns(scaled(ROW % 50 == 0, 1.03, "close"))
    assert found(candles, second=noise, second_name="n:A/B") == {}, "one bar is noise"


def test_a_second_exchange_without_candles_is_said() -> None:
    nothing = walk(0.1).select("ts", "close").clear()
    finding = found(walk(0.1), second=nothing, second_name="n:A/B")["second_exchange"]
    assert finding.summary() == "no candle of n:A/B at any of these times: backfill it over the same months"


# the whole


def test_only_the_judged_months_are_told_but_runs_that_reach_into_them_are() -> None:
    candles = spoilt(spoilt(walk(), "zero_volume", 2000), "outliers", 500)
    months = ((START + timedelta(minutes=2050), START + timedelta(days=4)),)
    assert set(found(candles, months=months)) == {"zero_volume"}


def test_a_check_that_is_off_is_not_looked_at() -> None:
    off = QualitySettings.model_validate({"outliers": {"severity": "off"}})
    bad = stretch(spoilt(walk(), "outliers", 2000))
    assert "outliers" not in inspect(bad, off)


def test_a_market_without_candles_fails_for_its_gaps_alone() -> None:
    empty = replace(stretch(walk(0.1)), candles=walk(0.1).clear(), now=START + timedelta(days=40))
    failed = [name for name, finding in inspect(empty, QualitySettings()).items() if not finding.passed]
    assert failed == ["gap_share"]


def test_the_settings_have_a_gate_for_every_check() -> None:
    assert set(QualitySettings.model_fields) == {*CANDLE_CHECKS, "funding_gaps"}
