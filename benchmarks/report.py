"""What a report adds to a backtest: figures, Monte Carlo, the test of all variants, and the interactive page."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.table import Measurement, best_of, main
from trading_assets.backtest import metrics, monte_carlo
from trading_assets.backtest.candle_paths import by_paths
from trading_assets.backtest.report.executions import Executions
from trading_assets.backtest.report.interactive import trade_views, write_interactive
from trading_assets.settings import LabelSettings
from trading_assets.validation.superiority import superior_ability

MARKET = "bench:BTC/USDT:USDT"
START = datetime(2024, 1, 1, tzinfo=UTC)
MINUTES, TRADES, DAYS, VARIANTS = 525_600, 500, 365, 60
HORIZON = timedelta(hours=6)


def year() -> pl.DataFrame:
    """A year of minutes."""
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 6e-4, MINUTES)))
    opened = np.concatenate(([100.0], close[:-1]))
    spread = np.abs(rng.normal(0, 3e-4, (2, MINUTES)))
    ts = pl.datetime_range(
        START, START + timedelta(minutes=MINUTES - 1), "1m", time_unit="us", time_zone="UTC", eager=True
    )
    prices = {
        "open": opened,
        "high": np.maximum(opened, close) * (1 + spread[0]),
        "low": np.minimum(opened, close) * (1 - spread[1]),
        "close": close,
    }
    return pl.DataFrame({"ts": ts, **prices})


def made(candles: pl.DataFrame) -> Executions:
    """Trades at even distances, with their stop and target."""
    rng = np.random.default_rng(2)
    at = np.linspace(1_000, MINUTES - 2_000, TRADES).astype(int)
    ends = at + rng.integers(30, 360, TRADES)
    entry, left = candles["open"].to_numpy()[at], candles["open"].to_numpy()[ends]
    named = [str(number) for number in range(TRADES)]
    trades = pl.DataFrame(
        {
            "trade": range(TRADES),
            "signal_id": named,
            "market": MARKET,
            "side": "long",
            "signal_ts": candles["ts"][at],
            "entry_ts": candles["ts"][at],
            "exit_ts": candles["ts"][ends],
            "entry_price": entry,
            "exit_price": left,
            "quantity": 10.0,
            "fees": 1.0,
            "funding": 0.0,
            "pnl": 10 * (left - entry) - 1,
            "return": left / entry - 1.001,
            "exit_reason": "time",
        }
    )
    levels = [
        trades.select(
            "signal_id", purpose=pl.lit(name), start="entry_ts", end="exit_ts", price=pl.col("entry_price") * by
        )
        for name, by in (("stop_loss", 0.99), ("take_profit", 1.02))
    ]
    parts = [
        trades.select("signal_id", ts=ts, purpose=pl.lit(name), side=pl.lit(side), quantity="quantity", price=price)
        for name, side, ts, price in (
            ("entry", "buy", "entry_ts", "entry_price"),
            ("exit", "sell", "exit_ts", "exit_price"),
        )
    ]
    return Executions(trades, pl.concat(parts), pl.concat(levels))


def run() -> list[Measurement]:
    """Time each part, on trades of a year of minutes."""
    candles = year()
    executions, rng = made(candles), np.random.default_rng(3)
    trades = executions.trades
    daily, variants = rng.normal(0.001, 0.01, DAYS), rng.normal(0, 0.01, (DAYS, VARIANTS))
    labels = LabelSettings(horizon_bars=24)
    each = monte_carlo.trade_returns(trades, starting_balance=1e5)

    def paths() -> object:
        return by_paths(
            trades,
            executions.levels,
            {MARKET: candles},
            candle_step=timedelta(minutes=1),
            labels=labels,
            exits=None,
            starting_balance=1e5,
        )

    paths()  # compiled, or loaded from its cache
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"

        def page() -> object:
            views = trade_views({MARKET: candles}, executions)
            return write_interactive(views, file, title="", lead="", synthetic=[], created_at=START)

        page()
        drawn = best_of(page)
        size = file.stat().st_size / 1e6
    parts = [
        (f"excursions of {TRADES} trades", lambda: metrics.with_excursions(trades, {MARKET: candles}), MINUTES),
        ("groups of trades", lambda: metrics.breakdown(trades), TRADES),
        ("1,000 orders of the trades", lambda: monte_carlo.by_order(each), 1000),
        ("1,000 draws of the trades", lambda: monte_carlo.by_trades(each), 1000),
        (f"1,000 draws of {DAYS} days in blocks", lambda: monte_carlo.by_days(daily), 1000),
        ("1,000 accounts on other paths of 6 h of minutes", paths, 1000),
        (f"SPA and StepM, {VARIANTS} variants, {DAYS} days", lambda: superior_ability(variants), VARIANTS),
        (f"SPA and StepM, 11 variants, {DAYS} days", lambda: superior_ability(variants[:, :11]), 11),
    ]
    timed = [Measurement(name, best_of(work), rows) for name, work, rows in parts]
    return [*timed, Measurement(f"interactive page, {size:.1f} MB", drawn, MINUTES)]


if __name__ == "__main__":
    main(run, __doc__, title="Report")
