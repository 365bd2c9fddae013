"""Shares by each method: by hand, and as skfolio and the formulas have them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.portfolio.allocation import bounded, risk_contributions, shares
from trading_assets.settings.sections.portfolio import METHODS

NAMES = ("a", "b", "c")


def matrix(days: int = 120, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 0.01, (days, 1))
    return np.hstack(
        [
            common + rng.normal(0, 0.004, (days, 1)),
            common + rng.normal(0, 0.01, (days, 1)),
            rng.normal(0, 0.02, (days, 1)),
        ]
    )


def by(kind: str, returns: np.ndarray, *, low: float = 0.0, high: float = 1.0, **parameters) -> np.ndarray:
    return shares(METHODS.read({"kind": kind, **parameters}), returns, NAMES[: returns.shape[1]], low=low, high=high)


def test_two_sleeves_by_hand():
    returns = np.array([[0.01, 0.02], [-0.01, -0.02], [0.01, -0.02], [-0.01, 0.02]])  # uncorrelated, twice as wild
    assert by("equal", returns) == pytest.approx([0.5, 0.5])
    assert by("inverse_volatility", returns) == pytest.approx([2 / 3, 1 / 3])
    assert by("risk_parity", returns) == pytest.approx([4 / 5, 1 / 5])  # by variance: 1 to 1/4
    assert by("risk_budgeting", returns) == pytest.approx([2 / 3, 1 / 3], abs=1e-4)
    assert by("risk_budgeting", returns, budgets={"a": 4.0}) == pytest.approx([4 / 5, 1 / 5], abs=1e-4)


def test_risk_budgets_are_what_each_brings_to_the_variance():
    returns = matrix()
    found = by("risk_budgeting", returns, budgets={"a": 2.0})
    assert risk_contributions(returns, found) == pytest.approx([0.5, 0.25, 0.25], abs=1e-3)


def test_minimum_cvar_is_the_smallest_mean_of_the_worst_days():
    returns = matrix()
    found = by("min_cvar", returns, confidence=0.9)

    def cvar(one: np.ndarray) -> float:
        losses = np.sort(-(returns @ one))
        return float(losses[-12:].mean())  # 10 % of 120 days

    grid = [
        np.array([x, y, 1 - x - y]) for x in np.linspace(0, 1, 41) for y in np.linspace(0, 1, 41) if x + y <= 1 + 1e-12
    ]
    assert cvar(found) <= min(map(cvar, grid)) + 1e-9


def test_hierarchical_risk_parity_is_skfolios_asked_directly():
    from skfolio import RiskMeasure
    from skfolio.optimization import HierarchicalRiskParity

    returns = matrix()
    alone = HierarchicalRiskParity(risk_measure=RiskMeasure.VARIANCE).fit(returns).weights_
    assert by("risk_parity", returns) == pytest.approx(alone)


def test_bounds_hold_for_every_method_and_what_they_leave_is_cash():
    returns = matrix()
    for kind in METHODS.names():
        found = by(kind, returns, low=0.1, high=0.4)
        assert found.sum() == pytest.approx(1), kind
        assert found == pytest.approx(np.clip(found, 0.1, 0.4), abs=1e-6), kind
        assert by(kind, returns, high=0.3) == pytest.approx([0.3] * 3), kind
    assert by("min_cvar", returns[:, :1], high=0.7) == pytest.approx([0.7])


@examples(60)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=8).filter(any), st.floats(0, 1), st.floats(0.01, 1))
def test_bounded_shares_keep_their_order_and_make_the_whole(raw, low, high):
    low = min(low, high, 1 / len(raw))
    found = bounded(np.array(raw), low=low, high=high)
    assert found.sum() == pytest.approx(min(1.0, len(raw) * high), abs=1e-6)
    assert found == pytest.approx(np.clip(found, low, high), abs=1e-9)
    order = np.argsort(raw, kind="stable")
    assert (np.diff(found[order]) >= -1e-9).all()
