"""The synthetic order book: levels around a price, and how Binance writes a snapshot and a change of them. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from trading_live.replay.tape import Instrument

LEVELS: Final = 50
"""Levels of a side, one tick apart."""

STEP_MS: Final = 1_000
"""One update at the end of each of these."""

IDS: Final = 10
"""Update numbers of one event: an event has a first and a last one, as at the venue."""

_LASTS: Final = 8  # updates that a level keeps its size for
_MIX: Final = (2654435761, 40503, 2246822519)  # odd multipliers of common integer hashes


@dataclass(frozen=True, slots=True)
class Levels:
    """Price in ticks -> size in lots, best first."""

    bids: dict[int, int]
    asks: dict[int, int]


def levels(seed: int, ticks: int, number: int) -> Levels:
    """The book around the last price at one update; a pure function of what it is given.

    Parameters
    ----------
    seed
        Of the symbol.
    ticks
        The last trade's price.
    number
        Of the update: a level keeps its size for some updates, then has another one.
    """
    away = np.arange(1, LEVELS + 1)
    bids, asks = ticks - away, ticks + away
    bids = bids[bids > 0]
    return Levels(_sized(seed, bids, number), _sized(seed + 1, asks, number))


def _sized(seed: int, prices: np.ndarray[Any, np.dtype[np.int64]], number: int) -> dict[int, int]:
    state = (prices + number) // _LASTS
    mixed = (prices * _MIX[0] + state * _MIX[1] + seed * _MIX[2]) & 0xFFFFFFFF
    return dict(zip(prices.tolist(), (1 + (mixed >> 12) % 5_000).tolist(), strict=True))


def update_id(at_ms: int) -> int:
    """The last update number of the event at an instant: it grows with time."""
    return (at_ms // STEP_MS + 1) * IDS


def snapshot(one: Instrument, at_ms: int, found: Levels, limit: int) -> dict[str, Any]:
    """The answer of ``GET /fapi/v1/depth``."""
    bids, asks = (_rows(one, dict(list(side.items())[:limit])) for side in (found.bids, found.asks))
    return {"lastUpdateId": update_id(at_ms), "E": at_ms, "T": at_ms, "bids": bids, "asks": asks}


def update(one: Instrument, at_ms: int, now: Levels, before_ms: int, before: Levels) -> dict[str, Any]:
    """The ``depthUpdate`` event that leads from one book to the next; a level that is gone has size 0."""
    bids, asks = _rows(one, _changes(before.bids, now.bids)), _rows(one, _changes(before.asks, now.asks))
    last, former = update_id(at_ms), update_id(before_ms)
    numbers = {"U": last - IDS + 1, "u": last, "pu": former}
    return {"e": "depthUpdate", "E": at_ms, "T": at_ms, "s": one.symbol, **numbers, "b": bids, "a": asks}


def decimal(units: int, decimals: int) -> str:
    """Whole units of the last decimal as text.

    >>> decimal(1005, 2), decimal(12, -3)
    ('10.05', '12000')
    """
    if decimals <= 0:
        return str(units * 10**-decimals)
    whole, rest = divmod(units, 10**decimals)
    return f"{whole}.{rest:0{decimals}d}"


def _changes(before: dict[int, int], now: dict[int, int]) -> dict[int, int]:
    gone = dict.fromkeys(before.keys() - now.keys(), 0)
    return gone | {price: lots for price, lots in now.items() if before.get(price) != lots}


def _rows(one: Instrument, side: dict[int, int]) -> list[list[str]]:
    price, size = one.price_decimals, one.volume_decimals
    return [[decimal(ticks, price), decimal(lots, size)] for ticks, lots in side.items()]
