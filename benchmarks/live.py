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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.table import Measurement, Target, main
from trading_assets import features, models
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import LIVE_ENVIRONMENT
from trading_assets.models.inputs import usable_names
from trading_assets.registry.deployment import DeployedModel, deploy, shadow
from trading_assets.settings import (
    LabelSettings,
    LightGBMSettings,
    ModelSettings,
    Settings,
    WalkForwardSettings,
    load_settings,
    logs,
)
from trading_assets.sql import build_bars, load_models
from trading_assets.store import open_store
from trading_assets.store.tables import CANDLES, LABELS
from trading_assets.strategies.instruments import raw_symbol
from trading_assets.strategies.signals import Signal
from trading_live.node.decisions.shadow import ShadowDecisions
from trading_live.operations.heartbeat import read_heartbeat
from trading_live.replay import ReplayServer, read_tape
from trading_live.replay.tape import Kline

M15 = Timeframe.parse("15m")

MARKETS = tuple(f"sample:{first}{second}X/USDT:USDT" for first in "ABCD" for second in "ABCDEFGHIJ")
START = datetime(2025, 5, 20, tzinfo=UTC)
_LABELS = LabelSettings(take_profit_pct=0.8, stop_loss_pct=0.4, horizon_bars=4)
_MOST_MORE_S = 1e-3
"""What eight challengers of a market may add to a decision."""


@dataclass(frozen=True, slots=True)
class Case:
    """So many markets on some timeframes, all of whose bars close together every so many seconds.

    Attributes
    ----------
    closes
        Of the coarsest timeframe, whose bars end with one of each of the others.
    seconds
        Between two of them.
    warm_up
        How many pass until everything is subscribed to; they do not count.
    challengers
        That decide in shadow beside the model that trades.
    labels
        Barriers and horizon of the models, percent and bars.
    enter
        The timeframes whose models want a trade on each bar; the others only decide.
    """

    markets: int
    closes: int
    seconds: float
    warm_up: int
    max_p99: float
    timeframes: tuple[Timeframe, ...] = (M15,)
    challengers: int = 0
    labels: LabelSettings = _LABELS
    enter: tuple[Timeframe, ...] | None = None

    @property
    def longest(self) -> Timeframe:
        """The coarsest timeframe."""
        return max(self.timeframes)

    @property
    def begin(self) -> datetime:
        """From when on closes count."""
        return START + self.warm_up * self.longest.length

    @property
    def end(self) -> datetime:
        """Where the replay ends."""
        return START + self.closes * self.longest.length

    @property
    def history(self) -> timedelta:
        """What a node asks for before, and a little more."""
        bars = max(features.lookback_bars(one) * one.length for one in self.timeframes)
        return bars + timedelta(days=3)

    def __str__(self) -> str:
        several = f" x {len(self.timeframes)} timeframes" if len(self.timeframes) > 1 else ""
        beside = f", {self.challengers} challengers" if self.challengers else ""
        return f"{self.markets} market{'s' * (self.markets > 1)}{several}{beside}"


CASES = (
    Case(markets=1, closes=300, seconds=0.1, warm_up=10, max_p99=0.050),
    Case(markets=1, closes=300, seconds=0.1, warm_up=10, max_p99=0.050, challengers=8),
    Case(markets=40, closes=80, seconds=1.0, warm_up=35, max_p99=0.150),
    Case(
        markets=20,
        closes=38,
        seconds=2.5,
        warm_up=16,
        max_p99=0.300,
        timeframes=tuple(Timeframe.parse(one) for one in ("5m", "15m", "30m", "1h")),
    ),
)
"""With the one-minute bars that belong to each decision bar; a part of the decisions sends orders too."""


def run() -> list[Measurement]:
    """Quantiles of the latency over some hundred decisions, of one market and of many that close together."""
    found: list[Measurement] = []
    alone: dict[str, float] = {}
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            latencies, work_s = measure(Path(folder), case)
        name = f"last bar of a close to decisions in the journal, {case}"
        p50, p99 = (float(np.quantile(latencies, one)) for one in (0.5, 0.99))
        without = str(replace(case, challengers=0)) if case.challengers else ""
        found += [
            Measurement(f"{name}, p50", p50, 0, without, alone.get(without)),
            Measurement(f"{name}, p99", p99, target=Target(max_seconds=case.max_p99)),
        ]
        alone[str(case)] = p50
        if case.challengers:
            more, limit = max(p50 - alone[without], 0.0), Target(max_seconds=_MOST_MORE_S)
            found.append(Measurement(f"what {case.challengers} challengers add to that, p50", more, target=limit))
            found.append(Measurement(f"their own work after it, {case}, a bar", work_s))
    return found


