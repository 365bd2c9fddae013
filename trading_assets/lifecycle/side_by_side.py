"""Two versions side by side, of one model or of two: their figures, and what of the difference is more than luck."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import polars as pl

from trading_assets.core.errors import ModelError
from trading_assets.lifecycle.records import walk_forward_returns
from trading_assets.store.contract import Store
from trading_assets.store.tables import BACKTEST_METRICS, MODEL_VERSIONS, TRIAL_RETURNS
from trading_assets.validation.bootstrap import MIN_OBSERVATIONS
from trading_assets.validation.paired import Difference, compare_returns


@dataclass(frozen=True, slots=True)
class Version:
    """One version as it is named: ``btc@3``."""

    model: str
    version: int
    status: str
    traded_under: str

    def __str__(self) -> str:
        return f"{self.model}@{self.version}"


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Two versions.

    Attributes
    ----------
    first, second
        The versions.
    metrics
        ``metric, first, second`` of their backtests, each on all of its own days.
    days, begin, end
        How many days both have out of sample, the first and the last of them.
    found
        Measures of both on these days, and of their difference; empty where there are fewer than ten.
    notes
        What the figures do not say.
    """

    first: Version
    second: Version
    metrics: pl.DataFrame
    days: int
    begin: datetime | None
    end: datetime | None
    found: dict[str, Difference]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """All of it, as JSON knows it; figures that cannot be measured are null."""
        metrics = {
            name: {str(self.first): _finite(one), str(self.second): _finite(other)}
            for name, one, other in self.metrics.iter_rows()
        }
        return {
            "first": str(self.first),
            "second": str(self.second),
            "days": self.days,
            "begin": self.begin and f"{self.begin:%Y-%m-%d}",
            "end": self.end and f"{self.end:%Y-%m-%d}",
            "difference": {name: asdict(one) for name, one in self.found.items()},
            "metrics": metrics,
            "notes": list(self.notes),
        }


def named_version(store: Store, text: str) -> Version:
    """The version that ``model@3`` names; a model alone means the one that trades, else the newest with a backtest.

    Raises
    ------
    ModelError
        If there is none.
    """
    model, _, number = text.partition("@")
    known = store.read(MODEL_VERSIONS, where={"model": model})
    if known.is_empty():
        raise ModelError(f"no version of {model!r} is registered", remedy="trading models lists what there is")
    if number:
        chosen = known.filter(pl.col("version").cast(pl.String) == number)
    else:
        traded = store.read(TRIAL_RETURNS, where={"model": model}, columns=["version"])["version"].unique()
        active = known.filter(pl.col("status") == "active")
        chosen = active if active.height else known.filter(pl.col("version").is_in(traded.implode()))
    if chosen.is_empty():
        versions = ", ".join(map(str, known["version"].sort()))
        what = f"no version {number!r}" if number else "no version of it has a backtest"
        raise ModelError(what, where=f"model {model}", remedy=f"its versions are {versions}; write {model}@<version>")
    row = chosen.sort("version").row(-1, named=True)
    return Version(model, row["version"], row["status"], row["traded_under"])


def side_by_side(store: Store, first: Version, second: Version, *, resamples: int = 2000) -> SideBySide:
    """Compare the backtests of two versions on the days that both have.

    Raises
    ------
    ModelError
        If one of them has no backtest.
    """
    records = [_record(store, one) for one in (first, second)]
    days = records[0].join(records[1], on="ts", suffix="_second").sort("ts")
    notes = []
    if first.traded_under != second.traded_under:
        notes.append("they were traded under other costs, capital or limits: part of the difference is that")
    elif not first.traded_under:
        notes.append("whether they were traded under the same costs, capital and limits is not known")
    if days.height < MIN_OBSERVATIONS:
        notes.append(f"{days.height} common days are too few for an interval, {MIN_OBSERVATIONS} are needed")
        found = {}
    else:
        found = compare_returns(days["return"], days["return_second"], resamples=resamples)
    return SideBySide(
        first,
        second,
        _metrics(store, first, "first").join(_metrics(store, second, "second"), on="metric", how="full", coalesce=True),
        days.height,
        days["ts"].min() if days.height else None,  # type: ignore[arg-type]
        days["ts"].max() if days.height else None,  # type: ignore[arg-type]
        found,
        tuple(notes),
    )


def _record(store: Store, one: Version) -> pl.DataFrame:
    found = walk_forward_returns(store, one.model, one.version)
    if found.is_empty():
        raise ModelError("it has no backtest", where=str(one), remedy=f"trading backtest {one.model} makes one")
    return found


def _metrics(store: Store, one: Version, column: str) -> pl.DataFrame:
    where: dict[str, str | int] = {"model": one.model, "version": one.version}
    found = store.read(BACKTEST_METRICS, where=where, columns=["metric", "value"])
    return found.rename({"value": column})


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
