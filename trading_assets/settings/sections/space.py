"""What a search tries of a model: setting by setting, as its kinds say or as the settings narrow it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic.fields import FieldInfo

from trading_assets.settings.names import instead
from trading_assets.settings.sections.kinds import KindSection
from trading_assets.settings.sections.ranges import Choice, Range, Searched, fits, searched_by_default
from trading_assets.settings.sections.section import Misfit, Section
from trading_assets.settings.sections.strategies import StrategySettings

OWN: Final = ("label", "min_edge_bps", "threshold", "sample_weights", "oldest_weight")
"""What may be tried of a model itself."""

SECTIONS: Final[Mapping[str, tuple[str, ...] | None]] = {
    "estimator": None,
    "rule": None,
    "walk_forward": ("train_days", "anchored"),
}
"""And of its sections; None: everything but kind and seed."""

_EDGE_BPS: Final = Range(low=0.0, high=40.0)
_THRESHOLD: Final = 0.1

SIGNIFICANT: Final = 4
"""Digits of a number that is tried: more are noise, and nobody would write them down."""

type Space = dict[str, Searched]
"""Setting, as `estimator.num_leaves`, -> what is tried of it."""


def space_of(spec: StrategySettings, asked: Mapping[str, Searched | None]) -> Space:
    """What is tried of a model.

    Parameters
    ----------
    spec
        The model.
    asked
        What the settings say: it takes the place of the default of that setting; None leaves a setting as it is.
    """
    found: Space = {"min_edge_bps": _EDGE_BPS}
    if spec.threshold is not None:
        low, high = max(spec.threshold - _THRESHOLD, 0.0), min(spec.threshold + _THRESHOLD, 1.0)
        found["threshold"] = Range(low=low, high=high)
    for name in ("estimator", "rule"):
        section = getattr(spec, name, None)
        if isinstance(section, KindSection):
            own = searched_by_default(section.search, section)
            found |= {f"{name}.{key}": one for key, one in own.items()}
    for key, one in asked.items():
        found.pop(key, None)
        if one is not None:
            found[key] = one
    return dict(sorted(found.items()))


def check(spec: StrategySettings, asked: Mapping[str, Searched | None]) -> None:
    """Refuse a setting that the model does not have, or that may not be what is to be tried.

    Raises
    ------
    Misfit
        Names the setting.
    """
    for key, searched in asked.items():
        field = field_of(spec, key)
        if searched is not None and key != "label" and (wrong := fits(field, searched)):
            raise Misfit(f"{key} cannot be {wrong}", key)
        if key == "label" and isinstance(searched, Range):
            raise Misfit("label is one of a list of names, not a range", key)


def field_of(spec: StrategySettings, key: str) -> FieldInfo:
    """The declaration of a setting of a model that may be tried.

    Raises
    ------
    Misfit
        If there is none.
    """
    section, _, name = key.rpartition(".")
    known = searchable(spec)
    if key not in known:
        raise Misfit(f"no setting {key!r} of this model is searched; {instead(key, known)}", key)
    holder: Section = getattr(spec, section) if section else spec
    return type(holder).model_fields[name]


def searchable(spec: StrategySettings) -> list[str]:
    """All settings of a model that may be tried."""
    own: list[str] = [name for name in OWN if name in type(spec).model_fields]
    for name, chosen in SECTIONS.items():
        section = getattr(spec, name, None)
        if isinstance(section, Section):
            fields = chosen or [one for one in type(section).model_fields if one not in ("kind", "seed")]
            own += [f"{name}.{one}" for one in fields]
    return own


def present(spec: StrategySettings, space: Space) -> dict[str, Choice]:
    """What a model has now of the settings that are tried."""
    return {key: _get(spec, key) for key in space}


def applied(spec: StrategySettings, values: Mapping[str, Any]) -> StrategySettings:
    """A model with other values of its settings.

    Raises
    ------
    pydantic.ValidationError
        If they do not go together.
    """
    own = {key: value for key, value in values.items() if "." not in key}
    for name in SECTIONS:
        changed = {key.partition(".")[2]: value for key, value in values.items() if key.startswith(f"{name}.")}
        if changed:
            section: Section = getattr(spec, name)
            own[name] = type(section).model_validate(dict(section) | changed)
    return type(spec).model_validate(dict(spec) | own)


def rounded(value: Choice) -> Choice:
    """A number as it is tried and written down."""
    return float(f"{value:.{SIGNIFICANT}g}") if isinstance(value, float) else value


def _get(spec: StrategySettings, key: str) -> Choice:
    found: Any = spec
    for part in key.split("."):
        found = getattr(found, part)
    chosen: Choice = found
    return chosen
