"""What a search may try of one setting: a range, or a list of choices; by default derived from the setting itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic.fields import FieldInfo

from trading_assets.settings.sections.section import Section

type Choice = bool | int | float | str | None


class Range(Section):
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = Field(False, description="Whether equal ratios are equally likely, as suits rates and penalties.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low:g} must be above 0 where log is set")
        return self


type Searched = Range | tuple[Choice, ...]
"""A range of numbers, or choices."""

_FACTOR: Final = 3.0
_NEVER: Final = frozenset({"kind", "seed"})


def searched_by_default(declared: Mapping[str, Searched] | None, present: Section) -> dict[str, Searched]:
    """What a search tries of a section, setting by setting.

    Parameters
    ----------
    declared
        What its kind says; None derives it from each setting's own value and bounds.
    present
        The section as it is set: where nothing is declared, a number is tried from a third of its value to three
        times that, within its bounds; one that is 0 or has no value is left alone.
    """
    if declared is not None:
        return dict(declared)
    fields = {name: field for name, field in type(present).model_fields.items() if name not in _NEVER}
    found = {name: derived(field, getattr(present, name)) for name, field in fields.items()}
    return {name: one for name, one in found.items() if one is not None}


def derived(field: FieldInfo, value: object) -> Searched | None:
    """What to try of a setting of which nobody said anything; None to leave it alone."""
    kind = field.annotation
    if kind is bool:
        return (False, True)
    if get_origin(kind) is Literal:
        return get_args(kind) if len(get_args(kind)) > 1 else None
    if kind not in (int, float) or not isinstance(value, int | float) or value <= 0:
        return None
    low, high = value / _FACTOR, value * _FACTOR
    for bound in field.metadata:
        match bound:
            case Ge(ge=limit) | Gt(gt=limit):
                low = max(low, float(limit))  # type: ignore[arg-type]
            case Le(le=limit) | Lt(lt=limit):
                high = min(high, float(limit))  # type: ignore[arg-type]
    if kind is int:
        low, high = math.ceil(low), math.floor(high)
    return Range(low=low, high=high, log=low > 0) if low < high else None


def fits(field: FieldInfo, searched: Searched) -> str | None:
    """What a setting does not allow of what is to be tried; None where all of it may be."""
    asked: list[Any] = [searched.low, searched.high] if isinstance(searched, Range) else list(searched)
    if field.annotation is int:
        asked = [int(one) if isinstance(one, float) and one.is_integer() else one for one in asked]
    kind: Any = field.annotation
    for bound in field.metadata:
        kind = Annotated[kind, bound]
    for one in asked:
        try:
            TypeAdapter(kind).validate_python(one)
        except ValidationError as error:
            return f"{one!r}: {error.errors()[0]['msg']}"
    return None


def place(searched: Searched, value: Any) -> float:
    """Where a value lies among those that are tried, from 0 to 1."""
    if not isinstance(searched, Range):
        return (list(searched).index(value) + 0.5) / len(searched)
    low, high, at = searched.low, searched.high, float(value)
    if searched.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return min(max((at - low) / (high - low), 0.0), 1.0)
