"""Models name exit plans, and what is made with a model is made with its plan."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from trading_assets.models.bundle.content import Described
from trading_assets.settings import LabelSettings, ModelSettings, Settings
from trading_assets.settings.survey import unused

MARKET = "sample:AAA/USDT:USDT"


def settings(model: dict[str, Any], exits: dict[str, Any], **more: Any) -> Settings:
    return Settings.model_validate(
        {
            "sources": {"s": {"kind": "sample"}},
            "markets": {MARKET: {"source": "s"}},
            "models": {"a": {"markets": [MARKET], **model}},
            "exits": exits,
            **more,
        }
    )


def test_a_model_has_the_plan_that_it_names_and_keeps_it_in_its_bundle() -> None:
    made = settings({"exit": "ladder"}, {"ladder": {"stop": 2.0}})
    spec = made.models["a"]
    assert spec.exit_plan == made.exits["ladder"]
    written = Described(model="a", spec=spec, labels=LabelSettings()).model_dump_json()
    assert Described.model_validate_json(written).spec == spec


def test_another_number_of_the_plan_makes_another_model() -> None:
    one, other = (settings({"exit": "p"}, {"p": {"stop": stop}}).models["a"].model_dump_json() for stop in (1.5, 1.6))
    assert one != other


def test_a_model_without_a_plan_says_nothing_of_plans() -> None:
    assert "exit" not in ModelSettings(markets=[MARKET]).model_dump_json()


def test_an_unknown_plan_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ValidationError, match="no exit plan 'lader'; did you mean 'ladder'"):
        settings({"exit": "lader"}, {"ladder": {}})


def test_a_plan_is_written_in_one_place() -> None:
    with pytest.raises(ValidationError, match="write the plan under `exits`"):
        settings({"exit_plan": {"stop": 1.0}}, {})


def test_a_trade_ends_with_a_bar() -> None:
    with pytest.raises(ValidationError, match=r"held for 1\.1 hours, which are not whole bars of 15m"):
        settings({"exit": "p"}, {"p": {"hold_hours": 1.1}})


def test_a_plan_and_fees_that_nothing_comes_of_are_told() -> None:
    known = settings(
        {}, {"ladder": {}}, trading={"costs": {"fees": {"binanec": {"spot": {"maker_bps": 1, "taker_bps": 2}}}}}
    )
    assert [str(one) for one in unused(known)] == [
        "exits.ladder: no model has it",
        "trading.costs.fees.binanec: no market is of it; there are sample",
    ]
    assert not unused(settings({"exit": "ladder"}, {"ladder": {}}))


def test_a_plan_that_leaves_before_a_payment_is_of_use_to_a_node_too() -> None:
    assert not unused(settings({"exit": "ladder"}, {"ladder": {"before_funding": True}}))
