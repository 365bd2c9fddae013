"""Drift of a model version, from the store: of stored rows, and of those that a node decided on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal

import polars as pl

from trading_assets.core.sides import Side
from trading_assets.journal import unpack
from trading_assets.models.bundle import Bundle
from trading_assets.monitoring import profile, samples
from trading_assets.monitoring.comparison import MOST_DAYS, Reference
from trading_assets.monitoring.judging import judge, window_days
from trading_assets.monitoring.profile import Profile
from trading_assets.settings import ModelSettings, Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import DRIFT, FEATURES, LABELS, LIVE_FEATURES, PREDICTIONS

type Where = Mapping[str, str | int | Sequence[str]]
Source = Literal["stored", "live"]
SOURCES: Final[tuple[Source, ...]] = ("stored", "live")
"""Rows as the assets computed them, and rows that a node decided on."""

_OUTCOME = ("market", "ts", "label_end", "side", "label", "return")
_WORDS: Final = {f"probability_{side.word}": side for side in (Side.LONG, Side.SHORT)}


def made_profile(store: Store, bundle: Bundle) -> Profile:
    """The training window of a bundle as the store has it: features, outcomes, and the walk-forward's predictions.

    Predictions are those out of sample, as new ones are: what a model says of its own training rows is too sure.
    """
    start, end = bundle.provenance.train_start - bundle.labels.timeframe.length, bundle.provenance.train_end
    found = {"outcome": samples.outcomes(_unhurried(_labels(store, bundle, start, end), bundle))}
    if isinstance(bundle.spec, ModelSettings):
        found["feature"] = samples.features(_features(store, bundle, start, end), bundle.features)
    columns = ["known_at", *_OUTCOME, "probability"]
    said = store.read(PREDICTIONS, where={"model": bundle.model}, start=start, columns=columns)
    said = said.filter(pl.col("known_at") <= end)
    if said.height:
        resolved = _unhurried(said.filter(pl.col("label_end") <= end), bundle)
        found |= {"prediction": samples.predictions(said), "calibration": samples.calibration(resolved)}
    return {
        kind: Reference.of(kind, sample, names) for kind, sample in found.items() if (names := samples.subjects(sample))
    }


def profile_of(store: Store, bundle: Bundle) -> Profile:
    """The profile beside a bundle; without one, as of versions made before there were any, it is made and kept."""
    known = profile.read(bundle)
    if known is None:
        known = made_profile(store, bundle)
        profile.write(bundle, known)
    return known


def measure(
    store: Store, settings: Settings, bundle: Bundle, version: int, *, sources: Sequence[Source] = SOURCES
) -> pl.DataFrame:
    """Compare each full day since the training window with it: rows of the table ``drift``.

    Parameters
    ----------
    store
        Where features, labels and what nodes journalled are.
    settings
        Tests and thresholds.
    bundle, version
        The model.
    sources
        Which rows.
    """
    references = profile_of(store, bundle)
    days = window_days(bundle.labels.timeframe.minutes, settings.drift.window_bars)
    parts = []
    for source in sources:
        rows = _stored_rows(store, bundle) if source == "stored" else live_rows(store, bundle, version)
        new = _new(store, bundle, references, rows)
        counted = {kind: references[kind].count(sample) for kind, sample in new.items()}
        found = judge(references, counted, settings.drift, window_days=days)
        parts.append(found.with_columns(source=pl.lit(source)))
    told = pl.concat(parts).with_columns(model=pl.lit(bundle.model), version=pl.lit(version, pl.Int32))
    return told.select(DRIFT.columns.keys())


def _new(store: Store, bundle: Bundle, references: Profile, rows: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
    """Kind -> what came after the training window. ``rows`` hold features and the probability of each side."""
    if rows.is_empty():
        return {}
    oldest, newest = rows["ts"].min(), rows["ts"].max()
    assert isinstance(oldest, datetime)
    assert isinstance(newest, datetime)
    last = (newest + bundle.labels.timeframe.length).date() - timedelta(days=1)
    said = rows.unpivot(
        on=list(_WORDS), index=["market", "ts"], variable_name="side", value_name="probability"
    ).with_columns(
        pl.col("side").replace_strict({name: int(side) for name, side in _WORDS.items()}, return_dtype=pl.Int8)
    )
    labels = _labels(store, bundle, oldest, None).join(rows.select("market", "ts"), on=["market", "ts"], how="semi")
    labels = _unhurried(labels, bundle)
    resolved = labels.join(said.drop_nulls("probability"), on=["market", "ts", "side"])
    found = {
        "feature": samples.features(rows, [name for name in bundle.features if name in rows.columns]),
        "prediction": samples.predictions(said.drop_nulls("probability")),
        "calibration": samples.calibration(resolved),
        "outcome": samples.outcomes(labels),
    }
    return {
        kind: sample.filter(pl.col(samples.DAY).is_between(_first_day(bundle), last))
        for kind, sample in found.items()
        if kind in references and set(references[kind].names) <= set(sample.columns)
    }


def _first_day(bundle: Bundle) -> date:
    """The first whole day after the training window."""
    return bundle.provenance.train_end.date() + timedelta(days=1)


def _unhurried(rows: pl.DataFrame, bundle: Bundle) -> pl.DataFrame:
    """Outcomes that became known a whole horizon after the first bar: before, only those that came soon are there."""
    return rows.filter(pl.col("label_end") >= pl.col("ts").min() + bundle.labels.horizon + timedelta(days=1))


def _stored_rows(store: Store, bundle: Bundle) -> pl.DataFrame:
    """Stored feature rows after the training window, with what the version says of them; of a rule, none are stored."""
    if not isinstance(bundle.spec, ModelSettings):
        return pl.DataFrame()
    start = bundle.provenance.train_end
    reach = (bundle.lookback_rows - 1) * bundle.labels.timeframe.length
    known = _features(store, bundle, start - reach, None)
    rows = _newest(known.filter(pl.col("ts") >= start))
    if rows.is_empty():
        return rows
    said = {
        name: bundle.predict(rows, Side(side), history=known)
        if Side(side) in bundle.sides
        else pl.lit(None, pl.Float64)
        for name, side in _WORDS.items()
    }
    return rows.with_columns(**said)


def live_rows(store: Store, bundle: Bundle, version: int) -> pl.DataFrame:
    """What nodes decided on with the version, each bar once; with its features."""
    where: Where = {"model": bundle.model, "model_version": version, "bundle_hash": bundle.bundle_hash}
    told = store.read(LIVE_FEATURES, where=where).sort("ts", "seq").unique(["market", "bar_ts"], keep="last")
    rows = told.select("market", pl.col("bar_ts").alias("ts"), *_WORDS)
    return _newest(pl.concat([rows, unpack(told["packed"], bundle.features)], how="horizontal").sort("ts", "market"))


def _newest(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("ts") >= pl.col("ts").max() - timedelta(days=MOST_DAYS))


def _features(store: Store, bundle: Bundle, start: datetime, end: datetime | None) -> pl.DataFrame:
    where: Where = {"market": list(bundle.markets), "timeframe": bundle.labels.timeframe.name}
    columns = ["market", "ts", "known_at", *bundle.features]
    rows = store.read(FEATURES, where=where, start=start, columns=columns)
    return rows if end is None else rows.filter(pl.col("known_at") <= end)


def _labels(store: Store, bundle: Bundle, start: datetime, end: datetime | None) -> pl.DataFrame:
    """What became known of bars from a time on, of the model's sides."""
    where: Where = {
        "label_set": bundle.spec.label,
        "market": list(bundle.markets),
        "timeframe": bundle.labels.timeframe.name,
    }
    rows = store.read(LABELS, where=where, start=start, columns=list(_OUTCOME))
    rows = rows.filter(pl.col("side").is_in([int(side) for side in bundle.sides]))
    return rows if end is None else rows.filter(pl.col("label_end") <= end)
