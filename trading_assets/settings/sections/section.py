"""What the parts of the settings have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from trading_assets.core.errors import SettingsError
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


def _timeframe(value: object) -> object:
    if isinstance(value, Timeframe):
        return value
    try:
        return Timeframe.parse(str(value))
    except SettingsError as error:
        raise ValueError(f"{error.what}; {error.remedy}") from None


DecisionTimeframe = Annotated[
    Timeframe,
    BeforeValidator(_timeframe),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "format": "timeframe, e.g. 15m, 1h, 1d"}),
]
"""A timeframe that decisions are taken on, written as ``15m``, ``1h``, ``1d``."""

TradeSide = Annotated[
    Side,
    BeforeValidator(lambda value: Side.parse(value) if isinstance(value, str) else value),
    PlainSerializer(lambda side: side.word),
    WithJsonSchema({"enum": ["long", "short"]}),
]
"""A side, written as ``long`` or ``short``."""


class Misfit(ValueError):
    """A setting that does not fit others; ``key`` says which one."""

    def __init__(self, what: str, *key: str) -> None:
        super().__init__(what)
        self.key = key


class Section(BaseModel):
    """A part of the settings: frozen; unknown keys and numbers that are none are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    moved: ClassVar[Mapping[str, str]] = {}
    """Key of an earlier version -> what to write instead: the error names it."""

    @model_validator(mode="before")
    @classmethod
    def _names_what_moved(cls, values: Any) -> Any:
        for key, instead in cls.moved.items():
            if isinstance(values, Mapping) and key in values:
                raise Misfit(f"`{key}` is now {instead}", key)
        return values
