"""What the gap between a live trade and the backtest's consists of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.divergence.attribution import AT_LEVELS, CANDLES, DECISIONS, FORCED, LIVE, MADE, attribute
from trading_assets.divergence.days import by_day, problems, shortfall
from trading_assets.divergence.stored import with_fees_unvalued
from trading_assets.settings.sections.divergence import DivergenceSettings
from trading_assets.store.tables import DIVERGENCE, DIVERGENCE_DAYS
from trading_assets.store.tables.outcomes import PARTS

MARKET = "sample:A/USDT:USDT"
DAY = datetime(2025, 5, 20, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
REASONS = [*AT_LEVELS, *FORCED, "time", "trailing", "opposite"]


def trade(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A long trade over an hour that gains one percent; one every four hours."""
    ts = DAY + number * timedelta(hours=4)
    made = {
        "model": "m",
        "market": MARKET,
        "side": "long",
        "ts": ts,
        "entry_ts": ts + timedelta(milliseconds=100),
        "exit_ts": ts + timedelta(hours=1),
        "entry_price": 100.0,
        "exit_price": 101.0,
        "quantity": 10.0,
        "ordered": 10.0,
        "fees": 1.2,
        "slippage_fees": 0.2,
        "funding": 0.0,
        "exit_reason": "time",
        "targets_filled": 0,
        "filled_by": "live",
    }
    return made | changes


def candles(minutes: int = 1_440, *, at: dict[int, tuple[float, float, float, float]] | None = None) -> pl.DataFrame:
    """A market that stands at 100, but for some minutes."""
    rows = [
        (MARKET, DAY + n * MINUTE, DAY + (n + 1) * MINUTE, *(at or {}).get(n, (100.0, 110.0, 90.0, 100.0)))
        for n in range(minutes)
    ]
    return pl.DataFrame(rows, schema=CANDLES, orient="row")


def beside(
    live: list[dict[str, Any]],
    said: list[dict[str, Any]],
    stored: list[dict[str, Any]] | None = None,
    *,
    decisions: list[dict[str, Any]] | None = None,
    market: pl.DataFrame | None = None,
) -> pl.DataFrame:
    tested = [pl.DataFrame(rows, schema=MADE) if rows else pl.DataFrame(schema=MADE) for rows in (said, stored or said)]
    mine = pl.DataFrame(live, schema=LIVE) if live else pl.DataFrame(schema=LIVE)
    known = pl.DataFrame(decisions or [], schema=DECISIONS)
    return attribute(mine, *tested, candles() if market is None else market, known)


def only(found: pl.DataFrame) -> dict[str, float]:
    """The parts of the only row that are not nothing, rounded."""
    assert found.height == 1
    row = found.row(0, named=True)
    assert sum(row[name] for name in PARTS) == pytest.approx(row["gap_bps"], abs=1e-9)
    return {name: round(row[name], 4) for name in PARTS if abs(row[name]) > 1e-9}


def decision(**changes: Any) -> dict[str, Any]:
    said = {"model": "m", "market": MARKET, "ts": DAY, "signal_ts": DAY - 15 * MINUTE, "model_version": 3}
    return said | {"changed": None, "refused": False, "reason": ""} | changes


# -- each cause by itself ---------------------------------------------------------------------------------------------


def test_the_same_trades_have_no_gap() -> None:
    found = beside([trade(n) for n in range(3)], [trade(n) for n in range(3)])
    assert found.height == 3
    assert found.select(pl.sum_horizontal(pl.col(*PARTS, "gap_bps").abs())).sum().item() == 0
    assert found["live_bps"].to_list() == pytest.approx([88.0] * 3)


def test_a_dearer_fee_is_fees() -> None:
    assert only(beside([trade(fees=1.7)], [trade()])) == {"fees_bps": -5.0}


