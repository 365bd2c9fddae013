"""How trades end: at the first barrier that a candle touches, or with the horizon."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.candles import PRICES, timeframe_delta
from trading_assets.core.cores import cores
from trading_assets.settings import LabelSettings

_COLUMNS: Final = {
    "label_end": np.int64,
    "entry_price": np.float64,
    "barrier": np.int8,
    "bars_to_hit": np.int32,
    "return": np.float64,
    "label": np.int8,
    "ambiguous": np.bool_,
    "missing_candles": np.int32,
}
"""As the kernel fills them."""

_BARRIERS: Final = pl.Series(["stop_loss", "time", "take_profit", None])
"""By the kernel's number, from -1 on."""

_MICROSECOND: Final = timedelta(microseconds=1)


def exits(trades: pl.DataFrame, candles: pl.DataFrame, *, timeframe: str, settings: LabelSettings) -> pl.DataFrame:
    """What became of each trade.

    Parameters
    ----------
    trades
        ``known_at`` (ascending), ``side`` (1, -1), ``take_profit``, ``stop_loss``.
    candles, timeframe
        The path: ``ts, open, high, low, close``, ascending.
    settings
        Horizon, costs, and who wins an ambiguous candle.

    Returns
    -------
    polars.DataFrame
        The columns of the ``labels`` table that the candles decide, ``label_end`` in microseconds; ``barrier`` is null,
        and the rest means nothing, where the first candle to open from ``known_at`` on is missing.
    """
    from trading_assets.labels.kernels import follow  # compiled on first use

    found: dict[str, npt.NDArray[Any]] = {name: np.empty(trades.height, dtype) for name, dtype in _COLUMNS.items()}
    step, bar = timeframe_delta(timeframe) // _MICROSECOND, settings.timeframe.micros
    path = _arrays(candles.select("ts", pl.col(PRICES).cast(pl.Float64)))
    entered = _arrays(trades.select("known_at", "side", "take_profit", "stop_loss"))
    common = (
        *path,
        step,
        bar,
        settings.horizon_bars * bar,
        settings.ambiguous == "best_case",
        settings.costs,
    )

    def run(first: int, last: int) -> None:
        arguments: tuple[Any, ...] = (*common, *(array[first:last] for array in (*entered, *found.values())))
        follow(*arguments)

    parts = cores()  # compiled code runs outside the interpreter's lock
    edges = [trades.height * part // parts for part in range(parts + 1)]
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(run, edges, edges[1:]))
    barrier = pl.Series(found.pop("barrier"))
    return pl.DataFrame(found).with_columns(_BARRIERS.gather(barrier + 1).alias("barrier"))


def _arrays(frame: pl.DataFrame) -> list[npt.NDArray[Any]]:
    return [column.to_physical().to_numpy() for column in frame]
