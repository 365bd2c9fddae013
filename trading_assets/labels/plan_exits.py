"""How trades of an exit plan end: whether the first target came before the stop, and what all parts earned."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Final

import numpy as np
import polars as pl

from trading_assets.core.candles import PRICES, timeframe_delta
from trading_assets.core.cores import cores
from trading_assets.exits.arrays import NO_ENTRY, TIME, Outcomes
from trading_assets.labels.barrier_distances import learnt_plan
from trading_assets.settings import LabelSettings

_MICROSECOND: Final = timedelta(microseconds=1)
_NEVER: Final = 2**62
_BARRIERS: Final = pl.Series(["stop_loss", "time", "take_profit"])
"""By the label, from -1 on."""


def plan_exits(trades: pl.DataFrame, candles: pl.DataFrame, *, timeframe: str, settings: LabelSettings) -> pl.DataFrame:
    """What became of each trade; columns as those of :func:`trading_assets.labels.exits.exits`.

    ``label`` and ``barrier`` tell of the first target: 1 where it was filled, -1 where the stop came before it, 0 where
    neither did in time. ``return`` is of all parts, after costs; ``label_end`` is when the last of them was closed.

    Parameters
    ----------
    trades
        ``known_at`` (ascending), ``side`` (1, -1), ``unit``.
    candles, timeframe
        The path: ``ts, open, high, low, close``, ascending.
    settings
        Exit plan, decision bar, costs, and who wins an ambiguous candle.
    """
    from trading_assets.exits.kernel import follow_plans, path, plan_of  # compiled on first use

    step, bar, cost = timeframe_delta(timeframe) // _MICROSECOND, settings.timeframe.micros, settings.costs
    named = learnt_plan(settings)
    plan = plan_of(
        named.stop,
        np.array([one.at for one in named.targets]),
        np.array([one.share for one in named.targets]),
        break_even_after=named.break_even_after or 0,
        trailing=named.trailing.distance if named.trailing is not None else 0.0,
        trailing_after=0 if named.trailing is not None and named.trailing.after == "entry" else 1,
    )
    along = path(
        candles["ts"].to_physical().to_numpy(),
        *(candles[name].cast(pl.Float64).to_numpy() for name in PRICES),
        step=step,
        bar=bar,
    )
    known_at, side = trades["known_at"].to_physical().to_numpy(), trades["side"].to_numpy()
    unit, closes_at = trades["unit"].to_numpy(), known_at + named.hold // _MICROSECOND
    found = Outcomes.empty(trades.height)

    def run(first: int, last: int) -> None:
        part = slice(first, last)
        entered = (known_at[part], side[part], unit[part], closes_at[part])
        best_case = settings.ambiguous == "best_case"
        follow_plans(along, *entered, plan, cost, _NEVER, best_case, False, found.part(first, last))

    parts = cores()  # compiled code runs outside the interpreter's lock
    edges = [trades.height * number // parts for number in range(parts + 1)]
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(run, edges, edges[1:]))
    return _columns(found, along.opens, -(-known_at // step) * step, step=step, bar=bar, cost=cost)


def _columns(
    found: Outcomes, opens: np.ndarray, entered: np.ndarray, *, step: int, bar: int, cost: float
) -> pl.DataFrame:
    label = np.where(found.filled > 0, 1, np.where(found.reason == TIME, 0, -1))
    there = found.entered != NO_ENTRY
    followed = found.candle - found.entered + 1
    return pl.DataFrame(
        {
            "label_end": found.closed_at,
            "entry_price": opens[np.where(there, found.entered, 0)] if len(opens) else np.full(len(there), np.nan),
            "bars_to_hit": -((entered - found.closed_at) // bar),
            "return": found.gross - cost,
            "label": label,
            "ambiguous": found.ambiguous,
            "missing_candles": np.maximum((found.closed_at - entered) // step - followed, 0),
        }
    ).with_columns(pl.when(pl.Series(there)).then(_BARRIERS.gather(pl.Series(label) + 1)).alias("barrier"))
