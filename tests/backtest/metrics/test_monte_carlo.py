"""Monte Carlo of trades and days: known answers, order and seed; and the test for superior ability."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest import monte_carlo
from trading_assets.settings.metrics import METRICS
from trading_assets.validation.superiority import superior_ability


def trades(*pnl: float) -> pl.DataFrame:
    return pl.DataFrame(
        {"trade": range(len(pnl)), "exit_ts": range(len(pnl)), "pnl": pnl}, schema_overrides={"pnl": pl.Float64}
    )


def test_a_trades_return_is_of_the_account_before_its_exit() -> None:
    found = monte_carlo.trade_returns(trades(10, -11, 9.9), starting_balance=100)
    assert found.tolist() == pytest.approx([0.1, -0.1, 0.1])
    assert monte_carlo.trade_returns(trades(-150, 10), starting_balance=100).tolist() == [-1, -1], "nothing is left"
    assert monte_carlo.trade_returns(trades(), starting_balance=100).size == 0


def test_another_order_leaves_the_profit_and_changes_the_drawdown() -> None:
    made = np.array([0.1] * 20 + [-0.05] * 20)
    bands = monte_carlo.by_order(made, draws=500)
    whole = np.prod(1 + made) - 1
    assert bands.returns == pytest.approx(np.full(500, whole))
    assert bands.drawdowns.max() <= 1 - 0.95**20 + 1e-12, "all losses in a row are the worst order there is"
    assert bands.drawdowns.min() < bands.drawdowns.max()
    assert bands.fan[:, 0].tolist() == [1, 1, 1]
    assert bands.fan[:, -1] == pytest.approx([1 + whole] * 3)


def test_drawn_trades_bracket_what_their_mean_promises() -> None:
    made = np.random.default_rng(1).normal(0.01, 0.02, 200)
    bands = monte_carlo.by_trades(made)
    low, middle, high = (bands.figures("trades", "return")[f"mc_trades_return_{one}"] for one in (5, 50, 95))
    assert low < middle < high
    assert math.log1p(middle) == pytest.approx(np.log1p(made).sum(), abs=0.05)
    error = math.sqrt(200) * np.log1p(made).std()
    assert math.log1p(high) - math.log1p(low) == pytest.approx(2 * 1.645 * error, rel=0.1)


def test_the_same_seed_gives_the_same_bands_and_every_figure_has_a_name() -> None:
    daily = np.random.default_rng(2).normal(0.001, 0.01, 300)
    made = trades(*np.random.default_rng(3).normal(10, 100, 50))
    one, two = (monte_carlo.figures(monte_carlo.simulate(made, daily, starting_balance=1e4)) for _ in range(2))
    assert one == two
    assert set(one) <= set(METRICS)
    few = monte_carlo.figures(monte_carlo.simulate(trades(1, 2), np.zeros(300), starting_balance=1e4))
    assert set(few) == set(one)
    assert all(math.isnan(value) for value in few.values()), "too little to draw from"


def test_among_variants_without_an_edge_the_best_is_luck_and_a_real_one_is_found() -> None:
    noise = np.random.default_rng(4).normal(0, 0.01, (250, 30))
    nothing = superior_ability(noise, resamples=300)
    assert nothing.p_value > 0.05
    assert nothing.superior == ()
    assert nothing.variants == 30
    noise[:, 7] += 0.004
    found = superior_ability(noise, resamples=300)
    assert found.p_value < 0.05
    assert found.superior == (7,)


def test_a_variant_that_never_trades_is_none_and_a_short_record_says_nothing() -> None:
    table = np.zeros((100, 3))
    assert math.isnan(superior_ability(table).p_value)
    table[:, 1] = np.random.default_rng(5).normal(0.01, 0.01, 100)
    found = superior_ability(table, resamples=200)
    assert found.variants == 1
    assert found.superior == (1,)
    assert math.isnan(superior_ability(table[:10]).p_value)


def test_where_every_variant_earns_something_all_are_named_in_several_steps() -> None:
    gains = np.random.default_rng(0).normal(0, 0.01, (60, 2)) * [1, 4] + [0.0035, 0.012]
    assert superior_ability(gains, resamples=100).superior == (0, 1)