def test_slippage_in_the_price_is_held_against_what_was_charged_for_it() -> None:
    exact = trade(fees=1.0, slippage_fees=0.0)
    assert only(beside([exact], [trade()])) == {"fill_price_bps": 2.0}
    slipped = exact | {"entry_price": 100.01, "exit_price": 100.99, "fees": 1.0001, "ordered": None}
    found = only(beside([slipped], [trade()]))
    assert found.keys() == {"fill_price_bps"}
    assert found["fill_price_bps"] == pytest.approx(0.0, abs=0.02)


def test_other_funding_is_funding() -> None:
    assert only(beside([trade(funding=-0.3)], [trade(funding=-0.1)])) == {"funding_bps": -2.0}
    assert only(beside([trade(funding=None)], [trade(funding=-0.1)])) == {"funding_bps": 1.0}


def test_a_late_entry_at_the_price_that_the_market_then_had_is_latency() -> None:
    rising = candles(at={n: (100.0 + 0.1 * n, 110.0, 90.0, 100.1 + 0.1 * n) for n in range(60)})
    said = trade(entry_ts=DAY)
    late = trade(entry_ts=DAY + 90 * SECOND, entry_price=100.15)
    found = only(beside([late | {"fees": 1.2018, "slippage_fees": 0.2003}], [said], market=rising))
    assert found["latency_bps"] == pytest.approx(-15.13, abs=0.02)
    assert sum(abs(value) for name, value in found.items() if name != "latency_bps") < 0.01


def test_a_fill_beside_the_market_is_the_fill_price() -> None:
    found = only(beside([trade(entry_price=100.1, fees=1.2012, slippage_fees=0.2002)], [trade()]))
    assert found.keys() <= {"fill_price_bps", "fees_bps"}
    assert found["fill_price_bps"] == pytest.approx(-10.09, abs=0.01)


@pytest.mark.parametrize("side", ["long", "short"])
def test_a_worse_exit_of_a_stop_is_the_fill_price(side: str) -> None:
    worse = 98.8 if side == "long" else 99.2
    live, said = (trade(side=side, exit_reason="stop_loss", exit_price=price) for price in (worse, 99.0))
    assert only(beside([live], [said])) == {"fill_price_bps": -20.0}


def test_an_exit_by_a_resting_order_is_never_late() -> None:
    falling = candles(at=dict.fromkeys(range(60), (100.0, 110.0, 90.0, 99.0)))
    said = trade(exit_reason="trailing", exit_ts=DAY + 30 * MINUTE)
    live = trade(exit_reason="trailing", exit_ts=DAY + 30 * MINUTE + 40 * SECOND, exit_price=100.9)
    assert only(beside([live], [said], market=falling)) == {"fill_price_bps": -10.0}
    at_once = {"exit_reason": "time", "exit_price": 100.9}
    asked = only(beside([live | at_once], [said | {"exit_reason": "time"}], market=falling))
    assert asked == {"fill_price_bps": pytest.approx(56.67, abs=0.01), "latency_bps": pytest.approx(-66.67, abs=0.01)}


def test_a_target_that_moved_with_the_entry_is_no_gap() -> None:
    said = trade(exit_reason="take_profit", exit_price=101.0)
    live = trade(exit_reason="take_profit", entry_price=100.2, exit_price=101.202, fees=1.2024, slippage_fees=0.2004)
    assert only(beside([live], [said])) == {}


def test_what_was_ordered_and_not_filled_is_partial_fills() -> None:
    half = trade(quantity=5.0, fees=0.6, slippage_fees=0.1)
    found = beside([half], [trade()])
    assert only(found) == {"partial_fills_bps": -44.0}
    assert found["live_bps"].item() == pytest.approx(44.0)


def test_an_entry_that_one_of_them_missed_is_missed_in_either_direction() -> None:
    assert only(beside([], [trade()], decisions=[decision(reason="a trade is open")])) == {"missed_bps": -88.0}
    found = beside([], [trade()])
    assert only(found) == {"missed_bps": -88.0}
    assert found["note"].item() == "the node made no decision on the bar"
    assert only(beside([trade()], [])) == {"missed_bps": 88.0}


