"""Weights as of a moment: what they may look at, and what becomes of sleeves that cannot be measured."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.portfolio.sleeves import DAY, START, drawn, equity_of, trades_of
from trading_assets.portfolio import sleeve_returns, walk, weights
from trading_assets.settings import PortfolioSettings


def settings(**given) -> PortfolioSettings:
    return PortfolioSettings.model_validate({"method": {"kind": "inverse_volatility"}, **given})


def returns_of(returns, trades=()) -> pl.DataFrame:
    return sleeve_returns(equity_of(returns), trades_of(trades), starting_balance=1000.0)


def test_what_comes_later_changes_no_weight_of_before():
    told = drawn({"a": 0.01, "b": 0.02})
    later = {name: np.concatenate([one[:120], one[120:] * 7 + 0.01]) for name, one in told.items()}
    for day in (60, 100, 121):
        ours, theirs = (weights(returns_of(one), settings(), START + day * DAY) for one in (told, later))
        assert ours.of == pytest.approx(theirs.of, abs=1e-12), day
    changed = weights(returns_of(later), settings(), START + 125 * DAY).of
    assert changed != pytest.approx(weights(returns_of(told), settings(), START + 125 * DAY).of, abs=1e-4)


@examples(15)
@given(st.integers(40, 150), st.sampled_from(["equal", "inverse_volatility", "risk_parity"]), st.integers(0, 3))
def test_a_walk_forward_does_not_look_ahead(cut, kind, embargo):
    told = drawn({"a": 0.01, "b": 0.02, "c": 0.015}, days=160)
    later = {name: np.concatenate([one[:cut], -3 * one[cut:] + 0.02]) for name, one in told.items()}
    section = settings(method={"kind": kind}, embargo_days=embargo, drift_band=0.0)
    ours, theirs = (walk(returns_of(one), section, cost_share=0.001) for one in (told, later))
    assert ours.days["return"][:cut].to_list() == pytest.approx(theirs.days["return"][:cut].to_list(), abs=1e-12)
    until = START + cut * DAY
    before = [[one.of for one in walked.decisions if one.as_of <= until] for walked in (ours, theirs)]
    for mine, its in zip(*before, strict=True):
        assert mine == pytest.approx(its, abs=1e-12)


def test_days_are_left_out_until_their_trades_have_closed_and_the_embargo_is_over():
    told = drawn({"a": 0.01, "b": 0.02})
    as_of = START + 100 * DAY
    assert weights(returns_of(told), settings(embargo_days=0), as_of).days == 90
    assert weights(returns_of(told), settings(embargo_days=3, lookback_days=60), as_of).days == 60
    stays = [("b", START + 95 * DAY, as_of + timedelta(hours=1))]  # still open then: five days are not known for good
    assert weights(returns_of(told, stays), settings(embargo_days=0), as_of).days == 85


def test_a_sleeve_that_cannot_be_measured_has_no_weight_while_others_have():
    told = drawn({"a": 0.01, "b": 0.02}) | {"idle": np.zeros(200)}
    young = equity_of(told).filter(~((pl.col("model") == "b") & (pl.col("ts") < START + 90 * DAY)))
    frame = sleeve_returns(young, trades_of(), starting_balance=1000.0)
    found = weights(frame, settings(), START + 100 * DAY)
    assert found.of == {"a": 1.0, "b": 0.0, "idle": 0.0}
    assert found.reasons["b"] == "9 of 30 days of history"
    assert found.reasons["idle"] == "no trade within the look-back: no risk to measure"


def test_without_history_all_are_alike_and_it_says_so():
    found = weights(returns_of(drawn({"a": 0.01, "b": 0.02})), settings(), START + 10 * DAY)
    assert (found.of, found.method) == ({"a": 0.5, "b": 0.5}, "equal")
    assert found.reasons["a"] == "alike: 9 of 30 days of history"


def test_too_few_days_in_common_are_none():
    told = equity_of(drawn({"a": 0.01, "b": 0.02}))
    apart = told.filter((pl.col("model") == "a") == (pl.col("ts") < START + 50 * DAY))
    found = weights(
        sleeve_returns(apart, trades_of(), starting_balance=1000.0), settings(lookback_days=100), START + 99 * DAY
    )
    assert (found.method, found.of) == ("equal", {"a": 0.5, "b": 0.5})
    assert found.reasons["a"] == "alike: fewer than 30 days that all have"
