"""What the parts of the settings have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


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
