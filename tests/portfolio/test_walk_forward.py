"""Weights walked forward: by hand, with costs and bands, and against equal weights."""

import numpy as np
import pytest

from tests.portfolio.sleeves import DAY, START, drawn, equity_of, trades_of
from trading_assets.portfolio import judge_method, sleeve_returns, walk
from trading_assets.settings import PortfolioSettings


def settings(**given) -> PortfolioSettings:
    return PortfolioSettings.model_validate(given)


def returns_of(returns):
    return sleeve_returns(equity_of(returns), trades_of(), starting_balance=1000.0)


def test_equal_weights_earn_the_mean_of_the_sleeves():
    told = drawn({"a": 0.01, "b": 0.02})
    found = walk(returns_of(told), settings(), cost_share=1.0)
    assert found.returns == pytest.approx((told["a"] + told["b"]) / 2)
    assert found.turnover == 0  # nothing is open at the first decision, and nothing moved later


def test_a_change_of_weights_is_charged_once_out_and_once_in():
    days = 80
    calm = np.where(np.arange(days) % 2, 0.01, -0.01)
    wild = np.where(np.arange(days) % 4 < 2, 0.03, -0.03)
    section = settings(
        method={"kind": "inverse_volatility"}, lookback_days=12, min_history_days=12, embargo_days=0, drift_band=0.1
    )
    told = {"a": np.concatenate([calm[:40], wild[:40]]), "b": np.concatenate([wild[:40], calm[:40]])}
    found = walk(returns_of(told), section, cost_share=0.01)
    assert [round(one.of["a"], 2) for one in found.decisions[::3]] == [0.5, 0.25]
    assert found.decisions[0].as_of == START
    assert found.decisions[1].as_of == START + 14 * DAY  # the first Monday with twelve days of history
    assert found.decisions[1].of == pytest.approx({"a": 0.75, "b": 0.25})
    row = found.days.row(14, named=True)
    assert row["turnover"] == pytest.approx(0.25)
    assert row["cost"] == pytest.approx(2 * 0.25 * 0.01)
    assert row["return"] == pytest.approx(0.75 * told["a"][14] + 0.25 * told["b"][14] - row["cost"])
    assert all(one.as_of.weekday() == 0 for one in found.decisions)


def test_within_the_band_weights_stay():
    told = drawn({"a": 0.01, "b": 0.012})
    wide, narrow = (
        walk(returns_of(told), settings(method={"kind": "inverse_volatility"}, drift_band=band), cost_share=0.001)
        for band in (0.5, 0.0)
    )
    assert len(wide.decisions) == 1
    assert len(narrow.decisions) > 10


@pytest.mark.parametrize(("rebalance", "looked_at"), [("daily", 200), ("weekly", 29), ("monthly", 7)])
def test_weights_are_looked_at_when_the_settings_say(rebalance, looked_at):
    from trading_assets.portfolio.walk_forward import is_due

    section = settings(rebalance=rebalance)
    assert sum(is_due(START + n * DAY, section) for n in range(200)) == looked_at


def test_a_method_earns_its_place_where_it_is_better_and_only_there():
    rng = np.random.default_rng(4)
    good, bad = rng.normal(0.002, 0.004, 400), rng.normal(0.0, 0.05, 400)
    section = settings(method={"kind": "inverse_volatility"})
    for told, earns in (({"a": good, "b": bad}, True), ({"a": good - 0.004, "b": bad + 0.02}, False)):
        frame = returns_of(told)
        asked = walk(frame, section, cost_share=0.0)
        equal = walk(frame, settings(), cost_share=0.0)
        verdict = judge_method(asked, equal, section)
        assert verdict.earns is earns, verdict.text
        assert ("it earns its place" in verdict.text) is earns
        assert verdict.days < 400  # those before the two part are no evidence


def test_too_few_days_are_no_evidence():
    frame = returns_of(drawn({"a": 0.01, "b": 0.02}, days=70))
    section = settings(method={"kind": "inverse_volatility"})
    verdict = judge_method(walk(frame, section, cost_share=0.0), walk(frame, settings(), cost_share=0.0), section)
    assert not verdict.earns
    assert "are needed to say which is better: weights are equal" in verdict.text
