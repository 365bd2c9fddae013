"""Every estimator and rule on real candles, whatever comes out: ``python -m benchmarks.real [--data FOLDER]``.

The candles are those of docs/how-to/recorded-candles.md. Each row goes the way of a market: bars by the SQL model,
labels, features, purged walk-forward, backtest, gates. All rows on the same markets are trials there, and deflate each
other's Sharpe ratio. A row that is done is kept; a run that is stopped goes on with the next one. Where no candles are,
it says so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from trading_assets.backtest import gates
from trading_assets.backtest.metrics import daily_returns
from trading_assets.backtest.significance import deflated, measure_significance
from trading_assets.backtest.simulation.engine import run_backtest
from trading_assets.core.candles import timeframe_delta
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import compute, fingerprint
from trading_assets.labels import label
from trading_assets.models import Dataset, dataset, folds
from trading_assets.models.code_version import code_version
from trading_assets.models.estimators import installed
from trading_assets.models.inputs import usable_names
from trading_assets.models.scores import score
from trading_assets.registry import Tried
from trading_assets.settings import (
    ConfidenceSettings,
    LabelSettings,
    ModelSettings,
    RuleStrategySettings,
    Settings,
    StrategySettings,
    WalkForwardSettings,
    load_settings,
)
from trading_assets.sql import build_bars, load_models
from trading_assets.store import open_store
from trading_assets.store.tables import BARS, CANDLES, TRIAL_RETURNS
from trading_assets.strategies.rules import registered as rules
from trading_assets.strategies.rules import rows
from trading_assets.validation.coverage import coverage

FOLDER: Final = Path(__file__).resolve().parents[2] / "shared" / "data"
COINS: Final = ("BTC", "ETH", "SOL", "XRP")
FEATURES: Final = ("momentum", "trend", "volatility", "volume")
CONFIDENCE: Final = ConfidenceSettings(calibration="sigmoid", conformal=0.9)
SLOW: Final = ("lstm",)
"""Learns for minutes where others take seconds: last, and on the coarser bars alone."""


@dataclass(frozen=True)
class Group:
    """Markets of one kind, and what is asked of them.

    Attributes
    ----------
    name
        As the table has it.
    suffix
        What follows a coin in the name of its file.
    candles
        The timeframe of its candles.
    labels, windows, sides
        As of a model.
    """

    name: str
    suffix: str
    candles: str
    labels: LabelSettings
    windows: WalkForwardSettings
    sides: tuple[str, ...]

    def files(self, folder: Path) -> Mapping[str, Path]:
        """Market -> its file."""
        symbol = "{}/USDT:USDT" if self.suffix.endswith("USDT_USDT") else "{}/USDT"
        return {
            f"binance:{symbol.format(coin)}": folder / f"binance_{coin}{self.suffix}_{self.candles}.parquet"
            for coin in COINS
        }

    @property
    def asked(self) -> dict[str, Any]:
        """What each of its models has."""
        return {"markets": list(self.files(FOLDER)), "sides": list(self.sides), "walk_forward": self.windows}


def _labels(timeframe: str, **barriers: Any) -> LabelSettings:
    return LabelSettings(timeframe=Timeframe.parse(timeframe), **barriers)


YEAR: Final = WalkForwardSettings()
WEEKS: Final = WalkForwardSettings(train_days=14, purge_days=1, embargo_days=1, test_days=5)
GROUPS: Final = (
    Group("spot", "-USDT", "15m", _labels("1h", take_profit_pct=4.0, stop_loss_pct=2.0), YEAR, ("long",)),
    Group("perpetuals", "-USDT_USDT", "1m", _labels("15m"), WEEKS, ("long", "short")),
    Group("spot", "-USDT", "15m", _labels("15m"), YEAR, ("long",)),
)
"""Barriers widen from 15m to 1h by the root of the ratio, as prices wander with the root of time."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    group: Group
    kind: str
    spec: StrategySettings

    @property
    def key(self) -> str:
        """What it is, and by which code."""
        said = [self.spec.model_dump(mode="json"), self.group.labels.model_dump(mode="json"), self.group.candles]
        return hashlib.sha256(json.dumps([*said, code_version()], sort_keys=True).encode()).hexdigest()[:16]