def test_a_refused_entry_and_a_forced_exit_are_protections() -> None:
    refused = [decision(refused=True, reason="the kill switch is on")]
    found = beside([], [trade()], decisions=refused)
    assert only(found) == {"protections_bps": -88.0}
    assert found["note"].item() == "the kill switch is on"
    assert found["model_version"].item() == 3
    halted = trade(exit_reason="halted", exit_price=100.4, exit_ts=DAY + 10 * MINUTE)
    assert only(beside([halted], [trade()])) == {"protections_bps": -60.0}


@pytest.mark.parametrize("cause", ["data", "features"])
def test_a_decision_that_the_stored_rows_make_otherwise_is_theirs(cause: str) -> None:
    found = beside([trade()], [trade()], [trade(exit_price=100.5)], decisions=[decision(changed=cause)])
    assert only(found) == {f"{cause}_bps": 50.0}
    gone = beside([trade()], [trade()], [trade(1)], decisions=[decision(changed=cause)])
    assert gone[f"{cause}_bps"].to_list() == pytest.approx([88.0, -88.0]), "what follows from it is its, too"
    assert gone["note"].to_list() == [
        f"what is stored decides otherwise ({cause})",
        "the node made no decision on the bar",
    ]


def test_an_exit_that_the_stored_candles_do_not_hold_is_data() -> None:
    stopped = trade(exit_reason="stop_loss", exit_price=89.0, exit_ts=DAY + 10 * MINUTE)
    assert only(beside([stopped], [trade()])) == {"data_bps": -1200.0}
    inside = stopped | {"exit_price": 99.0, "exit_ts": DAY + 59 * MINUTE}
    assert only(beside([inside], [trade()])) == {"data_bps": -200.0}, "a candle does not say what came first"


def test_another_exit_after_another_entry_is_the_entrys() -> None:
    stopped = trade(exit_reason="stop_loss", entry_price=100.1, exit_price=99.0, exit_ts=DAY + 10 * MINUTE)
    found = only(beside([stopped | {"fees": 1.2012, "slippage_fees": 0.2002}], [trade()]))
    assert found.keys() == {"fill_price_bps"}


def test_another_exit_without_a_cause_stays_unexplained() -> None:
    stopped = trade(exit_reason="stop_loss", exit_price=99.0, exit_ts=DAY + 10 * MINUTE)
    assert only(beside([stopped], [trade()])) == {"unexplained_bps": -200.0}


# -- for all trades ---------------------------------------------------------------------------------------------------

price = st.floats(80.0, 120.0)
made = st.fixed_dictionaries(
    {
        "entry_price": price,
        "exit_price": price,
        "quantity": st.floats(0.1, 10.0),
        "fees": st.floats(0.0, 5.0),
        "slippage_fees": st.floats(0.0, 1.0),
        "funding": st.one_of(st.none(), st.floats(-2.0, 2.0)),
        "exit_reason": st.sampled_from(REASONS),
        "targets_filled": st.integers(0, 2),
        "entry_ts": st.integers(0, 300).map(lambda seconds: DAY + seconds * SECOND),
        "exit_ts": st.integers(600, 90_000).map(lambda seconds: DAY + seconds * SECOND),
    }
)
some = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["long", "short"]), made), max_size=4, unique_by=lambda one: one[:2]
)
changed = st.sampled_from([None, "data", "features"])


