"""The rules that there are, by the kind that settings choose them by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from trading_assets.core.errors import ModelError, SettingsError
from trading_assets.labels import add_primary_rule
from trading_assets.settings import RuleSettings, add_rule_settings
from trading_assets.strategies.base import Rule

_rules: dict[str, type[Rule[Any]]] = {}


def register[R: Rule[Any]](rule: type[R]) -> type[R]:
    """Add a rule; a decorator of its class, so that settings may name its kind from then on.

    Raises
    ------
    SettingsError
        If another rule has that kind.
    """
    kind = rule.kind()
    if (known := _rules.get(kind)) is not None:
        raise SettingsError(
            f"the rule {kind!r} is there already, in {known.__module__}",
            where=f"{rule.__module__}.{rule.__qualname__}",
            remedy="give it another kind",
        )
    add_rule_settings(rule.section)
    _rules[kind] = rule
    add_primary_rule(kind, rule)  # meta-labels may ask it
    return rule


def rule_of(parameters: RuleSettings) -> Rule[Any]:
    """The rule that a section of the settings describes.

    Raises
    ------
    ModelError
        If none of its kind is registered.
    """
    return rule_class(parameters.kind)(parameters)


def rule_class(kind: str) -> type[Rule[Any]]:
    """The rule of a kind.

    Raises
    ------
    ModelError
        If none is registered.
    """
    found = _rules.get(kind)
    if found is None:
        raise ModelError(
            f"no rule {kind!r} is registered",
            where="models",
            remedy=f"known: {', '.join(sorted(_rules))}; a plug-in must be loaded before its models are",
        )
    return found


def registered() -> Mapping[str, type[Rule[Any]]]:
    """All rules by kind."""
    return MappingProxyType(_rules)
