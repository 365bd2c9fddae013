"""The section `confidence` of a model: what its scores are turned into before anything is decided on them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trading_assets.settings.sections.section import Section

Coverage = Annotated[float, Field(ge=0.5, lt=1)]


class ConfidenceSettings(Section):
    """Calibrated probabilities and prediction sets, from rows of the training window that the model had not seen.

    Each fold and the final training fit `folds` models more. A calibrator is kept only where it betters the plain
    model's Brier score by more than its noise; `threshold` and `min_edge_bps` then apply to what it says.
    """

    calibration: Literal["none", "isotonic", "sigmoid", "venn_abers"] = Field(
        "none",
        description="What may map scores to probabilities: `sigmoid` shifts and stretches log-odds by two numbers, "
        "`isotonic` asks for order alone and for many rows, `venn_abers` is the careful form of it.",
    )
    conformal: Coverage | None = Field(
        None, description="The share of outcomes that prediction sets are to hold, e.g. 0.9. Empty: no sets are made."
    )
    enter_only_when_certain: bool = Field(
        False, description="Enter only where the prediction set holds take-profit alone."
    )
    folds: int = Field(
        4, ge=2, le=20, description="Spans of the training window, each scored by a model of the others."
    )

    @model_validator(mode="after")
    def _certain_of_something(self) -> Self:
        if self.enter_only_when_certain and self.conformal is None:
            raise ValueError("enter_only_when_certain needs prediction sets: set conformal, e.g. 0.9")
        return self

    @property
    def asked(self) -> bool:
        """Whether anything is to be learnt."""
        return self.calibration != "none" or self.conformal is not None