@given(live=some, said=some, stored=some, changes=st.lists(changed, min_size=3, max_size=3), refused=st.booleans())
def test_the_parts_add_up_to_the_gap_whatever_was_traded(
    live: Any, said: Any, stored: Any, changes: list[str | None], refused: bool
) -> None:
    frames = [[trade(number, side=side, **values) for number, side, values in rows] for rows in (live, said, stored)]
    for rows in frames:  # what is seen of a day is told of its own day
        for row in rows:
            row["ordered"] = row["quantity"] * 1.25
    told = [decision(ts=trade(number)["ts"], changed=one, refused=refused) for number, one in enumerate(changes)]
    tested = [pl.DataFrame(rows, schema=MADE) for rows in frames[1:]]
    found = attribute(pl.DataFrame(frames[0], schema=LIVE), *tested, candles(120), pl.DataFrame(told, schema=DECISIONS))
    assert found.columns == [name for name in DIVERGENCE.columns if name != "node"]
    assert found.select(pl.any_horizontal(pl.col(*PARTS, "gap_bps").is_null())).to_series().any() is False
    total = found.select(pl.sum_horizontal(*PARTS)).to_series()
    assert (total - found["gap_bps"]).abs().max() in (None, pytest.approx(0, abs=1e-6))
    keys = {(one["ts"], one["side"]) for rows in (frames[0], frames[2]) for one in rows}
    assert found.height == len(keys)
    assert found["gap_bps"].sum() == pytest.approx(found["live_bps"].sum() - found["backtest_bps"].sum(), abs=1e-6)


@given(rows=some)
def test_a_backtest_beside_itself_has_no_gap(rows: Any) -> None:
    frame = [trade(number, side=side, **values) | {"ordered": values["quantity"]} for number, side, values in rows]
    found = beside(frame, frame)
    assert all(found[name].abs().sum() == 0 for name in (*PARTS, "gap_bps"))


# -- a day ------------------------------------------------------------------------------------------------------------


def days(*trades: pl.DataFrame) -> pl.DataFrame:
    return by_day(pl.concat(trades).with_columns(node=pl.lit("n")).select(*DIVERGENCE.columns))


def test_a_days_parts_add_up_and_its_trades_are_counted() -> None:
    found = days(beside([trade(0), trade(1, fees=1.7), trade(2)], [trade(0), trade(1), trade(3)]))
    assert found.columns == list(DIVERGENCE_DAYS.columns)
    (row,) = found.to_dicts()
    assert [row[name] for name in ("trades", "matched", "live_only", "backtest_only")] == [4, 2, 1, 1]
    assert sum(row[name] for name in PARTS) == pytest.approx(row["gap_bps"])
    assert row["fees_bps"] == pytest.approx(-1.25)


def test_a_day_beyond_a_limit_is_told_with_its_cause() -> None:
    limits = DivergenceSettings(max_gap_bps=3.0, max_unexplained_bps=1.0)
    fine, dear = days(beside([trade(fees=1.4)], [trade()])), days(beside([trade(fees=1.7)], [trade()]))
    assert problems(fine, limits) == []
    assert problems(dear, limits) == ["2025-05-20: -5.0 bps a trade over 1, limit 3; most of it fees (-5.0)"]
    odd = trade(exit_reason="stop_loss", exit_price=99.0, exit_ts=DAY + 10 * MINUTE)
    assert problems(days(beside([odd], [trade()])), limits)[1] == (
        "2025-05-20: -200.00 bps a trade unexplained, limit 1"
    )
    assert shortfall(dear) == pytest.approx(5.0)
    assert shortfall(days(beside([trade(fees=0.7)], [trade()]))) == 0
    assert shortfall(dear.clear()) is None


def test_a_result_that_leaves_a_fee_out_says_so() -> None:
    rows = beside([trade(0), trade(1)], [trade(0), trade(1)])
    trades = pl.DataFrame(
        {"model": ["m", "m"], "market": MARKET, "side": "long", "signal_id": ["a", "b"], "fees_unvalued": ["1 BNB", ""]}
    )
    signals = pl.DataFrame({"signal_id": ["a", "b"], "known_at": rows["ts"]})
    told = with_fees_unvalued(rows, trades, signals)
    assert told["note"].to_list() == ["fees of 1 BNB are not counted: no price is known", ""]
    assert told.columns == rows.columns
