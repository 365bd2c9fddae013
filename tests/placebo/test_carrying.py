"""A model on another timeframe keeps its bars, and is judged in worlds of its own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from trading_assets.core.errors import SettingsError
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.placebo import Plan, carried_over, history_days, judge, worlds
from trading_assets.settings import LightGBMSettings, LogisticSettings, Settings


@pytest.mark.parametrize("minutes", [1, 5, 60, 240, 1440])
def test_windows_hold_the_same_bars_and_barriers_as_many_deviations(settings: Settings, minutes: int) -> None:
    bar = Timeframe(minutes)
    there = carried_over(settings, "syna", timeframe=bar)
    old, new = settings.models["syna"].walk_forward, there.models["syna"].walk_forward
    for name in ("train_days", "purge_days", "embargo_days", "test_days"):
        bars = [
            windows[name] * 1440 / length for windows, length in ((old.model_dump(), 15), (new.model_dump(), minutes))
        ]
        assert bars[0] == pytest.approx(bars[1]), name
    labels, before = there.labels["swing"], settings.labels["swing"]
    assert (labels.timeframe, labels.horizon_bars) == (bar, before.horizon_bars)
    for name in ("take_profit_pct", "stop_loss_pct"):
        assert getattr(labels, name) == pytest.approx(getattr(before, name) * (minutes / 15) ** 0.5)
    assert timedelta(days=new.purge_days) >= labels.horizon, "no row of training is lost"
    assert there.models["synb"] == settings.models["synb"]
    back = carried_over(there, "syna", timeframe=Timeframe(15)).labels["swing"]
    assert back.take_profit_pct == pytest.approx(before.take_profit_pct)


def test_the_models_own_timeframe_and_sides_change_nothing(settings: Settings) -> None:
    assert carried_over(settings, "syna", timeframe=Timeframe(15), sides=[Side.LONG]) == settings
    assert carried_over(settings, "syna") == settings
    assert carried_over(settings, "syna", sides=[Side.SHORT, Side.LONG]).models["syna"].sides == [Side.LONG, Side.SHORT]
    assert history_days(settings.models["syna"]) == 60 + 1 + 1 + 8 * 15
    assert history_days(settings.models["syna"], unseen_share=0.35) == 343, "eight windows that no trial sees"


def test_short_on_hours_the_planted_world_alone_is_approved(settings: Settings) -> None:
    """With a part of features, trees and history, to be quick; the tables of the docs are of all."""
    bar = Timeframe.parse("1h")
    there = carried_over(settings, "syna", timeframe=bar, sides=[Side.SHORT])
    quick = LightGBMSettings(num_boost_round=60, learning_rate=0.2)
    spec = there.models["syna"].model_copy(update={"features": ["momentum", "volume"], "estimator": quick})
    judged = worlds(null=1, planted=1, days=400, timeframe=bar, sides=spec.sides)
    assert [judge(world, there, spec).approved for world in judged] == [False, True]


def test_verdicts_on_worlds_for_other_decisions_are_not_taken_for_each_other(settings: Settings) -> None:
    from trading_assets.placebo.running import _key

    found = worlds(null=3, planted=1, days=120)
    for bar in (Timeframe(15), Timeframe(60)):
        found += worlds(null=3, planted=1, days=120, timeframe=bar, sides=[Side.SHORT], candles="1m")
    assert len({_key(world) for world in found}) == 12


def test_the_command_judges_a_model_as_it_stands_or_on_what_is_asked_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trading_assets import placebo
    from trading_cli.research.placebo import placebo as command

    plans: list[Plan] = []
    monkeypatch.setattr(placebo, "run_worlds", lambda plan, progress: plans.append(plan) or [])
    command()
    command(model="synb", timeframe="1h", side=["short"], estimator="logistic", null=3, planted=1, seed=5)
    plain, asked = plans
    assert (plain.model, plain.spec) == ("syna", settings.models["syna"])
    assert {(world.days, world.candle_timeframe) for world in plain.worlds} == {(182, "1m")}
    assert (asked.model, asked.spec.sides, asked.spec.estimator) == ("synb", [Side.SHORT], LogisticSettings())
    assert {(world.timeframe.name, world.sides, world.candle_timeframe) for world in asked.worlds} == {
        ("1h", (Side.SHORT,), "5m")
    }
    for wrong, said in (
        ({"side": ["up"]}, "--side: 'up' is no side"),
        ({"estimator": "logistc"}, "--estimator: no estimator 'logistc'; did you mean 'logistic'"),
        ({"timeframe": "7m"}, "does not divide the day"),
        ({"model": "sina"}, "--model: no model 'sina'; did you mean 'syna'"),
    ):
        with pytest.raises(SettingsError, match=said):
            command(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("unit", "factor"), [("atr", 1), ("percent", 2)])
def test_an_exit_plan_holds_for_as_many_bars(settings: Settings, unit: str, factor: float) -> None:
    plan = {"unit": unit, "hold_hours": 12, "stop": 1.5}
    model = settings.models["syna"].model_dump(exclude_unset=True) | {"label": "laddered"}
    learnt = Settings.model_validate(
        settings.model_dump(exclude_unset=True)
        | {"exits": {"p": plan}, "labels": {"laddered": {"barriers": "plan", "exit": "p"}}, "models": {"syna": model}}
    )
    there = carried_over(learnt, "syna", timeframe=Timeframe(60))
    labels, spec = there.labels["laddered"], there.models["syna"]
    assert labels.exit_plan is not None
    assert (labels.exit_plan.hold, labels.horizon) == (timedelta(hours=48), timedelta(hours=48))
    assert spec.exit_plan == labels.exit_plan
    assert [one.at for one in labels.exit_plan.targets] == [factor * at for at in (1, 2, 3)]
    assert labels.exit_plan.stop == factor * 1.5