def measure(folder: Path, case: Case) -> tuple[list[float], float]:
    """Seconds of each decision after the first few: from the bar that completes the close; and of challengers' work.

    A decision that was made before the last market's bar was sent counts from its own bar. Of several timeframes, only
    the closes count at which bars of all of them end.
    """
    environment = {"TRADING_DATA_DIR": str(folder / "data"), "TRADING_STORE__URL": f"duckdb:///{folder / 'm.duckdb'}"}
    environment["TRADING_TRADING__RISK__MAX_DAILY_LOSS"] = "1e9"  # entries go on, whatever the random prices bring
    os.environ |= environment
    settings = load_settings()
    prepare(settings, case)
    sent: dict[str, int] = {}
    wanted = {str(one): one for one in case.timeframes}

    def note(bar: Kline, now: int) -> None:
        if (timeframe := wanted.get(bar.interval)) is not None:
            sent[bar_key(bar.symbol, bar.open_ms, timeframe)] = now

    tape = read_tape(
        open_store(settings.store_url),
        dict.fromkeys(MARKETS[: case.markets], "1m"),
        start=START,
        end=case.end,
        history=case.history,
    )
    decided = folder / "decided.json"
    speed = case.longest.length.total_seconds() / case.seconds
    with ReplayServer(tape, speed=speed, on_sent=note) as server:
        environment |= {"TRADING_NODE__BASE_URL_HTTP": server.url_http, "TRADING_NODE__BASE_URL_WS": server.url_ws}
        node = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.live", "node", str(decided)],
            env=os.environ | environment | LIVE_ENVIRONMENT | {"TRADING_LOGS__LEVEL": "ERROR"},
        )
        if case.challengers:
            server.pause()
            while (beat := read_heartbeat(settings.live_dir)) is None or len(beat.challengers) < case.challengers:
                time.sleep(0.1)
            server.go_on()
        server.wait()
        time.sleep(1)
        node.send_signal(signal.SIGTERM)
        node.wait()
    noted = json.loads(decided.read_text())
    return latencies(case, sent, noted["decided"]), noted["work_s"]


def bar_key(symbol: str, open_ms: int, timeframe: Timeframe) -> str:
    return f"{symbol} {timeframe} {open_ms + timeframe.micros // 1000}"


def latencies(case: Case, sent: Mapping[str, int], decided: Mapping[str, int]) -> list[float]:
    """Seconds from the completed close, or from the bar itself, to the decision on each bar."""
    complete: dict[int, int] = {}
    for bar, at in sent.items():
        close = int(bar.split()[2])
        complete[close] = max(at, complete.get(close, at))
    first, length = round(case.begin.timestamp() * 1000), case.longest.micros // 1000
    latencies = []
    for bar, now in decided.items():
        close = int(bar.split()[2])
        if close > first and close % length == 0:
            latencies.append((now - (complete[close] if complete[close] < now else sent[bar])) / 1e9)
    assert len(latencies) > 0.9 * case.markets * len(case.timeframes) * (case.closes - case.warm_up), "bars undecided"
    return latencies


def run_noting(target: Path) -> None:
    """The node's process: run, and write when each decision was in the journal."""
    from trading_live.node.node import run_node

    decided: dict[str, int] = {}

    def note(one: Signal, _: str) -> None:
        timeframe = Timeframe((one.known_at - one.ts) // timedelta(minutes=1))
        decided.setdefault(bar_key(raw_symbol(one.market), round(one.ts.timestamp() * 1000), timeframe), time.time_ns())

    settings = load_settings()
    logs.configure(settings, "node")
    with _timed() as pieces:
        run_node(settings, on_decision=note)
    target.write_text(json.dumps({"decided": decided, "work_s": sum(pieces) / max(len(decided), 1)}))


@contextmanager
def _timed() -> Iterator[list[float]]:
    """Seconds of each piece of work on challengers."""
    pieces: list[float] = []
    do = ShadowDecisions._go_on

    def timed(self: ShadowDecisions, event: object) -> None:
        began = time.perf_counter()
        do(self, event)
        pieces.append(time.perf_counter() - began)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShadowDecisions, "_go_on", timed)
        yield pieces


def prepare(settings: Settings, case: Case) -> None:
    """Candles, and for each timeframe a deployed model of the usual size of all markets; its labels mean nothing."""
    store, markets = open_store(settings.store_url), MARKETS[: case.markets]
    begin, end = START - max(case.history, timedelta(days=40)), case.end + timedelta(hours=1)
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
    known = set.intersection(*(set(features.feature_names(one)) for one in case.timeframes))
    names = [name for name in usable_names(timeframe=M15) if name in known]
    dataset = models.join(rows, labels, names=names, fingerprint=features.fingerprint())
    spec = ModelSettings(
        markets=list(markets),
        min_edge_bps=-1e6,
        walk_forward=WalkForwardSettings(train_days=10),
        estimator=LightGBMSettings(min_data_in_leaf=20, lambda_l2=5),
    )
    trained = models.train(dataset, spec)
    for timeframe in case.timeframes:
        labels = case.labels.model_copy(update={"timeframe": timeframe})
        write = partial(_write, settings, labels, trained, dataset, spec)
        enters = case.enter is None or timeframe in case.enter
        bundle = write(threshold=None if enters else 1.0)
        deployed = DeployedModel(
            model=bundle.model,
            version=1,
            bundle=str(bundle.folder.relative_to(settings.data_dir)),
            bundle_hash=bundle.bundle_hash,
            markets=bundle.markets,
            deployed_at=datetime.now(UTC),
        )
        deploy(settings.live_dir, deployed)
        for number in range(case.challengers):
            other = write(threshold=0.001 * (number + 1))
            shadow(settings.live_dir, DeployedModel.of(other, number + 2, settings.data_dir, datetime.now(UTC)))


def _write(
    settings: Settings,
    labels: LabelSettings,
    trained: models.TrainedModel,
    dataset: models.Dataset,
    spec: ModelSettings,
    *,
    threshold: float | None,
) -> models.Bundle:
    return models.write(
        settings.bundles_dir,
        model=f"syna_{labels.timeframe}",
        trained=trained,
        dataset=dataset,
        spec=spec.model_copy(update={"threshold": threshold}),
        labels=labels,
        metrics={},
    )


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
    if sys.argv[1:2] == ["node"]:
        run_noting(Path(sys.argv[2]))
    else:
        main(run, __doc__, title="Live")
