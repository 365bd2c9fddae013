"""What the parts of the settings have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

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
