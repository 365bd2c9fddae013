"""Gates on metrics that the settings name: a check each, beside the eight that every model has."""

from __future__ import annotations

from trading_assets.backtest.gates import evaluate
from trading_assets.defs.research.evaluation import GATES, _gate, gate_checks, named_gates
from trading_assets.settings import GateOverrides, GateSettings, load_settings


def test_a_named_metric_is_a_check_of_its_own_whoever_names_it() -> None:
    settings = load_settings()
    first = next(iter(settings.models))
    own = settings.models[first].model_copy(
        update={"gates": GateOverrides.model_validate({"metrics": {"payoff": {"min": 1}}})}
    )
    asked = settings.model_copy(
        update={
            "gates": GateSettings.model_validate({"metrics": {"expectancy": {"min": 0.1}}}),
            "models": {**settings.models, first: own},
        }
    )
    assert sorted(named_gates(asked)) == ["expectancy", "payoff"]
    specs = {spec.name: spec for spec in gate_checks(asked).check_specs}
    assert list(specs) == [*GATES, *named_gates(asked)]
    assert "of every model" in str(specs["expectancy"].description)
    assert "whose `gates` name it" in str(specs["payoff"].description)
    assert all(spec.blocking for spec in specs.values())
    assert {spec.name for spec in gate_checks(settings).check_specs} == set(GATES)


def test_a_gate_of_another_model_alone_says_nothing_against_this_one() -> None:
    unasked = _gate("payoff", [], {}, unasked=True)
    assert unasked.passed
    assert "not a gate of the run's models" in str(unasked.description)
    assert not _gate("payoff", [], {}, unasked=False).passed, "no backtest yet"
    measured = dict.fromkeys((*GATES, "payoff"), 0.0)
    asked = GateSettings.model_validate({"metrics": {"payoff": {"min": 1}}})
    (found,) = [gate for gate in evaluate(measured, asked) if gate.name == "payoff"]
    refused = _gate("payoff", [("syna", found)], {}, unasked=False)
    assert not refused.passed
    assert "syna: payoff 0.00, required >= 1.00: FAILED" in str(refused.description)
