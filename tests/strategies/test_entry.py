"""The rule of entry: expected net return, in backtest and node alike."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.settings import BacktestSettings, LabelSettings, ModelSettings, load_settings
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.signals import ClosedBar
from trading_assets.strategies.stored_signals import StoredSignals

SHARES = st.floats(0, 1)
WIDTHS = st.floats(0.05, 30)
COSTS = st.floats(0, 100)


def test_the_default_rule_enters_on_what_real_candles_offer() -> None:
    """Barriers of 2 % and 1 % break even at 0.373 after costs; a year of spot markets never said more than 0.547."""
    rule = EntryRule.of(ModelSettings(markets=["x:A/B"]), cost_bps=BacktestSettings().round_trip_bps)
    assert rule.break_even(2.0, 1.0) == pytest.approx(0.3733, abs=1e-4)
    assert rule.enters(0.547, 2.0, 1.0)
    assert not rule.enters(0.37, 2.0, 1.0)


def test_a_threshold_is_asked_besides_and_never_instead() -> None:
    model = ModelSettings(markets=["x:A/B"], threshold=0.55)
    rule = EntryRule.of(model, cost_bps=12)
    assert [rule.enters(p, 2.0, 1.0) for p in (0.5, 0.549, 0.55)] == [False, False, True]
    assert [rule.enters(p, 1.0, 2.0) for p in (0.55, 0.7, 0.71)] == [False, False, True], "below break-even"


def test_a_reason_says_return_probability_and_break_even() -> None:
    rule = EntryRule(cost_bps=12, min_edge_bps=5, threshold=0.5)
    assert rule.reason(0.6, 2.0, 1.0) == "expected net return +68.0 bps: probability 0.6000, break-even 0.3733"
    assert rule.reason(0.38, 2.0, 1.0).endswith("break-even 0.3733; more than 5 bps are wanted")
    assert rule.reason(0.45, 2.0, 1.0).startswith("below the threshold of 0.5000; expected net return +23.0 bps")


@pytest.mark.parametrize(("gain", "loss"), [(0.0, 0.0), (-0.5, 0.2), (-1.0, 1.0)])
def test_what_an_exit_plan_never_earned_has_no_break_even_and_is_not_entered_on(gain: float, loss: float) -> None:
    """As a rule's plan with a far target and a stop that follows from entry: no hit, and misses that lose nothing."""
    rule = EntryRule(cost_bps=12)
    assert not rule.enters(1.0, gain, loss)
    assert 1 < rule.break_even(gain, loss) < math.inf
    assert 1 < rule.required(gain, loss) < math.inf
    assert rule.kelly_share(1.0, gain, loss) == 0
    assert pl.select(rule.break_even(pl.lit(gain), pl.lit(loss))).item() == rule.break_even(gain, loss)
    assert 0 < EntryRule().kelly_share(0.6, 1.0, 0.0) < math.inf, "who loses nothing bets what may be bet"


@given(SHARES, WIDTHS, WIDTHS, COSTS, st.floats(-50, 50))
def test_what_is_entered_earns_more_than_was_asked_even_if_all_else_is_stopped(
    p: float, target: float, stop: float, cost: float, least: float
) -> None:
    rule = EntryRule(cost, least)
    expected = p * (100 * target - cost) + (1 - p) * (-100 * stop - cost)
    assert rule.edge_bps(p, target, stop) == pytest.approx(expected, abs=1e-6)
    if abs(expected - least) > 1e-6:
        assert rule.enters(p, target, stop) == (expected > least)
        assert rule.enters(p, target, stop) == (p > rule.required(target, stop))
    assert rule.edge_bps(rule.break_even(target, stop), target, stop) == pytest.approx(0, abs=1e-6)


