"""The backtest with the real strategy beside the bare engine: ``python -m benchmarks.backtest``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from benchmarks.table import Measurement, Target, best_of, main
from trading_assets.backtest.simulation.engine import run_backtest
from trading_assets.backtest.simulation.slices import MarketRules
from trading_assets.core.sides import Side
from trading_assets.settings import BacktestSettings, LabelSettings, ModelSettings, RiskSettings
from trading_assets.settings.sections.exits import ExitSettings

ROWS = 300_000
MARKETS = tuple(f"bench:{name}/USDT:USDT" for name in "ABCD")
START = datetime(2024, 1, 1, tzinfo=UTC)
SIGNAL_SHARE = 0.05
"""Of the 15-minute bars have a probability above the threshold."""


def candles(minutes: int, *, seed: int) -> pl.DataFrame:
    """A random walk of one-minute candles with two decimals."""
    rng = np.random.default_rng(seed)
    close = (100 * np.exp(np.cumsum(rng.normal(0, 6e-4, minutes)))).round(2)
    ts = pl.datetime_range(START, START + timedelta(minutes=minutes - 1), "1m", time_unit="us", eager=True)
    before = pl.col("close").shift(fill_value=100.0)
    return pl.DataFrame({"ts": ts, "close": close}).select(
        "ts",
        before.alias("open"),
        (pl.max_horizontal("close", before) + 0.03).round(2).alias("high"),
        (pl.min_horizontal("close", before) - 0.03).round(2).alias("low"),
        "close",
        pl.lit(10_000.0).alias("volume"),
    )


def predictions(frame: pl.DataFrame, market: str, *, seed: int, side: Side = Side.LONG) -> pl.DataFrame:
    """One stored prediction of a side for each 15-minute bar."""
    ts = frame["ts"].dt.truncate("15m").unique().sort()
    rng = np.random.default_rng(seed)
    odds = np.where(rng.random(ts.len()) < SIGNAL_SHARE, 0.6, 0.4)
    columns = {"market": [market] * ts.len(), "ts": ts, "known_at": ts + timedelta(minutes=15), "probability": odds}
    return pl.DataFrame(columns).with_columns(side=pl.lit(side.value, pl.Int8))


def run() -> list[Measurement]:
    """Candles per second: one market long, short, and both ways, four on one account; and with an exit plan."""
    both = (Side.LONG, Side.SHORT)
    bracket = [_measure(1, (Side.LONG,)), _measure(1, (Side.SHORT,)), _measure(1, both), _measure(len(MARKETS), both)]
    return [*bracket, _measure(1, (Side.LONG,), ExitSettings()), _measure(1, both, ExitSettings())]


def _measure(count: int, sides: Sequence[Side], plan: ExitSettings | None = None) -> Measurement:
    markets = MARKETS[:count]
    frames = {market: candles(ROWS // count, seed=n) for n, market in enumerate(markets)}
    stored = pl.concat(
        predictions(frame, market, seed=10 * n + side + 1, side=side)
        for n, (market, frame) in enumerate(frames.items())
        for side in sides
    )
    peer = _bare_engine(next(iter(frames.values()))) if count == 1 and plan is None else None
    ways = " and ".join(side.word for side in sides) + (", three targets" if plan is not None else "")

    def backtest() -> None:
        result = run_backtest(
            stored,
            frames,
            candle_timeframe="1m",
            model=ModelSettings(markets=list(markets), threshold=0.55, exit_plan=plan),
            labels=LabelSettings(),
            settings=BacktestSettings(),
            risk=RiskSettings(max_daily_loss=1e9),
            name="bench",
        )
        assert result.trades.height > 100

    return Measurement(
        f"backtest {ROWS // 1000}k 1-minute candles, {count} market{'s' * (count > 1)}, {ways}",
        best_of(backtest),
        ROWS,
        "bars built one by one, empty on_bar" if peer is not None else "",
        peer,
        Target(min_rows_per_s=100_000 if plan is None else 80_000),
    )


def _bare_engine(frame: pl.DataFrame) -> float:
    """The same candles as plain engine bars, and a strategy that does nothing on each."""
    from nautilus_trader.model import Bar, BarType, Price, Quantity
    from nautilus_trader.trading import Strategy, StrategyConfig

    from trading_assets.backtest.simulation.venue import make_engine
    from trading_assets.strategies.instruments import bar_type, instrument_id, nanoseconds

    rules = MarketRules.of(frame)
    kind = BarType.from_str(bar_type(instrument_id(MARKETS[0]), "1m"))

    class Idle(Strategy):
        def on_start(self) -> None:
            self.subscribe_bars(kind)

        def on_bar(self, bar: Any) -> None:
            pass

    def work() -> None:
        def price(value: float) -> Price:
            return Price(value, rules.price_precision)

        engine = make_engine(BacktestSettings(), {MARKETS[0]: rules}, venue="binance")
        engine.add_strategy(Idle(StrategyConfig()))
        bars = []
        for ts, opened, high, low, close, volume in frame.iter_rows():
            at = nanoseconds(ts) + 60_000_000_000
            quantity = Quantity(volume, rules.size_precision)
            bars.append(Bar(kind, price(opened), price(high), price(low), price(close), quantity, at, at))
        engine.add_data(bars)
        engine.run()
        engine.dispose()

    return best_of(work, repeat=2)


if __name__ == "__main__":
    main(run, __doc__, title="Backtest")
