"""Whether probabilities mean what they say: of all bars called "60 %" about 60 % should reach their target.

Sources: A. H. Murphy, "A New Vector Partition of the Probability Score", *Journal of Applied Meteorology* 12, 1973; for
forecasts that differ within a bin D. B. Stephenson, C. A. S. Coelho and I. T. Jolliffe, "Two Extra Components in the
Brier Score Decomposition", *Weather and Forecasting* 23, 2008. M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining
Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015. E. B. Wilson, "Probable Inference, the Law of
Succession, and Statistical Inference", *JASA* 22, 1927.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from trading_assets.core.errors import InvalidFrame, SettingsError

Spacing = Literal["count", "width"]
"""Bins that hold equally many predictions, or that are equally wide on [0, 1]."""

COLUMNS: Final = ("predicted", "observed", "low", "high", "rows")

_WHERE: Final = "calibration"
_WILSON_Z: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class BrierScore:
    """The Brier score and what it is made of: ``score = reliability - resolution + uncertainty``, exactly.

    Attributes
    ----------
    score
        Mean squared difference of probability and outcome (1 or 0), [0, 1]; lower is better.
    reliability
        Mean squared difference of predicted and observed frequency over the bins; 0 is calibrated.
    resolution
        How far the outcomes of different probabilities differ; higher is better. Includes what probabilities tell
        apart within a bin (Stephenson's two extra components), hence may fall below 0 for useless ones.
    uncertainty
        ``base rate (1 - base rate)``: the score of always predicting the base rate.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float

    @property
    def skill(self) -> float:
        """The part of the uncertainty that is explained: 1 perfect, 0 as the base rate or where only one occurs."""
        return 1 - self.score / self.uncertainty if self.uncertainty else 0.0


def reliability(
    probability: pl.Series, label: pl.Series, *, bins: int = 10, spacing: Spacing = "count"
) -> pl.DataFrame:
    """The points of a reliability diagram.

    Parameters
    ----------
    probability
        Of take-profit first, [0, 1].
    label
        Barrier labels: 1 take-profit first, anything else not.
    bins
        At most this many: empty ones are left out.
    spacing
        ``count`` for equally many predictions a bin (robust where probabilities crowd), ``width`` for equal steps.

    Returns
    -------
    polars.DataFrame
        A row per bin, ascending: ``predicted`` (mean probability), ``observed`` (share of take-profits), ``low`` and
        ``high`` (Wilson's 95 % interval of ``observed``; too narrow where labels overlap), ``rows`` (UInt32). None for
        no predictions.

    Raises
    ------
    InvalidFrame
        If the columns differ in length, are no numbers or lack one, or a probability is not in [0, 1].
    SettingsError
        If ``bins`` is less than 1.
    """
    n, share, z2 = pl.col("rows"), pl.col("observed"), _WILSON_Z**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _WILSON_Z * (share * (1 - share) / n + z2 / (4 * n**2)).sqrt() / (1 + z2 / n)
    binned = _binned(probability, label, bins, spacing)
    return (
        binned.group_by("bin")
        .agg(predicted=pl.col("probability").mean(), observed=pl.col("hit").mean(), rows=pl.len())
        .sort("bin")
        .with_columns(low=centre - half, high=centre + half)
        .select(COLUMNS)
    )


def expected_calibration_error(
    probability: pl.Series, label: pl.Series, *, bins: int = 10, spacing: Spacing = "count"
) -> float:
    """Mean distance between predicted and observed frequency, weighted by the rows of a bin; [0, 1], NaN for none.

    Noise alone makes it positive: with ``n`` rows a bin, about ``0.8 sqrt(p (1 - p) / n)`` where nothing is wrong.
    Parameters as :func:`reliability`.
    """
    table = reliability(probability, label, bins=bins, spacing=spacing)
    distance = (table["predicted"] - table["observed"]).abs()
    return float((distance * table["rows"]).sum() / len(probability)) if table.height else float("nan")


def brier_score(probability: pl.Series, label: pl.Series, *, bins: int = 10, spacing: Spacing = "count") -> BrierScore:
    """The Brier score and its decomposition; parameters as :func:`reliability`.

    Raises
    ------
    InvalidFrame
        If there are no predictions, or they break their contract.
    """
    binned = _binned(probability, label, bins, spacing)
    if binned.is_empty():
        raise InvalidFrame("no predictions to score", where=_WHERE)
    p, hit = pl.col("probability"), pl.col("hit")
    in_bin, base = p.mean().over("bin") - hit.mean().over("bin"), hit.mean()
    parts = binned.select(
        score=((p - hit) ** 2).mean(), reliability=(in_bin**2).mean(), uncertainty=base * (1 - base)
    ).row(0, named=True)
    resolution = parts["reliability"] + parts["uncertainty"] - parts["score"]
    return BrierScore(resolution=resolution, **parts)


def _binned(probability: pl.Series, label: pl.Series, bins: int, spacing: Spacing) -> pl.DataFrame:
    """``bin``, ``probability``, ``hit`` (1 or 0)."""
    if bins < 1:
        raise SettingsError(f"{bins} bins", where=_WHERE, remedy="1 or more")
    if len(probability) != len(label):
        raise InvalidFrame(f"{len(probability)} probabilities but {len(label)} labels", where=_WHERE)
    for name, column in (("probabilities", probability), ("labels", label)):
        if not (
            column.dtype.is_numeric() or column.dtype == pl.Null or (column is label and column.dtype == pl.Boolean)
        ):
            raise InvalidFrame(f"{name} are {column.dtype}", where=_WHERE, remedy="give numbers")
    values = probability.cast(pl.Float64)
    good = values.is_between(0, 1).fill_null(value=False)  # false for NaN
    if not good.all():
        raise InvalidFrame(f"{(~good).sum()} of {len(values)} probabilities are not in [0, 1]", where=_WHERE)
    if label.null_count():
        raise InvalidFrame(f"{label.null_count()} of {len(label)} labels are missing", where=_WHERE)
    p = pl.col("probability")
    by_count = (p.rank("ordinal").cast(pl.Int64) - 1) * bins // pl.len()
    by_width = (p * bins).floor().clip(0, bins - 1).cast(pl.Int64)
    return pl.DataFrame({"probability": values, "hit": (label.cast(pl.Float64) == 1).cast(pl.Float64)}).with_columns(
        bin=by_count if spacing == "count" else by_width
    )
