"""The live node's latency, from a bar on the wire to its decision in the journal: ``python -m benchmarks.live``.

The local exchange runs in this process and notes when it hands a decision bar to the socket; a real node runs in
another one, through the adapter, and notes when the journal has the decision (and a wanted entry was sent).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.table import Measurement, Target, print_table
from trading_assets import features, models
from trading_assets.core.timeframes import Timeframe
from trading_assets.models.inputs import usable_names
from trading_assets.registry.deployment import DeployedModel, deploy
from trading_assets.settings import (
    LabelSettings,
    LightGBMSettings,
    ModelSettings,
    Settings,
    WalkForwardSettings,
    load_settings,
)
from trading_assets.sql import build_bars, load_models
from trading_assets.store import open_store
from trading_assets.store.tables import CANDLES, LABELS
from trading_assets.strategies.instruments import raw_symbol
from trading_assets.strategies.signals import Signal
from trading_live.replay import ReplayServer, read_tape
from trading_live.replay.tape import Kline

M15 = Timeframe.parse("15m")

MARKETS = tuple(f"sample:{first}{second}X/USDT:USDT" for first in "ABCDEFGH" for second in "ABCDEFGHIJ")
START = datetime(2025, 5, 20, tzinfo=UTC)
HISTORY_DAYS = 40


@dataclass(frozen=True, slots=True)
class Case:
    """So many markets, a decision bar of each every so many seconds, and the bars until all are subscribed to."""

    markets: int
    bars: int
    seconds: float
    warm_up: int
    max_p99: float

    @property
    def end(self) -> datetime:
        """Where the replay ends."""
        return START + self.bars * timedelta(minutes=15)


CASES = (
    Case(markets=1, bars=300, seconds=0.1, warm_up=10, max_p99=0.050),
    Case(markets=40, bars=80, seconds=1.0, warm_up=35, max_p99=0.150),
    Case(markets=80, bars=100, seconds=1.5, warm_up=45, max_p99=0.300),
)
"""With the 15 one-minute bars that belong to each decision bar; one decision in five sends orders too. Eighty decisions
at one instant are those of 20 markets on four timeframes."""


def run() -> list[Measurement]:
    """Quantiles of the latency over some hundred decisions, of one market and of many that close together."""
    found = []
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            latencies = measure(Path(folder), case)
        name = f"last bar of a close to decisions in the journal, {case.markets} market{'s' * (case.markets > 1)}"
        found += [
            Measurement(f"{name}, p50", float(np.quantile(latencies, 0.5))),
            Measurement(f"{name}, p99", float(np.quantile(latencies, 0.99)), target=Target(max_seconds=case.max_p99)),
        ]
    return found


def measure(folder: Path, case: Case) -> list[float]:
    """Seconds of each decision after the first few: from the bar that completes the close.

    A decision that was made before the last market's bar was sent counts from its own bar.
    """
    markets = MARKETS[: case.markets]
    environment = {"TRADING_DATA_DIR": str(folder / "data"), "TRADING_STORE__URL": f"duckdb:///{folder / 'm.duckdb'}"}
    environment["TRADING_TRADING__RISK__MAX_DAILY_LOSS"] = "1e9"  # entries go on, whatever the random prices bring
    os.environ |= environment
    settings = load_settings()
    _prepare(settings, markets, case.end)
    sent: dict[str, int] = {}

    def note(bar: Kline, now: int) -> None:
        if bar.interval == "15m":
            sent[f"{bar.symbol} {bar.open_ms}"] = now

    tape = read_tape(open_store(settings.store_url), dict.fromkeys(markets, "1m"), start=START, end=case.end)
    decided = folder / "decided.json"
    with ReplayServer(tape, speed=15 * 60 / case.seconds, on_sent=note) as server:
        environment |= {"TRADING_NODE__BASE_URL_HTTP": server.url_http, "TRADING_NODE__BASE_URL_WS": server.url_ws}
        node = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.live", str(decided)],
            env=os.environ | environment | {"TRADING_LOGS__LEVEL": "ERROR"},
        )
        server.wait()
        time.sleep(1)
        node.send_signal(signal.SIGTERM)
        node.wait()
    begin = (START + case.warm_up * timedelta(minutes=15)).timestamp() * 1000
    complete: dict[str, int] = {}
    for bar, at in sent.items():
        close = bar.split()[1]
        complete[close] = max(at, complete.get(close, at))
    latencies = []
    for bar, now in json.loads(decided.read_text()).items():
        close = bar.split()[1]
        if int(close) >= begin:
            latencies.append((now - (complete[close] if complete[close] < now else sent[bar])) / 1e9)
    return latencies


def run_noting(target: Path) -> None:
    """The node's process: run, and write when each decision was in the journal."""
    from trading_live.node.node import run_node

    decided: dict[str, int] = {}

    def note(one: Signal, _: str) -> None:
        decided.setdefault(f"{raw_symbol(one.market)} {round(one.ts.timestamp() * 1000)}", time.time_ns())

    run_node(load_settings(), on_decision=note)
    target.write_text(json.dumps(decided))


