"""The gates say value, threshold and what to look at."""

from __future__ import annotations

import pytest

from trading_assets.backtest.gates import all_passed, evaluate
from trading_assets.core.errors import InvalidFrame
from trading_assets.settings import GateSettings

GOOD = {
    "sharpe": 1.2,
    "win_rate": 0.45,
    "profit_factor": 1.5,
    "max_drawdown": 0.15,
    "trades": 30.0,
    "dsr": 0.95,
    "pbo": 0.5,
    "skill_low": 0.0,
}


def test_values_on_the_thresholds_pass() -> None:
    results = evaluate(GOOD, GateSettings())
    assert all_passed(results)
    assert [result.name for result in results] == list(GOOD)


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [
        ("sharpe", 1.19, "sharpe 1.19, required >= 1.20: FAILED"),
        ("win_rate", 0.44, "win_rate 44.0%, required >= 45.0%: FAILED"),
        ("profit_factor", 1.2, "profit_factor 1.20, required >= 1.50: FAILED"),
        ("max_drawdown", 0.2, "max_drawdown 20.0%, required <= 15.0%: FAILED"),
        ("trades", 29.0, "trades 29, required >= 30: FAILED"),
        ("dsr", 0.9, "dsr 90.0%, required >= 95.0%: FAILED"),
        ("dsr", float("nan"), "dsr not measurable, required >= 95.0%: FAILED"),
        ("pbo", 0.6, "pbo 60.0%, required <= 50.0%: FAILED"),
        ("skill_low", -0.004, "skill_low -0.004, required >= 0.000: FAILED"),
        ("skill_low", float("nan"), "skill_low not measurable, required >= 0.000: FAILED"),
    ],
)
def test_a_failed_gate_says_value_threshold_and_what_to_look_at(metric: str, value: float, said: str) -> None:
    results = evaluate(GOOD | {metric: value}, GateSettings())
    (failed,) = [result for result in results if not result.passed]
    assert failed.name == metric
    assert failed.text.startswith(said)
    assert failed.advice in failed.text
    assert not all_passed(results)


def test_a_value_that_is_not_a_number_fails() -> None:
    assert not all_passed(evaluate(GOOD | {"sharpe": float("nan")}, GateSettings()))
    assert not all_passed(evaluate(GOOD | {"max_drawdown": float("nan")}, GateSettings()))


def test_a_missing_metric_is_an_error() -> None:
    with pytest.raises(InvalidFrame, match="sharpe"):
        evaluate({name: value for name, value in GOOD.items() if name != "sharpe"}, GateSettings())
