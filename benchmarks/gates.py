"""What two gates promise, in worlds whose truth is known: ``python -m benchmarks.gates [--candles FOLDER]``.

Returns are those of the triple barrier on a random walk with volatility that clusters, or on recorded candles (Parquet,
15 minutes). Probabilities are functions of the past that tell nothing (a market without drift has nothing to tell), or
that were planted to. ``before`` is what the gates did: days drawn in blocks for the skill; for the overfitting the
account among ten bands net of costs.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.signal import lfilter

from trading_assets.backtest.significance import MAX_BLOCKS, choice
from trading_assets.labels.exits import exits
from trading_assets.settings import LabelSettings
from trading_assets.store.tables import TRIAL_RETURNS
from trading_assets.validation import cross_validate_choice, information_coefficient
from trading_assets.validation.bootstrap import optimal_block_length, resample
from trading_assets.validation.skill import _correlation, _daily_sums

Array = npt.NDArray[np.float64]

DAY, FOLD, HORIZON = 96, 30 * 96, 24
WARM_UP = 21 * DAY
STEPS = 30
"""Of the price within a candle: with few it jumps far beyond a barrier, and a stop that fills at its price earns."""

COSTS = 12e-4
START = datetime(2024, 1, 1, tzinfo=UTC)
NO_TRIALS = pl.DataFrame(schema=TRIAL_RETURNS.columns)


def walk(rng: np.random.Generator, days: int) -> pl.DataFrame:
    """Candles of 15 minutes of a market without drift: heavy tails, volatility that lasts for days."""
    rows = WARM_UP + days * DAY + HORIZON
    mood = lfilter([1], [1, -(1 - 1 / (3 * DAY))], 0.03 * rng.normal(size=rows))
    wild = 0.0025 * np.exp(mood) * np.sqrt(3 / rng.chisquare(5, size=rows))  # of a bar: a Student distribution
    steps = rng.normal(size=(rows, STEPS)) * wild[:, None] / math.sqrt(STEPS) - (wild**2)[:, None] / (2 * STEPS)
    path = np.cumsum(steps.ravel()).reshape(rows, STEPS)
    opened = np.concatenate([[0.0], path[:-1, -1]])
    low, high = np.minimum(opened, path.min(axis=1)), np.maximum(opened, path.max(axis=1))
    prices = {"open": opened, "high": high, "low": low, "close": path[:, -1]}
    return pl.DataFrame({"ts": _times(rows)} | {name: 100 * np.exp(value) for name, value in prices.items()})


def outcomes(candles: pl.DataFrame) -> Array:
    """The return of a trade entered at each candle's open: 2 % and 1 %, six hours."""
    trades = candles.head(-HORIZON).select(
        known_at="ts", side=pl.lit(1, pl.Int8), take_profit=pl.lit(0.02), stop_loss=pl.lit(0.01)
    )
    return exits(trades, candles, timeframe="15m", settings=LabelSettings())["return"].to_numpy()[WARM_UP:]


def of_the_past(close: Array, rows: int) -> dict[str, Array]:
    """What was known at each entry: the move of a day, how far below the mean of ten days, a day's volatility."""
    log, sums = np.log(close), np.concatenate([[0.0], np.cumsum(np.log(close))])
    squares = np.concatenate([[0.0], np.cumsum(np.diff(log, prepend=log[0]) ** 2)])
    at = np.arange(WARM_UP - 1, WARM_UP - 1 + rows)
    return {
        "move of a day": _z(log[at] - log[at - DAY]),
        "below the mean of 10 days": _z((sums[at + 1] - sums[at + 1 - 10 * DAY]) / (10 * DAY) - log[at]),
        "volatility": _z(np.sqrt(squares[at + 1] - squares[at + 1 - DAY])),
    }


def without_skill(rng: np.random.Generator, past: dict[str, Array]) -> dict[str, Array]:
    """Probabilities, up to their order, that tell nothing about returns."""
    rows = len(past["volatility"])
    fold = np.arange(rows) // FOLD
    mixed = sum(rng.normal(size=fold[-1] + 1)[fold] * feature for feature in past.values())
    refitted = mixed + rng.normal(size=fold[-1] + 1)[fold]
    slow, fast = _remembering(rng, rows, 5 * DAY), _remembering(rng, rows, DAY / 10)
    return past | {"another function of the past each month": refitted, "slow and unrelated": slow, "unrelated": fast}


