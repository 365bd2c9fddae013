"""A market's candles and labels rearranged so that nothing can be found in them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import numpy as np
import polars as pl

from trading_assets.core.candles import OHLCV, PRICES, timeframe_delta, timeframe_minutes
from trading_assets.core.errors import SettingsError

MARKET: Final = "sample:PLACEBO/USDT:USDT"
"""What every world's market is called: synthetic, whatever it was made from."""

START: Final = datetime(2025, 1, 1, tzinfo=UTC)
FIRST_PRICE: Final = 10_000.0
"""Prices have steps of 0.01, which must stay small where a price of years has fallen far."""


def permuted(source: pl.DataFrame, timeframe: str, rng: np.random.Generator, *, days: int, block: int) -> pl.DataFrame:
    """Candles of a market in random order, ``block`` by block, some of them again where ``days`` need more than it has.

    Every candle keeps its shape and volume; the mean return is taken out, so that holding the market earns nothing
    either. Order beyond a block, and with it whatever could be predicted further ahead, is destroyed.
    """
    wanted = days * 1440 // timeframe_minutes(timeframe)
    blocks = source.height // block
    if blocks < 2:
        raise SettingsError(
            f"{source.height} candles cannot be permuted", where="placebo", remedy="give a longer market"
        )
    drawn = [rng.permutation(blocks) for _ in range(-(-wanted // (block * blocks)))]
    rows = (np.concatenate(drawn)[:, None] * block + np.arange(block)).ravel()[:wanted]
    shapes = {name: shape[rows] for name, shape in _shapes(source).items()}
    drift = float(np.mean(np.exp(shapes["close"]) - 1))
    volume = source["volume"].to_numpy()[rows]
    return _strung({name: shape - np.log1p(drift) for name, shape in shapes.items()}, volume, timeframe)


def mirrored(source: pl.DataFrame, timeframe: str, rng: np.random.Generator) -> pl.DataFrame:
    """Candles of a market, each of which a coin turns upside down: its volatility and volume, and no direction.

    Each step is rid of what a fair coin earns on a log scale (the log of the cosh of the move), so that the closes are
    a martingale whatever is known of sizes and volumes, which keep their order and so all that can be told from them.
    """
    shapes, coin = _shapes(source), np.where(rng.random(source.height) < 0.5, 1.0, -1.0)
    toll = np.log(np.cosh(shapes["close"]))
    turned = {name: coin * shape - toll for name, shape in shapes.items()}
    turned["high"], turned["low"] = np.maximum(turned["high"], turned["low"]), np.minimum(turned["high"], turned["low"])
    return _strung(turned, source["volume"].to_numpy(), timeframe)


def excerpt(source: pl.DataFrame, timeframe: str, rng: np.random.Generator, *, days: int) -> pl.DataFrame:
    """``days`` of a market from a random candle on, as if there were no gaps.

    Raises
    ------
    SettingsError
        If the market is shorter.
    """
    per_day = 1440 // timeframe_minutes(timeframe)
    if source.height < days * per_day:
        raise SettingsError(
            f"{source.height // per_day} days of candles make no world of {days}",
            where="placebo",
            remedy="give a longer market, or fewer --days",
        )
    first = int(rng.integers(source.height - days * per_day + 1))
    stretch = source[first : first + days * per_day]
    return frame_of({name: stretch[name].to_numpy() for name in OHLCV}, timeframe)


def shifted(labels: pl.DataFrame, rng: np.random.Generator, *, in_stops: bool = False) -> pl.DataFrame:
    """Labels whose outcomes belong to another time, turned by between a fifth and four fifths of the history.

    Keys, ``known_at`` and how long an outcome took (of the row that it came from) stay together as they must for
    purging.

    Parameters
    ----------
    in_stops
        Whether what is moved is how many times the stop's distance a trade earned, and not the return: what an exit
        plan earns is measured in that, and its stop is as wide as the market moves.
    """
    rows = labels.height
    turn = turn_of(rows, rng)
    earned = pl.col("return") / pl.col("stop_loss") if in_stops else pl.col("return")
    moved = labels.select(
        *(pl.col("label"), earned, pl.col("barrier", "bars_to_hit")),
        (pl.col("label_end") - pl.col("known_at")).alias("lasted"),
    )
    moved = pl.concat([moved.tail(turn), moved.head(rows - turn)])
    made = labels.drop("label", "return", "barrier", "bars_to_hit", "label_end").hstack(moved)
    if in_stops:
        made = made.with_columns((pl.col("return") * pl.col("stop_loss")).alias("return"))
    return made.with_columns(label_end=pl.col("known_at") + pl.col("lasted")).select(labels.columns)


def turn_of(rows: int, rng: np.random.Generator) -> int:
    """Between a fifth and four fifths of the history."""
    return int(rng.integers(rows // 5, max(rows * 4 // 5, rows // 5 + 1)))


def _shapes(source: pl.DataFrame) -> dict[str, np.ndarray]:
    """The logs of each candle's prices over the close before it."""
    before = np.concatenate((source["open"].to_numpy()[:1], source["close"].to_numpy()[:-1]))
    return {name: np.log(source[name].to_numpy() / before) for name in PRICES}


def _strung(shapes: dict[str, np.ndarray], volume: np.ndarray, timeframe: str) -> pl.DataFrame:
    """Candles of these shapes, each beginning where the one before it closed."""
    start = np.concatenate(([0.0], np.cumsum(shapes["close"])[:-1]))
    prices = {name: FIRST_PRICE * np.exp(start + shape) for name, shape in shapes.items()}
    return frame_of(prices | {"volume": volume}, timeframe)


def frame_of(values: dict[str, np.ndarray], timeframe: str) -> pl.DataFrame:
    """Rows of the ``candles`` table of :data:`MARKET`, from :data:`START` on without gaps."""
    bar, rows = timeframe_delta(timeframe), len(values["close"])
    ts = pl.datetime_range(START, START + rows * bar, bar, closed="left", time_unit="us", eager=True)
    return pl.DataFrame({"ts": ts, **{name: values[name] for name in OHLCV}}).select(
        pl.lit(MARKET).alias("market"), pl.lit(timeframe).alias("timeframe"), "ts", *OHLCV
    )
