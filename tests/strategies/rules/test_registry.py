"""Rules by their kind: the settings that choose one, and a further one added from outside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import polars as pl
import pytest
from pydantic import Field, TypeAdapter, ValidationError

from tests.seats import registered_here
from trading_assets.core.errors import ModelError, SettingsError
from trading_assets.settings import AnyRule, EmaCrossRsiSettings, RuleSettings
from trading_assets.strategies.rules import Rule, register, registered, registry, rule_of
from trading_assets.strategies.rules.ema_cross_rsi import EmaCrossRsi

READ: TypeAdapter[RuleSettings] = TypeAdapter(AnyRule)


class EachBarSettings(RuleSettings):
    """Of a rule that only these tests have."""

    kind: Literal["each_bar"] = "each_bar"
    every: int = Field(2, ge=1, description="Bars.")


class EachBar(Rule[EachBarSettings]):
    """Long on each bar."""

    section = EachBarSettings
    inputs = ("close",)
    source = "this test"
    lookback_bars = 1

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """1."""
        return pl.Series("side", [1] * bars.height, dtype=pl.Int8)


@pytest.fixture(autouse=True)
def own_seats() -> Iterator[None]:
    with registered_here(registry._RULES):
        yield


def test_settings_choose_a_rule_by_kind_and_a_registered_one_joins_them() -> None:
    chosen = READ.validate_python({"kind": "ema_cross_rsi", "fast": 5})
    assert chosen == EmaCrossRsiSettings(fast=5)
    assert isinstance(rule_of(chosen), EmaCrossRsi)
    with pytest.raises(ModelError, match="no rule 'each_bar' is registered"):
        rule_of(EachBarSettings())
    register(EachBar)
    mine = READ.validate_python({"kind": "each_bar", "every": 3})
    assert rule_of(mine).parameters == {"every": 3}
    assert READ.dump_python(mine) == {"kind": "each_bar", "every": 3}
    assert registered()["each_bar"] is EachBar
    assert EachBar.fingerprint() != EmaCrossRsi.fingerprint()
    with pytest.raises(SettingsError, match="the rule 'each_bar' is there already"):
        register(EachBar)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"fast": 26}, "fast 26 must be fewer bars than slow 26"),
        ({"fast": 1}, "greater than or equal to 2"),
        ({"rsi": 1}, "greater than or equal to 2"),
        ({"oversold": 70}, "oversold 70 must be below overbought 70"),
        ({"overbought": 101}, "less than or equal to 100"),
        ({"kind": "ema_cros_rsi"}, "did you mean 'ema_cross_rsi'"),
        ({"kind": None}, "kind is required: one of"),
        ({"slw": 3}, "Extra inputs"),
    ],
)
def test_parameters_that_cannot_be_are_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        READ.validate_python({"kind": "ema_cross_rsi"} | wrong)
