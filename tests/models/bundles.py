"""Small bundles of every kind that is registered, of an estimator or of a rule, and how to tamper with one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from trading_assets.core.sides import Side
from trading_assets.models import Bundle, Classifier, Dataset, TrainedModel, join, load, write
from trading_assets.models.bundle import INDEX
from trading_assets.models.bundle.content import combined
from trading_assets.models.estimators import Estimator, installed
from trading_assets.models.estimators.proof_case import BEGIN, NAMES, Case, times
from trading_assets.models.record import WANTED, Record
from trading_assets.settings import LabelSettings, ModelSettings, RuleStrategySettings, StrategySettings
from trading_assets.strategies.rules import registered as rules

ESTIMATORS: Final = sorted(installed())
KINDS: Final = [*ESTIMATORS, *(f"rule {kind}" for kind in sorted(rules()))]
"""Found in the registries: a further estimator or rule is tampered with without a line here."""

_SMALL: Final = {
    "num_boost_round": 8,
    "iterations": 8,
    "max_iter": 8,
    "epochs": 2,
    "window": 3,
    "hidden": 4,
    "min_data_in_leaf": 20,
    "min_child_weight": 1.0,
}
_ROWS: Final = 900
_MARKET: Final = "sample:A/USDT"


def made(kind: str, folder: Path) -> Bundle:
    """A bundle of both sides, whose models differ."""
    trained, data, spec = _rule(kind.removeprefix("rule ")) if kind.startswith("rule ") else _learnt(installed()[kind])
    return write(folder, model="a", trained=trained, dataset=data, spec=spec, labels=LabelSettings(), metrics={"x": 1})


def _learnt(estimator: Estimator[Any]) -> tuple[TrainedModel, Dataset, StrategySettings]:
    known = estimator.parameters.model_fields
    parameters = estimator.parameters.model_validate({name: value for name, value in _SMALL.items() if name in known})
    case = Case(estimator, parameters)
    given: dict[str, Any] = {"parameters": parameters, "features": NAMES, "seed": 1, "times": times(_ROWS)}
    targets = {Side.LONG: case.target[:_ROWS], Side.SHORT: 1 - case.target[:_ROWS]}
    models = {
        side: Classifier(NAMES, parameters, estimator.fit(case.rows[:_ROWS], target, None, **given).save())
        for side, target in targets.items()
    }
    spec = ModelSettings(markets=[_MARKET], sides=[*Side], estimator=parameters)
    return _window(models), _data(NAMES, "ab" * 32), spec


def _rule(kind: str) -> tuple[TrainedModel, Dataset, StrategySettings]:
    records = {side: Record(side=side, signals=40 + side, hits=20, base_rate=0.3) for side in Side}
    rule = rules()[kind]
    spec = RuleStrategySettings(markets=[_MARKET], sides=[*Side], rule=rule.section())
    return _window(records), _data([WANTED], rule.fingerprint()), spec


def _window(models: Mapping[Side, Any]) -> TrainedModel:
    return TrainedModel(models, BEGIN, BEGIN, _ROWS, 0.5)


def _data(names: Any, fingerprint: str) -> Dataset:
    key = times(3).select(market=pl.lit(_MARKET), ts=pl.col("known_at") - pl.duration(minutes=15), known_at="known_at")
    labels = key.with_columns(
        side=pl.lit(1, pl.Int8),
        label_end=pl.col("known_at") + pl.duration(hours=2),
        label=pl.lit(1, pl.Int8),
        **{"return": pl.lit(0.01)},
        take_profit=pl.lit(0.02),
        stop_loss=pl.lit(0.01),
        resolution=pl.lit("15m"),
        missing_candles=pl.lit(0, pl.Int32),
        ambiguous=pl.lit(value=False),
    )
    rows = key.with_columns(**dict.fromkeys(names, pl.lit(0.5)))
    return join(rows, labels, names=list(names), fingerprint=fingerprint)


@dataclass(frozen=True)
class Content:
    """The files of a bundle but its index."""

    files: Mapping[str, bytes]
    index: Mapping[str, Any]

    @classmethod
    def of(cls, bundle: Bundle) -> Content:
        """As they lie on the disk."""
        index = json.loads((bundle.folder / INDEX).read_text())
        return cls({name: (bundle.folder / name).read_bytes() for name in index["sha256"]}, index)

    def written(self, folder: Path, changed: Mapping[str, bytes] | None = None) -> Path:
        """A bundle of these files, some changed, whose hashes belong to them: only its readers can refuse it."""
        files = {**self.files, **(changed or {})}
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        index = {**self.index, "sha256": hashes, "bundle_hash": combined(hashes, sorted(hashes))}
        for name, content in {**files, INDEX: json.dumps(index).encode()}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder


__all__ = ["ESTIMATORS", "KINDS", "Content", "load", "made"]
