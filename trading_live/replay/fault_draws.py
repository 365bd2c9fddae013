"""Faults at random: scripts that follow a seed, for runs in which anything may go wrong with orders."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from trading_live.replay.fault_kinds import VENUE_KINDS, Kind
from trading_live.replay.faults import Fault

_PLACING: Final = ("POST /fapi/v1/order", "POST /fapi/v1/algoOrder")
_CANCELING: Final = ("DELETE /fapi/v1/order", "DELETE /fapi/v1/algoOrder")
_ASKING: Final = ("GET /fapi/v2/positionRisk", "GET /fapi/v1/openOrders", "GET /fapi/v1/openAlgoOrders")
_STARTING: Final = ("GET /fapi/v1/klines", "POST /fapi/v1/listenKey")
_EVENTS: Final = (
    "ORDER_TRADE_UPDATE NEW",
    "ORDER_TRADE_UPDATE TRADE",
    "ORDER_TRADE_UPDATE CANCELED",
    "ALGO_UPDATE NEW",
    "ALGO_UPDATE TRIGGERED",
    "ACCOUNT_UPDATE",
)
_ORDERS: Final = (*_PLACING, *_CANCELING)
_WHERE: Final[Mapping[Kind, Sequence[str]]] = {
    **dict.fromkeys(("429", "418", "500", "502", "503", "maintenance", "drop"), (*_ORDERS, *_ASKING, *_STARTING)),
    **dict.fromkeys(("404", "timeout", "truncated", "html"), _ASKING),
    **dict.fromkeys(("unknown_placed", "unknown_not_placed", "answer_lost"), _ORDERS),
    **dict.fromkeys(("rejected_placed", "ended_later"), _PLACING),
    "fill_after_cancel": _CANCELING,
    "filled_in_parts": _PLACING[:1],
    "clock_ahead": _ORDERS,
    "empty": (*_ASKING, "GET /fapi/v1/klines"),
    "not_found": ("GET /fapi/v1/order", "GET /fapi/v1/algoOrder"),
    "no_average": _PLACING[:1],
    "empty_activation": _PLACING[1:],
    "no_trigger": _ASKING[2:],
    **dict.fromkeys(("event_lost", "event_doubled", "event_late", "event_swapped"), _EVENTS),
    **dict.fromkeys(("stream_broken", "key_expired"), _EVENTS),
    **dict.fromkeys(("settling", "delisted", "liquidation", "tick_size"), ("",)),
}
"""Kind -> what it may strike; without refused credentials, and without what only candles can have."""

KINDS: Final = tuple(_WHERE)
"""What may be drawn."""


def drawn(
    seed: int, start: datetime, end: datetime, *, least: int = 1, most: int = 6, later: int = 5, symbols: bool = False
) -> list[Fault]:
    """A script of ``least`` to ``most`` faults; the same for the same seed.

    Parameters
    ----------
    seed
        Of the draw.
    start, end
        Of the replay, within which something happens to symbols.
    least, most
        How many faults.
    later
        The most requests or events that a fault leaves alone before.
    symbols
        Whether symbols may be settled, delisted or their positions liquidated as well.
    """
    chance = random.Random(seed)
    kinds = [kind for kind in _WHERE if symbols or kind not in VENUE_KINDS]
    return [_fault(chance, chance.choice(kinds), start, end, later) for _ in range(chance.randint(least, most))]


def _fault(chance: random.Random, kind: Kind, start: datetime, end: datetime, later: int) -> Fault:
    options: dict[str, Any] = {"after": chance.randint(0, later), "times": chance.randint(1, 2)}
    if kind in ("429", "418"):
        options["retry_after_s"] = chance.choice((None, 1, 2))
    if kind in ("event_late", "clock_ahead"):
        options["seconds"] = chance.choice((0.2, 1.0)) if kind == "event_late" else chance.choice((2.0, 30.0))
    if kind == "timeout":
        options["seconds"] = chance.choice((1.0, 6.0))
    if kind in VENUE_KINDS:
        options = {"start": start + (end - start) * chance.random()}
        options |= {"tick": 0.1} if kind == "tick_size" else {}
    return Fault(fault=kind, path=chance.choice(_WHERE[kind]), **options)