def _prepare(settings: Settings, markets: Sequence[str], end: datetime) -> None:
    """Candles, and a deployed model of the usual size that trades all markets; its labels mean nothing."""
    store = open_store(settings.store_url)
    begin, end = START - timedelta(days=HISTORY_DAYS), end + timedelta(hours=1)
    for seed, market in enumerate(markets):
        store.upsert(CANDLES, _candles(market, begin, end, seed=seed))
    bars = build_bars(store, load_models()["bars_15m"], market=markets[0], timeframe="1m", start=begin, end=end)
    rows = features.compute(bars, timeframe=M15)
    won = np.random.default_rng(3).random(rows.height) < 0.4
    labels = rows.select(
        "market",
        "ts",
        "known_at",
        label_set=pl.lit("default"),
        timeframe=pl.lit("15m"),
        label_end=pl.col("known_at") + pl.duration(hours=2),
        side=pl.lit(1, pl.Int8),
        entry_price=pl.lit(100.0),
        take_profit=pl.lit(0.02),
        stop_loss=pl.lit(0.01),
        barrier=pl.Series(np.where(won, "take_profit", "stop_loss")),
        bars_to_hit=pl.lit(8, dtype=pl.Int32),
        **{"return": pl.Series(np.where(won, 0.02, -0.01))},
        label=pl.Series(np.where(won, 1, -1), dtype=pl.Int8),
        ambiguous=pl.lit(value=False),
        resolution=pl.lit("1m"),
        missing_candles=pl.lit(0, dtype=pl.Int32),
    ).select(*LABELS.columns)
    dataset = models.join(rows, labels, names=usable_names(), fingerprint=features.fingerprint())
    spec = ModelSettings(
        markets=list(markets),
        min_edge_bps=-1e6,
        walk_forward=WalkForwardSettings(train_days=10),
        estimator=LightGBMSettings(min_data_in_leaf=20, lambda_l2=5),
    )
    bundle = models.write(
        settings.bundles_dir,
        model="syna",
        trained=models.train(dataset, spec),
        dataset=dataset,
        spec=spec,
        labels=LabelSettings(take_profit_pct=0.8, stop_loss_pct=0.4, horizon_bars=4),
        metrics={},
    )
    deployed = DeployedModel(
        model=bundle.model,
        version=1,
        bundle=str(bundle.folder.relative_to(settings.data_dir)),
        bundle_hash=bundle.bundle_hash,
        markets=bundle.markets,
        deployed_at=datetime.now(UTC),
    )
    deploy(settings.live_dir, deployed)


def _candles(market: str, begin: datetime, end: datetime, *, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    ts = pl.datetime_range(begin, end, "1m", closed="left", time_unit="us", time_zone="UTC", eager=True)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 8e-4, len(ts)))), 2)
    opened = np.concatenate([[100.0], close[:-1]])
    return pl.DataFrame(
        {
            "market": [market] * len(ts),
            "timeframe": ["1m"] * len(ts),
            "ts": ts,
            "open": opened,
            "high": np.round(np.maximum(opened, close) + 0.03, 2),
            "low": np.round(np.minimum(opened, close) - 0.03, 2),
            "close": close,
            "volume": np.round(rng.gamma(2.0, 400.0, len(ts)), 3),
        },
        schema=CANDLES.columns,
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run_noting(Path(sys.argv[1]))
    else:
        print_table(run(), title="Live")