def before(frame: pl.DataFrame, account: Array, days: pl.DataFrame) -> tuple[float, float, float]:
    """The skill's bounds, and the probability of overfitting, as they were measured."""
    sums = _daily_sums(frame)
    drawn = resample(len(sums), block_length=optimal_block_length(sums[:, -1]), resamples=500, seed=7)
    cells = (drawn + len(sums) * np.arange(500)[:, None]).ravel()
    counts = np.bincount(cells, minlength=500 * len(sums)).reshape(500, -1)
    low, high = np.quantile(_correlation(counts @ sums), [0.025, 0.975])
    band = (pl.col("probability").rank("max").cast(pl.Int64) - 1) * 10 // pl.len()
    daily = (
        frame.select(ts=pl.col("label_end").dt.truncate("1d"), band=band, net=pl.col("return") - COSTS)
        .group_by("ts", "band")
        .agg(pl.col("net").mean())
        .pivot("band", index="ts", values="net")
    )
    bands = days.join(daily, on="ts", how="left").drop("ts").fill_null(0.0).to_numpy()
    contest = cross_validate_choice(np.column_stack([account, bands]), blocks=_blocks(len(days)))
    return float(low), float(high), contest.pbo


def traded(score: Array, returns: Array, share: float) -> Array:
    """The daily returns of an account that trades the most probable, one after the other."""
    account, free = np.zeros(-(-len(score) // DAY)), 0
    for row in np.flatnonzero(score >= np.quantile(score, 1 - share)):
        if row >= free:
            account[row // DAY] += 0.1 * (returns[row] - COSTS)
            free = row + HORIZON // 2
    return account


def judge(score: Array, returns: Array) -> dict[str, float]:
    """Both gates, before and now, on one world."""
    rows = len(score) // DAY * DAY
    known = _times(rows)
    frame = pl.DataFrame({"probability": score[:rows], "return": returns[:rows], "known_at": known, "label_end": known})
    days = frame.select(ts=pl.col("known_at").dt.truncate("1d")).unique(maintain_order=True)
    account = traded(score[:rows], returns[:rows], 0.002)
    low, high, pbo = before(frame, account, days)
    now = information_coefficient(frame)
    contest = choice(days, account, frame, other_trials=NO_TRIALS)
    return {
        "low, before": low >= 0,
        "low, now": now.low >= 0,
        "high, before": high < 0,
        "high, now": now.high < 0,
        "pbo, before": pbo <= 0.5,
        "pbo, now": contest["pbo"] <= 0.5,
    }


def made_up(worlds: int, days: int, seed: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Random walks, and the same with planted skill."""
    rng = np.random.default_rng(seed)
    for _ in range(worlds):
        candles = walk(rng, days)
        returns = outcomes(candles)
        for name, score in without_skill(rng, of_the_past(candles["close"].to_numpy(), len(returns))).items():
            yield name, judge(score, returns)
        for skill in (0.05, 0.1, 0.2):
            noise = _remembering(rng, len(returns), DAY / 5)
            yield f"PLANTED, coefficient {skill}", judge(skill * _z(returns) + math.sqrt(1 - skill**2) * noise, returns)


def recorded(folder: Path, shifts: int) -> Iterator[tuple[str, dict[str, float]]]:
    """The outcomes of one recorded market against another's past, moved in time: nothing can be told."""
    rng = np.random.default_rng(2)
    markets = [pl.read_parquet(file).sort("ts") for file in sorted(folder.glob("*_15m.parquet"))]
    told = [(outcomes(candles), candles["close"].to_numpy()) for candles in markets]
    for returns, _ in told:
        for other, close in told:
            rows = min(len(returns), len(other)) // DAY * DAY
            score = without_skill(rng, of_the_past(close, rows))["another function of the past each month"]
            for shift in rng.integers(10, rows // DAY - 10, shifts):
                yield "RECORDED, moved in time", judge(np.roll(score, shift * DAY), returns[:rows])


def _z(values: Array) -> Array:
    return np.asarray((values - values.mean()) / values.std())


def _remembering(rng: np.random.Generator, rows: int, length: float) -> Array:
    """A series that forgets over so many rows."""
    kept = math.exp(-1 / length)
    return _z(lfilter([1], [1, -kept], rng.normal(size=rows + 30 * DAY))[-rows:])


def _times(rows: int) -> pl.Series:
    step = 15 * 60 * 10**6
    first = int(START.timestamp()) * 10**6
    return pl.Series(first + step * np.arange(rows), dtype=pl.Datetime("us")).dt.replace_time_zone("UTC")


def _blocks(days: int) -> int:
    return min(MAX_BLOCKS, days // 2) // 2 * 2


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gates", description=__doc__)
    parser.add_argument("--worlds", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=170)
    parser.add_argument("--candles", type=Path)
    chosen = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for name, verdict in made_up(chosen.worlds, chosen.days, chosen.seed):
        found[name].append(verdict)
    if chosen.candles is not None:
        for name, verdict in recorded(chosen.candles, shifts=10):
            found[name].append(verdict)
    names = list(next(iter(found.values()))[0])
    print(f"| probability | worlds | {' | '.join(names)} |\n|{'---|' * (len(names) + 2)}")
    for kind, verdicts in found.items():
        shares = [f"{np.mean([verdict[name] for verdict in verdicts]):.1%}" for name in names]
        print(f"| {kind} | {len(verdicts)} | {' | '.join(shares)} |")


if __name__ == "__main__":
    main()
