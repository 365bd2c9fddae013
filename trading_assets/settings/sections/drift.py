"""Whether what a model reads, says and meets is still what it was trained on."""

from __future__ import annotations

from pydantic import Field

from trading_assets.settings.sections.section import Fraction, Positive, Section


class DriftSettings(Section):
    """Drift of features, predictions, calibration and outcomes against the training window."""

    tests: list[str] = Field(["psi", "ks", "adwin"], min_length=1, description="The drift tests that look at each day.")
    psi: Positive = Field(
        0.15,
        description="Least population stability index of an alarm; more where the training's own days vary.",
    )
    ks: Fraction = Field(0.1, description="Least Kolmogorov-Smirnov distance of an alarm; more likewise.")
    false_alarms_per_year: Positive = Field(
        1.0, description="Of a model looked at daily, over all its features and tests together."
    )
    window_bars: int = Field(
        100, ge=1, description="So many of the newest bars are looked at together, in whole days and at least one."
    )
    retrain_pause_days: Positive = Field(
        7.0, description="retrain_on_drift starts no second retraining of a model within so many days."
    )
