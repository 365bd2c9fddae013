"""What calibration and prediction sets were worth out of sample: what a verdict and a report say of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import polars as pl

from trading_assets.validation import beats, coverage, coverage_by

_MOODS: Final = ("volatility", "trend")
_OFF: Final = 0.05
"""A part whose coverage is so far below the promise is worth a sentence."""


def measure(
    predictions: pl.DataFrame, folds: pl.DataFrame, moods: pl.DataFrame | None = None, promised: float | None = None
) -> dict[str, float]:
    """Metrics of a walk-forward's confidence; none of a model that asked for nothing.

    Parameters
    ----------
    predictions, folds
        Rows of the tables of these names, of one model.
    moods
        Of :func:`trading_assets.backtest.regimes.regimes`, on the bars of the predictions.
    promised
        The coverage that was asked for.

    Returns
    -------
    dict
        Where a calibrator was asked for, ``calibrators`` and ``calibrators_kept``, how often it was fitted and kept;
        ``brier_raw`` and ``brier_calibrated`` over all predictions, with ``brier_gain``, ``brier_gain_low`` and
        ``brier_gain_high``, their difference and its 95 % interval. Where sets were, ``coverage_promised``,
        ``coverage``, ``certain_share``, and ``coverage_<part>`` for calm, middling and wild markets, and for falling,
        flat and rising ones.
    """
    return _of_calibration(predictions, folds) | _of_sets(predictions, moods, promised)


def _of_calibration(predictions: pl.DataFrame, folds: pl.DataFrame) -> dict[str, float]:
    asked = folds.filter(pl.col("calibration").is_not_null())
    told = predictions.drop_nulls(["probability", "raw_probability"])
    if asked.is_empty() or told.is_empty():
        return {}
    found = beats(told["raw_probability"], told["probability"], (told["label"] == 1).cast(pl.Float64), told["known_at"])
    return {
        "calibrators": float(asked.height),
        "calibrators_kept": float(asked["calibrated"].sum()),
        "brier_raw": found.before,
        "brier_calibrated": found.after,
        "brier_gain": found.gain,
        "brier_gain_low": found.low,
        "brier_gain_high": found.high,
    }


def _of_sets(predictions: pl.DataFrame, moods: pl.DataFrame | None, promised: float | None) -> dict[str, float]:
    found = coverage(predictions["prediction_set"], predictions["label"])
    if promised is None or found.share is None or found.certain_share is None:
        return {}
    parts = {
        f"coverage_{name}": share
        for mood in _MOODS
        for name, _, share, _ in _by_mood(predictions, moods, mood).iter_rows()
    }
    return {
        "coverage_promised": promised,
        "coverage": found.share,
        "certain_share": found.certain_share,
        **parts,
    }


def coverage_rows(predictions: pl.DataFrame, moods: pl.DataFrame | None = None) -> list[tuple[str, str, str, str]]:
    """The table of a report: part, rows, coverage, share of certain sets; empty where no sets were made."""
    parts = [("all predictions", coverage_by(predictions, []))]
    if predictions["side"].n_unique() > 1:
        sides = coverage_by(predictions, ["side"])
        parts += [("long" if one["side"][0] == 1 else "short", one.drop("side")) for one in sides.iter_slices(1)]
    for mood in _MOODS:
        found = _by_mood(predictions, moods, mood)
        parts += [(f"{one[mood][0]} market", one.drop(mood)) for one in found.iter_slices(1)]
    folds = coverage_by(predictions, ["fold"])
    parts += [(f"fold {one['fold'][0]}", one.drop("fold")) for one in folds.iter_slices(1)]
    return [
        (name, f"{rows:,}", f"{share:.1%}", f"{certain:.1%}")
        for name, frame in parts
        for rows, share, certain in frame.iter_rows()
    ]


def remarks(metrics: Mapping[str, float]) -> list[str]:
    """What a verdict should say of it: sentences, none where there is nothing to say."""
    said = []
    if "calibrators" in metrics:
        kept, asked = metrics["calibrators_kept"], metrics["calibrators"]
        if not kept:
            said.append(f"no calibrator was kept in {asked:.0f} trainings: the plain probabilities were no worse")
        elif metrics["brier_gain_high"] < 0:
            said.append(
                f"calibration made probabilities worse out of sample: Brier score {metrics['brier_raw']:.4f} before, "
                f"{metrics['brier_calibrated']:.4f} after (kept in {kept:.0f} of {asked:.0f} trainings)"
            )
        else:
            said.append(
                f"a calibrator was kept in {kept:.0f} of {asked:.0f} trainings: Brier score out of sample "
                f"{metrics['brier_raw']:.4f} before, {metrics['brier_calibrated']:.4f} after"
            )
    promised = metrics.get("coverage_promised", math.nan)
    short = {
        name.removeprefix("coverage_"): share
        for name, share in metrics.items()
        if name.startswith("coverage_") and name != "coverage_promised" and share < promised - _OFF
    }
    if metrics.get("coverage", math.nan) < promised - _OFF / 2 or short:
        parts = "".join(f", {share:.1%} in {name} markets" for name, share in short.items())
        said.append(
            f"prediction sets hold {metrics['coverage']:.1%} of the outcomes, {promised:.0%} were promised{parts}"
        )
    return said


def has_sets(predictions: pl.DataFrame) -> bool:
    """Whether any prediction has a set."""
    return bool(predictions["prediction_set"].is_not_null().any())


def _by_mood(predictions: pl.DataFrame, moods: pl.DataFrame | None, mood: str) -> pl.DataFrame:
    if moods is None:
        return pl.DataFrame(schema={mood: pl.String, "rows": pl.UInt32, "coverage": pl.Float64, "certain": pl.Float64})
    return coverage_by(predictions.join(moods.select("market", "ts", mood), on=["market", "ts"]), [mood])