@given(
    SHARES, WIDTHS, WIDTHS, COSTS, st.floats(0, 50), st.none() | SHARES, st.booleans(), st.none() | st.integers(0, 3)
)
def test_no_setting_lets_a_trade_through_that_is_expected_to_lose_unless_it_says_so(
    p: float,
    target: float,
    stop: float,
    cost: float,
    least: float,
    threshold: float | None,
    only: bool,
    held: int | None,
) -> None:
    rule = EntryRule(cost, least, threshold, only)
    if rule.enters(p, target, stop, held):
        assert rule.edge_bps(p, target, stop) > 0
        assert p > rule.break_even(target, stop) - 1e-9
    assert ModelSettings(markets=["x:A/B"], threshold=threshold).min_edge_bps == 0, (
        "without a word it may not be below 0"
    )


def test_the_kelly_stake_of_an_even_bet_is_the_edge_and_of_a_losing_one_nothing() -> None:
    rule = EntryRule()
    assert rule.kelly_share(0.6, 100, 100) == pytest.approx(0.2), "Kelly's own example: p - q"
    assert rule.kelly_share(0.5, 2, 1) == pytest.approx(25.0), "p / l - q / g"
    assert rule.kelly_share(0.3, 2, 1) == 0
    assert EntryRule(cost_bps=300).kelly_share(0.99, 2, 1) == 0, "the target does not earn its costs"


@given(st.floats(0.01, 0.99), WIDTHS, WIDTHS, COSTS)
def test_no_other_stake_makes_equity_grow_faster_than_kellys(p: float, target: float, stop: float, cost: float) -> None:
    rule = EntryRule(cost)
    share = rule.kelly_share(p, target, stop)
    gain, loss = (target - cost / 100) / 100, (stop + cost / 100) / 100
    if gain > 1e-4:
        growth = [
            p * math.log1p(stake * gain) + (1 - p) * math.log1p(-stake * loss)
            for stake in (share, share * 0.95, share * 1.05 + 1e-3)
            if stake * loss < 1
        ]
        assert growth[0] >= max(growth) - 1e-9
    assert (share > 0) == (gain > 0 and rule.edge_bps(p, target, stop) > 0) or abs(share) < 1e-6


@given(st.lists(st.tuples(SHARES, WIDTHS, WIDTHS), min_size=1, max_size=20), COSTS, st.none() | SHARES)
def test_many_predictions_at_once_are_decided_as_one_by_one(
    rows: list[tuple[float, float, float]], cost: float, threshold: float | None
) -> None:
    rule = EntryRule(cost, threshold=threshold)
    frame = pl.DataFrame(rows, schema=["p", "target", "stop"], orient="row")
    together = frame.select(rule.enters(pl.col("p"), pl.col("target"), pl.col("stop")))  # type: ignore[arg-type]
    assert together.to_series().to_list() == [rule.enters(*row) for row in rows]


def test_a_prediction_that_is_no_number_is_not_entered_on() -> None:
    assert not EntryRule().enters(float("nan"), 2.0, 1.0)


def test_the_threshold_of_a_signal_is_the_probability_that_it_needs() -> None:
    ts = datetime(2025, 3, 1, tzinfo=UTC)
    rows = pl.DataFrame({"market": ["x:A/B"], "ts": [ts], "probability": [0.4]})
    bar = ClosedBar("x:A/B", "15m", ts, ts, 1, 1, 1, 1, 1)
    for threshold, needed in ((None, 0.3733), (0.2, 0.3733), (0.6, 0.6)):
        source = StoredSignals(rows, rule=EntryRule(12, threshold=threshold), labels=LabelSettings())
        signal = source.on_bar(bar)
        assert signal is not None
        assert signal.threshold == pytest.approx(needed, abs=1e-4)
        assert signal.enters == (signal.probability > needed)


def test_labels_are_net_of_the_costs_of_the_settings_unless_they_say_otherwise() -> None:
    settings = load_settings()
    assert settings.labels["swing"].cost_bps == settings.trading.costs.round_trip_bps == 12.0
    dear = load_settings(
        trading={"costs": {"taker_fee_bps": 10.0, "slippage_bps": 2.5}}, labels={"gross": {"cost_bps": 0.0}}
    )
    assert {name: one.cost_bps for name, one in dear.labels.items()} == {"swing": 25.0, "gross": 0.0}
