"""The gates say value, threshold and what to look at."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trading_assets.backtest.gates import all_passed, evaluate
from trading_assets.core.errors import InvalidFrame
from trading_assets.settings import GateOverrides, GateSettings

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


NAMED = GateSettings.model_validate(
    {"metrics": {"expectancy": {"min": 0.1}, "max_drawdown_days": {"max": 30}, "beta": {"min": -0.1, "max": 0.1}}}
)


def test_a_gate_may_name_any_metric_with_one_limit_or_both() -> None:
    measured = GOOD | {"expectancy": 0.1, "max_drawdown_days": 31.0, "beta": 0.3}
    results = evaluate(measured, NAMED)
    assert [result.name for result in results[len(GOOD) :]] == ["expectancy", "max_drawdown_days", "beta", "beta"]
    failed = [result for result in results if not result.passed]
    assert [(one.name, one.value_text, one.required_text) for one in failed] == [
        ("max_drawdown_days", "31.00", "<= 30.00"),
        ("beta", "0.30", "<= 0.10"),
    ]
    assert "longest drawdown" in failed[0].advice


def test_a_named_metric_that_is_not_there_or_not_a_number_lets_nothing_pass() -> None:
    for measured in (GOOD, GOOD | {"expectancy": float("nan"), "max_drawdown_days": 1.0, "beta": 0.0}):
        failed = [result for result in evaluate(measured, NAMED) if not result.passed]
        assert failed[0].text.startswith("expectancy not measurable, required >= 0.10: FAILED")


def test_a_models_named_gates_are_added_to_those_of_the_section_and_win() -> None:
    own = GateOverrides.model_validate({"metrics": {"beta": {"max": 0.5}, "payoff": {"min": 1}}, "min_trades": 5})
    found = NAMED.of(own)
    assert found.min_trades == 5
    assert found.metrics == NAMED.metrics | own.metrics
    assert found.metrics["beta"].min is None


def test_gates_without_named_metrics_leave_no_trace_in_what_is_hashed() -> None:
    assert "metrics" not in GateSettings().model_dump()
    assert "metrics" not in GateOverrides().model_dump()
    assert GateSettings.model_validate(NAMED.model_dump()) == NAMED


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"expectansy": {"min": 0.1}}, "a backtest has no metric 'expectansy'; did you mean 'expectancy'?"),
        ({"nothing_like_it": {"min": 0.1}}, "docs/concepts/metrics.md lists them"),
        ({"sharpe": {"min": 1}}, "'sharpe' has a gate of its own: write `min_sharpe`"),
        ({"payoff": {}}, "a gate without a limit lets everything pass"),
        ({"payoff": {"min": 2, "max": 1}}, "min 2 is above max 1: nothing passes"),
    ],
)
def test_a_gate_that_says_nothing_is_refused_with_what_to_write(given: dict[str, object], said: str) -> None:
    for section in (GateSettings, GateOverrides):
        with pytest.raises(ValidationError) as refused:
            section.model_validate({"metrics": given})
        assert said in str(refused.value)
