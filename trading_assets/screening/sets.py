"""The parameter sets of a rule that are screened: drawn at random from what a search would try, or a grid of it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from trading_assets.core.errors import ModelError
from trading_assets.settings import Range, RuleSettings, RuleStrategySettings
from trading_assets.settings.sections.ranges import Choice, Searched
from trading_assets.settings.sections.space import Space, rounded, space_of

_PREFIX: Final = "rule."
_PATIENCE: Final = 20
"""Draws per set that is wanted, before the space is taken for exhausted."""


def rule_space(spec: RuleStrategySettings, asked: Mapping[str, Searched | None]) -> Space:
    """What is tried of a rule's parameters, without the prefix; what else a search tries of the model is left alone.

    Raises
    ------
    ModelError
        If that is nothing.
    """
    space = space_of(spec, asked)
    found = {name.removeprefix(_PREFIX): one for name, one in space.items() if name.startswith(_PREFIX)}
    if not found:
        raise ModelError(
            "nothing of its rule is to be tried", where="search.space", remedy="name a setting `rule.…` and its range"
        )
    return found


def random_sets(rule: RuleSettings, space: Space, count: int, *, seed: int) -> list[RuleSettings]:
    """So many different sets: the rule as it is, and others drawn evenly from the space; fewer where there are no more.

    What does not go together is drawn again.
    """
    rng = np.random.default_rng(seed)
    return _distinct(rule, (_drawn(rule, space, rng) for _ in range(_PATIENCE * count)), count)


def grid_sets(rule: RuleSettings, space: Space, count: int) -> list[RuleSettings]:
    """The rule as it is, and the finest grid that has no more points than were asked for."""
    return _distinct(rule, _points(rule, space, count), count)


def _distinct(rule: RuleSettings, drawn: Iterator[Mapping[str, Choice]], count: int) -> list[RuleSettings]:
    given, kind = dict(rule), type(rule)
    found = {repr(rule): rule}
    for values in drawn:
        if len(found) >= count:
            break
        try:
            one = kind.model_validate({**given, **values})
        except ValidationError:
            continue
        found.setdefault(repr(one), one)
    return list(found.values())


def _drawn(rule: RuleSettings, space: Space, rng: np.random.Generator) -> dict[str, Choice]:
    return {name: _at(rule, name, one, rng.random()) for name, one in space.items()}


def _points(rule: RuleSettings, space: Space, count: int) -> Iterator[Mapping[str, Choice]]:
    """Each dimension is as fine as the others, as far as its values go."""
    steps = 1
    while math.prod(len(one) for one in _axes(rule, space, steps + 1)) <= count and steps < count:
        steps += 1
    for values in itertools.product(*_axes(rule, space, steps)):
        yield dict(zip(space, values, strict=True))


def _axes(rule: RuleSettings, space: Space, steps: int) -> list[Sequence[Choice]]:
    return [
        one if not isinstance(one, Range) else list(dict.fromkeys(_at(rule, name, one, at) for at in _evenly(steps)))
        for name, one in space.items()
    ]


def _evenly(steps: int) -> list[float]:
    return [0.5] if steps == 1 else [float(at) for at in np.linspace(0, 1, steps)]


def _at(rule: RuleSettings, name: str, searched: Searched, share: float) -> Choice:
    """The value that lies at a share of what is tried, from 0 to 1."""
    if not isinstance(searched, Range):
        return searched[min(int(share * len(searched)), len(searched) - 1)]
    low, high = searched.low, searched.high
    whole = type(rule).model_fields[name].annotation is int
    if whole:  # the ends are as likely as the others
        low, high = low - 0.499, high + 0.499
    if searched.log:
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    else:
        value = low + share * (high - low)
    return min(max(round(value), int(searched.low)), int(searched.high)) if whole else rounded(value)


def values_of(rules: Sequence[RuleSettings], names: Sequence[str]) -> dict[str, list[Any]]:
    """The sets' parameters, a column each."""
    return {name: [getattr(one, name) for one in rules] for name in names}
