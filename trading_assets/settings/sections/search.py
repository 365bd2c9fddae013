"""The section `search`: how parameters are looked for, and among which."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from trading_assets.settings.sections.ranges import Choice, Range, Searched
from trading_assets.settings.sections.section import Misfit, Positive, Section


def _searched(value: object) -> object:
    """A range by its ends, or a list of choices."""
    if isinstance(value, list | tuple):
        if not value:
            raise Misfit("no choice: name at least one value")
        if len(set(map(repr, value))) < len(value):
            raise Misfit("a choice is there twice; keep one of them")
        return tuple(value)
    return value


SearchedSetting = Annotated[
    Range | tuple[Choice, ...] | None,
    BeforeValidator(_searched),
    WithJsonSchema({"type": "string", "format": "a range, a list of choices, or nothing"}),
]
"""``{low: 2, high: 16}``, ``[swing, scalp]``, or nothing, which leaves the setting as the model has it."""


class SearchSettings(Section):
    """The search for parameters: `trading search MODEL`, and the job of this name."""

    trials: int = Field(100, ge=1, description="How many are tried; those of an earlier run that goes on count.")
    minutes: Positive | None = Field(None, description="No trial begins later than this. Empty: all trials.")
    workers: int = Field(
        0, ge=0, description="Trials at the same time; 0: one per core. With 1, the same seed finds the same again."
    )
    seed: int = Field(7, description="Of what is tried next.")
    unseen_share: float = Field(
        0.35,
        gt=0,
        lt=1,
        description="The newest part of the history, which no trial sees: what is found is judged on it.",
    )
    prune: bool = Field(True, description="Whether a trial that falls behind the best one, week by week, ends early.")
    storage: str | None = Field(
        None, description="SQLAlchemy address of the database of trials. Empty: `search.db` in the data folder."
    )
    space: dict[str, dict[str, SearchedSetting]] = Field(
        {},
        description="Model -> setting -> what is tried: `estimator.num_leaves: {low: 2, high: 16}`, `label: [a, b]`, "
        "or nothing, to leave it as it is. What is not named here is tried as its kind says.",
    )

    def of(self, model: str) -> dict[str, Searched | None]:
        """What the settings say of a model's space."""
        return dict(self.space.get(model, {}))

    def labels_of(self, model: str) -> list[str]:
        """The label sets that are tried beside a model's own."""
        found = self.of(model).get("label")
        return [str(one) for one in found] if isinstance(found, tuple) else []
