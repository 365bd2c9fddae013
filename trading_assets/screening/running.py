"""Set after set along the history, block by block on all cores: what each wants, what becomes of it, what it earns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.cores import cores
from trading_assets.core.errors import ModelError
from trading_assets.core.sides import Side
from trading_assets.screening.outcomes import OutcomeTable
from trading_assets.screening.world import Scene
from trading_assets.strategies.base import Rule
from trading_assets.strategies.rules.shown import shared

if TYPE_CHECKING:
    from trading_assets.screening.arrays import Costs, Log, State

type Signs = npt.NDArray[np.int8]

Progress = Callable[[float], None]
"""Called with the sets that are done, in parts of a set as the history goes on."""

CHUNK: Final = 40_960
"""Bars of the grid that are gone through at a time: few enough for the caches, and for the memory of all indicators."""

_BLOCK: Final = 32
"""Sets whose signals are held at a time."""


@dataclass(frozen=True)
class _Chunk:
    """A part of the grid: of each market the bars that rules are shown, and which of their answers count where."""

    first: int
    last: int
    frames: Sequence[pl.DataFrame]
    counts: Sequence[int]
    places: Sequence[npt.NDArray[np.int64] | slice]


def run(
    scene: Scene,
    table: OutcomeTable,
    rules: Sequence[Rule[Any]],
    sides: Sequence[Side],
    costs: Costs,
    *,
    progress: Progress | None = None,
    log: Log | None = None,
) -> State:
    """Trade many sets of a rule, each on an account of its own.

    Parameters
    ----------
    scene, table
        The markets, and what becomes of trades.
    rules
        Of one kind, with different parameters.
    sides
        That are traded.
    log
        Takes all trades; without it they are only summed up.
    """
    from trading_assets.screening.arrays import accounts, no_log, rows_of
    from trading_assets.screening.kernels import finish, walk

    state = accounts(len(rules), len(scene.markets), scene.days, costs.balance)
    written = no_log() if log is None else log
    block = _BLOCK if log is None else len(rules)  # a log tells sets apart by their row
    blocks = [slice(at, min(at + block, len(rules))) for at in range(0, len(rules), block)]
    inputs, reach = rules[0].inputs, max(rule.lookback_bars for rule in rules)
    done = 0.0

    def trade(block: slice, chunk: _Chunk) -> int:
        """Go on with some sets; how many they are."""
        wanted = _wanted(rules[block], chunk, sides)
        table.need(chunk.first, np.stack([(wanted == side).any(axis=0) for side in (1, -1)], axis=1))
        walk(wanted, chunk.first, scene.world, table.arrays, costs, rows_of(state, block), written)
        return len(wanted)

    with ThreadPoolExecutor(1 if log is not None else cores()) as pool:
        for first in range(0, scene.width, CHUNK):
            last = min(first + CHUNK, scene.width)
            chunk = _chunk(scene, first, last, inputs, reach)
            with ExitStack() as stack:
                for frame in chunk.frames:
                    stack.enter_context(shared(frame))
                for count in pool.map(lambda block: trade(block, chunk), blocks):  # noqa: B023 - used at once
                    done += count * (last - first) / scene.width
                    if progress is not None:
                        progress(done)
    finish(scene.world, table.arrays, costs, state, written)
    return state


def _chunk(scene: Scene, first: int, last: int, inputs: Sequence[str], reach: int) -> _Chunk:
    frames, counts, places = [], [], list[npt.NDArray[np.int64] | slice]()
    for bars, rows in zip(scene.bars, scene.rows, strict=True):
        low, high = (int(at) for at in np.searchsorted(rows, (first, last)))
        begin = max(low - reach + 1, 0)
        frames.append(bars[begin:high].select("market", "ts", *inputs))
        counts.append(high - low)
        inside = rows[low:high] - first
        whole = high - low == last - first
        places.append(slice(None) if whole else inside)
    return _Chunk(first, last, frames, counts, places)


def _wanted(rules: Sequence[Rule[Any]], chunk: _Chunk, sides: Sequence[Side]) -> Signs:
    """What each rule wants on each market and bar: the rule's own answers, of the sides that are traded."""
    found = np.zeros((len(rules), len(chunk.frames), chunk.last - chunk.first), np.int8)
    lowest, highest = min(sides, default=0), max(sides, default=0)
    for number, rule in enumerate(rules):
        for market, (frame, count, place) in enumerate(zip(chunk.frames, chunk.counts, chunk.places, strict=True)):
            if not count:
                continue
            said = rule.sides(frame)
            if said.len() != frame.height or said.null_count() or said.max() > 1 or said.min() < -1:  # type: ignore[operator]
                raise ModelError(
                    f"it answers {frame.height:,} bars with {said.len():,} values, or other values than -1, 0 and 1",
                    where=f"rule {rule.kind()}",
                    remedy="trading prove-rules shows what it does",
                )
            found[number, market, place] = said.to_numpy()[frame.height - count :]
    return np.clip(found, min(int(lowest), 0), max(int(highest), 0), out=found)
