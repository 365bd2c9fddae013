"""Whether the prediction sets of a model's live decisions keep their promise, told to the node that trades on them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.registry.facts import tell_fact
from trading_assets.settings import ModelSettings, Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import LABELS, SIGNALS
from trading_assets.validation.coverage import coverage

CAUSE: Final = "coverage_gap_pct"
"""The key of `trading.protections` whose limit the gap is held against."""

OVER: Final = timedelta(days=30)
FEWEST: Final = 100
"""Decisions with a known outcome, below which a gap is chance: with a hundred, one of ten points is more than three
standard errors of a promise of 90 %."""


def tell_coverage_gap(store: Store, settings: Settings, model: str, version: int) -> float | None:
    """Measure a version's last days of decisions, and tell the node; the gap in percentage points, where there is one.

    Parameters
    ----------
    store, settings
        Of the project.
    model, version
        What trades. One that makes no sets, or has decided too little, has no gap.
    """
    gap = coverage_gap(store, settings, model, version)
    tell_fact(settings.live_dir, CAUSE, ("model", model), gap)
    return gap


def coverage_gap(store: Store, settings: Settings, model: str, version: int) -> float | None:
    """Promised less measured coverage, in percentage points; None where too little is known."""
    spec = settings.models.get(model)
    if not isinstance(spec, ModelSettings) or spec.confidence.conformal is None:
        return None
    said = store.read(
        SIGNALS,
        where={"model": model, "model_version": version},
        columns=["ts", "market", "bar_ts", "side", "prediction_set"],
    ).filter(pl.col("prediction_set").is_not_null())
    newest = said["bar_ts"].max()
    if not isinstance(newest, datetime):
        return None
    since = newest - OVER
    outcomes = store.read(
        LABELS,
        where={"label_set": spec.label, "market": list(spec.markets)},
        start=since,
        columns=["market", "ts", "side", "label"],
    )
    keys = ["market", "bar_ts", "side"]
    known = said.filter(pl.col("bar_ts") >= since).join(
        outcomes.rename({"ts": "bar_ts"}).unique(keys), on=keys, how="inner"
    )
    found = coverage(known["prediction_set"], known["label"])
    if found.share is None or found.rows < FEWEST:
        return None
    return 100 * (spec.confidence.conformal - found.share)