def planned() -> Iterator[Row]:
    """Rules first, as they take seconds; what learns for minutes last."""
    for group in GROUPS:
        for kind, rule in rules().items():
            yield Row(group, kind, RuleStrategySettings(rule=rule.section(), **group.asked))
    for slow in (False, True):
        for group in GROUPS:
            for kind, estimator in installed().items():
                if (kind in SLOW) == slow and not (slow and group is not GROUPS[0]):
                    chosen = {"estimator": estimator.parameters(), "features": list(FEATURES)}
                    yield Row(group, kind, ModelSettings(**group.asked, **chosen, confidence=CONFIDENCE))


@dataclass(frozen=True)
class Prepared:
    """A group's candles, bars and labels, which its rows share."""

    candles: dict[str, pl.DataFrame]
    bars: dict[str, pl.DataFrame]
    labels: pl.DataFrame
    features: dict[tuple[str, ...], Dataset] = field(default_factory=dict)


@cache
def prepared(group: Group, folder: Path) -> Prepared:
    """Read and built once for all rows of a group."""
    candles, bars, labels = {}, {}, []
    timeframe = group.labels.timeframe.name
    with tempfile.TemporaryDirectory() as place:
        store = open_store(f"duckdb:///{place}/real.duckdb")
        for market, file in group.files(folder).items():
            own = pl.read_parquet(file).select(
                pl.lit(market).alias("market"),
                pl.lit(group.candles).alias("timeframe"),
                pl.col("ts").cast(pl.Datetime("us", "UTC")),
                *("open", "high", "low", "close", "volume"),
            )
            store.upsert(CANDLES, own)
            start, end = own["ts"][0], own["ts"][-1] + timeframe_delta(group.candles)
            model = load_models()[BARS[timeframe].name]
            built = build_bars(
                store, model, market=market, timeframe=group.candles, start=start - timedelta(days=1), end=end
            )
            candles[market], bars[market] = own, built
            labels.append(
                label(
                    built,
                    own,
                    label_set="default",
                    settings=group.labels,
                    sides=ModelSettings(markets=[market], sides=list(group.sides)).sides,
                    candle_timeframe=group.candles,
                    until=end,
                )
            )
    return Prepared(candles, bars, pl.concat(labels))


def data_of(row: Row, known: Prepared) -> Dataset:
    """What a rule wants, or what a model learns from."""
    spec, bars = row.spec, list(known.bars.values())
    if isinstance(spec, RuleStrategySettings):
        return rows.join(bars, known.labels, spec, row.group.labels)
    assert isinstance(spec, ModelSettings)
    chosen = tuple(spec.features)
    if chosen not in known.features:
        timeframe = row.group.labels.timeframe
        names = usable_names(timeframe=timeframe, chosen=spec.features)
        table = pl.concat(compute(one, timeframe=timeframe, features=spec.features) for one in bars)
        made = dataset.join(table, known.labels, names=names, fingerprint=fingerprint(names))
        known.features[chosen] = replace(made, prices=pl.concat(bars))
    return known.features[chosen]


def judged(row: Row, settings: Settings, folder: Path) -> dict[str, Any]:
    """Put a row through the research, as the only one on its markets: what the table needs of it."""
    known, begin = prepared(row.group, folder), time.monotonic()
    walked = folds.walk_forward(data_of(row, known), row.spec)
    predictions = walked.predictions
    given: dict[str, Any] = {"model": row.spec, "labels": row.group.labels}
    result = run_backtest(
        predictions,
        known.candles,
        candle_timeframe=row.group.candles,
        settings=settings.simulation,
        risk=settings.trading.risk,
        name=row.kind,
        **given,
    )
    metrics = result.metrics | measure_significance(
        result.trades,
        result.equity,
        predictions,
        tried=Tried(1, (result.metrics["sharpe"],)),
        other_trials=pl.DataFrame(schema=TRIAL_RETURNS.columns),
        settings=settings.simulation,
        **given,
    )
    raw = predictions["raw_probability"]
    learnt = raw.is_not_null().any()
    returns = daily_returns(result.equity["equity"].to_list(), settings.simulation.starting_balance)
    return {
        "key": row.key,
        "auc": score(predictions["probability"], predictions["label"])["auc"],
        "brier": score(predictions["probability"], predictions["label"])["brier"],
        "raw_brier": score(raw, predictions["label"])["brier"] if learnt else None,
        "kept": [bool(one) for one in walked.folds["calibrated"].drop_nulls()],
        "coverage": coverage(predictions["prediction_set"], predictions["label"]).share,
        "metrics": metrics,
        "returns": returns.tolist(),
        "seconds": time.monotonic() - begin,
    }


