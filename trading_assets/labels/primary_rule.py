"""The rules that a meta-label asks when to bet.

Rules stand on a floor above the labels, with what trades them. So each is made known here where it is registered, by
its parameters, and labels know no more of it than what they ask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import polars as pl

from trading_assets.core.errors import SettingsError
from trading_assets.settings import RuleSettings


class PrimaryRule(Protocol):
    """What is asked of a rule."""

    @property
    def lookback_bars(self) -> int:
        """How many bars an answer depends on, the newest one included."""
        ...

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """On each bar, which trade is wanted: 1 long, -1 short, 0 none (Int8); 0 where too few bars are known."""
        ...

    def version(self) -> str:
        """Which code it is."""
        ...


_rules: dict[type[RuleSettings], Callable[[Any], PrimaryRule]] = {}


def add_primary_rule(section: type[RuleSettings], made: Callable[[Any], PrimaryRule]) -> None:
    """Let meta-labels ask a kind of rule.

    Parameters
    ----------
    section
        Its parameters.
    made
        Makes one from its section of the settings.
    """
    _rules[section] = made


def primary_rule(parameters: RuleSettings) -> PrimaryRule:
    """The rule that a section of the settings describes.

    Raises
    ------
    SettingsError
        If none of its kind was made known.
    """
    made = _rules.get(type(parameters))
    if made is None:
        raise SettingsError(
            f"no rule {parameters.kind!r} is registered",
            where="labels",
            remedy="import trading_assets.strategies.rules, and the plug-in that brings the rule, before",
        )
    return made(parameters)
