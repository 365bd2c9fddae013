"""The rules that there are, by the kind that settings choose them by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trading_assets.labels import add_primary_rule
from trading_assets.settings import RuleSettings
from trading_assets.settings.sections.kinds import Occupants
from trading_assets.settings.sections.rules import RULES
from trading_assets.strategies.base import Rule

_RULES = Occupants[RuleSettings, type[Rule[Any]]](RULES)


def register[R: Rule[Any]](rule: type[R]) -> type[R]:
    """Add a rule; a decorator of its class, so that settings may name its kind from then on.

    Raises
    ------
    SettingsError
        If another rule has that kind.
    """
    _RULES.add(rule.section, rule, by=rule)
    add_primary_rule(rule.section, rule)  # meta-labels may ask it
    return rule


def rule_of(parameters: RuleSettings) -> Rule[Any]:
    """The rule that a section of the settings describes.

    Raises
    ------
    ModelError
        If none of its kind is registered.
    """
    return _RULES.of(parameters)(parameters)


def registered() -> Mapping[str, type[Rule[Any]]]:
    """Rules by kind: those of the project and of the plug-ins in force."""
    return _RULES.known()