def table(done: Sequence[tuple[Row, Mapping[str, Any]]], settings: Settings) -> Iterator[str]:
    """The rows in Markdown, the Sharpe ratio of each deflated by all of its group."""
    yield (
        "| markets | timeframe | estimator or rule | AUC | Brier before | after calibration (folds that kept it) "
        "| coverage of 90 % | trades | Sharpe (95 %) | DSR | verdict |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for row, said in done:
        of_group = [other for one, other in done if set(one.spec.markets) == set(row.spec.markets)]
        tried = Tried(len(of_group), tuple(other["metrics"]["sharpe"] for other in of_group))
        metrics = said["metrics"] | deflated(np.array(said["returns"]), tried)
        found = gates.evaluate(metrics, settings.gates.of(row.spec.gates))
        failed = ", ".join(gate.name for gate in found if not gate.passed)
        kept = f" ({sum(said['kept'])} of {len(said['kept'])})" if said["kept"] else ""
        sides = " and ".join(row.group.sides)
        cells = [
            f"{row.group.name}, {sides}",
            row.group.labels.timeframe.name,
            f"`{row.kind}`",
            _number(said["auc"], 3),
            _number(said["raw_brier"], 4),
            _number(said["brier"], 4) + kept,
            _number(said["coverage"], 3),
            f"{metrics['trades']:.0f}",
            f"{metrics['sharpe']:.2f} ({_number(metrics.get('sharpe_low'), 1)} to "
            f"{_number(metrics.get('sharpe_high'), 1)})",
            _number(metrics["dsr"], 2),
            f"refused: {failed}" if failed else "**approved**",
        ]
        yield f"| {' | '.join(cells)} |"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def run(folder: Path, kept: Path, limit: int | None) -> None:
    """Judge what is not judged yet, each row on disk before the next, and print the table."""
    settings, done = load_settings(), _read(kept)
    chosen, new = list(planned()), 0
    kept.parent.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(chosen, 1):
        if absent := [file.name for file in row.group.files(folder).values() if not file.exists()]:
            print(f"skipped {row.kind} on {row.group.name}: {', '.join(absent)} not in {folder}")
            continue
        if row.key not in done and (limit is None or new < limit):
            said = done[row.key] = judged(row, settings, folder)
            new += 1
            with kept.open("a") as file:
                file.write(json.dumps(said) + "\n")
            print(f"{number} of {len(chosen)}: {row.kind} on {row.group.name}, {said['seconds']:.0f} s", flush=True)
    print("\n".join(table([(row, done[row.key]) for row in chosen if row.key in done], settings)))


def _read(kept: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for line in kept.read_text().splitlines() if kept.exists() else ():
        try:
            said = json.loads(line)
        except json.JSONDecodeError:
            continue  # the half line of a killed run
        found[said["key"]] = said
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real", description=__doc__)
    parser.add_argument("--data", type=Path, default=FOLDER, help="the folder with the candles")
    parser.add_argument("--kept", type=Path, help="where rows that are done are kept; default: data/real.jsonl")
    parser.add_argument("--limit", type=int, help="stop after so many new rows")
    chosen_ = parser.parse_args()
    run(chosen_.data, chosen_.kept or load_settings().data_dir / "real.jsonl", chosen_.limit)
